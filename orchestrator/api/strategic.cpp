// Strategic merge patch, after apimachinery's strategicpatch: maps merge, lists merge by the key that the schema names,
// and directives in the patch ($patch, $retainKeys, $setElementOrder/x, $deleteFromPrimitiveList/x) say the rest.
#include <algorithm>

#include "orchestrator/api/patch.h"

namespace lab::api {
namespace {

using json::Array;
using json::Object;
using json::Value;

constexpr std::string_view kOrder = "$setElementOrder/", kDelete = "$deleteFromPrimitiveList/";

// How a field of a type merges.
struct Rule {
  const Type* type = nullptr;  // of the field's objects or elements
  bool merge = false, replace = false;
  std::string_view key;
};

Rule rule_of(const Type* type, std::string_view name) {
  const Field* f = type ? type->by_json(name) : nullptr;
  if (!f) return {};
  Rule r;
  // The values of a map have no patch rules of their own: a message stands for the field's objects or elements only.
  if (!f->map) r.type = f->message;
  std::string_view strategy = f->patch_strategy;
  r.merge = strategy.find("merge") != std::string_view::npos;
  r.replace = strategy.find("replace") != std::string_view::npos;
  r.key = f->patch_merge_key;
  return r;
}

void erase(Object& o, std::string_view key) {
  if (auto it = o.find(key); it != o.end()) o.stable_erase(it);
}

Failure no_key(const Value& item, std::string_view key) {
  return fail(Code::kBadRequest,
              "map: " + json::dump(item) + " does not contain declared merge key: " + std::string(key));
}

// A patch value that becomes an object's value as it is: directives and nulls go. False when it says "$patch: delete".
bool clean(Value& v) {
  if (auto* o = v.if_object()) {
    if (json::str(v, "$patch") == "delete") return false;
    std::vector<std::string> gone;
    for (auto& [key, field] : *o) {
      bool directive = key == "$patch" || key == "$retainKeys" || key.starts_with(kOrder) || key.starts_with(kDelete);
      if (directive || field.is_null() || !clean(field)) gone.emplace_back(key);
    }
    for (const auto& key : gone) erase(*o, key);
  } else if (auto* a = v.if_array()) {
    for (std::size_t i = 0; i < a->size();)
      if (clean((*a)[i]))
        ++i;
      else
        a->erase(a->begin() + static_cast<std::ptrdiff_t>(i));
  }
  return true;
}

bool same(const Value& a, const Value& b, std::string_view key) {
  return key.empty() || !a.is_object() || !b.is_object() ? a == b : json::at(a, key) == json::at(b, key);
}
std::ptrdiff_t index_in(const Array& list, const Value& item, std::string_view key) {
  for (std::size_t i = 0; i < list.size(); ++i)
    if (same(list[i], item, key)) return static_cast<std::ptrdiff_t>(i);
  return -1;
}

// The order of a merged list: what the patch names follows the patch's order; what only the server has keeps its place
// relative to what it stood before.
Array ordered(Array merged, const Array& order, const Array& server, std::string_view key) {
  Array ours, theirs;
  for (auto& item : merged) (index_in(order, item, key) >= 0 ? ours : theirs).push_back(std::move(item));
  auto by = [&](const Array& list) {
    return [&list, key](const Value& a, const Value& b) { return index_in(list, a, key) < index_in(list, b, key); };
  };
  std::ranges::sort(ours, by(order));
  std::ranges::sort(theirs, by(server));
  Array out;
  std::size_t i = 0, j = 0;
  while (i < theirs.size() || j < ours.size()) {
    bool take_theirs = j == ours.size();
    if (i < theirs.size() && j < ours.size()) {
      auto a = index_in(server, theirs[i], key), b = index_in(server, ours[j], key);
      take_theirs = a >= 0 && b >= 0 && a < b;
    }
    out.push_back(std::move(take_theirs ? theirs[i++] : ours[j++]));
  }
  return out;
}

Result<void> merge_map(const Type* type, Value& target, Object patch);

// Elements with "$patch" act on the list: delete removes by key, replace makes the others the whole list.
Result<bool> list_directives(Array& target, Array& patch, std::string_view key) {
  bool replace = false;
  Array rest;
  for (auto& item : patch) {
    const Value& directive = json::at(item, "$patch");
    if (directive.is_null()) {
      rest.push_back(std::move(item));
    } else if (directive == "delete") {
      const Value& wanted = json::at(item, key);
      if (wanted.is_null())
        return fail(Code::kBadRequest, "delete patch type with no merge key defined: " + json::dump(item));
      for (auto at = index_in(target, item, key); at >= 0; at = index_in(target, item, key))
        target.erase(target.begin() + at);
    } else if (directive == "replace") {
      replace = true;
    } else {
      return fail(Code::kBadRequest, "unknown patch type found: " + json::dump(directive));
    }
  }
  patch = std::move(rest);
  return replace;
}

Result<Array> merge_list(const Rule& rule, Array target, Array patch) {
  bool maps = (!patch.empty() && patch[0].is_object()) || (patch.empty() && !target.empty() && target[0].is_object());
  if (!maps) {
    Array merged;
    for (auto* part : {&target, &patch})
      for (const auto& v : *part)
        if (index_in(merged, v, {}) < 0) merged.push_back(v);
    return ordered(std::move(merged), patch, target, {});
  }
  if (rule.key.empty())
    return fail(Code::kBadRequest, "cannot merge lists without merge key" +
                                       (rule.type ? " for " + std::string(rule.type->name()) : std::string()));
  LAB_TRY(bool replace, list_directives(target, patch, rule.key));
  if (replace) {
    for (auto& item : patch) clean(item);
    return patch;
  }
  Array merged = target;
  for (auto& item : patch) {
    if (json::at(item, rule.key).is_null()) return no_key(item, rule.key);
    auto at = index_in(merged, item, rule.key);
    if (at >= 0) {
      LAB_CHECK(merge_map(rule.type, merged[static_cast<std::size_t>(at)], json::as_object(item)));
    } else {
      Value added = item;
      clean(added);
      merged.push_back(std::move(added));
    }
  }
  return ordered(std::move(merged), patch, target, rule.key);
}

Result<void> retain_keys(Value& target, Object& patch) {
  auto* listed = patch.if_contains("$retainKeys");
  if (!listed) return {};
  if (!listed->is_array()) return fail(Code::kBadRequest, "invalid patch format of retainKeys list: it must be a list");
  Array keep = listed->get_array();
  erase(patch, "$retainKeys");
  for (const auto& [key, value] : patch)
    if (!value.is_null() && !key.starts_with("$") && index_in(keep, Value(key), {}) < 0)
      return fail(Code::kBadRequest, "patch format of retainKeys list is invalid: \"" + std::string(key) +
                                         "\" is set but not in the list");
  std::vector<std::string> gone;
  for (const auto& field : target.get_object())
    if (index_in(keep, Value(field.key()), {}) < 0) gone.emplace_back(field.key());
  for (const auto& key : gone) erase(target.get_object(), key);
  return {};
}

// $setElementOrder/x together with list x of the patch, where there is one.
Result<void> set_order(const Type* type, Value& target, Object& patch) {
  std::vector<std::string> directives;
  for (const auto& field : patch)
    if (field.key().starts_with(kOrder)) directives.emplace_back(field.key());
  for (const auto& directive : directives) {
    Value order = std::move(patch.at(directive));
    erase(patch, directive);
    if (!order.is_array()) return fail(Code::kBadRequest, "invalid patch format of setElementOrder list");
    std::string name = directive.substr(kOrder.size());
    Rule rule = rule_of(type, name);
    auto* old = target.get_object().if_contains(name);
    auto* given = patch.if_contains(name);
    if ((old && !old->is_null() && !old->is_array()) || (given && !given->is_null() && !given->is_array()))
      return fail(Code::kBadRequest, "\"" + name + "\" is not a list, but " + directive + " is given");
    bool have_old = old && old->is_array(), have_given = given && given->is_array();
    if (!have_given) {
      if (given || !have_old) continue;  // "x: null" deletes the list below
    }
    Array server = have_old ? old->get_array() : Array(), merged = server;
    if (have_given) {
      for (const auto& item : given->get_array())
        if (json::str(item, "$patch").empty() && index_in(order.get_array(), item, rule.key) < 0)
          return fail(Code::kBadRequest, "The order in patch list:\n" + json::dump(*given) +
                                             "\n doesn't match $setElementOrder list:\n" + json::dump(order));
      LAB_TRY(merged, merge_list(rule, server, given->get_array()));
      erase(patch, name);
    }
    target.get_object().insert_or_assign(name, ordered(std::move(merged), order.get_array(), server, rule.key));
  }
  return {};
}

Result<void> merge_field(const Type* type, Value& target, std::string_view name, const Value& given) {
  auto& object = target.get_object();
  if (given.is_null()) {
    erase(object, name);
    return {};
  }
  auto* old = object.if_contains(name);
  Rule rule = rule_of(type, name);
  if (old && old->is_object() && given.is_object() && !rule.replace)
    return merge_map(rule.type, *old, given.get_object());
  if (old && old->is_array() && given.is_array() && rule.merge) {
    LAB_TRY(auto merged, merge_list(rule, std::move(old->get_array()), given.get_array()));
    *object.if_contains(name) = std::move(merged);
    return {};
  }
  Value value = given;
  if (clean(value))
    object.insert_or_assign(name, std::move(value));
  else
    erase(object, name);
  return {};
}

void delete_from_primitives(Value& target, std::string_view name, const Value& gone) {
  auto* list = target.get_object().if_contains(name);
  if (!list || !list->is_array()) return;
  Array rest;
  for (const auto& v : list->get_array())
    if (index_in(json::as_array(gone), v, {}) < 0) rest.push_back(v);
  *list = std::move(rest);
}

Result<void> merge_map(const Type* type, Value& target, Object patch) {
  if (auto* directive = patch.if_contains("$patch")) {
    Value d = *directive;
    erase(patch, "$patch");
    if (d == "delete") {
      target = Object();
      return {};
    }
    if (d == "replace") {
      target = std::move(patch);
      clean(target);
      return {};
    }
    if (d != "merge") return fail(Code::kBadRequest, "unknown patch type found: " + json::dump(d));
  }
  if (!target.is_object()) target = Object();
  LAB_CHECK(retain_keys(target, patch));
  // Deletions by list come before additions, so that one patch can replace a value.
  std::vector<std::string> deletions;
  for (const auto& [key, value] : patch)
    if (key.starts_with(kDelete)) {
      if (!value.is_array())
        return fail(Code::kBadRequest, "invalid patch format of deleteFromPrimitiveList: it must be a list");
      delete_from_primitives(target, key.substr(kDelete.size()), value);
      deletions.emplace_back(key);
    }
  for (const auto& key : deletions) erase(patch, key);
  LAB_CHECK(set_order(type, target, patch));
  for (const auto& [key, value] : patch) LAB_CHECK(merge_field(type, target, key, value));
  return {};
}

}  // namespace

Result<json::Value> strategic_patch(const Type& type, json::Value target, const json::Value& patch) {
  if (!patch.is_object()) return fail(Code::kBadRequest, "a strategic merge patch must be a JSON object");
  LAB_CHECK(merge_map(&type, target, patch.get_object()));
  return target;
}

}  // namespace lab::api
