#include "orchestrator/agent/env.h"

#include <algorithm>
#include <cctype>

#include "base/crypto/encoding.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/api/quantity.h"

namespace lab::agent {

namespace {

std::string_view kind_text(ObjectRef::Kind kind) {
  return kind == ObjectRef::kConfigMap ? "configmap" : "secret";
}

const json::Value* find(const FetchedObjects& objects, ObjectRef::Kind kind, std::string_view name) {
  auto it = objects.find({kind, std::string(name)});
  return it == objects.end() || !it->second ? nullptr : it->second.get();
}

Failure not_found(ObjectRef::Kind kind, std::string_view name) {
  return fail(Code::kNotFound, std::string(kind_text(kind)) + " \"" + std::string(name) + "\" not found");
}

bool usable_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) { return c > 32 && c < 127 && c != '='; });
}

class Builder {
 public:
  void put(const std::string& name, std::string value) {
    for (auto& [k, v] : vars_)
      if (k == name) {
        v = std::move(value);
        return;
      }
    vars_.emplace_back(name, std::move(value));
  }
  const std::string* get(std::string_view name) const {
    for (const auto& [k, v] : vars_)
      if (k == name) return &v;
    return nullptr;
  }
  Variables take() { return std::move(vars_); }

 private:
  Variables vars_;
};

std::string escape_label(std::string_view value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

std::string map_lines(const json::Object& map) {
  std::vector<std::string> lines;
  for (const auto& [k, v] : map) lines.push_back(std::string(k) + "=" + escape_label(json::as_str(v)));
  std::ranges::sort(lines);
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) out += (i ? "\n" : "") + lines[i];
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& p : parts) out += (out.empty() ? "" : ",") + p;
  return out;
}

}  // namespace

std::vector<ObjectRef> env_references(const json::Value& container) {
  std::vector<ObjectRef> out;
  auto add = [&](const json::Value& ref, ObjectRef::Kind kind) {
    if (ref.is_object()) out.push_back({kind, std::string(json::str(ref, "name")), json::flag(ref, "optional")});
  };
  for (const auto& from : json::list(container, "envFrom")) {
    add(json::at(from, "configMapRef"), ObjectRef::kConfigMap);
    add(json::at(from, "secretRef"), ObjectRef::kSecret);
  }
  for (const auto& e : json::list(container, "env")) {
    add(json::at(e, "valueFrom", "configMapKeyRef"), ObjectRef::kConfigMap);
    add(json::at(e, "valueFrom", "secretKeyRef"), ObjectRef::kSecret);
  }
  return out;
}

std::optional<std::string> data_of(ObjectRef::Kind kind, const json::Value& object, std::string_view key) {
  const auto& plain = json::at(object, "data", key);
  if (plain.is_string()) {
    if (kind == ObjectRef::kConfigMap) return std::string(json::as_str(plain));
    return crypto::base64_decode(json::as_str(plain)).value_or("");
  }
  const auto& binary = json::at(object, "binaryData", key);
  if (kind == ObjectRef::kConfigMap && binary.is_string())
    return crypto::base64_decode(json::as_str(binary)).value_or("");
  return std::nullopt;
}

std::map<std::string, std::string> all_data(ObjectRef::Kind kind, const json::Value& object) {
  std::map<std::string, std::string> out;
  for (const auto& [k, v] : json::map(object, "data")) out[k] = *data_of(kind, object, k);
  if (kind == ObjectRef::kConfigMap)
    for (const auto& [k, v] : json::map(object, "binaryData")) out[k] = data_of(kind, object, k).value_or("");
  return out;
}

Result<std::string> field_value(const json::Value& pod, std::string_view path, const PodFacts& facts, bool whole_maps) {
  for (std::string_view map : {"labels", "annotations"}) {
    std::string prefix = "metadata." + std::string(map);
    if (path == prefix && whole_maps) return map_lines(json::map(pod, "metadata", map));
    if (path.starts_with(prefix + "['") && path.ends_with("']")) {
      auto key = path.substr(prefix.size() + 2, path.size() - prefix.size() - 4);
      return std::string(json::str(pod, "metadata", map, key));
    }
  }
  if (path == "metadata.name") return name_of(pod);
  if (path == "metadata.namespace") return namespace_of(pod);
  if (path == "metadata.uid") return uid_of(pod);
  if (path == "spec.nodeName") return facts.node_name;
  if (path == "spec.serviceAccountName") return std::string(json::str(pod, "spec", "serviceAccountName"));
  if (path == "status.hostIP") return facts.host_ip;
  if (path == "status.hostIPs") return joined(facts.host_ips);
  if (path == "status.podIP") return facts.pod_ip;
  if (path == "status.podIPs") return joined(facts.pod_ips);
  return fail(Code::kBadRequest, "unsupported fieldPath: " + std::string(path));
}

Result<std::string> resource_value(const json::Value& pod, const json::Value& container, const json::Value& ref,
                                   const PodFacts& facts) {
  const json::Value* of = &container;
  if (auto name = json::str(ref, "containerName"); !name.empty()) {
    auto found = find_container(pod, name);
    if (!found) return fail(Code::kNotFound, "container " + std::string(name) + " not found");
    of = found->spec;
  }
  auto resource = json::str(ref, "resource");
  auto dot = resource.find('.');
  auto list = resource.substr(0, dot), what = dot == resource.npos ? std::string_view{} : resource.substr(dot + 1);
  if ((list != "limits" && list != "requests") || what.empty())
    return fail(Code::kBadRequest, "unsupported container resource: " + std::string(resource));
  Amounts amounts = list == "limits" ? limits_of(*of) : requests_of(*of);
  // A limit that is not set is the node's.
  std::int64_t nano_value = 0;  // in thousandths
  if (what == "cpu") {
    nano_value = amounts.cpu_milli.value_or(list == "limits" ? facts.allocatable_cpu_milli : 0);
  } else if (what == "memory") {
    nano_value = amounts.memory.value_or(list == "limits" ? facts.allocatable_memory : 0) * 1000;
  } else {
    auto q = api::Quantity::parse(json::str(*of, "resources", list, what));
    std::int64_t fallback = what == "ephemeral-storage" && list == "limits" ? facts.allocatable_storage : 0;
    nano_value = (q ? q->value() : fallback) * 1000;
  }
  std::int64_t divisor = 1000;
  if (auto text = json::str(ref, "divisor"); !text.empty() && text != "0") {
    auto q = api::Quantity::parse(text);
    if (q && q->milli() > 0) divisor = q->milli();
  }
  return std::to_string((nano_value + divisor - 1) / divisor);
}

Variables service_variables(const std::vector<ObjectPtr>& services) {
  std::vector<ObjectPtr> sorted = services;
  std::ranges::sort(sorted, {}, [](const ObjectPtr& s) { return json::str(*s, "metadata", "name"); });
  Variables out;
  for (const auto& s : sorted) {
    std::string ip(json::str(*s, "spec", "clusterIP"));
    const auto& ports = json::list(*s, "spec", "ports");
    if (ip.empty() || ip == "None" || ports.empty()) continue;
    std::string base(json::str(*s, "metadata", "name"));
    for (char& c : base) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    auto text = [](const json::Value& v) { return std::to_string(json::as_int(v)); };
    out.emplace_back(base + "_SERVICE_HOST", ip);
    out.emplace_back(base + "_SERVICE_PORT", text(json::at(ports[0], "port")));
    for (const auto& p : ports) {
      std::string name(json::str(p, "name"));
      if (name.empty()) continue;
      for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      out.emplace_back(base + "_SERVICE_PORT_" + name, text(json::at(p, "port")));
    }
    std::string host = ip.find(':') == ip.npos ? ip : "[" + ip + "]";
    for (std::size_t i = 0; i < ports.size(); ++i) {
      std::string protocol(json::str(ports[i], "protocol"));
      if (protocol.empty()) protocol = "TCP";
      std::string lower = protocol;
      for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      std::string port = text(json::at(ports[i], "port"));
      std::string url = lower + "://" + host + ":" + port;
      if (i == 0) out.emplace_back(base + "_PORT", url);
      std::string prefix = base + "_PORT_" + port + "_" + protocol;
      out.emplace_back(prefix, url);
      out.emplace_back(prefix + "_PROTO", lower);
      out.emplace_back(prefix + "_PORT", port);
      out.emplace_back(prefix + "_ADDR", ip);
    }
  }
  return out;
}

std::string expand(std::string_view text, const std::function<const std::string*(std::string_view)>& lookup) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    char next = text[i + 1];
    if (next == '$') {
      out += '$';
      ++i;
    } else if (next == '(') {
      auto end = text.find(')', i + 2);
      if (end == text.npos) {
        out += "$(";
        ++i;
        continue;
      }
      auto name = text.substr(i + 2, end - i - 2);
      if (const auto* value = lookup(name))
        out += *value;
      else
        out.append("$(").append(name).append(")");
      i = end;
    } else {
      out += '$';
    }
  }
  return out;
}

Result<Variables> make_environment(const json::Value& pod, const json::Value& container, const FetchedObjects& objects,
                                   const PodFacts& facts, const Variables& services) {
  Builder env;
  for (const auto& from : json::list(container, "envFrom")) {
    for (auto kind : {ObjectRef::kConfigMap, ObjectRef::kSecret}) {
      const auto& ref = json::at(from, kind == ObjectRef::kConfigMap ? "configMapRef" : "secretRef");
      if (!ref.is_object()) continue;
      const auto* object = find(objects, kind, json::str(ref, "name"));
      if (!object) {
        if (json::flag(ref, "optional")) continue;
        return not_found(kind, json::str(ref, "name"));
      }
      for (auto& [k, v] : all_data(kind, *object)) {
        std::string name = std::string(json::str(from, "prefix")) + k;
        if (usable_name(name)) env.put(name, v);
      }
    }
  }
  auto lookup = [&](std::string_view name) -> const std::string* {
    if (const auto* v = env.get(name)) return v;
    for (const auto& [k, v] : services)
      if (k == name) return &v;
    return nullptr;
  };
  for (const auto& e : json::list(container, "env")) {
    std::string name(json::str(e, "name"));
    const auto& from = json::at(e, "valueFrom");
    if (!from.is_object()) {
      env.put(name, expand(json::str(e, "value"), lookup));
      continue;
    }
    if (json::has(from, "fieldRef")) {
      LAB_TRY(auto value, field_value(pod, json::str(from, "fieldRef", "fieldPath"), facts));
      env.put(name, std::move(value));
      continue;
    }
    if (json::has(from, "resourceFieldRef")) {
      LAB_TRY(auto value, resource_value(pod, container, json::at(from, "resourceFieldRef"), facts));
      env.put(name, std::move(value));
      continue;
    }
    bool config_map = json::has(from, "configMapKeyRef");
    auto kind = config_map ? ObjectRef::kConfigMap : ObjectRef::kSecret;
    const auto& ref = json::at(from, config_map ? "configMapKeyRef" : "secretKeyRef");
    const auto* object = find(objects, kind, json::str(ref, "name"));
    if (!object) {
      if (json::flag(ref, "optional")) continue;
      return not_found(kind, json::str(ref, "name"));
    }
    auto value = data_of(kind, *object, json::str(ref, "key"));
    if (!value) {
      if (json::flag(ref, "optional")) continue;
      return fail(Code::kNotFound, "couldn't find key " + std::string(json::str(ref, "key")) + " in " +
                                       (config_map ? "ConfigMap " : "Secret ") + namespace_of(pod) + "/" +
                                       std::string(json::str(ref, "name")));
    }
    env.put(name, std::move(*value));
  }
  Variables out = env.take();
  auto own = out.size();
  for (const auto& [k, v] : services) {
    bool taken = std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(own),
                             [&](const auto& x) { return x.first == k; });
    if (!taken) out.emplace_back(k, v);
  }
  return out;
}

}  // namespace lab::agent
