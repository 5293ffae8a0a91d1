#include "orchestrator/controllers/objects.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "orchestrator/api/time.h"

namespace lab::controllers {

std::string name_of(const json::Value& object) {
  return std::string(json::str(object, "metadata", "name"));
}
std::string ns_of(const json::Value& object) {
  return std::string(json::str(object, "metadata", "namespace"));
}
std::string uid_of(const json::Value& object) {
  return std::string(json::str(object, "metadata", "uid"));
}

std::string_view label_of(const json::Value& object, std::string_view key) {
  return json::str(object, "metadata", "labels", key);
}
std::string_view annotation_of(const json::Value& object, std::string_view key) {
  return json::str(object, "metadata", "annotations", key);
}
bool is_terminating(const json::Value& object) {
  return json::has(object, "metadata", "deletionTimestamp");
}

bool has_finalizer(const json::Value& object, std::string_view finalizer) {
  for (const auto& f : json::list(object, "metadata", "finalizers"))
    if (json::as_str(f) == finalizer) return true;
  return false;
}

std::optional<WallTime> time_at(const json::Value& text) {
  auto s = json::as_str(text);
  return s.empty() ? std::nullopt : api::parse_time(s);
}

WallTime created_at(const json::Value& object) {
  return time_at(json::at(object, "metadata", "creationTimestamp")).value_or(WallTime{});
}

std::string api_version_of(const client::Resource& r) {
  return r.group.empty() ? std::string(r.version) : std::string(r.group) + "/" + std::string(r.version);
}

const json::Value* controller_of(const json::Value& object) {
  for (const auto& ref : json::list(object, "metadata", "ownerReferences"))
    if (json::flag(ref, "controller")) return &ref;
  return nullptr;
}

json::Value controller_ref(const client::Resource& kind, const json::Value& owner) {
  return json::Object{{"apiVersion", api_version_of(kind)},
                      {"kind", kind.kind},
                      {"name", name_of(owner)},
                      {"uid", uid_of(owner)},
                      {"controller", true},
                      {"blockOwnerDeletion", true}};
}

bool controlled_by(const json::Value& object, const json::Value& owner) {
  const auto* ref = controller_of(object);
  return ref && json::str(*ref, "uid") == json::str(owner, "metadata", "uid");
}

const json::Value* condition_in(const json::Array& conditions, std::string_view type) {
  for (const auto& c : conditions)
    if (json::str(c, "type") == type) return &c;
  return nullptr;
}

const json::Value* find_condition(const json::Value& object, std::string_view type) {
  return condition_in(json::list(object, "status", "conditions"), type);
}

bool condition_is(const json::Value& object, std::string_view type, std::string_view status) {
  const auto* c = find_condition(object, type);
  return c && json::str(*c, "status") == status;
}

json::Value make_condition(std::string_view type, std::string_view status, std::string_view reason,
                           std::string_view message, WallTime now) {
  return json::Object{{"type", type},
                      {"status", status},
                      {"reason", reason},
                      {"message", message},
                      {"lastTransitionTime", api::format_time(now)}};
}

bool put_condition(json::Array& conditions, json::Value condition) {
  for (auto& c : conditions) {
    if (json::str(c, "type") != json::str(condition, "type")) continue;
    bool same_status = json::str(c, "status") == json::str(condition, "status");
    if (same_status) json::set(condition, json::at(c, "lastTransitionTime"), "lastTransitionTime");
    bool changed = !same_status || json::str(c, "reason") != json::str(condition, "reason") ||
                   json::str(c, "message") != json::str(condition, "message");
    if (changed) c = std::move(condition);
    return changed;
  }
  conditions.push_back(std::move(condition));
  return true;
}

void drop_condition(json::Array& conditions, std::string_view type) {
  for (auto it = conditions.begin(); it != conditions.end();)
    it = json::str(*it, "type") == type ? conditions.erase(it) : std::next(it);
}

bool pod_finished(const json::Value& pod) {
  auto phase = json::str(pod, "status", "phase");
  return phase == "Succeeded" || phase == "Failed";
}
bool pod_active(const json::Value& pod) {
  return !pod_finished(pod) && !is_terminating(pod);
}
bool pod_ready(const json::Value& pod) {
  return condition_is(pod, "Ready");
}

std::optional<WallTime> pod_available_at(const json::Value& pod, std::int64_t min_ready_seconds) {
  const auto* ready = find_condition(pod, "Ready");
  if (!ready || json::str(*ready, "status") != "True") return std::nullopt;
  if (min_ready_seconds <= 0) return WallTime{};
  auto since = time_at(json::at(*ready, "lastTransitionTime"));
  if (!since) return std::nullopt;
  return *since + std::chrono::seconds(min_ready_seconds);
}

std::int64_t scaled_value(const json::Value& value, std::int64_t total, bool round_up) {
  auto text = json::as_str(value);
  if (text.empty() || text.back() != '%') {
    if (text.empty()) return json::as_int(value);
    std::int64_t plain = 0;
    std::from_chars(text.data(), text.data() + text.size(), plain);
    return plain;
  }
  std::int64_t percent = 0;
  std::from_chars(text.data(), text.data() + text.size() - 1, percent);
  std::int64_t product = percent * total;
  return round_up ? (product + 99) / 100 : product / 100;
}

namespace {

struct Fnv {
  std::uint32_t state = 2166136261u;
  void feed(std::string_view bytes) {
    for (unsigned char c : bytes) state = (state ^ c) * 16777619u;
    state = (state ^ 0xffu) * 16777619u;  // so that "ab","c" differs from "a","bc"
  }
  void feed_value(const json::Value& v) {
    if (const auto* object = v.if_object()) {
      std::vector<std::string_view> keys;
      for (const auto& field : *object)
        if (!field.value().is_null()) keys.push_back(field.key());
      std::sort(keys.begin(), keys.end());
      feed("{");
      for (auto key : keys) {
        feed(key);
        feed_value(object->at(key));
      }
      feed("}");
    } else if (const auto* array = v.if_array()) {
      feed("[");
      for (const auto& item : *array) feed_value(item);
      feed("]");
    } else {
      feed(json::dump(v));
    }
  }
};

}  // namespace

std::string template_hash(const json::Value& pod_template, std::int64_t collision_count) {
  Fnv fnv;
  fnv.feed_value(pod_template);
  if (collision_count > 0) fnv.feed(std::to_string(collision_count));
  // No vowels and no look-alikes: names made of it are never words.
  constexpr std::string_view alphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string out;
  for (char digit : std::to_string(fnv.state)) out += alphabet[static_cast<unsigned char>(digit) % alphabet.size()];
  return out;
}

}  // namespace lab::controllers
