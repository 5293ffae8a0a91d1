#include "orchestrator/client/lease.h"

#include "base/io/scope.h"
#include "base/log.h"
#include "orchestrator/api/time.h"

namespace lab::client {

namespace {

class Elector {
 public:
  Elector(Client& client, LeaseOptions options) : client_(client), options_(std::move(options)) {}

  // True when the lease is ours after this attempt.
  Task<bool> try_hold() {
    auto got = co_await client_.get(res::leases, options_.ns, options_.name);
    if (!got) {
      if (got.error().code != Code::kNotFound) {
        log::debug("lease not readable", {{"lease", options_.name}, {"why", got.error().text()}});
        co_return false;
      }
      json::Value fresh;
      json::set(fresh, "Lease", "kind");
      json::set(fresh, "coordination.k8s.io/v1", "apiVersion");
      json::set(fresh, options_.name, "metadata", "name");
      json::set(fresh, options_.ns, "metadata", "namespace");
      fill(fresh, true, 0);
      co_return (co_await client_.create(res::leases, options_.ns, std::move(fresh))).has_value();
    }
    json::Value lease = std::move(*got);
    std::string holder(json::str(lease, "spec", "holderIdentity"));
    bool ours = holder == options_.identity;
    if (!ours && !holder.empty() && !expired(lease)) co_return false;
    fill(lease, !ours, json::num(lease, "spec", "leaseTransitions") + (ours ? 0 : 1));
    // A conflict means that another one was quicker.
    co_return (co_await client_.update(res::leases, options_.ns, std::move(lease))).has_value();
  }

  Task<void> release() {
    auto got = co_await client_.get(res::leases, options_.ns, options_.name);
    if (!got || json::str(*got, "spec", "holderIdentity") != options_.identity) co_return;
    json::set(*got, "", "spec", "holderIdentity");
    json::set(*got, 1, "spec", "leaseDurationSeconds");
    co_await client_.update(res::leases, options_.ns, std::move(*got));
  }

 private:
  void fill(json::Value& lease, bool acquired, std::int64_t transitions) {
    std::string now = api::format_micro_time(Loop::current()->wall());
    json::set(lease, options_.identity, "spec", "holderIdentity");
    json::set(lease, std::chrono::duration_cast<std::chrono::seconds>(options_.lease_duration).count(), "spec",
              "leaseDurationSeconds");
    json::set(lease, now, "spec", "renewTime");
    if (acquired) json::set(lease, now, "spec", "acquireTime");
    json::set(lease, transitions, "spec", "leaseTransitions");
  }

  // By our own clock since its content last changed in our sight: the holder's clock may be off.
  bool expired(const json::Value& lease) {
    TimePoint now = Loop::current()->now();
    std::string record = json::dump(json::at(lease, "spec"));
    if (record != seen_record_) {
      seen_record_ = std::move(record);
      seen_at_ = now;
    }
    auto given = std::chrono::seconds(json::num(lease, "spec", "leaseDurationSeconds"));
    return now - seen_at_ > std::max<Duration>(given, std::chrono::seconds(1));
  }

  Client& client_;
  LeaseOptions options_;
  std::string seen_record_;
  TimePoint seen_at_{};
};

// Until the deadline passed without a renewal, or `stop`.
Task<void> keep_renewing(Elector& elector, LeaseOptions options, std::stop_token stop) {
  Loop& loop = *Loop::current();
  TimePoint renewed = loop.now();
  while (co_await sleep_for(options.retry_period, stop)) {
    if (co_await elector.try_hold())
      renewed = loop.now();
    else if (loop.now() - renewed > options.renew_deadline)
      co_return;
  }
}

}  // namespace

Task<bool> lead_while_holding(Client& client, LeaseOptions options, std::function<Task<void>(std::stop_token)> lead,
                              std::stop_token stop) {
  Elector elector(client, options);
  while (!co_await elector.try_hold())
    if (!co_await sleep_for(options.retry_period, stop)) co_return true;
  log::info("leading", {{"lease", options.name}, {"identity", options.identity}});

  std::stop_source leading;
  std::stop_callback on_stop(stop, [&leading] { leading.request_stop(); });
  Scope scope(*Loop::current());
  scope.spawn("renew " + options.name, [&]() -> Task<void> {
    co_await keep_renewing(elector, options, leading.get_token());
    leading.request_stop();
  });
  co_await lead(leading.get_token());
  leading.request_stop();
  co_await scope.close();
  if (stop.stop_requested()) {
    co_await elector.release();
    co_return true;
  }
  log::warn("no longer leading", {{"lease", options.name}, {"identity", options.identity}});
  co_return false;
}

}  // namespace lab::client
