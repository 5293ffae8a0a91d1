#include "orchestrator/client/informer.h"

#include <gtest/gtest.h>

#include "fake_transport.h"

namespace lab::client {
namespace {

using std::chrono::milliseconds;

std::string pod(const std::string& name, int rv, const std::string& node = "n1") {
  return R"({"metadata":{"namespace":"a","name":")" + name + R"(","uid":"uid-)" + name + R"(","resourceVersion":")" +
         std::to_string(rv) + R"(","managedFields":[{}]},"spec":{"nodeName":")" + node + "\"}}";
}
std::string event(const std::string& type, const std::string& object) {
  return "{\"type\":\"" + type + "\",\"object\":" + object + "}\n";
}
std::string list_of(int rv, std::vector<std::string> items) {
  std::string out = R"({"metadata":{"resourceVersion":")" + std::to_string(rv) + R"("},"items":[)";
  for (std::size_t i = 0; i < items.size(); ++i) out += (i ? "," : "") + items[i];
  return out + "]}";
}

struct InformerTest : testing::Test {
  std::shared_ptr<FakeTransport::Script> script = std::make_shared<FakeTransport::Script>();
  Client client{std::make_unique<FakeTransport>(script)};
  Informer informer{client, res::pods};
  std::vector<std::string> changes;
  std::string list_answer;
  std::vector<std::shared_ptr<FakeStream::State>> streams;  // in order of opening

  InformerTest() {
    informer.add_index("node", [](const json::Value& o) {
      return std::vector<std::string>{std::string(json::str(o, "spec", "nodeName"))};
    });
    informer.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
      changes.push_back((!old ? "+" : !now ? "-" : "~") + key_of(now ? *now : *old));
    });
    script->respond = [this](const http::Request&) { return answer(200, list_answer); };
    script->open = [this](const http::Request&) {
      streams.push_back(std::make_shared<FakeStream::State>());
      return streams.back();
    };
  }

  Task<bool> until(std::function<bool()> condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) co_return true;
      co_await sleep_for(milliseconds(5));
    }
    co_return false;
  }

  void run(std::function<Task<void>()> body) {
    auto main = [](InformerTest& t, std::function<Task<void>()> inner) -> Task<void> {
      Scope scope(*Loop::current());
      t.informer.start(scope);
      EXPECT_TRUE(co_await t.informer.wait_synced());
      EXPECT_TRUE(co_await t.until([&] { return !t.streams.empty(); }));
      co_await inner();
      co_await scope.close();
    };
    run_task(main(*this, std::move(body)));
  }
};

TEST_F(InformerTest, ListsThenFollowsTheWatch) {
  list_answer = list_of(10, {pod("x", 5), pod("y", 6, "n2")});
  auto body = [this]() -> Task<void> {
    EXPECT_EQ(informer.size(), 2u);
    EXPECT_EQ(json::str(*informer.get("a/x"), "kind"), "Pod");
    EXPECT_FALSE(json::has(*informer.get("a/x"), "metadata", "managedFields"));
    streams[0]->push(event("MODIFIED", pod("y", 11, "n1")) + event("DELETED", pod("x", 12)));
    EXPECT_TRUE(co_await until([&] { return informer.size() == 1; }));
    EXPECT_EQ(informer.by_index("node", "n1").size(), 1u);
    EXPECT_TRUE(informer.by_index("node", "n2").empty());
    EXPECT_EQ(informer.list_namespace("a").size(), 1u);
  };
  run(body);
  EXPECT_EQ(changes.back(), "-a/x");
  EXPECT_EQ(changes[2], "~a/y");
}

TEST_F(InformerTest, AnOrderlyEndContinuesFromTheLastRevision) {
  list_answer = list_of(10, {});
  auto body = [this]() -> Task<void> {
    streams[0]->push(event("BOOKMARK", R"({"metadata":{"resourceVersion":"40"}})"));
    streams[0]->push("");
    EXPECT_TRUE(co_await until([&] { return streams.size() == 2; }));
    EXPECT_NE(script->requests.back().target.find("resourceVersion=40"), std::string::npos);
  };
  run(body);
}

TEST_F(InformerTest, GoneMeansANewListAndHandlersSeeTheDifference) {
  list_answer = list_of(10, {pod("x", 5), pod("y", 6)});
  auto body = [this]() -> Task<void> {
    changes.clear();
    list_answer = list_of(30, {pod("y", 25), pod("z", 29)});
    streams[0]->push(
        event("ERROR", R"({"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"})"));
    EXPECT_TRUE(co_await until([&] { return streams.size() == 2; }));
    std::sort(changes.begin(), changes.end());
    EXPECT_EQ(changes, (std::vector<std::string>{"+a/z", "-a/x", "~a/y"}));
  };
  run(body);
}

TEST_F(InformerTest, ABrokenConnectionIsWatchedAgainWithoutAList) {
  list_answer = list_of(10, {pod("x", 5)});
  auto body = [this]() -> Task<void> {
    streams[0]->push(fail(Code::kUnavailable, "connection reset"));
    EXPECT_TRUE(co_await until([&] { return streams.size() == 2; }));
    int lists = 0;
    for (auto& r : script->requests) lists += r.target.find("watch=true") == std::string::npos;
    EXPECT_EQ(lists, 1);
  };
  run(body);
}

TEST_F(InformerTest, ObservedWritesAreNeverUndoneByOlderNews) {
  list_answer = list_of(10, {pod("x", 5)});
  auto body = [this]() -> Task<void> {
    informer.observe(*json::parse(pod("x", 20, "mine")));
    informer.observe(*json::parse(pod("old", 8)));  // older than the list: it is gone by now
    EXPECT_FALSE(informer.get("a/old"));
    changes.clear();
    streams[0]->push(event("MODIFIED", pod("x", 15, "other")) + event("MODIFIED", pod("x", 20, "mine")) +
                     event("ADDED", pod("end", 21)));
    EXPECT_TRUE(co_await until([&] { return informer.get("a/end") != nullptr; }));
    EXPECT_EQ(json::str(*informer.get("a/x"), "spec", "nodeName"), "mine");
    EXPECT_EQ(changes, std::vector<std::string>{"+a/end"});
  };
  run(body);
}

TEST_F(InformerTest, AnObservedDeletionHoldsAgainstLateNewsButNotAgainstASuccessor) {
  list_answer = list_of(10, {pod("x", 5)});
  auto body = [this]() -> Task<void> {
    informer.observe_deletion("a/x", "uid-x");
    streams[0]->push(event("MODIFIED", pod("x", 11)) + event("DELETED", pod("x", 12)) + event("ADDED", pod("e", 13)));
    EXPECT_TRUE(co_await until([&] { return informer.get("a/e") != nullptr; }));
    EXPECT_FALSE(informer.get("a/x"));
    streams[0]->push(event("ADDED", pod("x", 14)));
    EXPECT_TRUE(co_await until([&] { return informer.get("a/x") != nullptr; }));
  };
  run(body);
}

TEST_F(InformerTest, ARefusedListIsTriedAgain) {
  int lists = 0;
  script->respond = [&](const http::Request&) {
    if (++lists < 3) return answer(503, "starting");
    return answer(200, list_of(10, {pod("x", 5)}));
  };
  auto body = [&]() -> Task<void> {
    EXPECT_EQ(informer.size(), 1u);
    co_return;
  };
  run(body);
  EXPECT_EQ(lists, 3);
}

}  // namespace
}  // namespace lab::client
