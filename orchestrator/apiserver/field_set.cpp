#include "orchestrator/apiserver/field_set.h"

#include <algorithm>

namespace lab::apiserver::fields {
namespace {

using api::Field;
using api::Type;

enum class Form { kLeaf, kStruct, kMap, kKeyedList, kSet };

// How the value of a field is owned.
struct Rule {
  Form form = Form::kLeaf;
  const Type* type = nullptr;  // of the object, or of the list's items
  const Field* field = nullptr;
};

Rule rule_of(const Type* type, std::string_view name) {
  if (!type && name == "metadata")  // of an object without a schema
    return {Form::kStruct, api::find_type("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta"), nullptr};
  const auto* field = type ? type->by_json(name) : nullptr;
  if (!field || field->list_type == "atomic") return {};
  if (field->repeated) {
    if (field->list_type == "map" && field->message) return {Form::kKeyedList, field->message, field};
    return {field->list_type == "set" ? Form::kSet : Form::kLeaf, nullptr, field};
  }
  if (field->map) return {Form::kMap, nullptr, field};
  if (field->base == api::Base::kMessage && field->message && !field->message->atomic())
    return {Form::kStruct, field->message, field};
  return {};
}

// {"containerPort":80,"protocol":"TCP"}: the keys that name an item, in order, with their defaults.
std::string item_key(const Rule& rule, const json::Value& item) {
  std::vector<std::string_view> names(rule.field->list_map_keys.begin(), rule.field->list_map_keys.end());
  std::ranges::sort(names);
  json::Object key;
  for (auto name : names) {
    auto value = json::at(item, name);
    if (value.is_null())
      if (const auto* field = rule.type->by_json(name); field && !field->default_value.empty())
        if (auto parsed = json::parse(field->default_value)) value = std::move(*parsed);
    if (value.is_null() && name == "protocol") value = "TCP";
    key[name] = std::move(value);
  }
  return "k:" + json::dump(json::Value(std::move(key)));
}

std::string set_key(const json::Value& item) {
  return "v:" + json::dump(item);
}

json::Object* find_item(json::Array& list, const Rule& rule, const std::string& key) {
  for (auto& item : list)
    if (item.is_object() && item_key(rule, item) == key) return &item.get_object();
  return nullptr;
}

json::Value fields_of_value(const Rule& rule, const json::Value& value) {
  json::Object out;
  if (rule.form == Form::kStruct && value.is_object()) return of(rule.type, value);
  if (rule.form == Form::kMap && value.is_object()) {
    for (const auto& [key, item] : value.get_object()) out["f:" + std::string(key)] = json::Object{};
  } else if (rule.form == Form::kKeyedList && value.is_array()) {
    for (const auto& item : value.get_array()) {
      auto below = of(rule.type, item);
      below["."] = json::Object{};
      out[item_key(rule, item)] = std::move(below);
    }
  } else if (rule.form == Form::kSet && value.is_array()) {
    for (const auto& item : value.get_array()) out[set_key(item)] = json::Object{};
  }
  return out;
}

bool is_leaf(const json::Value& set) {
  return json::as_object(set).empty();
}

void collect_common(const json::Object& a, const json::Object& b, const std::string& path,
                    std::vector<std::string>& out) {
  for (const auto& [key, below] : a) {
    const auto* other = b.if_contains(key);
    if (!other || key == ".") continue;
    std::string_view name = key;
    std::string here = path;
    if (name.starts_with("f:")) here += "." + std::string(name.substr(2));
    if (name.starts_with("v:")) here += "[=" + std::string(name.substr(2)) + "]";
    if (name.starts_with("k:")) {
      std::string keys;
      if (auto parsed = json::parse(name.substr(2)))
        for (const auto& [k, v] : json::as_object(*parsed))
          keys += (keys.empty() ? "" : ",") + std::string(k) + "=" + json::dump(v);
      here += "[" + keys + "]";
    }
    if (is_leaf(below) || is_leaf(*other)) {
      out.push_back(here);
    } else {
      collect_common(json::as_object(below), json::as_object(*other), here, out);
    }
  }
}

json::Value difference_of_value(const Rule& rule, const json::Value& before, const json::Value& after) {
  if (rule.form == Form::kStruct && before.is_object() && after.is_object())
    return difference(rule.type, before, after);
  if (rule.form == Form::kLeaf || before.is_null() || after.is_null())
    return fields_of_value(rule, after.is_null() ? before : after);
  json::Object out;
  auto a = fields_of_value(rule, before), b = fields_of_value(rule, after);
  if (rule.form == Form::kKeyedList) {
    for (const auto& item : json::as_array(after)) {
      auto key = item_key(rule, item);
      const json::Value* old = nullptr;
      for (const auto& candidate : json::as_array(before))
        if (item_key(rule, candidate) == key) old = &candidate;
      if (!old) {
        out[key] = b.at(key);
      } else if (auto below = difference(rule.type, *old, item); !below.empty()) {
        out[key] = std::move(below);
      }
    }
  } else {
    for (const auto& [key, below] : json::as_object(b)) {
      bool same = json::as_object(a).contains(key);
      if (same && rule.form == Form::kMap)
        same = json::at(before, std::string_view(key).substr(2)) == json::at(after, std::string_view(key).substr(2));
      if (!same) out[key] = below;
    }
  }
  for (const auto& [key, below] : json::as_object(a))
    if (!json::as_object(b).contains(key)) out[key] = below;
  return out;
}

}  // namespace

json::Object of(const Type* type, const json::Value& value) {
  json::Object out;
  for (const auto& [key, field] : json::as_object(value)) {
    if (field.is_null()) continue;
    out["f:" + std::string(key)] = fields_of_value(rule_of(type, key), field);
  }
  return out;
}

json::Object difference(const Type* type, const json::Value& before, const json::Value& after) {
  json::Object out;
  for (const auto& [key, now] : json::as_object(after)) {
    const auto& was = json::at(before, std::string_view(key));
    if (was == now) continue;
    auto below = difference_of_value(rule_of(type, key), was, now);
    auto rule = rule_of(type, key);
    if (rule.form == Form::kLeaf || !is_leaf(below)) out["f:" + std::string(key)] = std::move(below);
  }
  for (const auto& [key, was] : json::as_object(before))
    if (!was.is_null() && !json::has(after, std::string_view(key)))
      out["f:" + std::string(key)] = fields_of_value(rule_of(type, key), was);
  return out;
}

json::Object unite(json::Object a, const json::Object& b) {
  for (const auto& [key, below] : b) {
    auto& slot = a[key];
    slot = unite(json::as_object(slot), json::as_object(below));
  }
  return a;
}

json::Object subtract(json::Object a, const json::Object& b) {
  for (const auto& [key, below] : b) {
    auto it = a.find(key);
    if (it == a.end()) continue;
    if (is_leaf(it->value()) || is_leaf(below)) {
      a.erase(it);
      continue;
    }
    auto rest = subtract(json::as_object(it->value()), json::as_object(below));
    if (rest.empty()) {
      a.erase(it);
    } else {
      it->value() = std::move(rest);
    }
  }
  return a;
}

std::vector<std::string> common(const json::Object& a, const json::Object& b) {
  std::vector<std::string> out;
  collect_common(a, b, "", out);
  return out;
}

json::Value merge(const Type* type, json::Value live, const json::Value& applied) {
  if (!live.is_object() || !applied.is_object()) return applied;
  for (const auto& [key, value] : applied.get_object()) {
    auto& slot = json::ensure(live, std::string_view(key));
    auto rule = rule_of(type, key);
    if (rule.form == Form::kStruct && slot.is_object()) {
      slot = merge(rule.type, std::move(slot), value);
    } else if (rule.form == Form::kMap && slot.is_object() && value.is_object()) {
      for (const auto& [k, v] : value.get_object()) slot.get_object()[k] = v;
    } else if (rule.form == Form::kKeyedList && slot.is_array() && value.is_array()) {
      for (const auto& item : value.get_array()) {
        if (auto* known = find_item(slot.get_array(), rule, item_key(rule, item))) {
          json::Value merged = merge(rule.type, json::Value(*known), item);
          *known = std::move(merged.get_object());
        } else {
          slot.get_array().push_back(item);
        }
      }
    } else if (rule.form == Form::kSet && slot.is_array() && value.is_array()) {
      for (const auto& item : value.get_array())
        if (std::ranges::find(slot.get_array(), item) == slot.get_array().end()) slot.get_array().push_back(item);
    } else {
      slot = value;
    }
  }
  return live;
}

void prune(const Type* type, json::Value& value, const json::Object& gone, const json::Object& kept) {
  if (!value.is_object()) return;
  for (const auto& [key, below] : gone) {
    std::string_view name(key);
    if (!name.starts_with("f:")) continue;
    name.remove_prefix(2);
    auto* slot = value.get_object().if_contains(name);
    if (!slot) continue;
    const auto* kept_below = kept.if_contains(key);
    if (is_leaf(below)) {
      if (!kept_below) value.get_object().erase(name);
      continue;
    }
    const auto& still = kept_below ? json::as_object(*kept_below) : json::empty_object();
    auto rule = rule_of(type, name);
    if (rule.form == Form::kStruct) {
      prune(rule.type, *slot, json::as_object(below), still);
    } else if (rule.form == Form::kMap && slot->is_object()) {
      for (const auto& [k, v] : json::as_object(below))
        if (!still.contains(k)) slot->get_object().erase(std::string_view(k).substr(2));
    } else if (slot->is_array()) {
      auto& list = slot->get_array();
      for (auto it = list.begin(); it != list.end();) {
        auto item_name = rule.form == Form::kSet         ? set_key(*it)
                         : rule.form == Form::kKeyedList ? item_key(rule, *it)
                                                         : "";
        const auto* lost = json::as_object(below).if_contains(item_name);
        if (!lost) {
          ++it;
        } else if (!still.contains(item_name) && json::as_object(*lost).contains(".")) {
          it = list.erase(it);
        } else if (rule.form == Form::kSet && !still.contains(item_name)) {
          it = list.erase(it);
        } else {
          prune(rule.type, *it, json::as_object(*lost),
                still.contains(item_name) ? json::as_object(still.at(item_name)) : json::empty_object());
          ++it;
        }
      }
    }
    bool empty = (slot->is_object() && slot->get_object().empty()) || (slot->is_array() && slot->get_array().empty());
    if (empty && !kept_below) value.get_object().erase(name);
  }
}

}  // namespace lab::apiserver::fields
