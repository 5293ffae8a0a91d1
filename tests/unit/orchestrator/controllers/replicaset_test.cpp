#include "cluster.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

const char* kSet = R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"rs"},
  "spec":{"replicas":2,"selector":{"matchLabels":{"app":"a"}},
  "template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";

using ReplicaSetTest = ControllersTest;

TEST_F(ReplicaSetTest, AdoptsWhatItSelectsAndReleasesWhatItNoLongerDoes) {
  auto body = [this]() -> Task<void> {
    co_await create(res::pods, "default",
                    parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"stray","labels":{"app":"a"}},
                             "spec":{"containers":[{"name":"c","image":"i"}]}})"));
    auto set = co_await create(res::replicasets, "default", parse(kSet));
    EXPECT_TRUE(co_await until_status(res::replicasets, "rs", "readyReplicas", 2));
    EXPECT_TRUE(controlled_by(co_await get(res::pods, "default", "stray"), set));
    EXPECT_EQ((co_await list(res::pods, "default")).size(), 2u);

    co_await patch(res::pods, "default", "stray", R"({"metadata":{"labels":{"app":"other"}}})");
    auto replaced = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default", "app=a")).size() == 2; };
    EXPECT_TRUE(co_await until(replaced));
    auto released = [this]() -> Task<bool> {
      co_return controller_of(co_await get(res::pods, "default", "stray")) == nullptr;
    };
    EXPECT_TRUE(co_await until(released));
  };
  run(body);
}

TEST_F(ReplicaSetTest, ReplacesPodsThatGoAndScalesDownTheUnreadyFirst) {
  auto body = [this]() -> Task<void> {
    co_await create(res::replicasets, "default", parse(kSet));
    EXPECT_TRUE(co_await until_status(res::replicasets, "rs", "readyReplicas", 2));
    auto pods = co_await list(res::pods, "default");
    std::set<std::string> ready;
    for (auto& pod : pods) ready.insert(name_of(pod));
    nodes_->fate = [](const json::Value&) { return "Unready"; };
    co_await patch(res::replicasets, "default", "rs", R"({"spec":{"replicas":4}})");
    auto four = [this]() -> Task<bool> {
      std::size_t running = 0;
      for (auto& pod : co_await list(res::pods, "default")) running += json::str(pod, "status", "phase") == "Running";
      co_return running == 4;
    };
    EXPECT_TRUE(co_await until(four));
    co_await patch(res::replicasets, "default", "rs", R"({"spec":{"replicas":2}})");
    auto two = [this]() -> Task<bool> { co_return (co_await list(res::pods, "default")).size() == 2; };
    EXPECT_TRUE(co_await until(two));
    for (auto& pod : co_await list(res::pods, "default")) EXPECT_TRUE(ready.contains(name_of(pod)));
  };
  run(body);
}

TEST_F(ReplicaSetTest, AvailabilityWaitsForMinReadySeconds) {
  auto body = [this]() -> Task<void> {
    auto set = parse(kSet);
    json::set(set, 2, "spec", "minReadySeconds");
    co_await create(res::replicasets, "default", std::move(set));
    EXPECT_TRUE(co_await until_status(res::replicasets, "rs", "readyReplicas", 2));
    auto at_first = co_await get(res::replicasets, "default", "rs");
    EXPECT_EQ(json::num(at_first, "status", "availableReplicas"), 0);
    EXPECT_TRUE(co_await until_status(res::replicasets, "rs", "availableReplicas", 2));
  };
  run(body);
}

TEST_F(ReplicaSetTest, ARefusedPodIsTold) {
  auto body = [this]() -> Task<void> {
    client::Resource quotas{"", "v1", "resourcequotas", "ResourceQuota"};
    co_await create(quotas, "default", parse(R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},
                             "spec":{"hard":{"pods":"1"}}})"));
    co_await create(res::replicasets, "default", parse(kSet));
    auto told = [this]() -> Task<bool> {
      auto set = co_await get(res::replicasets, "default", "rs");
      const auto* c = find_condition(set, "ReplicaFailure");
      co_return c&& json::str(*c, "reason") == "FailedCreate";
    };
    EXPECT_TRUE(co_await until(told));
    EXPECT_EQ((co_await list(res::pods, "default")).size(), 1u);
  };
  run(body);
}

TEST_F(ReplicaSetTest, ReplicationControllersAreServedToo) {
  auto body = [this]() -> Task<void> {
    co_await create(res::replicationcontrollers, "default",
                    parse(R"({"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"rc"},
      "spec":{"replicas":2,"selector":{"app":"rc"},"template":{"metadata":{"labels":{"app":"rc"}},
      "spec":{"containers":[{"name":"c","image":"i"}]}}}})"));
    EXPECT_TRUE(co_await until_status(res::replicationcontrollers, "rc", "readyReplicas", 2));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
