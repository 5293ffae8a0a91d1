// The arithmetic and the plans of the controllers, without a cluster.
#include <gtest/gtest.h>

#include <algorithm>

#include "orchestrator/api/time.h"
#include "orchestrator/controllers/cidr_set.h"
#include "orchestrator/controllers/daemonset_plan.h"
#include "orchestrator/controllers/deployment_rolling.h"
#include "orchestrator/controllers/endpoints.h"
#include "orchestrator/controllers/endpointslice.h"
#include "orchestrator/controllers/job_plan.h"
#include "orchestrator/controllers/node_fit.h"
#include "orchestrator/controllers/node_lifecycle.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/owner_graph.h"
#include "orchestrator/controllers/pod_control.h"
#include "orchestrator/controllers/replica_ranking.h"

namespace lab::controllers {
namespace {

using client::ObjectPtr;
using std::chrono::seconds;

json::Value parse(const std::string& text) {
  return *json::parse(text);
}
ObjectPtr object(const std::string& text) {
  return std::make_shared<const json::Value>(parse(text));
}

TEST(ScaledValue, PercentagesRoundAsAsked) {
  EXPECT_EQ(scaled_value(json::Value("25%"), 10, true), 3);
  EXPECT_EQ(scaled_value(json::Value("25%"), 10, false), 2);
  EXPECT_EQ(scaled_value(json::Value("0%"), 10, true), 0);
  EXPECT_EQ(scaled_value(json::Value(4), 10, true), 4);
  EXPECT_EQ(scaled_value(json::Value(), 10, true), 0);
}

TEST(RollingLimits, AreNeverBothZeroAndDefaultToAQuarter) {
  auto limits = rolling_limits(parse(R"({"spec":{"replicas":3,"strategy":{"rollingUpdate":
      {"maxSurge":"0%","maxUnavailable":"10%"}}}})"));
  EXPECT_EQ(limits.surge, 0);
  EXPECT_EQ(limits.unavailable, 1);
  limits = rolling_limits(parse(R"({"spec":{"replicas":10}})"));
  EXPECT_EQ(limits.surge, 3);
  EXPECT_EQ(limits.unavailable, 2);
  limits = rolling_limits(parse(R"({"spec":{"replicas":10,"strategy":{"type":"Recreate"}}})"));
  EXPECT_EQ(limits.surge + limits.unavailable, 0);
}

TEST(RollingUpdate, TheNewSetGrowsIntoTheSurge) {
  EXPECT_EQ(new_set_target(10, {3, 2}, true, 0, {{10, 10}, {0, 0}}), 3);
  EXPECT_EQ(new_set_target(10, {3, 2}, true, 3, {{10, 10}, {3, 0}}), 3);
  EXPECT_EQ(new_set_target(10, {3, 2}, true, 3, {{8, 8}, {3, 3}}), 5);
  EXPECT_EQ(new_set_target(10, {3, 2}, true, 8, {{0, 0}, {8, 8}}), 10);
  EXPECT_EQ(new_set_target(5, {1, 1}, true, 8, {{8, 8}}), 5);
}

TEST(RollingUpdate, OldSetsShrinkOnlyAsFarAsAvailabilityAllows) {
  EXPECT_EQ(old_set_targets(10, {3, 2}, {3, 0}, {{10, 10}}), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(old_set_targets(10, {3, 2}, {5, 0}, {{8, 8}}), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(old_set_targets(10, {3, 2}, {5, 3}, {{8, 8}}), (std::vector<std::int64_t>{5}));
  // Unhealthy old pods go first and cost no availability.
  EXPECT_EQ(old_set_targets(10, {3, 2}, {0, 0}, {{4, 0}, {8, 8}}), (std::vector<std::int64_t>{0, 8}));
}

// A whole rollout, with pods that become available late and in any order, keeps both promises and ends.
TEST(RollingUpdate, EveryRolloutStaysWithinItsLimitsAndEnds) {
  unsigned random = 1;
  auto next = [&random](unsigned n) {
    return (random = random * 1664525u + 1013904223u) >> 8 & 0xffff ? (random >> 8) % n : 0;
  };
  for (int round = 0; round < 300; ++round) {
    std::int64_t replicas = 1 + next(20);
    RollingLimits limits{static_cast<std::int64_t>(next(4)), static_cast<std::int64_t>(next(4))};
    if (limits.surge + limits.unavailable == 0) limits.unavailable = 1;
    limits.unavailable = std::min(limits.unavailable, replicas);
    SetSize fresh, old{replicas, replicas};
    int steps = 0;
    for (; (fresh.available < replicas || old.wanted > 0) && steps < 500; ++steps) {
      fresh.wanted = new_set_target(replicas, limits, true, fresh.wanted, {old, fresh});
      ASSERT_LE(fresh.wanted + old.wanted, replicas + limits.surge);
      old.wanted = old_set_targets(replicas, limits, fresh, {old})[0];
      old.available = std::min(old.available, old.wanted);
      ASSERT_GE(fresh.available + old.available, replicas - limits.unavailable);
      if (fresh.available < fresh.wanted) fresh.available += next(2);
    }
    ASSERT_LT(steps, 500) << "replicas " << replicas << " surge " << limits.surge << " unavailable "
                          << limits.unavailable;
  }
}

TEST(ProportionalScaling, SpreadsAndKeepsTheTotal) {
  auto targets = proportional_targets(30, {3, 2}, true, {{8, 13, 1}, {5, 13, 2}});
  EXPECT_EQ(targets[0] + targets[1], 33);
  EXPECT_NEAR(static_cast<double>(targets[0]) / 33, 8.0 / 13, 0.05);
  targets = proportional_targets(5, {1, 1}, true, {{8, 13, 1}, {5, 13, 2}});
  EXPECT_EQ(targets[0] + targets[1], 6);
  EXPECT_EQ(proportional_targets(0, {1, 1}, true, {{8, 13, 1}, {5, 13, 2}}), (std::vector<std::int64_t>{0, 0}));
}

TEST(SlowStart, DoublesItsBatches) {
  EXPECT_EQ(slow_start_batches(10), (std::vector<std::size_t>{1, 2, 4, 3}));
  EXPECT_EQ(slow_start_batches(1), (std::vector<std::size_t>{1}));
  EXPECT_TRUE(slow_start_batches(0).empty());
}

TEST(Ranking, UnassignedThenPendingThenUnreadyThenCheapThenYoungGoFirst) {
  WallTime now = *api::parse_time("2026-01-01T12:00:00Z");
  auto pod = [](const char* name, const char* node, const char* phase, const char* ready_since, const char* extra) {
    std::string conditions =
        *ready_since ? std::string(R"([{"type":"Ready","status":"True","lastTransitionTime":")") + ready_since + "\"}]"
                     : "[]";
    return RankedPod{object(std::string(R"({"metadata":{"uid":")") + name + R"(","name":")" + name +
                            R"(","creationTimestamp":"2026-01-01T10:00:00Z")" + extra + R"(},"spec":{"nodeName":")" +
                            node + R"("},"status":{"phase":")" + phase + R"(","conditions":)" + conditions + "}}")};
  };
  std::vector<RankedPod> pods{
      pod("old-ready", "n1", "Running", "2026-01-01T10:00:00Z", ""),
      pod("young-ready", "n1", "Running", "2026-01-01T11:59:50Z", ""),
      pod("cheap", "n1", "Running", "2026-01-01T10:00:00Z",
          R"(,"annotations":{"controller.kubernetes.io/pod-deletion-cost":"-5"})"),
      pod("unready", "n1", "Running", "", ""),
      pod("pending", "n1", "Pending", "", ""),
      pod("unassigned", "", "Pending", "", ""),
  };
  rank_for_deletion(pods, now);
  std::vector<std::string> order;
  for (auto& p : pods) order.push_back(name_of(*p.pod));
  EXPECT_EQ(order, (std::vector<std::string>{"unassigned", "pending", "unready", "cheap", "young-ready", "old-ready"}));
}

TEST(TemplateHash, DependsOnContentNotOnOrder) {
  auto a = parse(R"({"x":{"b":1,"a":[1,2]},"y":"z"})"), b = parse(R"({"y":"z","x":{"a":[1,2],"b":1}})");
  EXPECT_EQ(template_hash(a, 0), template_hash(b, 0));
  EXPECT_NE(template_hash(a, 0), template_hash(a, 1));
  EXPECT_NE(template_hash(a, 0), template_hash(parse(R"({"x":{"b":1,"a":[2,1]},"y":"z"})"), 0));
}

TEST(CidrSet, GivesTheLowestFreeAndRespectsWhatIsTaken) {
  auto set = CidrSet::make("10.244.0.0/16", 24);
  ASSERT_TRUE(set);
  set->occupy("10.244.1.0/24");
  set->occupy("192.168.0.0/24");
  EXPECT_EQ(set->allocate(), "10.244.0.0/24");
  EXPECT_EQ(set->allocate(), "10.244.2.0/24");
  set->release("10.244.0.0/24");
  EXPECT_EQ(set->allocate(), "10.244.0.0/24");
  set->occupy("10.244.0.0/22");
  EXPECT_EQ(set->allocate(), "10.244.4.0/24");
}

TEST(CidrSet, EndsAndRefusesNonsense) {
  auto tiny = CidrSet::make("10.0.0.0/30", 31);
  ASSERT_TRUE(tiny);
  EXPECT_TRUE(tiny->allocate());
  EXPECT_TRUE(tiny->allocate());
  EXPECT_FALSE(tiny->allocate());
  EXPECT_FALSE(CidrSet::make("10.0.0.0/24", 16));
  EXPECT_FALSE(CidrSet::make("10.0.0/24", 26));
  EXPECT_FALSE(CidrSet::make("fd00::/40", 64));
  auto six = CidrSet::make("fd00:1234::/56", 64);
  ASSERT_TRUE(six);
  EXPECT_EQ(six->allocate(), "fd00:1234::/64");
  EXPECT_EQ(six->allocate(), "fd00:1234:0:1::/64");
}

TEST(Taints, TolerationTimeIsTheShortestAndAnUntoleratedTaintIsImmediate) {
  auto taints = json::as_array(parse(R"([{"key":"a","effect":"NoExecute"},{"key":"b","effect":"NoExecute"},
                                         {"key":"c","effect":"NoSchedule"}])"));
  auto pod = [](const std::string& tolerations) { return parse(R"({"spec":{"tolerations":)" + tolerations + "}}"); };
  EXPECT_EQ(toleration_time(pod("[]"), taints), seconds(0));
  EXPECT_EQ(toleration_time(pod(R"([{"operator":"Exists"}])"), taints), std::nullopt);
  EXPECT_EQ(toleration_time(pod(R"([{"key":"a","operator":"Exists","tolerationSeconds":300},
                                    {"key":"b","operator":"Exists","tolerationSeconds":20}])"),
                            taints),
            seconds(20));
  EXPECT_EQ(toleration_time(pod(R"([{"key":"a","operator":"Exists"}])"), taints), seconds(0));
}

TEST(Taints, FollowConditionsAndKeepOthers) {
  auto node = parse(R"({"spec":{"unschedulable":true,"taints":[{"key":"mine","effect":"NoSchedule"},
      {"key":"node.kubernetes.io/not-ready","effect":"NoExecute","timeAdded":"2026-01-01T00:00:00Z"}]},
      "status":{"conditions":[{"type":"Ready","status":"Unknown"},{"type":"DiskPressure","status":"True"}]}})");
  std::vector<std::string> seen;
  for (const auto& t : lifecycle_taints(node, WallTime{}))
    seen.push_back(std::string(json::str(t, "key")) + ":" + std::string(json::str(t, "effect")));
  EXPECT_EQ(seen, (std::vector<std::string>{"mine:NoSchedule", "node.kubernetes.io/unreachable:NoSchedule",
                                            "node.kubernetes.io/unreachable:NoExecute",
                                            "node.kubernetes.io/disk-pressure:NoSchedule",
                                            "node.kubernetes.io/unschedulable:NoSchedule"}));
}

TEST(JobIndexes, RoundTrip) {
  EXPECT_EQ(format_indexes({0, 1, 2, 5, 7, 8}), "0-2,5,7,8");
  EXPECT_EQ(parse_indexes("0-2,5,7,8"), (std::set<std::int64_t>{0, 1, 2, 5, 7, 8}));
  EXPECT_TRUE(parse_indexes("").empty());
  EXPECT_EQ(format_indexes({}), "");
}

TEST(JobPlan, ParallelismIsLimitedByWhatIsLeftToDo) {
  auto job = parse(R"({"spec":{"parallelism":4,"completions":6}})");
  JobCounts counts;
  EXPECT_EQ(job_pod_difference(job, counts), 4);
  counts.succeeded = 4;
  EXPECT_EQ(job_pod_difference(job, counts), 2);
  counts.active.resize(3);
  EXPECT_EQ(job_pod_difference(job, counts), -1);
  counts.active.clear();
  counts.terminating = 1;
  EXPECT_EQ(job_pod_difference(job, counts), 1);
  EXPECT_EQ(job_backoff(0), Duration::zero());
  EXPECT_EQ(job_backoff(3), seconds(40));
  EXPECT_EQ(job_backoff(50), seconds(600));
}

TEST(NodeFit, SelectorAffinityAndTaints) {
  auto node = parse(R"({"metadata":{"name":"n1","labels":{"disk":"ssd","cores":"8"}},
      "spec":{"taints":[{"key":"gpu","value":"yes","effect":"NoSchedule"}]}})");
  EXPECT_FALSE(matches_node_affinity(parse(R"({"nodeSelector":{"disk":"hdd"}})"), node));
  auto affinity = [](const std::string& term) {
    return parse(R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms":[)" +
                 term + "]}}}}");
  };
  EXPECT_TRUE(matches_node_affinity(
      affinity(R"({"matchExpressions":[{"key":"cores","operator":"Gt","values":["4"]}]})"), node));
  EXPECT_FALSE(matches_node_affinity(
      affinity(R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n2"]}]})"), node));
  EXPECT_FALSE(matches_node_affinity(affinity("{}"), node));
  auto fit = daemon_fit(parse("{}"), node);
  EXPECT_FALSE(fit.start);
  EXPECT_TRUE(fit.stay);
  EXPECT_TRUE(daemon_fit(parse(R"({"tolerations":[{"key":"gpu","operator":"Exists"}]})"), node).start);
}

TEST(DaemonPlan, RollingUpdateReplacesBrokenOnesFirstAndCountsThem) {
  auto set = parse(R"({"spec":{"template":{"spec":{}},"updateStrategy":{"type":"RollingUpdate",
      "rollingUpdate":{"maxUnavailable":1}}}})");
  auto node = [](const char* name) { return object(std::string(R"({"metadata":{"name":")") + name + "\"}}"); };
  auto pod = [](const char* name, const char* hash, bool ready) {
    return object(std::string(R"({"metadata":{"name":")") + name + R"(","labels":{"controller-revision-hash":")" +
                  hash + R"("}},"status":{"phase":"Running","conditions":[{"type":"Ready","status":")" +
                  (ready ? "True" : "False") + R"(","lastTransitionTime":"2026-01-01T00:00:00Z"}]}})");
  };
  std::vector<ObjectPtr> nodes{node("a"), node("b"), node("c")};
  WallTime now = *api::parse_time("2026-01-01T12:00:00Z");
  PodsByNode pods{{"a", {pod("pa", "old", true)}}, {"b", {pod("pb", "old", true)}}, {"c", {pod("pc", "old", true)}}};
  EXPECT_EQ(plan_rolling_update(set, nodes, pods, "new", now).remove.size(), 1u);
  pods["a"] = {pod("pa2", "new", false)};  // not back yet
  EXPECT_TRUE(plan_rolling_update(set, nodes, pods, "new", now).remove.empty());
  pods["b"] = {pod("pb", "old", false)};  // broken anyway
  auto plan = plan_rolling_update(set, nodes, pods, "new", now);
  ASSERT_EQ(plan.remove.size(), 1u);
  EXPECT_EQ(name_of(*plan.remove[0]), "pb");
}

TEST(Slices, EndpointsStayWhereTheyAreAndFillUp) {
  auto service = parse(R"({"metadata":{"name":"s","namespace":"d","uid":"u"},"spec":{"clusterIP":"10.0.0.1"}})");
  auto endpoints = [](int from, int to) {
    std::vector<json::Value> out;
    for (int i = from; i < to; ++i)
      out.push_back(json::Object{
          {"addresses", json::Array{json::Value("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250))}}});
    return out;
  };
  EndpointPorts ports{{"http", "TCP", "", 80}};
  auto changes = plan_slices(service, {{"IPv4", ports, endpoints(0, 250)}}, {});
  ASSERT_EQ(changes.create.size(), 3u);
  std::vector<ObjectPtr> existing;
  for (std::size_t i = 0; i < 3; ++i) {
    json::set(changes.create[i], "s-" + std::to_string(i), "metadata", "name");
    existing.push_back(std::make_shared<const json::Value>(changes.create[i]));
  }
  changes = plan_slices(service, {{"IPv4", ports, endpoints(0, 250)}}, existing);
  EXPECT_TRUE(changes.create.empty() && changes.update.empty() && changes.remove.empty());
  changes = plan_slices(service, {{"IPv4", ports, endpoints(0, 251)}}, existing);
  EXPECT_EQ(changes.update.size(), 1u);
  EXPECT_TRUE(changes.create.empty());
  changes = plan_slices(service, {{"IPv4", ports, {}}}, existing);
  EXPECT_EQ(changes.remove.size(), 2u);  // one stays and says that there is nothing
  EXPECT_EQ(changes.update.size(), 1u);
}

// A headless service without ports, before and after its pods have come: its empty slice is kept as "endpoints": null.
TEST(Slices, AnEmptySliceIsFilled) {
  auto service = parse(R"({"metadata":{"name":"s","namespace":"d","uid":"u"},"spec":{"clusterIP":"None"}})");
  auto changes = plan_slices(service, {{"IPv4", {}, {}}}, {});
  ASSERT_EQ(changes.create.size(), 1u);
  auto kept = changes.create[0];
  json::set(kept, "s-1", "metadata", "name");
  json::set(kept, nullptr, "endpoints");
  std::vector<ObjectPtr> existing{std::make_shared<const json::Value>(kept)};
  std::vector<json::Value> pod{json::Object{{"addresses", json::Array{"10.0.0.1"}}}};
  changes = plan_slices(service, {{"IPv4", {}, pod}}, existing);
  ASSERT_EQ(changes.update.size(), 1u);
  EXPECT_EQ(json::list(changes.update[0], "endpoints").size(), 1u);
}

TEST(EndpointSubsets, ReadyApartFromNotReadyAndNamedPortsByPod) {
  auto service = parse(R"({"metadata":{"name":"s","namespace":"d"},"spec":{"ports":[
      {"name":"web","port":80,"targetPort":"http"}]}})");
  auto pod = [](const char* ip, int port, bool ready) {
    return object(
        std::string(R"({"metadata":{"name":"p","namespace":"d","uid":"u"},"spec":{"nodeName":"n","containers":[
        {"ports":[{"name":"http","containerPort":)") +
        std::to_string(port) + R"(}]}]},"status":{"phase":"Running","podIP":")" + ip +
        R"(","conditions":[{"type":"Ready","status":")" + (ready ? "True" : "False") + "\"}]}}");
  };
  auto subsets =
      endpoint_subsets(service, {pod("10.0.0.1", 80, true), pod("10.0.0.2", 80, false), pod("10.0.0.3", 81, true)});
  ASSERT_EQ(subsets.size(), 2u);
  EXPECT_EQ(json::list(subsets[0], "addresses").size(), 1u);
  EXPECT_EQ(json::list(subsets[0], "notReadyAddresses").size(), 1u);
  EXPECT_EQ(json::num(json::list(subsets[1], "ports")[0], "port"), 81);
}

TEST(OwnerGraph, KnowsDependentsBeforeAndAfterTheirOwner) {
  OwnerGraph graph;
  auto child =
      parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"c","namespace":"d","uid":"c","ownerReferences":[
      {"apiVersion":"apps/v1","kind":"ReplicaSet","name":"o","uid":"o","blockOwnerDeletion":true}]}})");
  auto owner =
      parse(R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"o","namespace":"d","uid":"o"}})");
  graph.put(child);
  EXPECT_FALSE(graph.find("o")->known);
  graph.put(owner);
  EXPECT_EQ(graph.blocking("o").size(), 1u);
  auto affected = graph.remove("o");
  EXPECT_EQ(affected, std::vector<std::string>{"c"});
  graph.remove("c");
  EXPECT_EQ(graph.size(), 0u);
}

}  // namespace
}  // namespace lab::controllers
