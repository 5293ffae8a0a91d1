// The client over HTTP against a real API server: credentials that rotate, leases, events.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/fs.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/client/lease.h"

namespace lab::client {
namespace {

using std::chrono::milliseconds;

class RemoteTest : public testing::Test {
 protected:
  RemoteTest() {
    std::string pattern = testing::TempDir() + "client-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    auto store = store::open_embedded({.path = directory_ + "/db"});
    if (!store) throw std::runtime_error(store.error().text());
    store_ = std::move(*store);
    apiserver::ServerOptions options;
    options.store = store_.get();
    options.authorization = false;
    options.anonymous_auth = false;
    options.tokens = {{"good-token", "admin", "", {"system:masters"}}};
    auto server = apiserver::ApiServer::start(options);
    if (!server) throw std::runtime_error(server.error().text());
    server_ = std::move(*server);
    if (auto ready = server_->wait_ready(std::chrono::seconds(60)); !ready)
      throw std::runtime_error(ready.error().text());
  }
  ~RemoteTest() override {
    server_.reset();
    store_.reset();
    (void)fs::remove_all(directory_);
  }
  RestConfig config(std::string token = "good-token") const {
    RestConfig out;
    out.server = "http://127.0.0.1:" + std::to_string(server_->port());
    out.token = std::move(token);
    return out;
  }
  Task<bool> until(std::function<Task<bool>()> condition) {
    for (int i = 0; i < 2000; ++i) {
      if (co_await condition()) co_return true;
      co_await sleep_for(milliseconds(10));
    }
    co_return false;
  }

  std::string directory_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<apiserver::ApiServer> server_;
};

json::Value config_map(const char* name) {
  return json::Object{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", json::Object{{"name", name}}}};
}

TEST_F(RemoteTest, ReadsWritesAndTellsErrorsApart) {
  auto body = [this]() -> Task<void> {
    Client client(make_https_transport(config()));
    EXPECT_TRUE(co_await client.create(res::configmaps, "default", config_map("a")));
    auto again = co_await client.create(res::configmaps, "default", config_map("a"));
    EXPECT_TRUE(!again && again.error().code == Code::kAlreadyExists);
    auto missing = co_await client.get(res::configmaps, "default", "b");
    EXPECT_TRUE(!missing && missing.error().code == Code::kNotFound);
    EXPECT_TRUE(co_await client.remove(res::configmaps, "default", "a"));
    Client stranger(make_https_transport(config("bad-token")));
    auto refused = co_await stranger.get(res::configmaps, "default", "a");
    EXPECT_TRUE(!refused && refused.error().code == Code::kUnauthorized);
  };
  run_task(body());
}

TEST_F(RemoteTest, ARotatedTokenIsReadAgainAfterARefusal) {
  auto body = [this]() -> Task<void> {
    int reloads = 0;
    RestConfig stale = config("old-token");
    stale.reload = [this, &reloads]() -> Result<RestConfig> {
      ++reloads;
      return config();
    };
    Client client(make_https_transport(stale));
    EXPECT_TRUE(co_await client.list(res::namespaces));
    EXPECT_TRUE(co_await client.list(res::namespaces));
    EXPECT_EQ(reloads, 1);
    EXPECT_TRUE(co_await client.watch(res::namespaces, "", {}));
  };
  run_task(body());
}

TEST_F(RemoteTest, AnInformerFollowsOverTheNetwork) {
  auto body = [this]() -> Task<void> {
    Scope scope(*Loop::current());
    Client client(make_https_transport(config()));
    Informer informer(client, res::configmaps);
    informer.start(scope);
    EXPECT_TRUE(co_await informer.wait_synced());
    EXPECT_TRUE(co_await client.create(res::configmaps, "default", config_map("late")));
    auto seen = [&]() -> Task<bool> { co_return informer.get("default/late") != nullptr; };
    EXPECT_TRUE(co_await until(seen));
    EXPECT_TRUE(co_await client.remove(res::configmaps, "default", "late"));
    auto gone = [&]() -> Task<bool> { co_return informer.get("default/late") == nullptr; };
    EXPECT_TRUE(co_await until(gone));
    co_await scope.close();
  };
  run_task(body());
}

TEST_F(RemoteTest, OneLeadsAtATimeAndAReleasedLeaseIsTakenAtOnce) {
  auto body = [this]() -> Task<void> {
    Loop& loop = *Loop::current();
    Client client(make_https_transport(config()));
    Scope scope(loop);
    std::stop_source stops[3];
    int leading = 0, most = 0;
    std::vector<int> order;
    for (int i = 0; i < 3; ++i)
      scope.spawn("candidate", [&, i]() -> Task<void> {
        LeaseOptions options;
        options.name = "lab-test";
        options.identity = "candidate-" + std::to_string(i);
        options.retry_period = milliseconds(20);
        auto lead = [&, i](std::stop_token stop) -> Task<void> {
          most = std::max(most, ++leading);
          order.push_back(i);
          while (co_await sleep_for(milliseconds(10), stop)) {
          }
          --leading;
        };
        co_await lead_while_holding(client, options, lead, stops[i].get_token());
      });
    for (std::size_t turn = 1; turn <= 3; ++turn) {
      auto led = [&]() -> Task<bool> { co_return order.size() == turn; };
      EXPECT_TRUE(co_await until(led));
      if (order.size() < turn) break;
      co_await sleep_for(milliseconds(60));
      EXPECT_EQ(order.size(), turn);  // the others wait
      stops[order.back()].request_stop();
    }
    for (auto& stop : stops) stop.request_stop();
    co_await scope.close();
    EXPECT_EQ(most, 1);
    auto lease = co_await client.get(res::leases, "kube-system", "lab-test");
    EXPECT_TRUE(lease && json::num(*lease, "spec", "leaseTransitions") == 2);
  };
  run_task(body());
}

TEST_F(RemoteTest, RepeatedEventsAreFoldedAndFloodsThinned) {
  auto body = [this]() -> Task<void> {
    Client client(make_https_transport(config()));
    Scope scope(*Loop::current());
    EventRecorder recorder(client, scope, "tester", "host");
    auto object = co_await client.create(res::configmaps, "default", config_map("busy"));
    EXPECT_TRUE(object);
    for (int i = 0; i < 3; ++i) recorder.event(*object, "Normal", "Same", "the same thing");
    for (int i = 0; i < 100; ++i) recorder.event(*object, "Warning", "Flood", "number " + std::to_string(i));
    std::size_t count = 0;
    std::int64_t repeats = 0;
    auto written = [&]() -> Task<bool> {
      ListOptions of_object;
      of_object.field_selector = "involvedObject.name=busy";
      auto events = co_await client.list(res::events, "default", of_object);
      if (!events) co_return false;
      count = json::list(*events, "items").size();
      for (const auto& e : json::list(*events, "items"))
        if (json::str(e, "reason") == "Same") repeats = json::num(e, "count");
      co_return repeats == 3 && count >= 23;
    };
    EXPECT_TRUE(co_await until(written));
    EXPECT_EQ(count, 23u);  // one folded, and what was left of the burst of 25
    co_await scope.close();
  };
  run_task(body());
}

}  // namespace
}  // namespace lab::client
