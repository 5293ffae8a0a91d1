// Namespaces and owners: what goes with what.
#include "cluster.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

using DeletionTest = ControllersTest;

json::Value config_map(const std::string& name, const std::string& owner_uid = "", bool block = true) {
  auto object = parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name + "\"}}");
  if (!owner_uid.empty())
    json::set(object,
              json::Array{json::Object{{"apiVersion", "v1"},
                                       {"kind", "ConfigMap"},
                                       {"name", "owner"},
                                       {"uid", owner_uid},
                                       {"blockOwnerDeletion", block}}},
              "metadata", "ownerReferences");
  return object;
}

TEST_F(DeletionTest, ANamespaceGoesWithAllItHolds) {
  auto body = [this]() -> Task<void> {
    co_await create(res::namespaces, "", parse(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}})"));
    co_await create(res::deployments, "shop", deployment("web", 3, "img"));
    co_await create(res::configmaps, "shop", config_map("settings"));
    auto running = [this]() -> Task<bool> {
      std::size_t n = 0;
      for (auto& pod : co_await list(res::pods, "shop")) n += pod_ready(pod);
      co_return n == 3;
    };
    EXPECT_TRUE(co_await until(running));
    EXPECT_TRUE(co_await client_->remove(res::namespaces, "", "shop"));
    EXPECT_TRUE(co_await until_gone(res::namespaces, "", "shop"));
    EXPECT_TRUE((co_await list(res::pods, "shop")).empty());
    EXPECT_TRUE((co_await list(res::configmaps, "shop")).empty());
    EXPECT_TRUE((co_await list(res::replicasets, "shop")).empty());
  };
  run(body);
}

TEST_F(DeletionTest, PodsOfANamespaceGoBeforeTheRest) {
  auto body = [this]() -> Task<void> {
    co_await ensure_namespace("shop");
    co_await create(res::configmaps, "shop", config_map("settings"));
    co_await create(res::pods, "shop", parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"held",
      "finalizers":["example.com/hold"]},"spec":{"containers":[{"name":"c","image":"i"}]}})"));
    EXPECT_TRUE(co_await client_->remove(res::namespaces, "", "shop"));
    auto told = [this]() -> Task<bool> {
      co_return condition_is(co_await get(res::namespaces, "", "shop"), "NamespaceContentRemaining");
    };
    EXPECT_TRUE(co_await until(told));
    EXPECT_TRUE(is_terminating(co_await get(res::pods, "shop", "held")));
    auto kept = co_await get(res::configmaps, "shop", "settings");
    EXPECT_FALSE(kept.is_null() || is_terminating(kept));
    co_await patch(res::pods, "shop", "held", R"({"metadata":{"finalizers":null}})");
    EXPECT_TRUE(co_await until_gone(res::namespaces, "", "shop"));
  };
  run(body);
}

TEST_F(DeletionTest, ANamespaceWaitsForFinalizersAndTellsWhich) {
  auto body = [this]() -> Task<void> {
    co_await create(res::namespaces, "", parse(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}})"));
    auto held = config_map("held");
    json::set(held, json::Array{json::Value("example.com/hold")}, "metadata", "finalizers");
    co_await create(res::configmaps, "shop", std::move(held));
    EXPECT_TRUE(co_await client_->remove(res::namespaces, "", "shop"));
    auto told = [this]() -> Task<bool> {
      auto ns = co_await get(res::namespaces, "", "shop");
      const auto* c = find_condition(ns, "NamespaceFinalizersRemaining");
      co_return c&& json::str(*c, "message").find("example.com/hold") != std::string_view::npos;
    };
    EXPECT_TRUE(co_await until(told));
    co_await patch(res::configmaps, "shop", "held", R"({"metadata":{"finalizers":null}})");
    EXPECT_TRUE(co_await until_gone(res::namespaces, "", "shop"));
  };
  run(body);
}

TEST_F(DeletionTest, BackgroundTakesTheDependentsAfterwards) {
  auto body = [this]() -> Task<void> {
    co_await create(res::deployments, "default", deployment("web", 2, "img"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 2));
    client::DeleteOptions options;
    options.propagation = "Background";
    EXPECT_TRUE(co_await client_->remove(res::deployments, "default", "web", options));
    EXPECT_TRUE((co_await get(res::deployments, "default", "web")).is_null());
    auto empty = [this]() -> Task<bool> {
      co_return (co_await list(res::pods, "default")).empty() && (co_await list(res::replicasets, "default")).empty();
    };
    EXPECT_TRUE(co_await until(empty));
  };
  run(body);
}

TEST_F(DeletionTest, ForegroundTakesTheOwnerLast) {
  auto body = [this]() -> Task<void> {
    auto owner = co_await create(res::configmaps, "default", config_map("owner"));
    auto held = config_map("blocking", uid_of(owner));
    json::set(held, json::Array{json::Value("example.com/hold")}, "metadata", "finalizers");
    co_await create(res::configmaps, "default", std::move(held));
    co_await create(res::configmaps, "default", config_map("free", uid_of(owner), false));
    client::DeleteOptions options;
    options.propagation = "Foreground";
    EXPECT_TRUE(co_await client_->remove(res::configmaps, "default", "owner", options));
    EXPECT_TRUE(co_await until_gone(res::configmaps, "default", "free"));
    auto going = [this]() -> Task<bool> {
      co_return is_terminating(co_await get(res::configmaps, "default", "blocking"));
    };
    EXPECT_TRUE(co_await until(going));
    EXPECT_FALSE((co_await get(res::configmaps, "default", "owner")).is_null());
    co_await patch(res::configmaps, "default", "blocking", R"({"metadata":{"finalizers":null}})");
    EXPECT_TRUE(co_await until_gone(res::configmaps, "default", "owner"));
  };
  run(body);
}

TEST_F(DeletionTest, OrphanLeavesTheDependents) {
  auto body = [this]() -> Task<void> {
    co_await create(res::deployments, "default", deployment("web", 2, "img"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 2));
    client::DeleteOptions options;
    options.propagation = "Orphan";
    EXPECT_TRUE(co_await client_->remove(res::deployments, "default", "web", options));
    EXPECT_TRUE(co_await until_gone(res::deployments, "default", "web"));
    auto sets = co_await list(res::replicasets, "default");
    EXPECT_EQ(sets.size(), 1u);
    EXPECT_TRUE(json::list(sets[0], "metadata", "ownerReferences").empty());
    EXPECT_EQ((co_await list(res::pods, "default")).size(), 2u);
  };
  run(body);
}

TEST_F(DeletionTest, ADependentOfSeveralOwnersStaysWithTheLast) {
  auto body = [this]() -> Task<void> {
    auto owner = co_await create(res::configmaps, "default", config_map("owner"));
    auto other = co_await create(res::configmaps, "default", config_map("other"));
    auto child = config_map("child", uid_of(owner));
    json::ensure(child, "metadata", "ownerReferences")
        .as_array()
        .push_back(
            json::Object{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"name", "other"}, {"uid", uid_of(other)}});
    co_await create(res::configmaps, "default", std::move(child));
    EXPECT_TRUE(co_await client_->remove(res::configmaps, "default", "owner"));
    auto released = [this]() -> Task<bool> {
      co_return json::list(co_await get(res::configmaps, "default", "child"), "metadata", "ownerReferences").size() ==
          1;
    };
    EXPECT_TRUE(co_await until(released));
    EXPECT_TRUE(co_await client_->remove(res::configmaps, "default", "other"));
    EXPECT_TRUE(co_await until_gone(res::configmaps, "default", "child"));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
