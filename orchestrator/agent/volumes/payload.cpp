#include "orchestrator/agent/volumes/payload.h"

namespace lab::agent {

namespace {

// One source (a volume of that kind, or an entry of a projected volume) and what surrounds it.
struct Context {
  const json::Value& pod;
  const FetchedObjects& objects;
  const Tokens& tokens;
  const PodFacts& facts;
  std::vector<PayloadFile>& out;
};

unsigned mode_of(const json::Value& v, std::string_view field, unsigned fallback) {
  return static_cast<unsigned>(json::as_int(json::at(v, field), fallback)) & 07777;
}

void put(std::vector<PayloadFile>& out, PayloadFile file) {
  for (auto& f : out)
    if (f.path == file.path) {  // the later source wins
      f = std::move(file);
      return;
    }
  out.push_back(std::move(file));
}

Result<void> add_object(Context& c, ObjectRef::Kind kind, const json::Value& source, std::string name, unsigned mode) {
  const char* word = kind == ObjectRef::kConfigMap ? "configmap" : "secret";
  bool optional = json::flag(source, "optional");
  auto it = c.objects.find({kind, name});
  if (it == c.objects.end() || !it->second) {
    if (optional) return {};
    return fail(Code::kNotFound, std::string(word) + " \"" + name + "\" not found");
  }
  const auto& items = json::list(source, "items");
  if (items.empty()) {
    for (auto& [key, data] : all_data(kind, *it->second)) put(c.out, {key, data, mode});
    return {};
  }
  for (const auto& item : items) {
    auto data = data_of(kind, *it->second, json::str(item, "key"));
    if (!data && optional) continue;
    if (!data)
      return fail(Code::kNotFound, std::string(word) + " references non-existent " +
                                       (kind == ObjectRef::kConfigMap ? "config" : "secret") +
                                       " key: " + std::string(json::str(item, "key")));
    put(c.out, {std::string(json::str(item, "path")), std::move(*data), mode_of(item, "mode", mode)});
  }
  return {};
}

Result<void> add_downward(Context& c, const json::Value& source, unsigned mode) {
  for (const auto& item : json::list(source, "items")) {
    std::string path(json::str(item, "path"));
    if (json::has(item, "fieldRef")) {
      LAB_TRY(auto value, field_value(c.pod, json::str(item, "fieldRef", "fieldPath"), c.facts, true));
      put(c.out, {path, std::move(value), mode_of(item, "mode", mode)});
    } else {
      LAB_TRY(auto value, resource_value(c.pod, json::null_value(), json::at(item, "resourceFieldRef"), c.facts));
      put(c.out, {path, std::move(value), mode_of(item, "mode", mode)});
    }
  }
  return {};
}

TokenRef token_ref(const json::Value& source) {
  return {std::string(json::str(source, "audience")), json::as_int(json::at(source, "expirationSeconds"), 3600)};
}

Result<void> add_projected(Context& c, const json::Value& projected, unsigned mode) {
  for (const auto& s : json::list(projected, "sources")) {
    if (const auto& cm = json::at(s, "configMap"); cm.is_object())
      LAB_CHECK(add_object(c, ObjectRef::kConfigMap, cm, std::string(json::str(cm, "name")), mode));
    if (const auto& secret = json::at(s, "secret"); secret.is_object())
      LAB_CHECK(add_object(c, ObjectRef::kSecret, secret, std::string(json::str(secret, "name")), mode));
    if (const auto& down = json::at(s, "downwardAPI"); down.is_object()) LAB_CHECK(add_downward(c, down, mode));
    if (const auto& token = json::at(s, "serviceAccountToken"); token.is_object()) {
      auto it = c.tokens.find(token_ref(token));
      if (it == c.tokens.end()) return fail(Code::kNotFound, "the service account token was not issued");
      put(c.out, {std::string(json::str(token, "path")), it->second, mode});
    }
  }
  return {};
}

}  // namespace

bool has_payload(const json::Value& v) {
  return json::has(v, "configMap") || json::has(v, "secret") || json::has(v, "downwardAPI") ||
         json::has(v, "projected");
}

std::vector<ObjectRef> volume_references(const json::Value& v) {
  std::vector<ObjectRef> out;
  auto add = [&](const json::Value& s, ObjectRef::Kind kind, std::string_view name_field) {
    if (s.is_object()) out.push_back({kind, std::string(json::str(s, name_field)), json::flag(s, "optional")});
  };
  add(json::at(v, "configMap"), ObjectRef::kConfigMap, "name");
  add(json::at(v, "secret"), ObjectRef::kSecret, "secretName");
  for (const auto& s : json::list(v, "projected", "sources")) {
    add(json::at(s, "configMap"), ObjectRef::kConfigMap, "name");
    add(json::at(s, "secret"), ObjectRef::kSecret, "name");
  }
  return out;
}

std::vector<TokenRef> token_references(const json::Value& v) {
  std::vector<TokenRef> out;
  for (const auto& s : json::list(v, "projected", "sources"))
    if (json::has(s, "serviceAccountToken")) out.push_back(token_ref(json::at(s, "serviceAccountToken")));
  return out;
}

Result<std::vector<PayloadFile>> payload_of(const json::Value& pod, const json::Value& v, const FetchedObjects& objects,
                                            const Tokens& tokens, const PodFacts& facts) {
  std::vector<PayloadFile> out;
  Context c{pod, objects, tokens, facts, out};
  if (const auto& s = json::at(v, "configMap"); s.is_object())
    LAB_CHECK(
        add_object(c, ObjectRef::kConfigMap, s, std::string(json::str(s, "name")), mode_of(s, "defaultMode", 0644)));
  if (const auto& s = json::at(v, "secret"); s.is_object())
    LAB_CHECK(
        add_object(c, ObjectRef::kSecret, s, std::string(json::str(s, "secretName")), mode_of(s, "defaultMode", 0644)));
  if (const auto& s = json::at(v, "downwardAPI"); s.is_object())
    LAB_CHECK(add_downward(c, s, mode_of(s, "defaultMode", 0644)));
  if (const auto& s = json::at(v, "projected"); s.is_object())
    LAB_CHECK(add_projected(c, s, mode_of(s, "defaultMode", 0644)));
  return out;
}

}  // namespace lab::agent
