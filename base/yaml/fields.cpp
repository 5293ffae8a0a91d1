#include "base/yaml/fields.h"

#include <cstdlib>

namespace lab::yaml {

namespace {

// The value that a JSON pointer of mappings and lists leads to.
const json::Value& find(const json::Value& root, std::string_view pointer) {
  const json::Value* at = &root;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const auto key = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(key.size());
    if (at->is_array()) {
      const auto index = static_cast<std::size_t>(std::atoi(std::string(key).c_str()));
      at = index < at->get_array().size() ? &at->get_array()[index] : &json::null_value();
    } else {
      at = &json::at(*at, key);
    }
  }
  return *at;
}

}  // namespace

Fields::Fields(const Document& document, std::vector<std::string>& problems, std::string pointer)
    : document_(&document),
      problems_(&problems),
      pointer_(std::move(pointer)),
      value_(&find(document.value, pointer_)) {}

const json::Value& Fields::take(const std::string& key) {
  taken_.insert(key);
  return json::at(*value_, key);
}

void Fields::complain(const std::string& key, const std::string& what) {
  const std::string pointer = key.empty() ? pointer_ : pointer_ + "/" + pointer_token(key);
  const std::string subject = !key.empty() ? key : pointer_.substr(pointer_.rfind('/') + 1);
  problems_->push_back(place_text(*document_, pointer) + ": " + (subject.empty() ? "the document" : subject) + " " +
                       what);
}

bool Fields::has(const std::string& key) {
  return !take(key).is_null();
}

std::string Fields::text(const std::string& key, std::string fallback) {
  const auto& v = take(key);
  if (v.is_null()) return fallback;
  if (!v.is_string()) complain(key, "must be a text (quote it)");
  return std::string(json::as_str(v, fallback));
}

std::optional<std::string> Fields::any_text(const std::string& key) {
  const auto& v = take(key);
  if (v.is_null()) return std::nullopt;
  if (v.is_structured()) complain(key, "must be one value");
  return v.is_string() ? std::string(json::as_str(v)) : json::dump(v);
}

std::int64_t Fields::number(const std::string& key, std::int64_t fallback) {
  const auto& v = take(key);
  if (v.is_null()) return fallback;
  if (!v.is_int64() && !v.is_uint64()) complain(key, "must be a whole number");
  return json::as_int(v, fallback);
}

std::optional<double> Fields::real(const std::string& key) {
  const auto& v = take(key);
  if (v.is_null()) return std::nullopt;
  if (!v.is_number()) {
    complain(key, "must be a number");
    return std::nullopt;
  }
  return v.is_double() ? v.get_double() : static_cast<double>(json::as_int(v));
}

std::optional<bool> Fields::flag(const std::string& key) {
  const auto& v = take(key);
  if (v.is_null()) return std::nullopt;
  if (!v.is_bool()) complain(key, "must be true or false");
  return json::as_bool(v);
}

std::vector<Fields> Fields::list(const std::string& key) {
  const auto& v = take(key);
  std::vector<Fields> out;
  if (v.is_null()) return out;
  if (!v.is_array()) complain(key, "must be a list");
  for (std::size_t i = 0; i < json::as_array(v).size(); ++i)
    out.emplace_back(*document_, *problems_, pointer_ + "/" + pointer_token(key) + "/" + std::to_string(i));
  return out;
}

std::vector<std::string> Fields::texts(const std::string& key) {
  const auto& v = take(key);
  std::vector<std::string> out;
  if (v.is_null()) return out;
  if (!v.is_array()) complain(key, "must be a list");
  for (const auto& item : json::as_array(v)) {
    if (item.is_structured()) complain(key, "must be a list of texts");
    out.push_back(item.is_string() ? std::string(json::as_str(item)) : json::dump(item));
  }
  return out;
}

Fields Fields::item(const std::string& key, std::size_t index) {
  taken_.insert(key);
  return {*document_, *problems_, pointer_ + "/" + pointer_token(key) + "/" + std::to_string(index)};
}

std::string Fields::place(const std::string& key) const {
  return place_text(*document_, pointer_ + "/" + pointer_token(key));
}

Fields Fields::map(const std::string& key) {
  taken_.insert(key);
  return {*document_, *problems_, pointer_ + "/" + pointer_token(key)};
}

void Fields::require(const std::string& key) {
  if (json::at(*value_, key).is_null()) complain("", "needs the field \"" + key + "\"");
}

void Fields::no_others() {
  if (!value_->is_object()) return complain("", "must be a mapping");
  for (const auto& [key, v] : json::as_object(*value_))
    if (!taken_.contains(std::string(key))) complain(std::string(key), "is no field that is known here");
}

}  // namespace lab::yaml
