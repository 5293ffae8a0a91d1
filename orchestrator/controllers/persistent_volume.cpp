#include "orchestrator/controllers/persistent_volume.h"

#include <algorithm>

#include "orchestrator/api/quota.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/controllers/node_fit.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr client::Resource kClasses{"storage.k8s.io", "v1", "storageclasses", "StorageClass", false};
constexpr const char* kClaimFinalizer = "kubernetes.io/pvc-protection";
constexpr const char* kVolumeFinalizer = "kubernetes.io/pv-protection";
constexpr const char* kBindCompleted = "pv.kubernetes.io/bind-completed";
constexpr const char* kBoundByController = "pv.kubernetes.io/bound-by-controller";
constexpr const char* kProvisionedBy = "pv.kubernetes.io/provisioned-by";
constexpr const char* kSelectedNode = "volume.kubernetes.io/selected-node";

std::string class_of(const json::Value& object) {
  const auto old = annotation_of(object, "volume.beta.kubernetes.io/storage-class");
  return std::string(old.empty() ? json::str(object, "spec", "storageClassName") : old);
}

std::string_view mode_of(const json::Value& object) {
  const auto mode = json::str(object, "spec", "volumeMode");
  return mode.empty() ? "Filesystem" : mode;
}

enum class Promise { kFree, kToThis, kToAnother };
Promise promise_of(const json::Value& volume, const json::Value& claim) {
  const auto& ref = json::at(volume, "spec", "claimRef");
  if (ref.is_null()) return Promise::kFree;
  const bool named = json::str(ref, "namespace") == ns_of(claim) && json::str(ref, "name") == name_of(claim);
  const auto uid = json::str(ref, "uid");
  return named && (uid.empty() || uid == uid_of(claim)) ? Promise::kToThis : Promise::kToAnother;
}

bool reaches(const json::Value& volume, const json::Value& node) {
  const auto& required = json::at(volume, "spec", "nodeAffinity", "required");
  if (required.is_null()) return true;
  json::Value as_pod;
  json::set(as_pod, required, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
  return matches_node_affinity(as_pod, node);
}

// The claims that a pod's volumes name.
std::vector<std::string> claims_of(const json::Value& pod) {
  std::vector<std::string> out;
  for (const auto& volume : json::list(pod, "spec", "volumes")) {
    if (auto name = json::str(volume, "persistentVolumeClaim", "claimName"); !name.empty()) out.emplace_back(name);
    if (json::has(volume, "ephemeral")) out.push_back(name_of(pod) + "-" + std::string(json::str(volume, "name")));
  }
  return out;
}

}  // namespace

bool volume_fits(const json::Value& volume, const json::Value& claim) {
  if (is_terminating(volume) || promise_of(volume, claim) == Promise::kToAnother) return false;
  if (class_of(volume) != class_of(claim) || mode_of(volume) != mode_of(claim)) return false;
  const auto& modes = json::list(volume, "spec", "accessModes");
  for (const auto& wanted : json::list(claim, "spec", "accessModes"))
    if (std::ranges::find(modes, wanted) == modes.end()) return false;
  if (api::quantity_of(json::at(volume, "spec", "capacity", "storage")) <
      api::quantity_of(json::at(claim, "spec", "resources", "requests", "storage")))
    return false;
  const auto& wanted = json::at(claim, "spec", "selector");
  if (wanted.is_null()) return true;
  auto selector = api::LabelSelector::from_object(wanted);
  return selector && selector->matches(labels_of(volume));
}

PersistentVolumeController::PersistentVolumeController(Context& context)
    : QueueController(context, "persistentvolume-binder", 1),
      claims_(use(res::persistentvolumeclaims)),
      volumes_(use(res::persistentvolumes)),
      classes_(use(kClasses)),
      nodes_(use(res::nodes)),
      pods_(use(res::pods)) {
  auto waiting = [this] {  // a volume, a class: what has waited may find its match
    for (const auto& claim : claims_.list())
      if (json::str(*claim, "status", "phase") != "Bound") queue_.add("claim " + client::key_of(*claim));
  };
  claims_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    const auto& claim = now ? *now : *old;
    queue_.add("claim " + client::key_of(claim));
    if (auto volume = json::str(claim, "spec", "volumeName"); !volume.empty())
      queue_.add("volume " + std::string(volume));
  });
  volumes_.on_change([this, waiting](const ObjectPtr& old, const ObjectPtr& now) {
    const auto& volume = now ? *now : *old;
    queue_.add("volume " + name_of(volume));
    if (const auto& ref = json::at(volume, "spec", "claimRef"); !ref.is_null())
      queue_.add("claim " + std::string(json::str(ref, "namespace")) + "/" + std::string(json::str(ref, "name")));
    else
      waiting();
  });
  classes_.on_change([waiting](const ObjectPtr&, const ObjectPtr&) { waiting(); });
  pods_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    const auto& pod = now ? *now : *old;
    for (const auto& claim : claims_of(pod)) queue_.add("claim " + ns_of(pod) + "/" + claim);
    if (!now || old) return;
    for (const auto& volume : json::list(pod, "spec", "volumes"))
      if (json::has(volume, "ephemeral")) queue_.add("pod " + client::key_of(pod));
  });
}

Task<Result<void>> PersistentVolumeController::reconcile(std::string key) {
  const auto space = key.find(' ');
  const std::string kind = key.substr(0, space), name = key.substr(space + 1);
  if (kind == "claim") {
    if (auto claim = claims_.get(name)) co_return co_await sync_claim(claim);
  } else if (kind == "volume") {
    if (auto volume = volumes_.get(name)) co_return co_await sync_volume(volume);
  } else if (auto pod = pods_.get(name)) {
    co_return co_await sync_pod(pod);
  }
  co_return Result<void>();
}

void PersistentVolumeController::tell(const json::Value& claim, const char* type, const char* reason,
                                      std::string message) {
  if (told_.size() > 10'000) told_.clear();
  if (told_.insert(uid_of(claim) + reason).second) context_.events.event(claim, type, reason, std::move(message));
}

// The smallest volume that fits; one that names this claim before all others.
ObjectPtr PersistentVolumeController::best_match(const json::Value& claim) const {
  const std::string chosen(annotation_of(claim, kSelectedNode));
  const auto node = chosen.empty() ? nullptr : nodes_.get(chosen);
  ObjectPtr best;
  auto size = [](const json::Value& volume) {
    return api::quantity_of(json::at(volume, "spec", "capacity", "storage"));
  };
  for (const auto& volume : volumes_.list()) {
    const bool named = promise_of(*volume, claim) == Promise::kToThis;
    if (named && !is_terminating(*volume)) return volume;
    if (!volume_fits(*volume, claim) || (node && !reaches(*volume, *node))) continue;
    if (!best || size(*volume) < size(*best) || (size(*volume) == size(*best) && name_of(*volume) < name_of(*best)))
      best = volume;
  }
  return best;
}

bool PersistentVolumeController::in_use(const json::Value& claim) const {
  return std::ranges::any_of(pods_.list_namespace(ns_of(claim)), [&](const ObjectPtr& pod) {
    if (pod_finished(*pod) || json::str(*pod, "spec", "nodeName").empty()) return false;
    const auto names = claims_of(*pod);
    return std::ranges::find(names, name_of(claim)) != names.end();
  });
}

Task<Result<void>> PersistentVolumeController::sync_claim(ObjectPtr claim) {
  if (is_terminating(*claim)) {
    if (has_finalizer(*claim, kClaimFinalizer) && !in_use(*claim))
      co_return co_await release_finalizer(claims_, res::persistentvolumeclaims, claim, kClaimFinalizer);
    co_return Result<void>();
  }
  if (const std::string name(json::str(*claim, "spec", "volumeName")); !name.empty()) {
    auto volume = volumes_.get(name);
    const bool completed = !annotation_of(*claim, kBindCompleted).empty();
    if (volume && promise_of(*volume, *claim) != Promise::kToAnother) co_return co_await bind(volume, claim);
    if (completed) tell(*claim, "Warning", "ClaimLost", "Bound claim has lost its PersistentVolume " + name);
    co_return co_await put_phase(claims_, res::persistentvolumeclaims, claim, completed ? "Lost" : "Pending");
  }
  const std::string class_name = class_of(*claim);
  auto storage_class = class_name.empty() ? nullptr : classes_.get(class_name);
  const bool chosen = !annotation_of(*claim, kSelectedNode).empty();
  const bool waits = storage_class && json::str(*storage_class, "volumeBindingMode") == "WaitForFirstConsumer";
  auto volume = best_match(*claim);
  if (volume && (!waits || chosen || promise_of(*volume, *claim) == Promise::kToThis))
    co_return co_await bind(volume, claim);
  if (waits && !chosen)
    tell(*claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
  else if (storage_class && json::str(*storage_class, "provisioner") == kDirectoryProvisioner)
    co_return co_await provision(claim, storage_class);
  else if (storage_class && json::str(*storage_class, "provisioner") != "kubernetes.io/no-provisioner")
    tell(*claim, "Normal", "ExternalProvisioning",
         "Waiting for a volume to be created either by the external provisioner '" +
             std::string(json::str(*storage_class, "provisioner")) + "' or manually by the system administrator.");
  else
    tell(*claim, "Normal", "FailedBinding",
         class_name.empty() ? "no persistent volumes available for this claim and no storage class is set"
                            : "no persistent volumes of storage class \"" + class_name + "\" fit this claim");
  co_return co_await put_phase(claims_, res::persistentvolumeclaims, claim, "Pending");
}

Task<Result<void>> PersistentVolumeController::bind(ObjectPtr volume, ObjectPtr claim) {
  if (json::str(*volume, "spec", "claimRef", "uid") != uid_of(*claim)) {
    json::Value next = *volume;
    if (!json::has(next, "spec", "claimRef")) json::set(next, "yes", "metadata", "annotations", kBoundByController);
    json::set(next,
              json::Object{{"apiVersion", "v1"},
                           {"kind", "PersistentVolumeClaim"},
                           {"namespace", ns_of(*claim)},
                           {"name", name_of(*claim)},
                           {"uid", uid_of(*claim)},
                           {"resourceVersion", json::str(*claim, "metadata", "resourceVersion")}},
              "spec", "claimRef");
    LAB_CO_TRY(auto written, co_await context_.client.update(res::persistentvolumes, "", std::move(next)));
    volumes_.observe(written);
    volume = std::make_shared<const json::Value>(std::move(written));
  }
  LAB_CO_CHECK(co_await put_phase(volumes_, res::persistentvolumes, volume, "Bound"));
  if (json::str(*claim, "spec", "volumeName") != name_of(*volume) || annotation_of(*claim, kBindCompleted).empty()) {
    json::Value next = *claim;
    if (json::str(next, "spec", "volumeName").empty())
      json::set(next, "yes", "metadata", "annotations", kBoundByController);
    json::set(next, name_of(*volume), "spec", "volumeName");
    json::set(next, "yes", "metadata", "annotations", kBindCompleted);
    LAB_CO_TRY(auto written,
               co_await context_.client.update(res::persistentvolumeclaims, ns_of(*claim), std::move(next)));
    claims_.observe(written);
    claim = std::make_shared<const json::Value>(std::move(written));
  }
  json::Value next = *claim;
  json::set(next, "Bound", "status", "phase");
  json::set(next, json::at(*volume, "spec", "accessModes"), "status", "accessModes");
  json::set(next, json::at(*volume, "spec", "capacity"), "status", "capacity");
  if (next == *claim) co_return Result<void>();
  LAB_CO_CHECK(co_await write_status(context_, claims_, res::persistentvolumeclaims, std::move(next)));
  co_return Result<void>();
}

// A directory on the chosen node. Its claimRef says whose it is: no other claim can take it.
Task<Result<void>> PersistentVolumeController::provision(ObjectPtr claim, ObjectPtr storage_class) {
  const std::string name = "pvc-" + uid_of(*claim), node(annotation_of(*claim, kSelectedNode));
  if (node.empty()) {
    tell(*claim, "Warning", "ProvisioningFailed",
         "directories are made on the node of the first pod that uses them: the storage class needs "
         "volumeBindingMode WaitForFirstConsumer");
    co_return co_await put_phase(claims_, res::persistentvolumeclaims, claim, "Pending");
  }
  json::Value volume = json::Object{{"apiVersion", "v1"}, {"kind", "PersistentVolume"}};
  json::set(volume, name, "metadata", "name");
  json::set(volume, kDirectoryProvisioner, "metadata", "annotations", kProvisionedBy);
  auto policy = json::str(*storage_class, "reclaimPolicy");
  json::set(volume, policy.empty() ? "Delete" : policy, "spec", "persistentVolumeReclaimPolicy");
  json::set(volume, class_of(*claim), "spec", "storageClassName");
  json::set(volume, mode_of(*claim), "spec", "volumeMode");
  json::set(volume, json::at(*claim, "spec", "accessModes"), "spec", "accessModes");
  json::set(volume, json::at(*claim, "spec", "resources", "requests", "storage"), "spec", "capacity", "storage");
  json::set(volume, std::string(kDirectoryVolumes) + "/" + name, "spec", "hostPath", "path");
  json::set(volume, "DirectoryOrCreate", "spec", "hostPath", "type");
  json::set(volume,
            json::Object{{"apiVersion", "v1"},
                         {"kind", "PersistentVolumeClaim"},
                         {"namespace", ns_of(*claim)},
                         {"name", name_of(*claim)},
                         {"uid", uid_of(*claim)}},
            "spec", "claimRef");
  json::Array values;
  values.emplace_back(node);
  json::Array expressions;
  expressions.push_back(
      json::Object{{"key", "kubernetes.io/hostname"}, {"operator", "In"}, {"values", std::move(values)}});
  json::Array terms;
  terms.push_back(json::Object{{"matchExpressions", std::move(expressions)}});
  json::set(volume, std::move(terms), "spec", "nodeAffinity", "required", "nodeSelectorTerms");
  auto made = co_await context_.client.create(res::persistentvolumes, "", std::move(volume));
  if (!made && made.error().code != Code::kAlreadyExists) co_return std::unexpected(std::move(made).error());
  if (made) {
    tell(*claim, "Normal", "ProvisioningSucceeded", "Successfully provisioned volume " + name);
    volumes_.observe(std::move(*made));
  }
  queue_.add("claim " + client::key_of(*claim));
  co_return Result<void>();
}

Task<Result<void>> PersistentVolumeController::sync_volume(ObjectPtr volume) {
  const auto& ref = json::at(*volume, "spec", "claimRef");
  const std::string uid(json::str(ref, "uid")), ns(json::str(ref, "namespace")), name(json::str(ref, "name"));
  bool bound = false, gone = false;
  if (!uid.empty()) {
    auto claim = claims_.get(ns + "/" + name);
    bound = claim && uid_of(*claim) == uid;
    if (!bound) {
      auto live = co_await context_.client.get(res::persistentvolumeclaims, ns, name);
      if (!live && live.error().code != Code::kNotFound) co_return std::unexpected(std::move(live).error());
      bound = live && uid_of(*live) == uid;
      gone = !bound;
    }
  }
  if (is_terminating(*volume)) {
    if (has_finalizer(*volume, kVolumeFinalizer) && !bound)
      co_return co_await release_finalizer(volumes_, res::persistentvolumes, volume, kVolumeFinalizer);
    co_return Result<void>();
  }
  if (bound) {  // the claim's own turn writes the rest
    queue_.add("claim " + ns + "/" + name);
    co_return Result<void>();
  }
  LAB_CO_CHECK(co_await put_phase(volumes_, res::persistentvolumes, volume, gone ? "Released" : "Available"));
  const bool ours = annotation_of(*volume, kProvisionedBy) == kDirectoryProvisioner;
  if (gone && ours && json::str(*volume, "spec", "persistentVolumeReclaimPolicy") == "Delete")
    co_return co_await delete_observed(context_, volumes_, res::persistentvolumes, volume);
  co_return Result<void>();
}

// Claims that live and die with their pod (KEP-1698).
Task<Result<void>> PersistentVolumeController::sync_pod(ObjectPtr pod) {
  if (is_terminating(*pod) || pod_finished(*pod)) co_return Result<void>();
  for (const auto& volume : json::list(*pod, "spec", "volumes")) {
    const auto& made_of = json::at(volume, "ephemeral", "volumeClaimTemplate");
    if (made_of.is_null()) continue;
    const std::string name = name_of(*pod) + "-" + std::string(json::str(volume, "name"));
    if (claims_.get(ns_of(*pod) + "/" + name)) continue;
    json::Value claim = json::Object{{"apiVersion", "v1"}, {"kind", "PersistentVolumeClaim"}};
    json::set(claim, json::map(made_of, "metadata"), "metadata");
    json::set(claim, name, "metadata", "name");
    json::set(claim, ns_of(*pod), "metadata", "namespace");
    json::Array owners;
    owners.push_back(controller_ref(res::pods, *pod));
    json::set(claim, std::move(owners), "metadata", "ownerReferences");
    json::set(claim, json::map(made_of, "spec"), "spec");
    auto made = co_await context_.client.create(res::persistentvolumeclaims, ns_of(*pod), std::move(claim));
    if (made)
      claims_.observe(std::move(*made));
    else if (made.error().code != Code::kAlreadyExists && !namespace_terminating(made.error()))
      co_return std::unexpected(std::move(made).error());
  }
  co_return Result<void>();
}

Task<Result<void>> PersistentVolumeController::release_finalizer(client::Informer& informer, client::Resource r,
                                                                 ObjectPtr object, std::string finalizer) {
  json::Array rest;
  for (const auto& f : json::list(*object, "metadata", "finalizers"))
    if (json::as_str(f) != finalizer) rest.push_back(f);
  const bool last = rest.empty();
  json::Value next = *object;
  json::set(next, std::move(rest), "metadata", "finalizers");
  auto written = co_await context_.client.update(r, ns_of(*object), std::move(next));
  if (!written && written.error().code == Code::kNotFound) co_return Result<void>();
  if (!written) co_return std::unexpected(std::move(written).error());
  if (last)
    informer.observe_deletion(client::key_of(*object), uid_of(*object));
  else
    informer.observe(std::move(*written));
  co_return Result<void>();
}

Task<Result<void>> PersistentVolumeController::put_phase(client::Informer& informer, client::Resource r,
                                                         ObjectPtr object, std::string phase) {
  if (json::str(*object, "status", "phase") == phase) co_return Result<void>();
  json::Value next = *object;
  json::set(next, phase, "status", "phase");
  auto written = co_await write_status(context_, informer, r, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

}  // namespace lab::controllers
