#include "orchestrator/apiserver/object_rules.h"
#include "orchestrator/apiserver/registry.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr int kDeleteAttempts = 30;

Result<void> check_preconditions(const api::Kind& kind, const CachedObject& current, const json::Value& value,
                                 const DeleteRequest& request) {
  auto refuse = [&](std::string_view what, std::string_view wanted, std::string_view actual) {
    return Failure(conflict(kind, current.name(),
                            "Precondition failed: " + std::string(what) + " in precondition: " + std::string(wanted) +
                                ", " + std::string(what) + " in object meta: " + std::string(actual)));
  };
  auto uid = json::str(value, "metadata", "uid");
  if (!request.uid.empty() && request.uid != uid) return refuse("UID", request.uid, uid);
  auto revision = std::to_string(current.revision());
  if (!request.resource_version.empty() && request.resource_version != revision)
    return refuse("ResourceVersion", request.resource_version, revision);
  return {};
}

bool lost_race(const Error& error) {
  return error.code == Code::kConflict || error.code == Code::kNotFound;
}

}  // namespace

Task<Result<Written>> Registry::remove(api::KindPtr kind, std::string ns, std::string name, DeleteRequest request,
                                       WriteOptions options) {
  auto storage = storage_kind(*kind);
  if (!storage) co_return Failure(method_not_supported("delete"));
  for (int attempt = 1;; ++attempt) {
    auto current = cache_.find(*storage, ns, name);
    if (!current) co_return Failure(not_found(*kind, name));
    auto value = current->value();
    LAB_CO_CHECK(check_preconditions(*kind, *current, *value, request));
    auto ctx = context(*storage, ns, name, options);
    const auto& hooks = policy_.hooks_of(*storage);
    auto allowed = policy_.admit(ctx, value.get(), nullptr);
    if (allowed && hooks.before_delete) allowed = hooks.before_delete(ctx, *value);
    Result<Deletion> plan = Deletion{};
    if (allowed) plan = plan_deletion(*storage, *value, request, ctx.now);
    if (allowed && plan && plan->what != Deletion::kNothing && options.webhooks && webhooks_.configured())
      allowed = co_await admit_deletion(kind, storage, ctx, *value, options, request);
    if (!allowed || !plan) {
      for (auto& undo : ctx.on_abort) undo();
      co_return std::unexpected(allowed ? std::move(plan).error() : std::move(allowed).error());
    }
    Result<Written> written;
    if (plan->what == Deletion::kNothing) {
      for (auto& undo : ctx.on_abort) undo();
      Written same;
      same.object = current;
      co_return same;
    }
    if (plan->what == Deletion::kMark) {
      written = co_await put(ctx, *storage, std::move(plan->marked), current->revision());
    } else {
      written = co_await erase(ctx, *storage, current, *value);
    }
    if (written || !lost_race(written.error())) co_return written;
    if (attempt >= kDeleteAttempts) co_return Failure(modified(*kind, name));
    co_await cache_.wait_for(store_.revision(), std::chrono::seconds(2));
  }
}

}  // namespace lab::apiserver
