#include "cluster.h"
#include "orchestrator/controllers/deployment_history.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

using DeploymentTest = ControllersTest;

TEST_F(DeploymentTest, BringsUpPodsAndTellsSo) {
  auto body = [this]() -> Task<void> {
    co_await create(res::deployments, "default", deployment("web", 3, "img:1"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 3));
    auto complete = [this]() -> Task<bool> {
      auto d = co_await get(res::deployments, "default", "web");
      const auto* c = find_condition(d, "Progressing");
      co_return c&& json::str(*c, "reason") == "NewReplicaSetAvailable";
    };
    EXPECT_TRUE(co_await until(complete));
    auto d = co_await get(res::deployments, "default", "web");
    EXPECT_TRUE(condition_is(d, "Available"));
    EXPECT_EQ(annotation_of(d, kRevision), "1");
    EXPECT_EQ(json::num(d, "status", "unavailableReplicas"), 0);
    auto sets = co_await list(res::replicasets, "default");
    EXPECT_EQ(sets.size(), 1u);
    if (sets.empty()) co_return;
    EXPECT_EQ(name_of(sets[0]), "web-" + std::string(label_of(sets[0], kTemplateHash)));
    EXPECT_EQ(annotation_of(sets[0], kDesiredReplicas), "3");
    EXPECT_EQ(annotation_of(sets[0], kMaxReplicas), "4");
    auto pods = co_await list(res::pods, "default");
    EXPECT_EQ(pods.size(), 3u);
    for (auto& pod : pods) {
      EXPECT_TRUE(controlled_by(pod, sets[0]));
      EXPECT_TRUE(name_of(pod).starts_with(name_of(sets[0]) + "-"));
    }
  };
  run(body);
}

TEST_F(DeploymentTest, RollsWithinItsLimitsAndBack) {
  auto body = [this]() -> Task<void> {
    co_await create(
        res::deployments, "default",
        deployment("web", 4, "img:1", R"("strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":"25%"}},)"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 4));
    co_await patch(res::deployments, "default", "web",
                   R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"img:2"}]}}}})");
    std::int64_t most = 0, least_available = 100;
    auto rolled = [&]() -> Task<bool> {
      std::int64_t pods = 0, ready = 0;
      for (auto& pod : co_await list(res::pods, "default"))
        if (!is_terminating(pod)) {
          ++pods;
          ready += pod_ready(pod);
        }
      most = std::max(most, pods);
      least_available = std::min(least_available, ready);
      auto d = co_await get(res::deployments, "default", "web");
      co_return json::num(d, "status", "updatedReplicas") == 4 && json::num(d, "status", "replicas") == 4 &&
          json::num(d, "status", "availableReplicas") == 4 &&
          json::num(d, "status", "observedGeneration") == json::num(d, "metadata", "generation");
    };
    EXPECT_TRUE(co_await until(rolled));
    EXPECT_LE(most, 5);
    EXPECT_GE(least_available, 3);
    auto d = co_await get(res::deployments, "default", "web");
    EXPECT_EQ(annotation_of(d, kRevision), "2");
    EXPECT_EQ((co_await list(res::replicasets, "default")).size(), 2u);

    // kubectl rollout undo writes the old template back.
    co_await patch(res::deployments, "default", "web",
                   R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"img:1",
                      "ports":[{"name":"http","containerPort":8080}]}]}}}})");
    auto back = [&]() -> Task<bool> {
      auto now = co_await get(res::deployments, "default", "web");
      co_return annotation_of(now, kRevision) == "3" && json::num(now, "status", "updatedReplicas") == 4 &&
          json::num(now, "status", "replicas") == 4;
    };
    EXPECT_TRUE(co_await until(back));
    auto sets = co_await list(res::replicasets, "default");
    EXPECT_EQ(sets.size(), 2u);
    for (auto& set : sets)
      if (revision_of_set(set) == 3) EXPECT_EQ(annotation_of(set, kRevisionHistory), "1");
  };
  run(body);
}

TEST_F(DeploymentTest, ABadImageStopsTheRolloutAndTheDeadlineTells) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value& pod) {
      return json::str(json::list(pod, "spec", "containers")[0], "image") == "bad" ? "Unready" : "Running";
    };
    co_await create(res::deployments, "default",
                    deployment("web", 3, "good", R"("progressDeadlineSeconds":3,"minReadySeconds":0,)"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 3));
    co_await patch(res::deployments, "default", "web",
                   R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"bad"}]}}}})");
    auto told = [this]() -> Task<bool> {
      auto d = co_await get(res::deployments, "default", "web");
      const auto* c = find_condition(d, "Progressing");
      co_return c&& json::str(*c, "reason") == "ProgressDeadlineExceeded" && json::str(*c, "status") == "False";
    };
    EXPECT_TRUE(co_await until(told));
    auto d = co_await get(res::deployments, "default", "web");
    EXPECT_EQ(json::num(d, "status", "availableReplicas"), 3);  // the old ones stay
    EXPECT_EQ(json::num(d, "status", "updatedReplicas"), 1);
  };
  run(body);
}

TEST_F(DeploymentTest, RecreateEndsTheOldBeforeItStartsTheNew) {
  auto body = [this]() -> Task<void> {
    co_await create(res::deployments, "default", deployment("web", 2, "img:1", R"("strategy":{"type":"Recreate"},)"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 2));
    co_await patch(res::deployments, "default", "web",
                   R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"img:2"}]}}}})");
    bool mixed = false;
    auto rolled = [&]() -> Task<bool> {
      std::set<std::string> images;
      for (auto& pod : co_await list(res::pods, "default"))
        images.emplace(json::str(json::list(pod, "spec", "containers")[0], "image"));
      mixed = mixed || images.size() > 1;
      auto d = co_await get(res::deployments, "default", "web");
      co_return json::num(d, "status", "updatedReplicas") == 2 && json::num(d, "status", "availableReplicas") == 2 &&
          json::num(d, "status", "observedGeneration") == json::num(d, "metadata", "generation");
    };
    EXPECT_TRUE(co_await until(rolled));
    EXPECT_FALSE(mixed);
  };
  run(body);
}

TEST_F(DeploymentTest, ScalesPausedDeploymentsAndKeepsTheirTemplateBack) {
  auto body = [this]() -> Task<void> {
    co_await create(res::deployments, "default", deployment("web", 2, "img:1"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 2));
    co_await patch(res::deployments, "default", "web",
                   R"({"spec":{"paused":true,"replicas":4,
                      "template":{"spec":{"containers":[{"name":"c","image":"img:2"}]}}}})");
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 4));
    EXPECT_EQ((co_await list(res::replicasets, "default")).size(), 1u);
    auto d = co_await get(res::deployments, "default", "web");
    EXPECT_EQ(json::str(*find_condition(d, "Progressing"), "reason"), "DeploymentPaused");
    co_await patch(res::deployments, "default", "web", R"({"spec":{"paused":false}})");
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "updatedReplicas", 4));
    EXPECT_EQ((co_await list(res::replicasets, "default")).size(), 2u);
  };
  run(body);
}

TEST_F(DeploymentTest, KeepsNoMoreHistoryThanAsked) {
  auto body = [this]() -> Task<void> {
    co_await create(res::deployments, "default", deployment("web", 1, "img:0", R"("revisionHistoryLimit":1,)"));
    for (int i = 0; i < 4; ++i) {
      co_await patch(
          res::deployments, "default", "web",
          R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"img:)" + std::to_string(i) + R"("}]}}}})");
      std::string revision = std::to_string(i + 1);
      auto rolled = [&]() -> Task<bool> {
        auto d = co_await get(res::deployments, "default", "web");
        co_return json::num(d, "status", "updatedReplicas") == 1 && json::num(d, "status", "replicas") == 1 &&
            json::num(d, "status", "availableReplicas") == 1 &&
            json::num(d, "status", "observedGeneration") == json::num(d, "metadata", "generation");
      };
      EXPECT_TRUE(co_await until(rolled));
    }
    auto trimmed = [this]() -> Task<bool> { co_return (co_await list(res::replicasets, "default")).size() == 2; };
    EXPECT_TRUE(co_await until(trimmed));
  };
  run(body);
}

TEST_F(DeploymentTest, AThousandReplicasComeAndGo) {
  auto body = [this]() -> Task<void> {
    nodes_->names.clear();
    co_await create(res::deployments, "default", deployment("big", 1000, "img"));
    EXPECT_TRUE(co_await until_status(res::deployments, "big", "replicas", 1000));
    EXPECT_EQ((co_await list(res::pods, "default")).size(), 1000u);
    co_await patch(res::deployments, "default", "big", R"({"spec":{"replicas":0}})");
    auto none = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default")).empty(); };
    EXPECT_TRUE(co_await until(none));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
