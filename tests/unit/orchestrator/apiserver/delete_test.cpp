#include "fixture.h"

namespace lab::apiserver {
namespace {

TEST_F(ServerTest, DeletingAnswersAStatusWithTheUid) {
  auto made = make(kConfigMaps, config_map("a"));
  auto gone = remove(kConfigMaps + "/a");
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(json::str(gone.body, "status"), "Success");
  EXPECT_EQ(json::str(gone.body, "details", "uid"), json::str(made, "metadata", "uid"));
  EXPECT_EQ(get(kConfigMaps + "/a").status, 404);
  EXPECT_EQ(remove(kConfigMaps + "/a").status, 404);
}

TEST_F(ServerTest, PreconditionsGuardDeletion) {
  make(kConfigMaps, config_map("a"));
  auto wrong = remove(kConfigMaps + "/a", json::Object{{"preconditions", json::Object{{"uid", "x"}}}});
  EXPECT_EQ(wrong.status, 409);
  EXPECT_EQ(get(kConfigMaps + "/a").status, 200);
}

TEST_F(ServerTest, FinalizersHoldAnObjectUntilTheyAreGone) {
  auto object = config_map("a");
  json::set(object, json::Array{"example.com/hold"}, "metadata", "finalizers");
  make(kConfigMaps, object);
  auto marked = remove(kConfigMaps + "/a");
  EXPECT_EQ(marked.status, 200);
  EXPECT_TRUE(json::has(marked.body, "metadata", "deletionTimestamp")) << marked.text;
  auto added = merge(kConfigMaps + "/a",
                     json::Object{{"metadata", json::Object{{"finalizers", json::Array{"example.com/hold", "b/c"}}}}});
  EXPECT_EQ(added.status, 422) << added.text;
  auto freed = merge(kConfigMaps + "/a", json::Object{{"metadata", json::Object{{"finalizers", nullptr}}}});
  EXPECT_EQ(freed.status, 200);
  EXPECT_EQ(get(kConfigMaps + "/a").status, 404);
}

TEST_F(ServerTest, PropagationPolicyBecomesAFinalizer) {
  make(kConfigMaps, config_map("a"));
  auto foreground = remove(kConfigMaps + "/a", json::Object{{"propagationPolicy", "Foreground"}});
  EXPECT_EQ(json::as_str(json::list(foreground.body, "metadata", "finalizers")[0]), "foregroundDeletion");
  make(kConfigMaps, config_map("b"));
  auto orphan = remove(kConfigMaps + "/b", json::Object{{"propagationPolicy", "Orphan"}});
  EXPECT_EQ(json::as_str(json::list(orphan.body, "metadata", "finalizers")[0]), "orphan");
  EXPECT_EQ(remove(kConfigMaps + "/b", json::Object{{"propagationPolicy", "Maybe"}}).status, 400);
}

TEST_F(ServerTest, ScheduledPodsGetAGracePeriod) {
  make(kPods, pod("waiting"));
  EXPECT_EQ(remove(kPods + "/waiting").status, 200);
  EXPECT_EQ(get(kPods + "/waiting").status, 404);

  make(kPods, pod("running", "n1"));
  auto marked = remove(kPods + "/running");
  EXPECT_EQ(json::num(marked.body, "metadata", "deletionGracePeriodSeconds"), 30);
  EXPECT_EQ(get(kPods + "/running").status, 200);
  auto shorter = remove(kPods + "/running", json::Object{{"gracePeriodSeconds", 5}});
  EXPECT_EQ(json::num(shorter.body, "metadata", "deletionGracePeriodSeconds"), 5);
  auto longer = remove(kPods + "/running", json::Object{{"gracePeriodSeconds", 60}});
  EXPECT_EQ(json::num(longer.body, "metadata", "deletionGracePeriodSeconds"), 5);
  EXPECT_EQ(remove(kPods + "/running", json::Object{{"gracePeriodSeconds", 0}}).status, 200);
  EXPECT_EQ(get(kPods + "/running").status, 404);
}

TEST_F(ServerTest, CollectionsAreDeletedBySelector) {
  for (auto name : {"a", "b", "c"}) make(kConfigMaps, config_map(name, name));
  auto gone = call("DELETE", kConfigMaps + "?labelSelector=value%20in%20(a,c)");
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(json::list(gone.body, "items").size(), 2u);
  auto left = get(kConfigMaps);
  ASSERT_EQ(json::list(left.body, "items").size(), 1u);
}

TEST_F(ServerTest, BindingAssignsAPodOnce) {
  make(kPods, pod("p"));
  json::Value binding = json::Object{{"apiVersion", "v1"},
                                     {"kind", "Binding"},
                                     {"metadata", json::Object{{"name", "p"}}},
                                     {"target", json::Object{{"kind", "Node"}, {"name", "n1"}}}};
  EXPECT_EQ(post(kPods + "/p/binding", binding).status, 201);
  auto bound = get(kPods + "/p").body;
  EXPECT_EQ(json::str(bound, "spec", "nodeName"), "n1");
  auto again = post(kPods + "/p/binding", binding);
  EXPECT_EQ(again.status, 409);
  EXPECT_NE(json::str(again.body, "message").find("is already assigned to node \"n1\""), std::string_view::npos);
}

TEST_F(ServerTest, EvictionRespectsTheDisruptionBudget) {
  const std::string budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
  make(kPods, pod("p", "n1"));
  merge(kPods + "/p/status", json::Object{{"status", json::Object{{"phase", "Running"}}}});
  make(budgets, *json::parse(R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"web"},
    "spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}})"));
  merge(budgets + "/web/status",
        *json::parse(R"({"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,
    "desiredHealthy":2,"expectedPods":1}})"));
  json::Value eviction =
      json::Object{{"apiVersion", "policy/v1"}, {"kind", "Eviction"}, {"metadata", json::Object{{"name", "p"}}}};
  auto refused = post(kPods + "/p/eviction", eviction);
  EXPECT_EQ(refused.status, 429) << refused.text;
  EXPECT_EQ(json::str(refused.body, "message"), "Cannot evict pod as it would violate the pod's disruption budget.");
  // No Retry-After: kubectl would wait inside its transport, past its own --timeout; drain retries by itself.
  EXPECT_EQ(refused.headers.get("Retry-After"), "");
  merge(budgets + "/web/status", *json::parse(R"({"status":{"disruptionsAllowed":1}})"));
  EXPECT_EQ(post(kPods + "/p/eviction", eviction).status, 201);
  EXPECT_TRUE(json::has(get(kPods + "/p").body, "metadata", "deletionTimestamp"));
  EXPECT_EQ(json::num(get(budgets + "/web").body, "status", "disruptionsAllowed"), 0);
}

}  // namespace
}  // namespace lab::apiserver
