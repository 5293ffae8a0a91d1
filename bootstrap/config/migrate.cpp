#include "bootstrap/config/migrate.h"

#include <algorithm>

#include "base/yaml/yaml.h"
#include "bootstrap/config/file.h"

namespace lab::bootstrap::config {

namespace {

constexpr std::string_view kNew = "kubeadm.k8s.io/v1beta4";
constexpr std::string_view kOld = "kubeadm.k8s.io/v1beta3";

// {"v": "2"} -> [{name: v, value: "2"}], by name.
void list_of_args(json::Value& owner, std::string_view field) {
  auto* object = owner.if_object();
  auto* args = object ? object->if_contains(field) : nullptr;
  if (!args || !args->is_object()) return;
  std::vector<std::pair<std::string, json::Value>> flags;
  for (const auto& [name, value] : args->get_object()) flags.emplace_back(std::string(name), value);
  std::sort(flags.begin(), flags.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  json::Array list;
  for (auto& [name, value] : flags) list.push_back(json::Object{{"name", name}, {"value", std::move(value)}});
  *args = std::move(list);
}

void list_of_args(json::Value& document, std::string_view part, std::string_view field) {
  if (auto* object = document.if_object())
    if (auto* below = object->if_contains(part)) list_of_args(*below, field);
}

// Takes a field out; null when it was not there.
json::Value taken(json::Value& document, std::string_view part, std::string_view field) {
  json::Value value = json::at(document, part, field);
  json::erase(document, part, field);
  return value;
}

void update(json::Value& d, json::Value& control_plane_timeout) {
  const auto kind = json::str(d, "kind");
  if (kind == "ClusterConfiguration") {
    for (auto part : {"apiServer", "controllerManager", "scheduler"}) list_of_args(d, part, "extraArgs");
    if (auto* object = d.if_object())
      if (auto* etcd = object->if_contains("etcd")) list_of_args(*etcd, "local", "extraArgs");
    control_plane_timeout = taken(d, "apiServer", "timeoutForControlPlane");
  } else {
    list_of_args(d, "nodeRegistration", "kubeletExtraArgs");
  }
  if (kind == "JoinConfiguration")
    if (auto timeout = taken(d, "discovery", "timeout"); !timeout.is_null())
      json::set(d, timeout, "timeouts", "discovery");
  d.as_object()["apiVersion"] = kNew;
}

// kubeadm's Go code writes maps in the order of their keys.
json::Value sorted(const json::Value& v) {
  if (v.is_array()) {
    json::Array out;
    for (const auto& item : v.get_array()) out.push_back(sorted(item));
    return out;
  }
  if (!v.is_object()) return v;
  std::vector<std::string> keys;
  for (const auto& [key, value] : v.get_object()) keys.emplace_back(key);
  std::sort(keys.begin(), keys.end());
  json::Object out;
  for (const auto& key : keys) out[key] = sorted(v.get_object().at(key));
  return out;
}

}  // namespace

std::vector<json::Value> migrate(std::vector<json::Value> documents) {
  json::Value timeout;
  for (auto& d : documents)
    if (json::str(d, "apiVersion") == kOld) update(d, timeout);
  if (timeout.is_null()) return documents;
  auto init = std::find_if(documents.begin(), documents.end(),
                           [](const json::Value& d) { return json::str(d, "kind") == "InitConfiguration"; });
  if (init == documents.end())
    init = documents.insert(documents.begin(), json::Object{{"apiVersion", kNew}, {"kind", "InitConfiguration"}});
  json::set(*init, timeout, "timeouts", "controlPlaneComponentHealthCheck");
  return documents;
}

Result<std::string> migrate_text(std::string_view text, const std::string& name) {
  LAB_CHECK(parse_file(text, name));
  LAB_TRY(auto documents, yaml::parse_all(text));
  return documents_text(migrate(std::move(documents)));
}

std::string documents_text(const std::vector<json::Value>& documents) {
  std::string out;
  for (const auto& d : documents) out += (out.empty() ? "" : "---\n") + yaml::dump(sorted(d));
  return out;
}

}  // namespace lab::bootstrap::config
