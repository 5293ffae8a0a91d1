#include "orchestrator/controllers/garbage_collector.h"

#include <algorithm>

#include "base/log.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/parallel.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr Duration kAbsentFor = std::chrono::seconds(60);
constexpr std::size_t kMaxAbsent = 4096;

std::string api_version_of(const Discovered& kind) {
  return kind.group.empty() ? kind.version : kind.group + "/" + kind.version;
}

json::Value identity_patch(const json::Value& live) {
  json::Value patch;
  json::set(patch, uid_of(live), "metadata", "uid");
  json::set(patch, json::str(live, "metadata", "resourceVersion"), "metadata", "resourceVersion");
  return patch;
}

Result<void> settled(const Result<json::Value>& done) {
  if (done || done.error().code == Code::kNotFound) return {};
  return std::unexpected(done.error());
}

}  // namespace

GarbageCollector::GarbageCollector(Context& context, Options options)
    : context_(context), options_(options), queue_(context.loop) {}

void GarbageCollector::start(Scope& scope) {
  scope.spawn("garbage-collector", run(scope.token()));
}

Task<void> GarbageCollector::run(std::stop_token stop) {
  Scope scope(context_.loop);
  scope.spawn("garbage-collector kinds", watch_all(stop));
  auto reconcile_one = [this](std::string uid) { return reconcile(std::move(uid)); };
  co_await client::run_workers("garbage-collector", queue_, 20, reconcile_one, stop);
  co_await scope.close();
}

Task<void> GarbageCollector::watch_all(std::stop_token stop) {
  Duration retry = std::chrono::milliseconds(200);
  while (!stop.stop_requested()) {
    bool complete = co_await follow_new_kinds();
    co_await rediscover_.wait_for(complete ? options_.rediscover : retry, stop);
    retry = std::min(retry * 2, options_.rediscover);
    // A burst of CRDs, and the moment until the new kind is served.
    if (!stop.stop_requested()) co_await sleep_for(std::chrono::milliseconds(50), stop);
  }
}

Task<bool> GarbageCollector::follow_new_kinds() {
  std::vector<std::string> failed;
  auto found = co_await discover(context_.client, &failed);
  if (!found) {
    log::warn("garbage collector: discovery failed", {{"why", found.error().text()}});
    co_return false;
  }
  for (auto& kind : *found) {
    auto key = std::pair{api_version_of(kind), kind.kind};
    if (kinds_.contains(key)) continue;
    bool followed = kind.can("list") && kind.can("watch") && kind.can("delete");
    // Events own nothing and are owned by nothing, and there are many.
    if (followed && kind.plural != "events") {
      auto prepare = [this, crd = kind.plural == "customresourcedefinitions"](client::Informer& informer) {
        auto changed = [this, crd](const ObjectPtr& old, const ObjectPtr& now) {
          queue_all(now ? graph_.put(*now) : graph_.remove(uid_of(*old)));
          if (crd) rediscover_.notify();
        };
        // An informer that others started long ago has objects already.
        for (const auto& object : informer.list()) changed(nullptr, object);
        informer.on_change(changed);
      };
      informers_.push_back(&context_.informers.metadata_of(kind.resource(), prepare));
    }
    kinds_.emplace(key, std::move(kind));
  }
  co_return failed.empty();
}

void GarbageCollector::queue_all(const std::vector<std::string>& uids) {
  for (const auto& uid : uids) {
    const auto* node = graph_.find(uid);
    if (!node) continue;
    // Most objects neither have owners nor are being deleted: nothing to decide.
    if (node->known && node->owners.empty() && !node->deleting_dependents && !node->orphaning) continue;
    queue_.add(uid);
  }
}

std::optional<client::Resource> GarbageCollector::resource_of(const std::string& api_version,
                                                              const std::string& kind) const {
  if (auto it = kinds_.find({api_version, kind}); it != kinds_.end()) return it->second.resource();
  // A reference in another version of the same group means the same object.
  auto group = api_version.substr(0, api_version.find('/') == std::string::npos ? 0 : api_version.find('/'));
  for (const auto& [key, known] : kinds_)
    if (known.kind == kind && known.group == group) return known.resource();
  return std::nullopt;
}

Task<Result<void>> GarbageCollector::reconcile(std::string uid) {
  const auto* node = graph_.find(uid);
  if (!node || !node->known) co_return Result<void>();
  ObjectId id = node->id;
  auto kind = resource_of(id.api_version, id.kind);
  if (!kind) co_return Result<void>();
  auto live = co_await context_.client.get(*kind, id.ns, id.name);
  if (!live && live.error().code == Code::kNotFound) co_return Result<void>();
  if (!live) co_return std::unexpected(std::move(live).error());
  if (uid_of(*live) != uid) co_return Result<void>();
  if (is_terminating(*live)) {
    if (has_finalizer(*live, "orphan")) co_return co_await orphan_dependents(std::move(*live), *kind, uid);
    if (has_finalizer(*live, "foregroundDeletion")) co_return co_await finish_foreground(std::move(*live), *kind, uid);
    co_return Result<void>();
  }
  co_return co_await collect_if_unowned(std::move(*live), *kind);
}

Task<Result<void>> GarbageCollector::drop_finalizer(json::Value live, client::Resource kind, std::string finalizer) {
  json::Array rest;
  for (const auto& f : json::list(live, "metadata", "finalizers"))
    if (json::as_str(f) != finalizer) rest.push_back(f);
  json::Value patch = identity_patch(live);
  json::set(patch, std::move(rest), "metadata", "finalizers");
  co_return settled(
      co_await context_.client.patch(kind, ns_of(live), name_of(live), client::PatchType::kMerge, std::move(patch)));
}

Task<Result<void>> GarbageCollector::finish_foreground(json::Value live, client::Resource kind, std::string uid) {
  if (graph_.blocking(uid).empty()) co_return co_await drop_finalizer(std::move(live), kind, "foregroundDeletion");
  // The dependents see that their owner is being deleted this way, and go; each one's end brings this one back.
  for (const auto* dependent : graph_.dependents(uid))
    if (!dependent->deleting) queue_.add(dependent->id.uid);
  co_return Result<void>();
}

Task<Result<void>> GarbageCollector::orphan_dependents(json::Value live, client::Resource kind, std::string uid) {
  std::vector<ObjectId> dependents;
  for (const auto* dependent : graph_.dependents(uid)) dependents.push_back(dependent->id);
  for (const auto& id : dependents) {
    auto dependent_kind = resource_of(id.api_version, id.kind);
    if (!dependent_kind) continue;
    auto dependent = co_await context_.client.get(*dependent_kind, id.ns, id.name);
    if (!dependent && dependent.error().code == Code::kNotFound) continue;
    if (!dependent) co_return std::unexpected(std::move(dependent).error());
    json::Array rest;
    for (const auto& ref : json::list(*dependent, "metadata", "ownerReferences"))
      if (json::str(ref, "uid") != uid) rest.push_back(ref);
    if (uid_of(*dependent) != id.uid || rest.size() == json::list(*dependent, "metadata", "ownerReferences").size())
      continue;
    json::Value patch = identity_patch(*dependent);
    json::set(patch, std::move(rest), "metadata", "ownerReferences");
    LAB_CO_CHECK(settled(
        co_await context_.client.patch(*dependent_kind, id.ns, id.name, client::PatchType::kMerge, std::move(patch))));
  }
  co_return co_await drop_finalizer(std::move(live), kind, "orphan");
}

Task<Result<std::optional<json::Value>>> GarbageCollector::look_up(OwnerRef owner, std::string ns) {
  using Found = std::optional<json::Value>;
  TimePoint now = context_.loop.now();
  if (auto it = absent_owners_.find(owner.uid); it != absent_owners_.end() && now - it->second < kAbsentFor)
    co_return Found();
  auto kind = resource_of(owner.api_version, owner.kind);
  // An owner of a kind nobody serves may be there again tomorrow (its CRD or server is away): never delete for that.
  if (!kind)
    co_return fail(Code::kUnavailable, "owner kind " + owner.api_version + " " + owner.kind + " is not served");
  if (kind->namespaced && ns.empty()) {
    log::warn("a cluster-wide object names a namespaced owner; it is left alone", {{"owner", owner.name}});
    co_return fail(Code::kInvalid, "cluster-wide object with a namespaced owner " + owner.name);
  }
  auto live = co_await context_.client.get(*kind, kind->namespaced ? ns : std::string(), owner.name);
  if (live && uid_of(*live) == owner.uid) co_return Found(std::move(*live));
  if (!live && live.error().code != Code::kNotFound) co_return std::unexpected(std::move(live).error());
  if (absent_owners_.size() > kMaxAbsent) absent_owners_.clear();
  absent_owners_[owner.uid] = now;
  co_return Found();
}

Task<Result<void>> GarbageCollector::collect_if_unowned(json::Value live, client::Resource kind) {
  std::vector<std::string> solid, waiting, dangling;  // uids: existing; existing and deleting dependents; gone
  for (const auto& ref : json::list(live, "metadata", "ownerReferences")) {
    OwnerRef owner{std::string(json::str(ref, "apiVersion")), std::string(json::str(ref, "kind")),
                   std::string(json::str(ref, "name")), std::string(json::str(ref, "uid")),
                   json::flag(ref, "blockOwnerDeletion")};
    LAB_CO_TRY(auto found, co_await look_up(owner, ns_of(live)));
    if (!found)
      dangling.push_back(owner.uid);
    else if (is_terminating(*found) && has_finalizer(*found, "foregroundDeletion"))
      waiting.push_back(owner.uid);
    else
      solid.push_back(owner.uid);
  }
  if (dangling.empty() && waiting.empty()) co_return Result<void>();
  if (!solid.empty()) {
    // Somebody else still owns it: only the references to the others go.
    json::Array rest;
    for (const auto& ref : json::list(live, "metadata", "ownerReferences"))
      if (std::find(solid.begin(), solid.end(), std::string(json::str(ref, "uid"))) != solid.end()) rest.push_back(ref);
    json::Value patch = identity_patch(live);
    json::set(patch, std::move(rest), "metadata", "ownerReferences");
    co_return settled(
        co_await context_.client.patch(kind, ns_of(live), name_of(live), client::PatchType::kMerge, std::move(patch)));
  }
  client::DeleteOptions options;
  options.uid = uid_of(live);
  options.resource_version = json::str(live, "metadata", "resourceVersion");
  // A foreground deletion goes on below; otherwise the object's own finalizers say how its dependents are meant to go.
  bool foreground = !waiting.empty() && !graph_.dependents(options.uid).empty();
  options.propagation = foreground || has_finalizer(live, "foregroundDeletion") ? "Foreground"
                        : has_finalizer(live, "orphan")                         ? "Orphan"
                                                                                : "Background";
  log::debug("collecting an object whose owners are gone", {{"kind", kind.kind}, {"key", client::key_of(live)}});
  co_return settled(co_await context_.client.remove(kind, ns_of(live), name_of(live), options));
}

}  // namespace lab::controllers
