#include "orchestrator/proxy/proxy.h"

#include "base/log.h"
#include "orchestrator/proxy/executor.h"

namespace lab::proxy {
namespace {

constexpr const char* kByService = "service";
constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";

// "NAMESPACE/SERVICE" of a slice; "" when it names none.
std::string service_of(const json::Value& slice) {
  auto name = json::str(slice, "metadata", "labels", "kubernetes.io/service-name");
  if (name.empty()) return {};
  return std::string(json::str(slice, "metadata", "namespace")) + "/" + std::string(name);
}

}  // namespace

ServiceProxy::ServiceProxy(ProxyOptions options)
    : options_(std::move(options)),
      services_(*options_.client, client::res::services),
      slices_(*options_.client, client::res::endpointslices),
      nodes_(*options_.client, client::res::nodes, {.field_selector = "metadata.name=" + options_.node_name}),
      ruleset_(options_.pod_cidrs) {}

ServiceProxy::~ServiceProxy() = default;

Result<void> ServiceProxy::start(Scope& scope) {
  LAB_TRY(auto executor, Executor::open(options_.service_cidr));
  executor_ = std::make_unique<Executor>(std::move(executor));
  LAB_CHECK(executor_->prepare());
  services_.on_change(
      [this](const client::ObjectPtr& old, const client::ObjectPtr& now) { mark(client::key_of(now ? *now : *old)); });
  slices_.add_index(kByService, [](const json::Value& slice) { return std::vector<std::string>{service_of(slice)}; });
  slices_.on_change([this](const client::ObjectPtr& old, const client::ObjectPtr& now) {
    if (old) mark(service_of(*old));
    if (now) mark(service_of(*now));
  });
  nodes_.on_change([this](const client::ObjectPtr&, const client::ObjectPtr& now) { take_zone(now); });
  services_.start(scope);
  slices_.start(scope);
  nodes_.start(scope);
  scope.spawn("service proxy", keep_synced(scope.token()));
  return {};
}

void ServiceProxy::take_zone(const client::ObjectPtr& node) {
  if (!node) return;
  std::string zone(json::str(*node, "metadata", "labels", kZoneLabel));
  if (zone == zone_) return;
  zone_ = std::move(zone);
  for (const auto& service : services_.list()) mark(client::key_of(*service));
}

void ServiceProxy::mark(const std::string& service) {
  if (service.empty()) return;
  dirty_.insert(service);
  changed_.notify();
}

Change ServiceProxy::update(const std::string& service) {
  auto object = services_.get(service);
  if (!object) {
    health_changed_ = health_.erase(service) || health_changed_;
    return ruleset_.update(service, {});
  }
  auto slices = slices_.by_index(kByService, service);
  std::vector<const json::Value*> views;
  for (const auto& s : slices) views.push_back(s.get());
  auto rules = rules_of(*object, views, options_.node_name, options_.served_here, zone_);
  auto had = health_.find(service);
  if (rules.health ? had == health_.end() || had->second != *rules.health : had != health_.end()) {
    health_changed_ = true;
    if (rules.health) {
      health_[service] = *rules.health;
    } else {
      health_.erase(had);
    }
  }
  return ruleset_.update(service, rules);
}

Task<void> ServiceProxy::sync_health() {
  health_changed_ = false;
  co_await pool_.run([this, wanted = health_] { health_checks_.serve(wanted); });
}

Task<void> ServiceProxy::keep_synced(std::stop_token stop) {
  for (auto* informer : {&services_, &slices_, &nodes_}) {
    if (!co_await informer->wait_synced(stop)) co_return;
  }
  Duration pause = std::chrono::milliseconds(100);
  while (!stop.stop_requested()) {
    Result<void> done;
    if (synced_) {
      done = co_await sync_dirty();
    } else {
      done = co_await sync_all();
    }
    if (!done) {
      // The kernel may hold something else than we think: begin anew from the whole.
      log::error("services are not programmed", {{"error", done.error().text()}});
      synced_ = false;
      pause = std::min<Duration>(pause * 2, options_.check_interval);
      co_await sleep_for(pause, stop);
      continue;
    }
    pause = std::chrono::milliseconds(100);
    if (health_changed_) co_await sync_health();
    if (!dirty_.empty()) continue;
    if (co_await changed_.wait_for(options_.check_interval, stop)) continue;
    if (stop.stop_requested()) co_return;
    if (!health_.empty()) co_await sync_health();  // a port that was taken may be free now
    auto there = co_await pool_.run([this]() -> Result<bool> {
      LAB_CHECK(executor_->prepare());
      return executor_->table_is_there();
    });
    if (!there || !*there) synced_ = false;
  }
}

Task<Result<void>> ServiceProxy::sync_all() {
  // The dirty ones too: among them are those that were deleted meanwhile.
  for (const auto& service : std::exchange(dirty_, {})) (void)update(service);
  for (const auto& service : services_.list()) (void)update(client::key_of(*service));
  for (auto waiting = ruleset_.take_waiting(); !waiting.empty(); waiting = ruleset_.take_waiting()) {
    for (const auto& service : waiting) (void)update(service);
  }
  LAB_CO_TRY(auto kernel, co_await pool_.run([this] { return executor_->list(); }));
  auto converge = ruleset_.converge_script(kernel.value_or(Listing{}));
  auto done = co_await pool_.run([this, script = std::move(converge)] { return executor_->run(script); });
  if (!done) {
    // Another version's table, or one that somebody changed.
    log::warn("the service rules cannot be put right, so they are made anew", {{"error", done.error().text()}});
    auto anew = ruleset_.full_script();
    LAB_CO_CHECK(co_await pool_.run([this, script = std::move(anew)] { return executor_->run(script); }));
  }
  auto serving = ruleset_.serving();
  auto forgotten = co_await pool_.run([this, s = std::move(serving)] { return executor_->forget_unserved(s); });
  if (!forgotten) log::warn("old UDP flows may lead to endpoints that are gone", {{"error", forgotten.error().text()}});
  synced_ = true;
  log::info("services programmed", {{"services", services_.size()}, {"frontends", ruleset_.frontends()}});
  co_return Result<void>{};
}

Task<Result<void>> ServiceProxy::sync_dirty() {
  Change all;
  // Frontends that become free are taken by those who wait for them, in the same transaction.
  for (auto dirty = std::exchange(dirty_, {}); !dirty.empty(); dirty = ruleset_.take_waiting()) {
    for (const auto& service : dirty) {
      auto change = update(service);
      all.script += change.script;
      all.stale.insert(all.stale.end(), change.stale.begin(), change.stale.end());
      all.sticky_gone.merge(change.sticky_gone);
    }
  }
  if (all.script.empty()) co_return Result<void>{};
  co_return co_await pool_.run([this, all = std::move(all)]() -> Result<void> {
    LAB_CHECK(executor_->run(all.script));
    return executor_->forget(all.stale, all.sticky_gone);
  });
}

Result<void> ServiceProxy::clean_up() {
  return Executor::clean_up();
}

}  // namespace lab::proxy
