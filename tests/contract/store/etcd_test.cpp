// What only the store on etcd has to show: etcd that goes away and returns, several endpoints, several masters.
#include <atomic>
#include <thread>

#include "base/subprocess.h"
#include "orchestrator/store/etcd/etcd.h"
#include "tests/contract/store/etcd_fixture.h"

namespace lab::store {
namespace {

// With the machine's own etcd, and with etcd 3.5.
class EtcdFaults : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    auto program = GetParam() ? etcd35() : Result<std::string>("etcd");
    ASSERT_TRUE(program) << program.error().text();
    auto started = EtcdProcess::start(dir.path(), *program);
    ASSERT_TRUE(started) << started.error().text();
    etcd = std::move(*started);
  }
  std::unique_ptr<Store> open(std::vector<std::string> endpoints = {}) {
    if (endpoints.empty()) endpoints = {etcd->url()};
    auto opened = open_etcd({.cluster = {.endpoints = std::move(endpoints), .limit = std::chrono::seconds(4)}});
    EXPECT_TRUE(opened) << opened.error().text();
    return opened ? std::move(*opened) : nullptr;
  }

  TempDir dir;
  std::unique_ptr<EtcdProcess> etcd;
};

INSTANTIATE_TEST_SUITE_P(Store, EtcdFaults, ::testing::Bool(), [](const auto& info) { return info.param ? "etcd35" : "etcd"; });

TEST(EtcdVersions, TheOtherOneIsEtcd35) {
  auto program = etcd35();
  ASSERT_TRUE(program) << program.error().text();
  auto said = run_checked({.argv = {*program, "--version"}});
  ASSERT_TRUE(said) << said.error().text();
  EXPECT_TRUE(said->starts_with("etcd Version: 3.5.")) << *said;
}

Result<Committed> sync(Store& store) {
  std::promise<Result<Committed>> promise;
  store.sync([&](Result<Committed> r) { promise.set_value(std::move(r)); });
  return promise.get_future().get();
}

TEST_P(EtcdFaults, AWatchGoesOnWhereItStoodWhenEtcdIsKilledAndReturns) {
  auto store = open();
  ASSERT_TRUE(store);
  Collector got;
  auto watch = store->watch("/", "0", store->revision(), got.callback());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(commit(*store, {put("/k", std::to_string(i))}));
  ASSERT_TRUE(etcd->restart());
  for (int i = 20; i < 40; ++i) {
    // Not sent while nothing listens, so it may be repeated until it is done.
    Result<Committed> done = fail(Code::kUnavailable, "");
    for (int tries = 0; tries < 20 && !done; ++tries) done = commit(*store, {put("/k", std::to_string(i))});
    ASSERT_TRUE(done) << done.error().text();
  }
  auto events = got.wait_events(40);
  ASSERT_EQ(events.size(), 40u);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(*events[i].current.value, std::to_string(i));
}

TEST_P(EtcdFaults, WithoutEtcdCallsFailInTimeAndSayWhatToDo) {
  auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE(commit(*store, {put("/a", "1")}));
  etcd.reset();
  auto read = range_prefix(*store, "/");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kUnavailable);
  EXPECT_NE(read.error().message.find("etcd is away"), std::string::npos) << read.error().message;
  EXPECT_FALSE(read.error().hint.empty());
  auto write = commit(*store, {put("/a", "2")});
  ASSERT_FALSE(write);
  EXPECT_EQ(http_status_of(write.error().code) / 100, 5) << write.error().text();
  for (int i = 0; i < 300 && store->answers(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(store->answers());
}

TEST_P(EtcdFaults, AWriteWhoseAnswerIsLostIsNotCalledUndone) {
  auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE(commit(*store, {put("/a", "1")}));
  etcd->pause();
  auto write = commit(*store, {put("/a", "2")});
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().code, Code::kTimeout) << write.error().text();
  EXPECT_NE(write.error().message.find("may have been made"), std::string::npos);
  etcd->resume();
  Result<RangeResult> read = fail(Code::kUnavailable, "");
  for (int i = 0; i < 10 && !read; ++i) read = range_prefix(*store, "/a");
  ASSERT_TRUE(read) << read.error().text();
}

TEST_P(EtcdFaults, AnEndpointThatIsAwayIsPassedOver) {
  auto store = open({"http://127.0.0.1:1", etcd->url()});
  ASSERT_TRUE(store);
  Collector got;
  auto watch = store->watch("/", "0", store->revision(), got.callback());
  ASSERT_TRUE(commit(*store, {put("/a", "1")}));
  EXPECT_EQ(got.wait_events(1).size(), 1u);
}

TEST_P(EtcdFaults, WhatOneMasterAcknowledgesAnotherReadsAndIsShown) {
  auto one = open(), two = open();
  ASSERT_TRUE(one && two);
  EXPECT_TRUE(one->shared());
  Collector got;
  auto watch = two->watch("", "", two->revision(), got.callback());
  for (int i = 0; i < 50; ++i) {
    auto done = commit(*one, {put("/k", std::to_string(i))});
    ASSERT_TRUE(done);
    auto now = sync(*two);
    ASSERT_TRUE(now) << now.error().text();
    EXPECT_GE(now->revision, done->revision);
    EXPECT_EQ(*range_prefix(*two, "/k")->items.at(0).value, std::to_string(i));
  }
  EXPECT_EQ(got.wait_events(50).size(), 50u);
}

TEST(EtcdOptions, BadOnesAreTold) {
  for (auto endpoints : {std::vector<std::string>{}, {"10.0.0.1"}, {"ftp://a:1"}, {"https://a:1"}}) {
    auto opened = open_etcd({.cluster = {.endpoints = endpoints}});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::kInvalid);
    EXPECT_FALSE(opened.error().hint.empty());
  }
}

}  // namespace
}  // namespace lab::store
