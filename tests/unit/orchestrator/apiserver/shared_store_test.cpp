// Two API servers over one store, of which one is late in seeing what the other writes: they never give the same
// cluster IP or node port twice.
#include <condition_variable>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "fixture.h"

namespace lab::apiserver {
namespace {

// The store as one of several servers sees it. While held, what it watches does not come.
class OneOfSeveral final : public store::Store {
 public:
  explicit OneOfSeveral(store::Store& store) : store_(store) {}

  void hold(bool on) {
    std::lock_guard lock(mutex_);
    held_ = on;
    changed_.notify_all();
  }

  void commit(store::Txn txn, CommitDone done) override { store_.commit(std::move(txn), std::move(done)); }
  void range(store::RangeRequest request, RangeDone done) override {
    store_.range(std::move(request), std::move(done));
  }
  std::unique_ptr<store::Watch> watch(std::string start, std::string end, store::Revision after, WatchFn fn) override {
    // Batches wait on a thread of their own: the store's must go on for the other server.
    auto relay = std::make_unique<Relay>(*this, std::move(fn));
    relay->inner = store_.watch(std::move(start), std::move(end), after,
                                [r = relay.get()](Result<store::WatchBatch> b) { r->push(std::move(b)); });
    return relay;
  }
  store::Revision revision() const override { return store_.revision(); }
  void compact(store::Revision before, CommitDone done) override { store_.compact(before, std::move(done)); }
  bool shared() const override { return true; }

 private:
  struct Relay final : store::Watch {
    Relay(OneOfSeveral& of, WatchFn f) : owner(of), fn(std::move(f)), thread([this] { run(); }) {}
    ~Relay() override {
      inner.reset();
      {
        std::lock_guard lock(owner.mutex_);
        closing = true;
        owner.changed_.notify_all();
      }
      thread.join();
    }
    void push(Result<store::WatchBatch> batch) {
      std::lock_guard lock(owner.mutex_);
      queue.push_back(std::move(batch));
      owner.changed_.notify_all();
    }
    void run() {
      std::unique_lock lock(owner.mutex_);
      while (true) {
        owner.changed_.wait(lock, [this] { return closing || (!queue.empty() && !owner.held_); });
        if (closing) return;
        auto batch = std::move(queue.front());
        queue.erase(queue.begin());
        lock.unlock();
        fn(std::move(batch));
        lock.lock();
      }
    }
    OneOfSeveral& owner;
    WatchFn fn;
    std::vector<Result<store::WatchBatch>> queue;
    bool closing = false;
    std::unique_ptr<store::Watch> inner;
    std::thread thread;
  };

  store::Store& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

class SharedStoreTest : public ServerTest {
 protected:
  SharedStoreTest() : here_(*store_), there_(*store_) {
    server_.reset();
    options_.service_cidr = "10.96.0.0/28";  // fourteen addresses
    server_ = start_on(here_);
    other_ = start_on(there_);
  }
  ~SharedStoreTest() override {
    there_.hold(false);
    other_.reset();
    server_.reset();
  }
  std::unique_ptr<ApiServer> start_on(store::Store& store) {
    options_.store = &store;
    auto server = ApiServer::start(options_);
    EXPECT_TRUE(server) << server.error().text();
    EXPECT_TRUE((*server)->wait_ready(std::chrono::seconds(60)));
    return std::move(*server);
  }
  Answer at_other(std::string method, std::string target, const json::Value& body = nullptr) {
    std::swap(server_, other_);
    auto answer = call(std::move(method), std::move(target), body.is_null() ? std::string() : json::dump(body));
    std::swap(server_, other_);
    return answer;
  }
  static json::Value service(const std::string& name, int node_port = 0, const std::string& ip = {}) {
    json::Value s = json::Object{{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", json::Object{{"name", name}}}};
    json::Object port{{"port", 80}};
    if (node_port) port["nodePort"] = node_port;
    json::set(s, json::Object{{"type", node_port ? "NodePort" : "ClusterIP"}, {"ports", json::Array{std::move(port)}}},
              "spec");
    if (!ip.empty()) json::set(s, ip, "spec", "clusterIP");
    return s;
  }
  // Lets the other server see again, a while after it has begun to answer.
  std::thread release_later() {
    return std::thread([this] {
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
      there_.hold(false);
    });
  }

  const std::string services_ = "/api/v1/namespaces/default/services";
  const std::string records_ = "/registry/ranges/services/";
  OneOfSeveral here_, there_;
  std::unique_ptr<ApiServer> other_;
};

TEST_F(SharedStoreTest, WhatOneHasGivenTheOtherRefusesThoughItHasNotSeenIt) {
  there_.hold(true);
  make(services_, service("a", 30077, "10.96.0.9"));
  std::thread later = release_later();
  auto port = at_other("POST", services_, service("b", 30077));
  later.join();
  EXPECT_EQ(port.status, 422) << port.text;
  EXPECT_NE(port.text.find("provided port is already allocated"), std::string::npos) << port.text;
  there_.hold(true);
  make(services_, service("c", 30078, "10.96.0.10"));
  later = release_later();
  auto ip = at_other("POST", services_, service("d", 0, "10.96.0.10"));
  later.join();
  EXPECT_EQ(ip.status, 422) << ip.text;
  EXPECT_NE(ip.text.find("provided IP is already allocated"), std::string::npos) << ip.text;
}

TEST_F(SharedStoreTest, AFreeChoiceFallsOnSomethingElse) {
  std::set<std::string> seen;
  there_.hold(true);
  // Most of the range goes here unseen; the other then takes one blindly, and another one when that is refused.
  for (int i = 0; i < 12; ++i)
    seen.insert(std::string(json::str(make(services_, service("here-" + std::to_string(i))), "spec", "clusterIP")));
  std::thread later = release_later();
  for (int i = 0; i < 2; ++i) {
    auto made = at_other("POST", services_, service("there-" + std::to_string(i)));
    ASSERT_EQ(made.status, 201) << made.text;
    seen.insert(std::string(json::str(made.body, "spec", "clusterIP")));
  }
  later.join();
  EXPECT_EQ(seen.size(), 14u) << "one was given twice";
  auto full = at_other("POST", services_, service("one-too-many"));
  EXPECT_NE(full.text.find("range is full"), std::string::npos) << full.text;
  auto gone = remove(services_ + "/here-0");
  EXPECT_EQ(gone.status, 200) << gone.text;
  auto again = post(services_, service("here-again"));
  EXPECT_EQ(again.status, 201) << again.text;
}

TEST_F(SharedStoreTest, RecordsComeAndGoWithTheirServices) {
  const auto before = stored(records_).size();
  make(services_, service("a", 30050, "10.96.0.5"));
  EXPECT_TRUE(stored(records_).contains(records_ + "10.96.0.5"));
  EXPECT_TRUE(stored(records_).contains(records_ + "30050"));
  auto changed = merge(services_ + "/a", json::Object{{"spec", json::Object{{"type", "ClusterIP"}}}});
  EXPECT_EQ(changed.status, 200) << changed.text;
  EXPECT_FALSE(stored(records_).contains(records_ + "30050")) << "the port is free again";
  EXPECT_TRUE(stored(records_).contains(records_ + "10.96.0.5"));
  EXPECT_EQ(remove(services_ + "/a").status, 200);
  EXPECT_EQ(stored(records_).size(), before);
}

TEST_F(SharedStoreTest, AStartMakesMissingRecordsAndRemovesStaleOnes) {
  make(services_, service("a", 0, "10.96.0.5"));
  auto change = [&](const std::string& key, store::Bytes value) {
    std::promise<bool> done;
    store_->commit({.changes = {{.key = records_ + key, .value = std::move(value), .expect = {}}}},
                   [&](Result<store::Committed> r) { done.set_value(r.has_value()); });
    EXPECT_TRUE(done.get_future().get());
  };
  change("10.96.0.5", nullptr);
  change("10.96.0.6", std::make_shared<const std::string>("uid-of-nobody"));
  server_.reset();
  server_ = start_on(here_);
  EXPECT_TRUE(stored(records_).contains(records_ + "10.96.0.5"));
  EXPECT_FALSE(stored(records_).contains(records_ + "10.96.0.6"));
}

}  // namespace
}  // namespace lab::apiserver
