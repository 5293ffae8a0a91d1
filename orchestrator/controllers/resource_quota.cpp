#include "orchestrator/controllers/resource_quota.h"

#include <set>

#include "orchestrator/controllers/discovery.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr client::Resource kQuotas{"", "v1", "resourcequotas", "ResourceQuota"};
constexpr Duration kResync = std::chrono::minutes(5);
constexpr Duration kSyncPoll = std::chrono::milliseconds(100);

struct Name {
  std::string plural, group;
};

// Which kind a name of `hard` is about: "count/deployments.apps", "services.nodeports", "requests.cpu".
Name kind_of_name(std::string_view name) {
  if (name.starts_with("count/")) {
    name.remove_prefix(6);
    auto dot = name.find('.');
    if (dot == name.npos) return {std::string(name), ""};
    return {std::string(name.substr(0, dot)), std::string(name.substr(dot + 1))};
  }
  for (std::string_view own : {"configmaps", "secrets", "replicationcontrollers", "resourcequotas", "services"})
    if (name == own || (own == "services" && name.starts_with("services."))) return {std::string(own), ""};
  if (name == "persistentvolumeclaims" || name == "requests.storage" ||
      name.find(".storageclass.storage.k8s.io/") != name.npos)
    return {"persistentvolumeclaims", ""};
  return {"pods", ""};
}

// Of these more than their number counts.
bool needs_whole(const api::Kind& kind) {
  return kind.group.empty() &&
         (kind.plural == "pods" || kind.plural == "services" || kind.plural == "persistentvolumeclaims");
}

}  // namespace

ResourceQuotaController::ResourceQuotaController(Context& context)
    : QueueController(context, "resourcequota", 2), quotas_(own(kQuotas)) {
  for (const auto& r : {res::pods, res::services, res::persistentvolumeclaims}) {
    auto& informer = use(r);
    const auto& kind = *api::find_kind(r.group, r.version, r.plural);
    watch_changes(informer, kind);
    counted_[std::string(r.plural) + "."] = {kind, &informer};
  }
  watch_changes(quotas_, *api::find_kind("", "v1", "resourcequotas"));
  counted_["resourcequotas."] = {*api::find_kind("", "v1", "resourcequotas"), &quotas_};
}

void ResourceQuotaController::queue_namespace(const std::string& ns) {
  for (const auto& quota : quotas_.list_namespace(ns)) queue_.add(client::key_of(*quota));
}

void ResourceQuotaController::watch_changes(client::Informer& informer, api::Kind kind) {
  informer.on_change([this, kind](const ObjectPtr& old, const ObjectPtr& now) {
    if (old && now && api::quota_usage(kind, *old) == api::quota_usage(kind, *now) &&
        json::at(*old, "spec") == json::at(*now, "spec"))
      return;
    queue_namespace(ns_of(now ? *now : *old));
  });
}

// Kinds come and go; a quota on one that was not served is looked at again.
Task<void> ResourceQuotaController::background(std::stop_token stop) {
  while (co_await sleep_for(kResync, stop)) {
    for (const auto& quota : quotas_.list()) queue_.add(client::key_of(*quota));
  }
}

Task<std::optional<api::Kind>> ResourceQuotaController::kind_called(std::string plural, std::string group) {
  for (const auto& kind : api::builtin_kinds())
    if (kind->plural == plural && kind->group == group && kind->namespaced && !kind->virtual_kind)
      co_return std::optional<api::Kind>(*kind);
  auto served = co_await discover(context_.client);
  if (!served) co_return std::nullopt;
  for (const auto& found : *served) {
    if (found.plural != plural || found.group != group || !found.namespaced || !found.can("watch")) continue;
    api::Kind kind;
    kind.group = found.group;
    kind.version = found.version;
    kind.plural = found.plural;
    kind.kind = found.kind;
    co_return std::optional<api::Kind>(std::move(kind));
  }
  co_return std::nullopt;
}

Task<ResourceQuotaController::Counted*> ResourceQuotaController::counted(std::string hard_name) {
  auto [plural, group] = kind_of_name(hard_name);
  std::string key = plural + "." + group;
  if (auto it = counted_.find(key); it != counted_.end()) co_return &it->second;
  auto kind = co_await kind_called(plural, group);
  if (!kind) co_return nullptr;
  if (auto it = counted_.find(key); it != counted_.end()) co_return &it->second;  // another worker was quicker
  client::Resource resource{kind->group, kind->version, kind->plural, kind->kind, true};
  auto& informer =
      context_.informers.metadata_of(resource, [this, &kind](client::Informer& made) { watch_changes(made, *kind); });
  auto [it, fresh] = counted_.emplace(key, Counted{*kind, &informer});
  co_return &it->second;
}

Task<Result<void>> ResourceQuotaController::reconcile(std::string key) {
  ObjectPtr quota = quotas_.get(key);
  if (!quota || is_terminating(*quota)) co_return Result<void>();
  const std::string ns = ns_of(*quota);
  std::vector<std::string> names;
  for (const auto& [name, limit] : json::map(*quota, "spec", "hard")) names.emplace_back(name);
  std::set<std::string> summed;
  api::QuotaUsage used;
  for (const auto& name : names) {
    Counted* counts = co_await counted(name);
    if (!counts) continue;
    if (!counts->objects->synced()) {  // watched only now: the sum comes with it
      queue_.add_after(key, kSyncPoll);
      co_return Result<void>();
    }
    const auto& kind = counts->kind;
    if (!summed.insert(kind.plural + "." + kind.group).second) continue;
    const bool whole = needs_whole(kind);
    for (const auto& object : counts->objects->list_namespace(ns))
      if (api::quota_covers(*quota, kind, *object))
        api::add_usage(used,
                       whole ? api::quota_usage(kind, *object) : api::quota_usage(kind, json::Value(json::Object())));
  }
  json::Object amounts;
  for (const auto& name : names) {
    auto it = used.find(name);
    amounts[name] = it == used.end() ? std::string("0") : it->second.canonical();
  }
  json::Value status = json::Object{{"hard", json::map(*quota, "spec", "hard")}, {"used", std::move(amounts)}};
  if (status == json::at(*quota, "status")) co_return Result<void>();
  json::Value next = *quota;
  json::set(next, std::move(status), "status");
  auto written = co_await write_status(context_, quotas_, kQuotas, std::move(next));
  // Somebody wrote meanwhile: the informer brings it, and the key with it.
  if (!written && written.error().code != Code::kNotFound && written.error().code != Code::kConflict)
    co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

}  // namespace lab::controllers
