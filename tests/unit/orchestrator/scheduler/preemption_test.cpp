#include "tests/unit/orchestrator/scheduler/world.h"

namespace lab::scheduler {
namespace {

PodInfoPtr with_priority(const char* name, int priority, const char* cpu, const char* more = "") {
  return World::pod(name, World::wants(cpu) + ", \"priority\": " + std::to_string(priority) + more, R"("app": "x")");
}

std::string names(const PreemptionPlan& plan) {
  if (!plan.victims) return plan.message;
  std::string out = plan.victims->node->name() + ":";
  for (const auto& p : plan.victims->pods) out += " " + p->name;
  return out;
}

TEST(Preemption, RemovesAsFewAndAsUnimportantAsPossible) {
  World w;
  w.node("n1");
  w.node("n2");
  w.run(with_priority("a", 10, "2"), "n1");
  w.run(with_priority("b", 1, "2"), "n1");
  w.run(with_priority("c", 5, "3500m"), "n2");
  EXPECT_EQ(names(w.preempt(with_priority("p", 100, "2"))), "n1: b");
  EXPECT_EQ(names(w.preempt(with_priority("p", 100, "4"))), "n2: c");
}

TEST(Preemption, IsNotForEqualsAndSaysSo) {
  World w;
  w.node("n1");
  w.run(with_priority("a", 10, "4"), "n1");
  EXPECT_EQ(w.preempt(with_priority("p", 10, "1")).message,
            "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.");
}

TEST(Preemption, DoesNotHelpAgainstTaintsOrTooLargeRequests) {
  World w;
  w.node("cp", "", R"("taints": [{"key": "k", "effect": "NoSchedule"}])");
  w.node("n1");
  w.run(with_priority("a", 0, "1"), "n1");
  EXPECT_EQ(w.preempt(with_priority("p", 10, "64")).message,
            "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.");
}

TEST(Preemption, NeverMeansNever) {
  World w;
  w.node("n1");
  w.run(with_priority("a", 0, "4"), "n1");
  EXPECT_EQ(w.preempt(with_priority("p", 10, "1", R"(, "preemptionPolicy": "Never")")).message,
            "preemption: not eligible due to preemptionPolicy=Never.");
}

TEST(Preemption, RespectsBudgetsWhereItCan) {
  World w;
  w.node("n1");
  w.node("n2");
  w.run(with_priority("guarded", 1, "4"), "n1");
  w.run(World::pod("free", World::wants("4") + R"(, "priority": 5)", R"("app": "y")"), "n2");
  auto budgets = parse_budgets({parse(R"({"metadata": {"namespace": "default"},
    "spec": {"selector": {"matchLabels": {"app": "x"}}}, "status": {"disruptionsAllowed": 0}})")});
  ASSERT_EQ(budgets.size(), 1u);
  EXPECT_EQ(names(w.preempt(with_priority("p", 100, "2"))), "n1: guarded");
  EXPECT_EQ(names(w.preempt(with_priority("p", 100, "2"), budgets)), "n2: free");
}

TEST(Preemption, FreesHostPortsAndAntiAffinity) {
  World w;
  w.node("n1");
  auto port = R"("containers": [{"ports": [{"hostPort": 80}]}], "priority": )";
  w.run(w.pod("a", std::string(port) + "0"), "n1");
  EXPECT_EQ(names(w.preempt(w.pod("p", std::string(port) + "5"))), "n1: a");

  World v;
  v.node("n1");
  auto apart = R"("affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}]}}, "priority": )";
  v.run(v.pod("w1", std::string(apart) + "0", R"("app": "web")"), "n1");
  v.run(v.pod("other", R"("priority": 0)"), "n1");
  EXPECT_EQ(names(v.preempt(v.pod("w2", std::string(apart) + "5", R"("app": "web")"))), "n1: w1");
}

TEST(Preemption, WaitsForVictimsOnTheirWayOut) {
  World w;
  w.node("n1");
  auto leaving = parse(R"({"metadata": {"name": "a", "namespace": "default", "uid": "a",
    "deletionTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"containers": [{"resources": {"requests": {"cpu": "4"}}}]}})");
  w.run(make_pod_info(leaving), "n1");
  auto p = with_priority("p", 10, "2");
  w.nominations.set(p, "n1");
  EXPECT_EQ(w.preempt(p).message, "preemption: not eligible due to a terminating pod on the nominated node.");
}

TEST(Nominations, AreKeptFreeFromLessImportantPods) {
  World w;
  w.node("n1");
  w.nominations.set(with_priority("vip", 10, "3"), "n1");
  EXPECT_EQ(w.place(with_priority("p", 5, "2")), "0/1 nodes are available: 1 Insufficient cpu.");
  EXPECT_EQ(w.place(with_priority("p", 50, "2")), "n1");
  EXPECT_EQ(w.place(with_priority("vip", 10, "3")), "n1") << "the one it is kept for";
}

}  // namespace
}  // namespace lab::scheduler
