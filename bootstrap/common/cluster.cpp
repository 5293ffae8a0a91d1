#include "bootstrap/common/cluster.h"

#include <future>
#include <thread>

#include "base/io/scope.h"

namespace lab::bootstrap {

struct Cluster::Impl {
  client::RestConfig config;
  LoopThread thread{"cluster"};
  std::unique_ptr<client::Client> client;
};

Cluster::Cluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Cluster::~Cluster() {
  // The client belongs to its loop.
  std::promise<void> gone;
  impl_->thread.loop().post([&] {
    impl_->client.reset();
    gone.set_value();
  });
  gone.get_future().wait();
}

Result<std::unique_ptr<Cluster>> Cluster::open(const std::string& kubeconfig_path) {
  LAB_TRY(auto config, client::load_kubeconfig(kubeconfig_path));
  return connect(std::move(config));
}

std::unique_ptr<Cluster> Cluster::connect(client::RestConfig config) {
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  std::promise<void> made;
  impl->thread.loop().post([&] {
    impl->client = std::make_unique<client::Client>(client::make_https_transport(std::move(config)));
    made.set_value();
  });
  made.get_future().wait();
  return std::unique_ptr<Cluster>(new Cluster(std::move(impl)));
}

void Cluster::run(std::function<Task<void>(client::Client&)> make) {
  Scope scope(impl_->thread.loop());
  std::promise<void> done;
  scope.spawn("call", [&]() -> Task<void> {
    co_await make(*impl_->client);
    // Set from the loop, after this task's frame is gone.
    Loop::current()->post([&] { done.set_value(); });
  });
  done.get_future().wait();
}

Result<json::Value> Cluster::get(client::Resource r, const std::string& ns, const std::string& name) {
  return call<json::Value>([&](client::Client& c) { return c.get(r, ns, name); });
}
Result<json::Value> Cluster::list(client::Resource r, const std::string& ns, client::ListOptions options) {
  return call<json::Value>([&](client::Client& c) { return c.list(r, ns, options); });
}
Result<json::Value> Cluster::create(client::Resource r, const std::string& ns, json::Value object) {
  return call<json::Value>([&](client::Client& c) { return c.create(r, ns, object); });
}
Result<json::Value> Cluster::patch(client::Resource r, const std::string& ns, const std::string& name,
                                   client::PatchType type, json::Value body, const std::string& subresource) {
  return call<json::Value>([&](client::Client& c) { return c.patch(r, ns, name, type, body, subresource); });
}
Result<void> Cluster::remove(client::Resource r, const std::string& ns, const std::string& name,
                             client::DeleteOptions options) {
  LAB_CHECK(call<json::Value>([&](client::Client& c) { return c.remove(r, ns, name, options); }));
  return {};
}
Result<http::Response> Cluster::raw(http::Request request) {
  return call<http::Response>([&](client::Client& c) { return c.raw(request); });
}

Result<json::Value> Cluster::apply(client::Resource r, json::Value object) {
  const std::string ns(json::str(object, "metadata", "namespace")), name(json::str(object, "metadata", "name"));
  // Looked for first: creating an object that is there may fail for another reason than that (a Service's address is
  // taken, by itself).
  auto present = get(r, ns, name);
  if (!present) {
    if (present.error().code != Code::kNotFound) return present;
    auto made = create(r, ns, object);
    if (made || made.error().code != Code::kAlreadyExists) return made;
  }
  return patch(r, ns, name, client::PatchType::kMerge, std::move(object));
}

const client::RestConfig& Cluster::config() const { return impl_->config; }

Result<void> wait_until(std::chrono::seconds limit, const std::string& what, const std::string& hint,
                        std::function<Result<void>()> probe, std::function<void(const std::string&)> progress) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + limit;
  auto next_word = Clock::now() + std::chrono::seconds(1);
  auto pause = std::chrono::milliseconds(10);
  while (true) {
    auto r = probe();
    if (r) return {};
    const std::string state = r.error().text();
    if (Clock::now() >= deadline)
      return fail(Code::kTimeout, what + " did not come about within " + std::to_string(limit.count()) + " s; last seen: " + state,
                  hint);
    if (progress && Clock::now() >= next_word) {
      progress(state);
      next_word = Clock::now() + std::chrono::seconds(1);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
}

}  // namespace lab::bootstrap
