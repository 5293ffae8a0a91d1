#include "orchestrator/client/client.h"

#include <gtest/gtest.h>

#include "base/io/scope.h"
#include "fake_transport.h"

namespace lab::client {
namespace {

TEST(PathOf, FollowsGroupScopeAndSubresource) {
  EXPECT_EQ(path_of(res::pods, "shop"), "/api/v1/namespaces/shop/pods");
  EXPECT_EQ(path_of(res::pods, ""), "/api/v1/pods");
  EXPECT_EQ(path_of(res::deployments, "shop", "web", "status"), "/apis/apps/v1/namespaces/shop/deployments/web/status");
  EXPECT_EQ(path_of(res::nodes, "", "n1"), "/api/v1/nodes/n1");
  EXPECT_EQ(path_of(res::clusterroles, "", "system:node"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node");
}

TEST(ErrorOf, TakesReasonMessageAndDetailsOfAStatus) {
  auto error = error_of(answer(409, R"({"kind":"Status","reason":"AlreadyExists","message":"pods \"a\" already exists",
      "code":409,"details":{"name":"a"}})"));
  EXPECT_EQ(error.code, Code::kAlreadyExists);
  EXPECT_EQ(error.message, "pods \"a\" already exists");
  EXPECT_EQ(error.details, R"({"name":"a"})");
}

TEST(ErrorOf, KeepsTheTextOfAnAnswerThatIsNoStatus) {
  auto error = error_of(answer(503, "upstream is down\n"));
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_EQ(error.message, "server answered 503: upstream is down");
}

struct Fixture : testing::Test {
  std::shared_ptr<FakeTransport::Script> script = std::make_shared<FakeTransport::Script>();
  Client client{std::make_unique<FakeTransport>(script)};
};
using ClientTest = Fixture;

TEST_F(ClientTest, PatchesCarryTheirContentType) {
  script->respond = [](const http::Request&) { return answer(200, "{}"); };
  for (auto [type, mime] : {std::pair{PatchType::kJson, "application/json-patch+json"},
                            {PatchType::kMerge, "application/merge-patch+json"},
                            {PatchType::kStrategic, "application/strategic-merge-patch+json"},
                            {PatchType::kApply, "application/apply-patch+yaml"}}) {
    EXPECT_TRUE(run_task(client.patch(res::pods, "a", "b", type, json::Object{})));
    EXPECT_EQ(script->requests.back().headers.get("Content-Type"), mime);
    EXPECT_EQ(script->requests.back().method, "PATCH");
  }
}

TEST_F(ClientTest, DeleteSendsPreconditionsAndPropagation) {
  script->respond = [](const http::Request&) { return answer(200, "{}"); };
  DeleteOptions options;
  options.grace_seconds = 0;
  options.propagation = "Foreground";
  options.uid = "u1";
  EXPECT_TRUE(run_task(client.remove(res::pods, "a", "b", options)));
  auto body = json::parse(script->requests.back().body);
  ASSERT_TRUE(body);
  EXPECT_EQ(json::num(*body, "gracePeriodSeconds"), 0);
  EXPECT_TRUE(json::has(*body, "gracePeriodSeconds"));
  EXPECT_EQ(json::str(*body, "propagationPolicy"), "Foreground");
  EXPECT_EQ(json::str(*body, "preconditions", "uid"), "u1");
}

TEST_F(ClientTest, WatchJoinsPiecesIntoEvents) {
  auto stream = std::make_shared<FakeStream::State>();
  script->open = [&](const http::Request&) { return stream; };
  stream->push(R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})"
               "\n{\"type\":\"MODI");
  stream->push("FIED\",\"object\":{\"metadata\":{\"name\":\"b\"}}}\n\n");
  stream->push(R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}})"
               "\n");
  stream->push("");
  auto read = [](Client& c) -> Task<std::vector<std::string>> {
    std::vector<std::string> seen;
    auto watch = co_await c.watch(res::pods, "", {});
    for (int i = 0; i < 4; ++i) {
      auto event = co_await (*watch)->next();
      if (!event) {
        seen.push_back(std::string(reason_of(event.error().code)));
      } else if (!*event) {
        seen.push_back("end");
      } else {
        seen.push_back(std::to_string((*event)->type) + std::string(json::str((*event)->object, "metadata", "name")));
      }
    }
    co_return seen;
  };
  EXPECT_EQ(run_task(read(client)), (std::vector<std::string>{"0a", "1b", "Expired", "end"}));
  EXPECT_NE(script->requests.back().target.find("watch=true"), std::string::npos);
}

TEST_F(ClientTest, ARefusedWatchIsAnError) {
  auto stream = std::make_shared<FakeStream::State>();
  stream->status = 403;
  stream->push(R"({"kind":"Status","reason":"Forbidden","message":"no"})");
  stream->push("");
  script->open = [&](const http::Request&) { return stream; };
  auto watch = run_task(client.watch(res::pods, "", {}));
  ASSERT_FALSE(watch);
  EXPECT_EQ(watch.error().code, Code::kForbidden);
}

}  // namespace
}  // namespace lab::client
