#include "orchestrator/controllers/informers.h"

#include <algorithm>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::Resource;
namespace res = client::res;

std::string orphans_of(const std::string& ns) {
  return "orphan/" + ns;
}

namespace {

// Labels by which nobody looks for pods in the plural.
bool is_individual(std::string_view label) {
  return label == "pod-template-hash" || label == "controller-revision-hash" || label == "controller-uid" ||
         label == "batch.kubernetes.io/controller-uid" || label == "statefulset.kubernetes.io/pod-name" ||
         label == "apps.kubernetes.io/pod-index" || label == "pod-template-generation";
}

std::string pair_key(std::string_view ns, std::string_view key, const json::Value& value) {
  std::string out(ns);
  (out += '/') += key;
  return (out += '=') += json::as_str(value);
}

bool has_labels(const json::Value& object, const json::Object& wanted) {
  const auto& labels = labels_of(object);
  for (const auto& want : wanted) {
    const auto* have = labels.if_contains(want.key());
    if (!have || *have != want.value()) return false;
  }
  return true;
}

}  // namespace

std::vector<client::ObjectPtr> selected_pods(const client::Informer& pods, const std::string& ns,
                                             const json::Object& selector) {
  if (selector.empty()) return {};
  std::vector<client::ObjectPtr> found;
  auto pair = std::find_if(selector.begin(), selector.end(), [](const auto& p) { return !is_individual(p.key()); });
  found = pair == selector.end() ? pods.list_namespace(ns)
                                 : pods.by_index("label", pair_key(ns, pair->key(), pair->value()));
  std::erase_if(found, [&](const client::ObjectPtr& pod) { return !has_labels(*pod, selector); });
  return found;
}

static void add_indexes(client::Informer& informer, const Resource& r) {
  if (r == res::pods || r == res::replicasets || r == res::jobs || r == res::controllerrevisions) {
    informer.add_index("controller", [](const json::Value& object) -> std::vector<std::string> {
      if (const auto* ref = controller_of(object)) return {std::string(json::str(*ref, "uid"))};
      return {orphans_of(ns_of(object))};
    });
  }
  if (r == res::pods) {
    informer.add_index("node", [](const json::Value& pod) -> std::vector<std::string> {
      auto node = json::str(pod, "spec", "nodeName");
      if (node.empty()) return {};
      return {std::string(node)};
    });
    informer.add_index("label", [](const json::Value& pod) {
      std::vector<std::string> pairs;
      auto ns = json::str(pod, "metadata", "namespace");
      for (const auto& label : labels_of(pod))
        if (!is_individual(label.key())) pairs.push_back(pair_key(ns, label.key(), label.value()));
      return pairs;
    });
  }
  if (r == res::services) {
    informer.add_index("selector", [](const json::Value& service) -> std::vector<std::string> {
      const auto& selector = json::map(service, "spec", "selector");
      if (selector.empty()) return {};
      return {
          pair_key(json::str(service, "metadata", "namespace"), selector.begin()->key(), selector.begin()->value())};
    });
  }
  if (r == res::endpointslices) {
    informer.add_index("service", [](const json::Value& slice) -> std::vector<std::string> {
      auto service = label_of(slice, "kubernetes.io/service-name");
      if (service.empty()) return {};
      return {ns_of(slice) + "/" + std::string(service)};
    });
  }
}

// What is left of an object for those who ask for owners and deletions only.
static void keep_metadata(json::Value& object) {
  json::Object kept;
  for (const char* field :
       {"name", "namespace", "uid", "resourceVersion", "ownerReferences", "finalizers", "deletionTimestamp"})
    if (json::has(object, "metadata", field)) kept[field] = json::at(object, "metadata", field);
  json::Object out{{"metadata", std::move(kept)}};
  for (const char* field : {"apiVersion", "kind"})
    if (json::has(object, field)) out[field] = json::at(object, field);
  object = std::move(out);
}

client::Informer& SharedInformers::make(const Resource& r, bool metadata_only,
                                        std::function<void(client::Informer&)> prepare) {
  Key key{r.group, r.version, r.plural};
  auto& map = metadata_only ? metadata_ : full_;
  auto& slot = map[key];
  if (slot) {
    if (prepare) prepare(*slot);
    return *slot;
  }
  auto keep = [this](std::string_view text) -> std::string_view { return names_.emplace_back(text); };
  Resource own{keep(r.group), keep(r.version), keep(r.plural), keep(r.kind), r.namespaced};
  client::ListOptions options;
  options.metadata_only = metadata_only;
  slot = std::make_unique<client::Informer>(client_, own, options);
  if (metadata_only)
    slot->set_transform(keep_metadata);
  else
    add_indexes(*slot, own);
  if (prepare) prepare(*slot);
  if (scope_) slot->start(*scope_);
  return *slot;
}

client::Informer& SharedInformers::of(const Resource& r, std::function<void(client::Informer&)> prepare) {
  return make(r, false, std::move(prepare));
}

client::Informer& SharedInformers::metadata_of(const Resource& r, std::function<void(client::Informer&)> prepare) {
  bool full = full_.contains(Key{r.group, r.version, r.plural});
  return make(r, !full, std::move(prepare));
}

void SharedInformers::start(Scope& scope) {
  scope_ = &scope;
  for (auto* map : {&full_, &metadata_})
    for (auto& [key, informer] : *map) informer->start(scope);
}

bool SharedInformers::synced() const {
  for (const auto* map : {&full_, &metadata_})
    for (const auto& [key, informer] : *map)
      if (!informer->synced()) return false;
  return true;
}

}  // namespace lab::controllers
