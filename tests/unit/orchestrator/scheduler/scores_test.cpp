#include <set>

#include "tests/unit/orchestrator/scheduler/world.h"

namespace lab::scheduler {
namespace {

TEST(Scores, TheEmptierNodeWins) {
  World w;
  w.node("n1");
  w.node("n2");
  w.run(w.pod("a", w.wants("2", "4Gi")), "n1");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("p", w.wants("100m", "64Mi"))), "n2");
}

TEST(Scores, PodsOfOneOwnerSpreadOverNodes) {
  World w;
  for (int i = 0; i < 5; ++i) w.node("n" + std::to_string(i));
  w.owners.push_back(api::LabelSelector::from_map(json::map(*parse(R"({"app": "web"})"))));
  std::map<std::string, int> per_node;
  for (int i = 0; i < 25; ++i) ++per_node[w.place(w.pod("p" + std::to_string(i), "", R"("app": "web")"), true)];
  ASSERT_EQ(per_node.size(), 5u);
  for (const auto& [node, n] : per_node) EXPECT_EQ(n, 5) << node;
}

TEST(Scores, SpreadingOutweighsALittleLoad) {
  World w;
  w.node("n1");
  w.node("n2");
  w.run(w.pod("other", w.wants("500m", "512Mi")), "n2");
  w.run(w.pod("w1", "", R"("app": "web")"), "n1");
  w.owners.push_back(api::LabelSelector::from_map(json::map(*parse(R"({"app": "web"})"))));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("w2", "", R"("app": "web")")), "n2");
}

TEST(Scores, EqualNodesTakeTurns) {
  World w;
  for (int i = 0; i < 4; ++i) w.node("n" + std::to_string(i));
  std::set<std::string> seen;
  for (int i = 0; i < 8; ++i) seen.insert(w.place(w.pod("p")));
  EXPECT_EQ(seen.size(), 4u);
}

TEST(Scores, PreferredNodeAffinity) {
  World w;
  w.node("n1");
  w.node("n2", R"("disk": "ssd")");
  auto pod = w.pod("p", R"("affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
    {"weight": 10, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}})");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(pod), "n2");
}

TEST(Scores, PreferNoScheduleIsAvoided) {
  World w;
  w.node("n1", "", R"("taints": [{"key": "k", "effect": "PreferNoSchedule"}])");
  w.node("n2");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("p")), "n2");
}

TEST(Scores, PreferredPodAffinityOfEitherSide) {
  World w;
  w.node("n1");
  w.node("n2");
  auto prefer = [](const char* which) {
    return std::string(R"("affinity": {")") + which + R"(": {"preferredDuringSchedulingIgnoredDuringExecution": [
      {"weight": 100, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
       "labelSelector": {"matchLabels": {"app": "db"}}}}]}})";
  };
  w.run(w.pod("db", "", R"("app": "db")"), "n1");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("p", prefer("podAffinity"))), "n1");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("p", prefer("podAntiAffinity"))), "n2");
  World v;
  v.node("n1");
  v.node("n2");
  v.run(v.pod("wants-db", prefer("podAffinity")), "n2");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(v.place(v.pod("db", "", R"("app": "db")")), "n2");
}

TEST(Scores, SoftSpread) {
  World w;
  w.node("a1", R"("zone": "a")");
  w.node("b1", R"("zone": "b")");
  auto web = [&](const char* name) {
    return w.pod(name, R"("topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
      "maxSkew": 1, "labelSelector": {"matchLabels": {"app": "web"}}}])",
                 R"("app": "web")");
  };
  w.run(web("w1"), "a1");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(web("w2")), "b1");
}

TEST(Scores, ImagesThatAreThere) {
  World w;
  w.node("n1");
  w.node("n2", "", "", "4", "8Gi", R"(, "images": [{"names": ["docker.io/big:1"], "sizeBytes": 900000000}])");
  auto pod = w.pod("p", R"("containers": [{"image": "docker.io/big:1"}])");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(pod), "n2");
}

TEST(Scores, BalancedUseOfCpuAndMemory) {
  World w;
  w.node("n1", "", "", "4", "4Gi");
  w.node("n2", "", "", "4", "4Gi");
  w.run(w.pod("a", w.wants("2", "1Gi")), "n1");  // much CPU
  w.run(w.pod("b", w.wants("1", "2Gi")), "n2");  // much memory
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("p", w.wants("1", "256Mi"))), "n2");
}

// The aim is 1,000 pods on 100 nodes well within a second; asserted is only that all are placed evenly.
TEST(Scores, AThousandPodsOnAHundredNodes) {
  World w;
  for (int i = 0; i < 100; ++i) w.node("n" + std::to_string(i), "", "", "32", "64Gi");
  w.owners.push_back(api::LabelSelector::from_map(json::map(*parse(R"({"app": "web"})"))));
  auto start = std::clock();
  std::map<std::string, int> per_node;
  for (int i = 0; i < 1000; ++i)
    ++per_node[w.place(w.pod("p" + std::to_string(i), w.wants("100m", "64Mi"), R"("app": "web")"), true)];
  RecordProperty("cpu_ms", static_cast<int>((std::clock() - start) * 1000 / CLOCKS_PER_SEC));
  std::printf("1,000 pods on 100 nodes: %.0f ms of CPU\n", (std::clock() - start) * 1000.0 / CLOCKS_PER_SEC);
  ASSERT_EQ(per_node.size(), 100u);
  for (const auto& [node, n] : per_node) EXPECT_EQ(n, 10) << node;
}

}  // namespace
}  // namespace lab::scheduler
