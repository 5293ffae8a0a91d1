// JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386).
#include "orchestrator/api/patch.h"

#include <charconv>
#include <optional>

namespace lab::api {
namespace {

using Tokens = std::vector<std::string>;

Result<Tokens> pointer(std::string_view text) {
  Tokens out;
  if (text.empty()) return out;
  if (text.front() != '/')
    return fail(Code::kBadRequest, "json patch path \"" + std::string(text) + "\" must begin with '/'");
  while (!text.empty()) {
    text.remove_prefix(1);
    auto slash = text.find('/');
    std::string_view raw = text.substr(0, slash);
    std::string token;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] == '~' && i + 1 < raw.size() && (raw[i + 1] == '0' || raw[i + 1] == '1'))
        token += raw[++i] == '0' ? '~' : '/';
      else
        token += raw[i];
    }
    out.push_back(std::move(token));
    text = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
  }
  return out;
}

std::optional<std::size_t> index_of(const std::string& token, std::size_t size) {
  std::size_t n = 0;
  auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), n);
  if (ec != std::errc() || end != token.data() + token.size() || token.empty() || n >= size) return std::nullopt;
  return n;
}

// The value that holds the pointer's last token; null when a step does not exist.
json::Value* parent_of(json::Value& root, const Tokens& tokens) {
  json::Value* v = &root;
  for (std::size_t i = 0; i + 1 < tokens.size() && v; ++i) {
    if (auto* object = v->if_object()) {
      v = object->if_contains(tokens[i]);
    } else if (auto* array = v->if_array()) {
      auto n = index_of(tokens[i], array->size());
      v = n ? &(*array)[*n] : nullptr;
    } else {
      v = nullptr;
    }
  }
  return v;
}

json::Value* child_of(json::Value& parent, const std::string& token) {
  if (auto* object = parent.if_object()) return object->if_contains(token);
  if (auto* array = parent.if_array())
    if (auto n = index_of(token, array->size())) return &(*array)[*n];
  return nullptr;
}

json::Value* find(json::Value& root, const Tokens& tokens) {
  if (tokens.empty()) return &root;
  json::Value* parent = parent_of(root, tokens);
  return parent ? child_of(*parent, tokens.back()) : nullptr;
}

Failure missing(std::string_view op, std::string_view path) {
  return fail(Code::kInvalid, std::string(op) + " operation does not apply: doc is missing path: \"" +
                                  std::string(path) + "\": missing value");
}

Result<void> add(json::Value& root, const Tokens& tokens, std::string_view path, json::Value value,
                 std::string_view op) {
  if (tokens.empty()) {
    root = std::move(value);
    return {};
  }
  json::Value* parent = parent_of(root, tokens);
  if (!parent) return missing(op, path);
  if (auto* object = parent->if_object()) {
    object->insert_or_assign(tokens.back(), std::move(value));
    return {};
  }
  auto* array = parent->if_array();
  if (!array) return missing(op, path);
  if (tokens.back() == "-") {
    array->push_back(std::move(value));
    return {};
  }
  auto n = index_of(tokens.back(), array->size() + 1);
  if (!n)
    return fail(Code::kInvalid,
                std::string(op) + " operation does not apply: doc is missing key: " + std::string(path) +
                    ": Unable to access invalid index: " + tokens.back() + ": invalid index referenced");
  array->insert(array->begin() + static_cast<std::ptrdiff_t>(*n), std::move(value));
  return {};
}

Result<json::Value> remove(json::Value& root, const Tokens& tokens, std::string_view path, std::string_view op) {
  json::Value* at = find(root, tokens);
  if (!at || tokens.empty()) return missing(op, path);
  json::Value out = std::move(*at);
  json::Value* parent = parent_of(root, tokens);
  if (auto* object = parent->if_object())
    object->stable_erase(object->find(tokens.back()));
  else
    parent->get_array().erase(parent->get_array().begin() +
                              static_cast<std::ptrdiff_t>(*index_of(tokens.back(), parent->get_array().size())));
  return out;
}

Result<void> apply_one(json::Value& root, const json::Value& step) {
  std::string_view op = json::str(step, "op"), path = json::str(step, "path");
  if (!json::at(step, "path").is_string())
    return fail(Code::kBadRequest, "json patch operation \"" + std::string(op) + "\" has no path");
  LAB_TRY(auto tokens, pointer(path));
  const auto* value = json::as_object(step).if_contains("value");
  if ((op == "add" || op == "replace" || op == "test") && !value && op != "test")
    return fail(Code::kBadRequest,
                "json patch operation \"" + std::string(op) + "\" on \"" + std::string(path) + "\" has no value");
  if (op == "add") return add(root, tokens, path, *value, op);
  if (op == "remove") {
    LAB_CHECK(remove(root, tokens, path, op));
    return {};
  }
  if (op == "replace") {
    json::Value* at = find(root, tokens);
    if (!at) return missing(op, path);
    *at = *value;
    return {};
  }
  if (op == "test") {
    json::Value* at = find(root, tokens);
    // A test against null holds where nothing is.
    bool holds = value && !value->is_null() ? at && *at == *value : !at || at->is_null();
    if (!holds)
      return fail(Code::kInvalid, "testing value " + std::string(path) + " failed: test failed",
                  "the object is not in the state that the patch expects; read it again");
    return {};
  }
  if (op == "move" || op == "copy") {
    std::string_view from_text = json::str(step, "from");
    LAB_TRY(auto from, pointer(from_text));
    if (op == "move") {
      LAB_TRY(auto moved, remove(root, from, from_text, op));
      return add(root, tokens, path, std::move(moved), op);
    }
    json::Value* at = find(root, from);
    if (!at) return missing(op, from_text);
    json::Value copy = *at;
    return add(root, tokens, path, std::move(copy), op);
  }
  return fail(Code::kBadRequest, "unexpected kind of json patch operation: \"" + std::string(op) + "\"");
}

}  // namespace

Result<json::Value> json_patch(json::Value target, const json::Value& patch) {
  if (!patch.is_array())
    return fail(Code::kBadRequest, "a JSON patch must be an array of operations: [{\"op\":...,\"path\":...}]");
  // More is refused, as kube-apiserver does, so that one request cannot hold a thread for long.
  constexpr std::size_t kMaxOperations = 10'000;
  if (patch.get_array().size() > kMaxOperations)
    return fail(Code::kTooLarge, "the allowed maximum operations in a JSON patch is 10000, got " +
                                     std::to_string(patch.get_array().size()));
  for (const auto& step : patch.get_array()) LAB_CHECK(apply_one(target, step));
  return target;
}

json::Value merge_patch(json::Value target, const json::Value& patch) {
  if (!patch.is_object()) return patch;
  if (!target.is_object()) target = json::Object();
  auto& object = target.get_object();
  for (const auto& [key, value] : patch.get_object()) {
    if (value.is_null()) {
      if (auto it = object.find(key); it != object.end()) object.stable_erase(it);
    } else if (auto* old = object.if_contains(key)) {
      *old = merge_patch(std::move(*old), value);
    } else {
      object.emplace(key, merge_patch(nullptr, value));
    }
  }
  return target;
}

}  // namespace lab::api
