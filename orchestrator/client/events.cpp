#include <cstdio>
#include <deque>

#include "base/log.h"
#include "orchestrator/api/time.h"
#include "orchestrator/client/informer.h"

namespace lab::client {

namespace {

constexpr std::size_t kMaxPending = 1000;
constexpr std::size_t kMaxKnown = 4096;
// Per involved object, as client-go's spam filter: a burst, then one every five minutes.
constexpr double kBurst = 25;
constexpr double kRefillPerSecond = 1.0 / 300;

}  // namespace

struct EventRecorder::Impl {
  Impl(Client& c, Scope& s, std::string comp, std::string h)
      : client(c), loop(s.loop()), component(std::move(comp)), host(std::move(h)) {}

  struct Known {
    std::string ns, name;
    std::int64_t count = 0;
  };
  struct Bucket {
    double tokens = kBurst;
    TimePoint at;
  };
  struct Pending {
    std::string fold_key;
    json::Value event;
  };
  Client& client;
  Loop& loop;
  std::string component, host;
  std::deque<Pending> pending;
  Event arrived;
  std::unordered_map<std::string, Known> known;
  std::unordered_map<std::string, Bucket> buckets;
  std::uint64_t serial = 0;

  bool allowed(const std::string& uid) {
    if (buckets.size() > kMaxKnown) buckets.clear();
    auto [it, fresh] = buckets.try_emplace(uid);
    Bucket& bucket = it->second;
    TimePoint now = loop.now();
    if (!fresh) {
      double passed = std::chrono::duration<double>(now - bucket.at).count();
      bucket.tokens = std::min(kBurst, bucket.tokens + passed * kRefillPerSecond);
    }
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  Task<void> run(std::shared_ptr<Impl> self, std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (pending.empty()) {
        co_await arrived.wait(stop);
        continue;
      }
      Pending next = std::move(pending.front());
      pending.pop_front();
      co_await write(std::move(next));
    }
  }

  Task<void> write(Pending next) {
    std::string ns(json::str(next.event, "metadata", "namespace"));
    if (auto it = known.find(next.fold_key); it != known.end()) {
      json::Value repeat;
      json::set(repeat, it->second.count + 1, "count");
      json::set(repeat, json::at(next.event, "lastTimestamp"), "lastTimestamp");
      auto patched = co_await client.patch(res::events, ns, it->second.name, PatchType::kMerge, repeat);
      it = known.find(next.fold_key);
      if (patched && it != known.end()) {
        it->second.count++;
        co_return;
      }
      known.erase(next.fold_key);  // it expired: begin anew
    }
    std::string name(json::str(next.event, "metadata", "name"));
    auto created = co_await client.create(res::events, ns, std::move(next.event));
    if (!created) {
      log::debug("event not written", {{"event", name}, {"why", created.error().text()}});
      co_return;
    }
    if (known.size() > kMaxKnown) known.clear();
    known[next.fold_key] = {ns, name, 1};
  }
};

EventRecorder::EventRecorder(Client& client, Scope& scope, std::string component, std::string host)
    : impl_(std::make_shared<Impl>(client, scope, std::move(component), std::move(host))) {
  scope.spawn("events", impl_->run(impl_, scope.token()));
}
EventRecorder::~EventRecorder() = default;

void EventRecorder::event(const json::Value& object, std::string type, std::string reason, std::string message,
                          std::string field_path) {
  auto uid = std::string(json::str(object, "metadata", "uid"));
  if (impl_->pending.size() >= kMaxPending || !impl_->allowed(uid)) return;
  std::string ns(json::str(object, "metadata", "namespace"));
  std::string now = api::format_time(impl_->loop.wall());
  char suffix[40];
  auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(impl_->loop.wall().time_since_epoch()).count();
  std::snprintf(suffix, sizeof suffix, ".%llx", static_cast<unsigned long long>(nanos) + impl_->serial++);

  json::Value event;
  json::set(event, "Event", "kind");
  json::set(event, "v1", "apiVersion");
  json::set(event, std::string(json::str(object, "metadata", "name")) + suffix, "metadata", "name");
  json::set(event, ns.empty() ? "default" : ns, "metadata", "namespace");
  json::Value involved;
  json::set(involved, json::str(object, "kind"), "kind");
  json::set(involved, json::str(object, "apiVersion"), "apiVersion");
  json::set(involved, json::str(object, "metadata", "name"), "name");
  if (!ns.empty()) json::set(involved, ns, "namespace");
  json::set(involved, uid, "uid");
  if (auto rv = json::str(object, "metadata", "resourceVersion"); !rv.empty())
    json::set(involved, rv, "resourceVersion");
  if (!field_path.empty()) json::set(involved, field_path, "fieldPath");
  json::set(event, std::move(involved), "involvedObject");
  std::string fold_key = uid + '\0' + type + '\0' + reason + '\0' + message + '\0' + field_path;
  json::set(event, type, "type");
  json::set(event, reason, "reason");
  json::set(event, message, "message");
  json::set(event, impl_->component, "source", "component");
  if (!impl_->host.empty()) json::set(event, impl_->host, "source", "host");
  json::set(event, impl_->component, "reportingComponent");
  json::set(event, impl_->host, "reportingInstance");
  json::set(event, now, "firstTimestamp");
  json::set(event, now, "lastTimestamp");
  json::set(event, 1, "count");
  impl_->pending.push_back({std::move(fold_key), std::move(event)});
  impl_->arrived.notify();
}

}  // namespace lab::client
