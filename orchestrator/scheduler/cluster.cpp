#include "orchestrator/scheduler/cluster.h"

namespace lab::scheduler {

namespace {

using client::Resource;
constexpr Resource kVolumes{"", "v1", "persistentvolumes", "PersistentVolume", false};
constexpr Resource kStorageClasses{"storage.k8s.io", "v1", "storageclasses", "StorageClass", false};

const client::ListOptions kUnfinished{.field_selector = "status.phase!=Succeeded,status.phase!=Failed"};

// Of owners only the selector is read; of namespaces the labels.
void keep_selector(json::Value& object) {
  if (!object.is_object()) return;
  json::Value selector = json::at(object, "spec", "selector");
  object.get_object().erase("status");
  object.get_object()["spec"] = json::Value{{"selector", std::move(selector)}};
  json::erase(object, "metadata", "annotations");
}

// The controller that owns the pod: its kind and name.
std::pair<std::string_view, std::string_view> controller_of(const json::Value& pod) {
  for (const auto& owner : json::list(pod, "metadata", "ownerReferences"))
    if (json::flag(owner, "controller")) return {json::str(owner, "kind"), json::str(owner, "name")};
  return {};
}

}  // namespace

Cluster::Cluster(client::Client& client)
    : pods(client, client::res::pods, kUnfinished),
      nodes(client, client::res::nodes),
      namespaces(client, client::res::namespaces),
      services(client, client::res::services),
      replicationcontrollers(client, client::res::replicationcontrollers),
      replicasets(client, client::res::replicasets),
      statefulsets(client, client::res::statefulsets),
      budgets(client, client::res::poddisruptionbudgets),
      claims(client, client::res::persistentvolumeclaims),
      volumes(client, kVolumes),
      storage_classes(client, kStorageClasses) {
  pods.set_transform(trim_pod);
  for (auto* owner : {&services, &replicationcontrollers, &replicasets, &statefulsets})
    owner->set_transform(keep_selector);
}

std::vector<client::Informer*> Cluster::all() {
  return {&pods,         &nodes,   &namespaces, &services, &replicationcontrollers, &replicasets,
          &statefulsets, &budgets, &claims,     &volumes,  &storage_classes};
}

void Cluster::start(Scope& scope) {
  for (auto* informer : all()) informer->start(scope);
}

Task<bool> Cluster::wait_synced(std::stop_token stop) {
  for (auto* informer : all())
    if (!co_await informer->wait_synced(stop)) co_return false;
  co_return true;
}

std::vector<api::LabelSelector> Cluster::owner_selectors(const PodInfo& pod) const {
  std::vector<api::LabelSelector> out;
  for (const auto& service : services.list_namespace(pod.ns)) {
    const auto& map = json::map(*service, "spec", "selector");
    if (map.empty()) continue;
    auto selector = api::LabelSelector::from_map(map);
    if (selector.matches(pod.labels())) out.push_back(std::move(selector));
  }
  auto [kind, name] = controller_of(*pod.object);
  if (kind.empty()) return out;
  std::string key = pod.ns + "/" + std::string(name);
  if (kind == "ReplicationController") {
    if (auto owner = replicationcontrollers.get(key))
      out.push_back(api::LabelSelector::from_map(json::map(*owner, "spec", "selector")));
    return out;
  }
  const client::Informer* owners = kind == "ReplicaSet"    ? &replicasets
                                   : kind == "StatefulSet" ? &statefulsets
                                                           : nullptr;
  auto owner = owners ? owners->get(key) : nullptr;
  if (!owner) return out;
  if (auto selector = api::LabelSelector::from_object(json::at(*owner, "spec", "selector")))
    out.push_back(std::move(*selector));
  return out;
}

Surroundings Cluster::surroundings(const std::function<std::size_t(const std::string&)>& nodes_with_image) {
  return {
      .namespace_labels = [this](const std::string& ns) -> const json::Object& {
        auto object = namespaces.get(ns);
        return object ? json::map(*object, "metadata", "labels") : json::empty_object();
      },
      .owner_selectors = [this](const PodInfo& pod) { return owner_selectors(pod); },
      .claim = [this](const std::string& ns, const std::string& name) { return claims.get(ns + "/" + name); },
      .volume = [this](const std::string& name) { return volumes.get(name); },
      .storage_class = [this](const std::string& name) { return storage_classes.get(name); },
      .nodes_with_image = nodes_with_image,
  };
}

}  // namespace lab::scheduler
