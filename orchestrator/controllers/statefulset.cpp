#include "orchestrator/controllers/statefulset.h"

#include <algorithm>
#include <charconv>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

std::int64_t replicas_of(const json::Value& set) {
  return json::has(set, "spec", "replicas") ? json::num(set, "spec", "replicas") : 1;
}
std::int64_t first_ordinal(const json::Value& set) {
  return json::num(set, "spec", "ordinals", "start");
}
bool in_order(const json::Value& set) {
  return json::str(set, "spec", "podManagementPolicy") != "Parallel";
}
std::string pod_name(const json::Value& set, std::int64_t ordinal) {
  return name_of(set) + "-" + std::to_string(ordinal);
}
std::int64_t partition_of(const json::Value& set) {
  return json::num(set, "spec", "updateStrategy", "rollingUpdate", "partition");
}
bool is_on_delete(const json::Value& set) {
  return json::str(set, "spec", "updateStrategy", "type") == "OnDelete";
}

}  // namespace

std::optional<std::int64_t> ordinal_of(const json::Value& set, const json::Value& pod) {
  std::string name = name_of(pod), prefix = name_of(set) + "-";
  if (!name.starts_with(prefix)) return std::nullopt;
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), out);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return out;
}

json::Value stateful_pod(const json::Value& set, const json::Value& pod_template, std::int64_t ordinal,
                         const std::string& hash) {
  json::Value pod = pod_of_template(pod_template, res::statefulsets, set);
  std::string name = pod_name(set, ordinal);
  json::erase(pod, "metadata", "generateName");
  json::set(pod, name, "metadata", "name");
  json::set(pod, hash, "metadata", "labels", kRevisionHash);
  json::set(pod, name, "metadata", "labels", "statefulset.kubernetes.io/pod-name");
  json::set(pod, std::to_string(ordinal), "metadata", "labels", "apps.kubernetes.io/pod-index");
  json::set(pod, name, "spec", "hostname");
  if (auto service = json::str(set, "spec", "serviceName"); !service.empty())
    json::set(pod, std::string(service), "spec", "subdomain");
  json::Array volumes;
  for (const auto& claim : json::list(set, "spec", "volumeClaimTemplates")) {
    std::string template_name = name_of(claim);
    volumes.push_back(json::Object{{"name", template_name},
                                   {"persistentVolumeClaim", json::Object{{"claimName", template_name + "-" + name}}}});
  }
  for (const auto& volume : json::list(pod, "spec", "volumes"))
    if (std::none_of(volumes.begin(), volumes.end(),
                     [&](const json::Value& v) { return json::str(v, "name") == json::str(volume, "name"); }))
      volumes.push_back(volume);
  if (!volumes.empty()) json::set(pod, std::move(volumes), "spec", "volumes");
  return pod;
}

StatefulSetController::StatefulSetController(Context& context)
    : QueueController(context, "statefulset", 5),
      sets_(own(res::statefulsets)),
      pods_(use(res::pods)),
      revisions_(use(res::controllerrevisions)),
      claims_(use(res::persistentvolumeclaims)) {
  pods_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    const auto& pod = now ? *now : *old;
    const auto* ref = controller_of(pod);
    if (ref && json::str(*ref, "kind") == "StatefulSet")
      queue_.add(ns_of(pod) + "/" + std::string(json::str(*ref, "name")));
  });
}

bool StatefulSetController::available(const json::Value& set, const json::Value& pod) const {
  if (is_terminating(pod)) return false;
  auto at = pod_available_at(pod, json::num(set, "spec", "minReadySeconds"));
  return at && *at <= context_.now();
}

StatefulSetController::View StatefulSetController::look(ObjectPtr set, RevisionHistory history) const {
  View view{set, std::move(history), {}, {}, {}, {}};
  view.update_hash = view.history.current_hash();
  auto current = json::str(*set, "status", "currentRevision");
  for (const auto& revision : view.history.old)
    if (name_of(*revision) == current) view.current_hash = label_of(*revision, kRevisionHash);
  if (view.current_hash.empty()) view.current_hash = view.update_hash;
  std::int64_t first = first_ordinal(*set), end = first + replicas_of(*set);
  for (std::int64_t i = first; i < end; ++i) view.wanted[i] = nullptr;
  for (const auto& pod : pods_.by_index("controller", uid_of(*set)))
    if (auto ordinal = ordinal_of(*set, *pod))
      (*ordinal >= first && *ordinal < end ? view.wanted : view.condemned)[*ordinal] = pod;
  return view;
}

Task<Result<void>> StatefulSetController::reconcile(std::string key) {
  ObjectPtr set = sets_.get(key);
  if (!set) co_return Result<void>();
  auto selector = api::LabelSelector::from_object(json::at(*set, "spec", "selector"));
  if (!selector) co_return std::unexpected(std::move(selector).error());
  ClaimRequest request{res::statefulsets, res::pods, [&](const json::Value& pod) {
                         return selector->matches(labels_of(pod)) && ordinal_of(*set, pod).has_value();
                       }};
  LAB_CO_TRY(auto claimed, co_await claim(context_, pods_, set, request));
  if (is_terminating(*set)) co_return Result<void>();
  LAB_CO_TRY(auto history, co_await sync_history(context_, revisions_, res::statefulsets, set, *selector));
  auto view = look(set, history);
  auto managed = co_await manage(view);
  auto after = look(set, history);
  LAB_CO_CHECK(co_await update_status(after));
  if (!managed) co_return managed;
  std::vector<std::string> live{after.current_hash};
  for (const auto& pod : pods_.by_index("controller", uid_of(*set))) live.emplace_back(label_of(*pod, kRevisionHash));
  co_return co_await trim_history(context_, revisions_, set, history, live);
}

Task<Result<void>> StatefulSetController::manage(View& view) {
  bool wait = false;
  LAB_CO_CHECK(co_await own_claims(view));
  LAB_CO_CHECK(co_await grow(view, wait));
  if (!wait) LAB_CO_CHECK(co_await shrink(view, wait));
  if (!wait && !is_on_delete(*view.set)) LAB_CO_CHECK(co_await roll(view));
  co_return Result<void>();
}

// Lowest first; in order, each must be available before the next is started.
Task<Result<void>> StatefulSetController::grow(View& view, bool& wait) {
  bool ordered = in_order(*view.set);
  for (auto& [ordinal, pod] : view.wanted) {
    if (pod && pod_finished(*pod) && !is_terminating(*pod)) {
      context_.events.event(*view.set, "Warning", "RecreatingFailedPod",
                            "StatefulSet " + client::key_of(*view.set) + " is recreating failed Pod " + name_of(*pod));
      LAB_CO_CHECK(co_await delete_pod(context_, pods_, view.set, pod));
      wait = true;
    } else if (!pod) {
      LAB_CO_CHECK(co_await start_pod(view, ordinal));
      wait = wait || ordered;
    } else if (ordered && !available(*view.set, *pod)) {
      wait = true;
    }
    if (wait && ordered) co_return Result<void>();
  }
  co_return Result<void>();
}

// Highest first; in order, one at a time and only while the rest is healthy.
Task<Result<void>> StatefulSetController::shrink(View& view, bool& wait) {
  bool ordered = in_order(*view.set);
  for (auto it = view.condemned.rbegin(); it != view.condemned.rend(); ++it) {
    if (!is_terminating(*it->second)) LAB_CO_CHECK(co_await delete_pod(context_, pods_, view.set, it->second));
    if (!ordered) continue;
    wait = true;
    co_return Result<void>();
  }
  co_return Result<void>();
}

// Replaces pods of older revisions, highest first, one at a time, down to the partition.
Task<Result<void>> StatefulSetController::roll(View& view) {
  std::int64_t lowest = first_ordinal(*view.set) + partition_of(*view.set);
  for (auto it = view.wanted.rbegin(); it != view.wanted.rend() && it->first >= lowest; ++it) {
    const auto& pod = it->second;
    if (!pod) co_return Result<void>();
    if (label_of(*pod, kRevisionHash) != view.update_hash) {
      if (!is_terminating(*pod)) co_return co_await delete_pod(context_, pods_, view.set, pod);
      co_return Result<void>();
    }
    if (!available(*view.set, *pod)) co_return Result<void>();
  }
  co_return Result<void>();
}

Task<Result<void>> StatefulSetController::start_pod(View& view, std::int64_t ordinal) {
  // Below the partition a lost pod comes back as it was.
  bool before = !is_on_delete(*view.set) && ordinal < first_ordinal(*view.set) + partition_of(*view.set);
  std::string hash = before ? view.current_hash : view.update_hash;
  json::Value pod_template = json::at(*view.set, "spec", "template");
  for (const auto& revision : view.history.old)
    if (before && label_of(*revision, kRevisionHash) == hash) pod_template = template_of_revision(*revision);
  LAB_CO_CHECK(co_await ensure_claims(*view.set, pod_name(*view.set, ordinal)));
  co_return co_await create_pod(context_, pods_, view.set, stateful_pod(*view.set, pod_template, ordinal, hash));
}

Task<Result<void>> StatefulSetController::ensure_claims(const json::Value& set, std::string pod) {
  for (const auto& pattern : json::list(set, "spec", "volumeClaimTemplates")) {
    std::string ns = ns_of(set), name = name_of(pattern) + "-" + pod;
    if (claims_.get(ns + "/" + name)) continue;
    json::Value claim = pattern;
    json::erase(claim, "status");
    json::set(claim, "v1", "apiVersion");
    json::set(claim, "PersistentVolumeClaim", "kind");
    json::set(claim, name, "metadata", "name");
    json::set(claim, ns, "metadata", "namespace");
    for (const auto& label : json::map(set, "spec", "selector", "matchLabels"))
      json::set(claim, label.value(), "metadata", "labels", label.key());
    auto made = co_await context_.client.create(res::persistentvolumeclaims, ns, std::move(claim));
    if (made)
      claims_.observe(std::move(*made));
    else if (made.error().code != Code::kAlreadyExists)
      co_return std::unexpected(std::move(made).error());
  }
  co_return Result<void>();
}

// persistentVolumeClaimRetentionPolicy (KEP-1847): a claim that is to go with the set, or with a pod that is scaled
// away, is owned by it, and the garbage collector does the rest.
Task<Result<void>> StatefulSetController::own_claims(View& view) {
  const json::Value& set = *view.set;
  auto deletes = [&](const char* when) {
    return json::str(set, "spec", "persistentVolumeClaimRetentionPolicy", when) == "Delete";
  };
  for (const auto* group : {&view.wanted, &view.condemned})
    for (const auto& [ordinal, pod] : *group) {
      const bool with_pod = group == &view.condemned && pod && deletes("whenScaled");
      const bool with_set = !with_pod && deletes("whenDeleted");
      const std::string pod_of_claim = pod_name(set, ordinal);
      for (const auto& pattern : json::list(set, "spec", "volumeClaimTemplates")) {
        ObjectPtr claim = claims_.get(ns_of(set) + "/" + name_of(pattern) + "-" + pod_of_claim);
        if (!claim || is_terminating(*claim)) continue;
        json::Array owners;
        for (const auto& owner : json::list(*claim, "metadata", "ownerReferences")) {
          const bool ours = json::str(owner, "uid") == uid_of(set) ||
                            (json::str(owner, "kind") == "Pod" && json::str(owner, "name") == pod_of_claim);
          if (!ours) owners.push_back(owner);
        }
        auto own = [&](json::Value reference) {
          for (const char* flag : {"controller", "blockOwnerDeletion"}) json::erase(reference, flag);
          owners.push_back(std::move(reference));
        };
        if (with_set) own(controller_ref(res::statefulsets, set));
        if (with_pod) own(controller_ref(res::pods, *pod));
        if (owners == json::list(*claim, "metadata", "ownerReferences")) continue;
        json::Value next = *claim;
        json::set(next, std::move(owners), "metadata", "ownerReferences");
        auto written = co_await context_.client.update(res::persistentvolumeclaims, ns_of(set), std::move(next));
        if (written)
          claims_.observe(std::move(*written));
        else if (written.error().code != Code::kNotFound)
          co_return std::unexpected(std::move(written).error());
      }
    }
  co_return Result<void>();
}

Task<Result<void>> StatefulSetController::update_status(View& view) {
  std::int64_t total = 0, ready = 0, ready_available = 0, current = 0, updated = 0;
  std::optional<WallTime> next_available;
  WallTime now = context_.now();
  for (const auto* group : {&view.wanted, &view.condemned})
    for (const auto& [ordinal, pod] : *group) {
      if (!pod) continue;
      ++total;
      if (pod_ready(*pod)) ++ready;
      auto at = pod_available_at(*pod, json::num(*view.set, "spec", "minReadySeconds"));
      if (at && *at <= now) ++ready_available;
      if (at && *at > now && (!next_available || *at < *next_available)) next_available = at;
      if (is_terminating(*pod)) continue;
      auto hash = label_of(*pod, kRevisionHash);
      current += hash == view.current_hash;
      updated += hash == view.update_hash;
    }
  if (next_available) queue_.add_after(client::key_of(*view.set), *next_available - now + std::chrono::milliseconds(1));
  bool rolled = !is_on_delete(*view.set) && updated == total && ready == total && total == replicas_of(*view.set);
  json::Value status = json::Object{{"observedGeneration", json::num(*view.set, "metadata", "generation")},
                                    {"replicas", total},
                                    {"availableReplicas", ready_available},
                                    {"collisionCount", json::num(*view.set, "status", "collisionCount")}};
  std::string before(json::str(*view.set, "status", "currentRevision")), update = name_of(*view.history.current);
  json::set(status, rolled || before.empty() ? update : before, "currentRevision");
  json::set(status, update, "updateRevision");
  auto put_count = [&](const char* field, std::int64_t n) {
    if (n > 0) json::set(status, n, field);
  };
  put_count("readyReplicas", ready);
  put_count("currentReplicas", rolled ? updated : current);
  put_count("updatedReplicas", updated);
  if (json::has(*view.set, "status", "conditions"))
    json::set(status, json::at(*view.set, "status", "conditions"), "conditions");
  if (status == json::at(*view.set, "status")) co_return Result<void>();
  json::Value next = *view.set;
  json::set(next, std::move(status), "status");
  auto written = co_await write_status(context_, sets_, res::statefulsets, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

}  // namespace lab::controllers
