#include "labs/exercises/feed.h"

#include <condition_variable>
#include <future>
#include <mutex>
#include <set>

#include "bootstrap/node/network_namespace.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/client/informer.h"

namespace lab::exercises {

struct Feed::Impl {
  std::mutex mutex;
  std::condition_variable news;
  bool changed = false;

  LoopThread thread{"exercise"};
  std::unique_ptr<client::Client> client;
  std::unique_ptr<Scope> scope;
  std::vector<std::unique_ptr<client::Informer>> informers;

  void tell() {
    std::lock_guard lock(mutex);
    changed = true;
    news.notify_one();
  }
};

namespace {

// One resource and namespace is watched once, however many checks ask for it.
std::set<std::pair<const api::Kind*, std::string>> watched(const std::vector<Check>& checks) {
  std::set<std::pair<const api::Kind*, std::string>> out;
  for (const auto& check : checks) {
    if (!check.object) continue;
    auto kind = api::find_kind_by_name(check.object->api_version, check.object->kind);
    if (!kind) continue;
    const bool everywhere = !kind->namespaced || check.object->name_space == "*";
    out.insert({kind.get(), everywhere ? "" : check.object->name_space});  // the table outlives us
  }
  return out;
}

}  // namespace

Feed::Feed(client::RestConfig config, const std::vector<Check>& checks, const bootstrap::LabNetwork& network) {
  {
    // The thread begins, and stays, where the lab's addresses hold. A network that is not there answers nobody.
    auto there = bootstrap::InNetwork::enter(network);
    impl_ = std::make_unique<Impl>();
  }
  std::promise<void> made;
  impl_->thread.loop().post([&] {
    impl_->client = std::make_unique<client::Client>(client::make_https_transport(std::move(config)));
    impl_->scope = std::make_unique<Scope>(impl_->thread.loop());
    for (const auto& [kind, ns] : watched(checks)) {
      const client::Resource resource{kind->group, kind->version, kind->plural, kind->kind, kind->namespaced};
      auto informer = std::make_unique<client::Informer>(*impl_->client, resource, client::ListOptions{}, ns);
      informer->on_change([impl = impl_.get()](const client::ObjectPtr&, const client::ObjectPtr&) { impl->tell(); });
      informer->start(*impl_->scope);
      impl_->informers.push_back(std::move(informer));
    }
    made.set_value();
  });
  made.get_future().wait();
}

Feed::~Feed() {
  // What lives on the loop ends there, after its tasks have.
  std::promise<void> gone;
  Scope closing(impl_->thread.loop());
  closing.spawn("close", [&]() -> Task<void> {
    co_await impl_->scope->close();
    impl_->informers.clear();
    impl_->scope.reset();
    impl_->client.reset();
    Loop::current()->post([&] { gone.set_value(); });
  });
  gone.get_future().wait();
}

bool Feed::wait(std::chrono::milliseconds limit) {
  std::unique_lock lock(impl_->mutex);
  const bool changed = impl_->news.wait_for(lock, limit, [&] { return impl_->changed; });
  impl_->changed = false;
  return changed;
}

}  // namespace lab::exercises
