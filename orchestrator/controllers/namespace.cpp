#include "orchestrator/controllers/namespace.h"

#include <map>

#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/parallel.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

struct Emptied {
  std::int64_t remaining = 0;
  std::map<std::string, std::int64_t> finalizers;
  std::string error;
};

// Deletes all objects of a resource in a namespace, and counts those that are still there (with grace or finalizers).
Task<Emptied> empty_one(client::Client& client, Discovered kind, std::string ns) {
  Emptied out;
  client::DeleteOptions options;
  options.propagation = "Background";
  client::ListOptions one;
  one.limit = 1;
  auto before = co_await client.list(kind.resource(), ns, one);
  if (before && json::list(*before, "items").empty()) co_return out;
  auto deleted = co_await client.remove(kind.resource(), ns, "", options);
  if (!deleted && deleted.error().code != Code::kNotFound) out.error = kind.plural + ": " + deleted.error().message;
  auto left = co_await client.list(kind.resource(), ns, {});
  if (!left) {
    if (left.error().code != Code::kNotFound) out.error = kind.plural + ": " + left.error().message;
    co_return out;
  }
  for (const auto& item : json::list(*left, "items")) {
    out.remaining++;
    for (const auto& f : json::list(item, "metadata", "finalizers")) out.finalizers[std::string(json::as_str(f))]++;
  }
  co_return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

}  // namespace

NamespaceController::NamespaceController(Context& context)
    : QueueController(context, "namespace", 5), namespaces_(use(res::namespaces)) {
  namespaces_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (!now || is_terminating(*now)) queue_.add(name_of(now ? *now : *old));
  });
}

Task<Result<void>> NamespaceController::reconcile(std::string name) {
  ObjectPtr ns = namespaces_.get(name);
  if (!ns || !is_terminating(*ns)) {
    rounds_.erase(name);
    co_return Result<void>();
  }
  if (json::list(*ns, "spec", "finalizers").empty()) co_return Result<void>();
  LAB_CO_TRY(Remains remains, co_await empty(name));
  bool done = remains.empty();
  LAB_CO_CHECK(co_await report(ns, std::move(remains)));
  if (done) co_return co_await finalize(ns);
  // Content goes with its grace periods and finalizers; nothing tells when, so look again.
  int round = rounds_[name]++;
  queue_.add_after(name, std::chrono::milliseconds(100 << std::min(round, 4)));
  co_return Result<void>();
}

Task<Result<NamespaceController::Remains>> NamespaceController::empty(std::string name) {
  Remains remains;
  LAB_CO_TRY(auto kinds, co_await discover(context_.client, &remains.undiscovered));
  // Pods go first, and the rest only when they are gone: what runs is never without what protects or configures it
  // (KEP-5080). Events go last: they tell what happened to the rest.
  std::vector<Discovered> pods, now, last;
  for (auto& kind : kinds) {
    if (!kind.namespaced || !kind.can("deletecollection") || !kind.can("list")) continue;
    const bool pod = kind.plural == "pods" && kind.group.empty();
    (pod ? pods : kind.plural == "events" ? last : now).push_back(std::move(kind));
  }
  std::map<std::string, std::int64_t> finalizers;
  for (auto* wave : {&pods, &now, &last}) {
    if (wave == &now && !remains.empty()) break;
    std::vector<Task<Emptied>> tasks;
    for (const auto& kind : *wave) tasks.push_back(empty_one(context_.client, kind, name));
    auto results = co_await run_parallel(std::move(tasks), 8);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto& kind = (*wave)[i];
      if (!results[i].error.empty()) remains.errors.push_back(results[i].error);
      if (results[i].remaining > 0)
        remains.content.push_back(kind.plural + "." + kind.group + " has " + std::to_string(results[i].remaining) +
                                  " resource instances");
      for (const auto& [f, n] : results[i].finalizers) finalizers[f] += n;
    }
  }
  for (const auto& [f, n] : finalizers)
    remains.finalizers.push_back(f + " in " + std::to_string(n) + " resource instances");
  co_return remains;
}

Task<Result<void>> NamespaceController::report(ObjectPtr ns, Remains remains) {
  WallTime now = context_.now();
  json::Array conditions = json::list(*ns, "status", "conditions");
  auto put = [&](const char* type, bool bad, const char* reason, const char* good_reason, std::string message) {
    put_condition(conditions, make_condition(type, bad ? "True" : "False", bad ? reason : good_reason, message, now));
  };
  put("NamespaceDeletionDiscoveryFailure", !remains.undiscovered.empty(), "DiscoveryFailed", "ResourcesDiscovered",
      remains.undiscovered.empty() ? "All resources successfully discovered"
                                   : "Discovery failed for some groups: " + joined(remains.undiscovered));
  put("NamespaceDeletionGroupVersionParsingFailure", false, "", "ParsedGroupVersions",
      "All legacy kube types successfully parsed");
  put("NamespaceDeletionContentFailure", !remains.errors.empty(), "ContentDeletionFailed", "ContentDeleted",
      remains.errors.empty() ? "All content successfully deleted, may be waiting on finalization"
                             : "Failed to delete all resource types: " + joined(remains.errors));
  put("NamespaceContentRemaining", !remains.content.empty(), "SomeResourcesRemain", "ContentRemoved",
      remains.content.empty() ? "All content successfully removed"
                              : "Some resources are remaining: " + joined(remains.content));
  put("NamespaceFinalizersRemaining", !remains.finalizers.empty(), "SomeFinalizersRemain", "ContentHasNoFinalizers",
      remains.finalizers.empty()
          ? "All content-preserving finalizers finished"
          : "Some content in the namespace has finalizers remaining: " + joined(remains.finalizers));
  // An empty namespace goes at once; its last status would be seen by nobody.
  if (remains.empty() || conditions == json::list(*ns, "status", "conditions")) co_return Result<void>();
  json::Value next = *ns;
  json::set(next, std::move(conditions), "status", "conditions");
  auto written = co_await write_status(context_, namespaces_, res::namespaces, std::move(next));
  if (!written && written.error().code != Code::kNotFound) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

Task<Result<void>> NamespaceController::finalize(ObjectPtr ns) {
  auto live = co_await context_.client.get(res::namespaces, "", name_of(*ns));
  if (!live && live.error().code == Code::kNotFound) co_return Result<void>();
  if (!live) co_return std::unexpected(std::move(live).error());
  if (uid_of(*live) != uid_of(*ns)) co_return Result<void>();
  json::Array rest;
  for (const auto& f : json::list(*live, "spec", "finalizers"))
    if (json::as_str(f) != "kubernetes") rest.push_back(f);
  json::set(*live, std::move(rest), "spec", "finalizers");
  auto done = co_await context_.client.update_sub(res::namespaces, "", name_of(*ns), "finalize", std::move(*live));
  if (!done && done.error().code != Code::kNotFound) co_return std::unexpected(std::move(done).error());
  co_return Result<void>();
}

}  // namespace lab::controllers
