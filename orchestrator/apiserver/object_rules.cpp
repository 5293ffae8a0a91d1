#include "orchestrator/apiserver/object_rules.h"

#include <algorithm>
#include <initializer_list>

#include "base/crypto/digest.h"
#include "orchestrator/api/defaults.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

// No vowels and no characters that look alike, as Kubernetes generates names.
constexpr std::string_view kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";
constexpr std::size_t kSuffixLength = 5, kMaxGeneratedBase = 58;

bool is(const api::Kind& kind, std::string_view group, std::string_view plural) {
  return kind.group == group && kind.plural == plural;
}

bool one_of(const api::Kind& kind, std::initializer_list<std::pair<std::string_view, std::string_view>> kinds) {
  return std::ranges::any_of(kinds, [&](const auto& k) { return is(kind, k.first, k.second); });
}

// Copies a field of the old object, or removes it where the old one had none.
template <class... Keys>
void restore(const json::Value& old, json::Value& object, Keys... keys) {
  const auto& was = json::at(old, std::string_view(keys)...);
  if (was.is_null()) {
    json::erase(object, std::string_view(keys)...);
  } else {
    json::set(object, was, std::string_view(keys)...);
  }
}

void take_resources(const json::Value& from, json::Value& into, std::string_view list) {
  auto* spec = json::ensure(into, "spec").if_object();
  auto* containers = spec && spec->contains(list) ? spec->at(list).if_array() : nullptr;
  if (!containers) return;
  for (auto& container : *containers)
    for (const auto& wanted : json::list(from, "spec", list))
      if (json::str(wanted, "name") == json::str(container, "name")) {
        restore(wanted, container, "resources");
        restore(wanted, container, "resizePolicy");
      }
}

std::vector<std::string> finalizers_of(const json::Value& object) {
  std::vector<std::string> out;
  for (const auto& f : json::list(object, "metadata", "finalizers")) out.emplace_back(json::as_str(f));
  return out;
}

bool has_pending_finalizers(const api::Kind& kind, const json::Value& object) {
  return !json::list(object, "metadata", "finalizers").empty() ||
         (is(kind, "", "namespaces") && !json::list(object, "spec", "finalizers").empty());
}

// The finalizers after the deletion's propagation policy.
std::vector<std::string> propagated_finalizers(const json::Value& object, const DeleteRequest& request) {
  auto finalizers = finalizers_of(object);
  auto policy = request.propagation;
  if (policy.empty() && request.orphan_dependents) policy = *request.orphan_dependents ? "Orphan" : "Background";
  if (policy.empty()) return finalizers;
  std::erase(finalizers, "orphan");
  std::erase(finalizers, "foregroundDeletion");
  if (policy == "Orphan") finalizers.emplace_back("orphan");
  if (policy == "Foreground") finalizers.emplace_back("foregroundDeletion");
  return finalizers;
}

std::int64_t grace_of(const api::Kind& kind, const json::Value& object, const DeleteRequest& request) {
  if (!is(kind, "", "pods")) return 0;
  auto phase = json::str(object, "status", "phase");
  if (json::str(object, "spec", "nodeName").empty() || phase == "Succeeded" || phase == "Failed") return 0;
  const auto& own = json::at(object, "spec", "terminationGracePeriodSeconds");
  auto grace = request.grace_seconds.value_or(own.is_null() ? 30 : json::as_int(own));
  return grace < 0 ? 1 : grace;
}

void mark_deleted(json::Value& object, WallTime when, std::int64_t grace) {
  json::set(object, api::format_time(when), "metadata", "deletionTimestamp");
  json::set(object, grace, "metadata", "deletionGracePeriodSeconds");
  if (auto generation = json::num(object, "metadata", "generation"); generation > 0)
    json::set(object, generation + 1, "metadata", "generation");
}

void set_finalizers(json::Value& object, const std::vector<std::string>& finalizers) {
  if (finalizers.empty()) return json::erase(object, "metadata", "finalizers");
  json::Array list;
  for (const auto& f : finalizers) list.emplace_back(f);
  json::set(object, std::move(list), "metadata", "finalizers");
}

Result<Deletion> plan_namespace_deletion(const api::Kind& kind, const json::Value& object, WallTime now) {
  Deletion plan;
  if (json::has(object, "metadata", "deletionTimestamp")) {
    if (!has_pending_finalizers(kind, object)) return plan;
    return Failure(conflict(kind, json::str(object, "metadata", "name"),
                            "The system is ensuring all content is removed from this namespace.  Upon completion, this "
                            "namespace will automatically be purged by the system."));
  }
  if (!has_pending_finalizers(kind, object)) return plan;
  plan.what = Deletion::kMark;
  plan.marked = object;
  json::set(plan.marked, api::format_time(now), "metadata", "deletionTimestamp");
  json::set(plan.marked, "Terminating", "status", "phase");
  return plan;
}

}  // namespace

std::string generated_name(std::string_view prefix) {
  return std::string(prefix.substr(0, kMaxGeneratedBase)) + crypto::random_text(kSuffixLength, kNameAlphabet);
}

Result<void> fill_metadata(const api::Kind& kind, std::string_view ns, json::Value& object, WallTime now) {
  if (!json::str(object, "metadata", "resourceVersion").empty())
    return Failure(bad_request("resourceVersion should not be set on objects to be created"));
  auto body_ns = json::str(object, "metadata", "namespace");
  if (kind.namespaced) {
    if (!body_ns.empty() && body_ns != ns)
      return Failure(
          bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    json::set(object, ns, "metadata", "namespace");
  } else {
    if (!body_ns.empty())
      return Failure(
          bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    json::erase(object, "metadata", "namespace");
  }
  if (json::str(object, "metadata", "name").empty()) {
    auto prefix = json::str(object, "metadata", "generateName");
    if (prefix.empty())
      return Failure(api::invalid(
          kind, "", {{"metadata.name", "FieldValueRequired", "Required value: name or generateName is required"}}));
    json::set(object, generated_name(prefix), "metadata", "name");
  }
  for (auto key : {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "managedFields",
                   "resourceVersion"})
    json::erase(object, "metadata", key);
  json::set(object, crypto::random_uuid(), "metadata", "uid");
  json::set(object, api::format_time(now), "metadata", "creationTimestamp");
  if (kind.generation) json::set(object, 1, "metadata", "generation");
  // A new object has no status yet, except a Node, which registers with what it found out about itself.
  if (kind.status && !is(kind, "", "nodes")) json::erase(object, "status");
  return {};
}

Result<void> keep_metadata(const api::Kind& kind, std::string_view ns, std::string_view name, const json::Value& old,
                           json::Value& object) {
  auto body_name = json::str(object, "metadata", "name"), body_ns = json::str(object, "metadata", "namespace");
  if (!body_name.empty() && body_name != name)
    return Failure(bad_request("the name of the object (" + std::string(body_name) +
                               ") does not match the name on the URL (" + std::string(name) + ")"));
  if (!body_ns.empty() && body_ns != ns)
    return Failure(bad_request("the namespace of the object (" + std::string(body_ns) +
                               ") does not match the namespace on the request (" + std::string(ns) + ")"));
  auto uid = json::str(object, "metadata", "uid"), old_uid = json::str(old, "metadata", "uid");
  if (!uid.empty() && uid != old_uid)
    return Failure(conflict(kind, name,
                            "Precondition failed: UID in precondition: " + std::string(uid) +
                                ", UID in object meta: " + std::string(old_uid)));
  json::ensure(object, "metadata");
  for (auto key : {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                   "generation", "generateName"})
    restore(old, object, "metadata", key);
  json::erase(object, "metadata", "selfLink");
  json::erase(object, "metadata", "managedFields");
  if (!json::has(old, "metadata", "deletionTimestamp")) return {};
  auto before = finalizers_of(old);
  std::string added;
  for (const auto& f : finalizers_of(object))
    if (std::ranges::find(before, f) == before.end()) added += (added.empty() ? "\"" : ", \"") + f + "\"";
  if (!added.empty())
    return Failure(api::invalid(kind, name,
                                {{"metadata.finalizers", "FieldValueForbidden",
                                  "Forbidden: no new finalizers can be added if the object is being deleted, found new "
                                  "finalizers []string{" +
                                      added + "}"}}));
  return {};
}

void isolate_subresource(const api::Kind& kind, std::string_view subresource, const json::Value& old,
                         json::Value& object) {
  if (subresource.empty()) {
    if (kind.status) restore(old, object, "status");
    if (is(kind, "", "namespaces")) restore(old, object, "spec", "finalizers");
    return;
  }
  if (subresource == "scale") return;  // changes the one field itself
  json::Value result = old;
  if (subresource == "status") {
    restore(object, result, "status");
    json::set(result, json::at(object, "metadata"), "metadata");
    restore(old, result, "metadata", "ownerReferences");
    if (kind.group == "apps" || kind.group == "batch") restore(old, result, "metadata", "labels");
  } else if (subresource == "finalize") {
    restore(object, result, "spec", "finalizers");
    restore(object, result, "metadata", "finalizers");
  } else if (subresource == "approval") {
    restore(object, result, "status", "conditions");
  } else if (subresource == "ephemeralcontainers") {
    restore(object, result, "spec", "ephemeralContainers");
  } else if (subresource == "resize") {
    take_resources(object, result, "containers");
    take_resources(object, result, "initContainers");
  } else {
    result = std::move(object);  // binding and eviction mark the pod themselves
  }
  object = std::move(result);
}

void bump_generation(const api::Kind& kind, const json::Value& old, json::Value& object) {
  if (!kind.generation) return;
  const auto& was = json::as_object(old);
  const auto& now = json::as_object(object);
  auto counts = [](std::string_view key) {
    return key != "metadata" && key != "status" && key != "apiVersion" && key != "kind";
  };
  bool changed = false;
  for (const auto& [key, value] : now)
    if (counts(key)) {
      const auto* before = was.if_contains(key);
      changed |= before ? *before != value : !value.is_null();
    }
  for (const auto& [key, value] : was)
    if (counts(key)) changed |= !now.contains(key);
  if (changed) json::set(object, json::num(old, "metadata", "generation") + 1, "metadata", "generation");
}

bool ready_for_removal(const api::Kind& kind, const json::Value& object) {
  return json::has(object, "metadata", "deletionTimestamp") &&
         json::num(object, "metadata", "deletionGracePeriodSeconds") == 0 && !has_pending_finalizers(kind, object);
}

Result<Deletion> plan_deletion(const api::Kind& kind, const json::Value& object, const DeleteRequest& request,
                               WallTime now) {
  if (is(kind, "", "namespaces")) return plan_namespace_deletion(kind, object, now);
  Deletion plan;
  auto finalizers = propagated_finalizers(object, request);
  bool finalizers_changed = finalizers != finalizers_of(object);
  bool already = json::has(object, "metadata", "deletionTimestamp");
  auto grace = grace_of(kind, object, request);
  auto running = json::num(object, "metadata", "deletionGracePeriodSeconds");

  if (already && running > 0 && grace > 0) {  // a grace period can only be shortened
    plan.what = Deletion::kNothing;
    if (!request.grace_seconds || grace >= running) return plan;
    auto ends = api::parse_time(json::str(object, "metadata", "deletionTimestamp")).value_or(now);
    plan.what = Deletion::kMark;
    plan.marked = object;
    mark_deleted(plan.marked, ends - std::chrono::seconds(running - grace), grace);
    return plan;
  }
  if (grace == 0 && finalizers.empty()) return plan;
  if (already && (running == 0 || grace == running) && !finalizers_changed) {
    plan.what = Deletion::kNothing;
    return plan;
  }
  plan.what = Deletion::kMark;
  plan.marked = object;
  set_finalizers(plan.marked, finalizers);
  if (!already || grace < running) mark_deleted(plan.marked, now + std::chrono::seconds(grace), grace);
  return plan;
}

bool returns_deleted_object(const api::Kind& kind) {
  return one_of(kind, {{"", "pods"},
                       {"", "podtemplates"},
                       {"", "services"},
                       {"", "serviceaccounts"},
                       {"", "resourcequotas"},
                       {"", "persistentvolumes"},
                       {"", "persistentvolumeclaims"},
                       {"storage.k8s.io", "storageclasses"},
                       {"storage.k8s.io", "csidrivers"},
                       {"storage.k8s.io", "csinodes"},
                       {"storage.k8s.io", "volumeattachments"}});
}

bool allows_create_on_update(const api::Kind& kind) {
  return kind.group == "rbac.authorization.k8s.io" || one_of(kind, {{"", "endpoints"},
                                                                    {"", "events"},
                                                                    {"", "limitranges"},
                                                                    {"", "services"},
                                                                    {"events.k8s.io", "events"},
                                                                    {"coordination.k8s.io", "leases"}});
}

}  // namespace lab::apiserver
