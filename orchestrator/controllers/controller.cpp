#include "orchestrator/controllers/controller.h"

#include "base/log.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

QueueController::QueueController(Context& context, std::string name, int workers)
    : context_(context), queue_(context.loop), name_(std::move(name)), workers_(workers) {}

client::Informer& QueueController::use(const client::Resource& r) {
  auto& informer = context_.informers.of(r);
  used_.push_back(&informer);
  return informer;
}

client::Informer& QueueController::own(const client::Resource& r) {
  auto& informer = use(r);
  informer.on_change([this](const client::ObjectPtr& old, const client::ObjectPtr& now) {
    queue_.add(client::key_of(now ? *now : *old));
  });
  return informer;
}

void QueueController::start(Scope& scope) {
  scope.spawn(name_, run(scope.token()));
}

Task<void> QueueController::run(std::stop_token stop) {
  for (auto* informer : used_)
    if (!co_await informer->wait_synced(stop)) co_return;
  log::debug("controller runs", {{"controller", name_}});
  Scope scope(context_.loop);
  scope.spawn(name_ + " background", background(stop));
  auto reconcile_one = [this](std::string key) { return reconcile(std::move(key)); };
  co_await client::run_workers(name_, queue_, workers_, reconcile_one, stop);
  co_await scope.close();
}

Task<Result<void>> delete_observed(Context& context, client::Informer& informer, client::Resource r,
                                   client::ObjectPtr object, client::DeleteOptions options) {
  options.uid = uid_of(*object);
  auto deleted = co_await context.client.remove(r, ns_of(*object), name_of(*object), options);
  if (!deleted) {
    // Gone, or replaced by another object of the same name: both mean that this one is no more.
    if (deleted.error().code == Code::kNotFound) informer.observe_deletion(client::key_of(*object), options.uid);
    if (deleted.error().code == Code::kNotFound || deleted.error().code == Code::kConflict) co_return Result<void>();
    co_return std::unexpected(std::move(deleted).error());
  }
  bool lingers = json::str(*deleted, "metadata", "uid") == options.uid && is_terminating(*deleted) &&
                 (json::num(*deleted, "metadata", "deletionGracePeriodSeconds") > 0 ||
                  !json::list(*deleted, "metadata", "finalizers").empty());
  if (lingers)
    informer.observe(std::move(*deleted));
  else
    informer.observe_deletion(client::key_of(*object), options.uid);
  co_return Result<void>();
}

bool namespace_terminating(const Error& error) {
  return error.details.find("NamespaceTerminating") != std::string::npos;
}

Task<Result<json::Value>> write_status(Context& context, client::Informer& informer, client::Resource r,
                                       json::Value object) {
  std::string ns = ns_of(object);
  LAB_CO_TRY(json::Value written, co_await context.client.update_status(r, ns, std::move(object)));
  informer.observe(written);
  co_return written;
}

}  // namespace lab::controllers
