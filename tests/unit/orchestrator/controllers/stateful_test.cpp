// StatefulSets, CronJobs, budgets, aggregated roles and mirrored endpoints.
#include "cluster.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/revision_history.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

using StatefulTest = ControllersTest;

json::Value stateful_set(int replicas, const std::string& extra = "") {
  return parse(R"({"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"db"},"spec":{"replicas":)" +
               std::to_string(replicas) + R"(,"serviceName":"db",)" + extra +
               R"("selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},
               "spec":{"containers":[{"name":"c","image":"i:1"}]}}}})");
}

TEST_F(StatefulTest, PodsComeInOrderAndWaitForTheOneBefore) {
  auto body = [this]() -> Task<void> {
    bool second_may = false;
    nodes_->fate = [&](const json::Value& pod) {
      return name_of(pod) == "db-1" && !second_may ? "Unready" : "Running";
    };
    co_await create(res::statefulsets, "default", stateful_set(3));
    auto second = [this]() -> Task<bool> {
      co_return json::str(co_await get(res::pods, "default", "db-1"), "status", "phase") == "Running";
    };
    EXPECT_TRUE(co_await until(second));
    co_await sleep_for(std::chrono::milliseconds(100));
    EXPECT_TRUE((co_await get(res::pods, "default", "db-2")).is_null());
    second_may = true;
    EXPECT_TRUE(co_await client_->remove(res::pods, "default", "db-1"));
    EXPECT_TRUE(co_await until_status(res::statefulsets, "db", "availableReplicas", 3));
    auto pod = co_await get(res::pods, "default", "db-2");
    EXPECT_EQ(json::str(pod, "spec", "hostname"), "db-2");
    EXPECT_EQ(json::str(pod, "spec", "subdomain"), "db");
    EXPECT_EQ(label_of(pod, "apps.kubernetes.io/pod-index"), "2");
    co_await patch(res::statefulsets, "default", "db", R"({"spec":{"replicas":1}})");
    EXPECT_TRUE(co_await until_status(res::statefulsets, "db", "replicas", 1));
    EXPECT_FALSE((co_await get(res::pods, "default", "db-0")).is_null());
  };
  run(body);
}

TEST_F(StatefulTest, AnUpdateStopsAtThePartitionAndLostPodsBelowItComeBackAsTheyWere) {
  auto body = [this]() -> Task<void> {
    co_await create(res::statefulsets, "default",
                    stateful_set(3, R"("updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":1}},)"));
    EXPECT_TRUE(co_await until_status(res::statefulsets, "db", "availableReplicas", 3));
    co_await patch(res::statefulsets, "default", "db",
                   R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i:2"}]}}}})");
    EXPECT_TRUE(co_await until_status(res::statefulsets, "db", "updatedReplicas", 2));
    auto image = [this](std::string name) -> Task<std::string> {
      auto pod = co_await get(res::pods, "default", name);
      co_return std::string(pod.is_null() ? "" : json::str(json::list(pod, "spec", "containers")[0], "image"));
    };
    EXPECT_EQ(co_await image("db-0"), "i:1");
    EXPECT_EQ(co_await image("db-2"), "i:2");
    std::string old_uid = uid_of(co_await get(res::pods, "default", "db-0"));
    EXPECT_TRUE(co_await client_->remove(res::pods, "default", "db-0"));
    auto back = [&]() -> Task<bool> {
      auto pod = co_await get(res::pods, "default", "db-0");
      co_return !pod.is_null() && uid_of(pod) != old_uid && pod_ready(pod);
    };
    EXPECT_TRUE(co_await until(back));
    EXPECT_EQ(co_await image("db-0"), "i:1");
    co_await patch(res::statefulsets, "default", "db",
                   R"({"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}})");
    auto all = [&]() -> Task<bool> {
      auto set = co_await get(res::statefulsets, "default", "db");
      co_return json::num(set, "status", "updatedReplicas") == 3 &&
          json::str(set, "status", "currentRevision") == json::str(set, "status", "updateRevision");
    };
    EXPECT_TRUE(co_await until(all));
    EXPECT_EQ(co_await image("db-0"), "i:2");
  };
  run(body);
}

TEST_F(StatefulTest, EveryPodHasItsClaim) {
  auto body = [this]() -> Task<void> {
    co_await create(
        res::statefulsets, "default",
        stateful_set(2, R"("podManagementPolicy":"Parallel","volumeClaimTemplates":[{"metadata":{"name":"data"},
      "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}],)"));
    auto claimed = [this]() -> Task<bool> {
      co_return (co_await list(res::persistentvolumeclaims, "default")).size() == 2;
    };
    EXPECT_TRUE(co_await until(claimed));
    EXPECT_FALSE((co_await get(res::persistentvolumeclaims, "default", "data-db-1")).is_null());
    auto mounted = [this]() -> Task<bool> {
      auto pod = co_await get(res::pods, "default", "db-1");
      for (const auto& v : json::list(pod, "spec", "volumes"))
        if (json::str(v, "persistentVolumeClaim", "claimName") == "data-db-1") co_return true;
      co_return false;
    };
    EXPECT_TRUE(co_await until(mounted));
  };
  run(body);
}

TEST_F(StatefulTest, ClaimsGoWithTheSetOrWithAPodThatIsScaledAway) {
  auto body = [this]() -> Task<void> {
    co_await create(res::statefulsets, "default", stateful_set(2, R"("persistentVolumeClaimRetentionPolicy":{
      "whenDeleted":"Delete","whenScaled":"Delete"},"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{
      "accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}],)"));
    EXPECT_TRUE(co_await until_status(res::statefulsets, "db", "availableReplicas", 2));
    co_await patch(res::statefulsets, "default", "db", R"({"spec":{"replicas":1}})");
    EXPECT_TRUE(co_await until_gone(res::persistentvolumeclaims, "default", "data-db-1"));
    EXPECT_FALSE((co_await get(res::persistentvolumeclaims, "default", "data-db-0")).is_null());
    EXPECT_TRUE(co_await client_->remove(res::statefulsets, "default", "db"));
    EXPECT_TRUE(co_await until_gone(res::persistentvolumeclaims, "default", "data-db-0"));
  };
  run(body);
}

TEST_F(StatefulTest, ACronJobStartsAJobAndKeepsItsHistoryShort) {
  auto body = [this]() -> Task<void> {
    nodes_->fate = [](const json::Value&) { return "Succeeded"; };
    co_await create(res::cronjobs, "default",
                    parse(R"({"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"tick"},"spec":{
      "schedule":"@every 1s","successfulJobsHistoryLimit":1,"jobTemplate":{"spec":{"template":{"spec":{
      "restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}}})"));
    auto done = [this]() -> Task<bool> {
      co_return json::has(co_await get(res::cronjobs, "default", "tick"), "status", "lastSuccessfulTime");
    };
    EXPECT_TRUE(co_await until(done));
    auto jobs = co_await list(res::jobs, "default");
    EXPECT_FALSE(jobs.empty());
    for (auto& job : jobs) EXPECT_TRUE(controlled_by(job, co_await get(res::cronjobs, "default", "tick")));
  };
  run(body);
}

TEST_F(StatefulTest, ABudgetCountsWhatMayBeDisrupted) {
  auto body = [this]() -> Task<void> {
    co_await create(res::poddisruptionbudgets, "default",
                    parse(R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"b"},
      "spec":{"maxUnavailable":"34%","selector":{"matchLabels":{"app":"web"}}}})"));
    co_await create(res::deployments, "default", deployment("web", 3, "img"));
    EXPECT_TRUE(co_await until_status(res::poddisruptionbudgets, "b", "currentHealthy", 3));
    auto budget = co_await get(res::poddisruptionbudgets, "default", "b");
    EXPECT_EQ(json::num(budget, "status", "expectedPods"), 3);
    EXPECT_EQ(json::num(budget, "status", "desiredHealthy"), 1);
    EXPECT_EQ(json::num(budget, "status", "disruptionsAllowed"), 2);
    EXPECT_TRUE(condition_is(budget, "DisruptionAllowed"));
  };
  run(body);
}

TEST_F(StatefulTest, AggregatedRolesFollowTheirParts) {
  auto body = [this]() -> Task<void> {
    co_await create(
        res::clusterroles, "",
        parse(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"all"},
      "aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"part":"yes"}}]},"rules":[]})"));
    co_await create(res::clusterroles, "",
                    parse(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"one",
      "labels":{"part":"yes"}},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]})"));
    auto holds = [this]() -> Task<bool> {
      co_return json::list(co_await get(res::clusterroles, "", "all"), "rules").size() == 1;
    };
    EXPECT_TRUE(co_await until(holds));
    EXPECT_TRUE(co_await client_->remove(res::clusterroles, "", "one"));
    auto empty = [this]() -> Task<bool> {
      co_return json::list(co_await get(res::clusterroles, "", "all"), "rules").empty();
    };
    EXPECT_TRUE(co_await until(empty));
  };
  run(body);
}

TEST_F(StatefulTest, HandWrittenEndpointsAreMirrored) {
  auto body = [this]() -> Task<void> {
    co_await create(
        res::services, "default",
        parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"ext"},"spec":{"ports":[{"port":80}]}})"));
    co_await create(res::endpoints, "default", parse(R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"ext"},
                             "subsets":[{"addresses":[{"ip":"192.0.2.7"}],"ports":[{"port":8080}]}]})"));
    auto mirrored = [this]() -> Task<bool> {
      auto slices = co_await list(res::endpointslices, "default", "kubernetes.io/service-name=ext");
      co_return slices.size() == 1 &&
          json::as_str(json::list(json::list(slices[0], "endpoints")[0], "addresses")[0]) == "192.0.2.7";
    };
    EXPECT_TRUE(co_await until(mirrored));
    EXPECT_TRUE(co_await client_->remove(res::endpoints, "default", "ext"));
    auto gone = [this]() -> Task<bool> {
      co_return (co_await list(res::endpointslices, "default", "kubernetes.io/service-name=ext")).empty();
    };
    EXPECT_TRUE(co_await until(gone));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
