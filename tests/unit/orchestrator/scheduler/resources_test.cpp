#include "orchestrator/scheduler/resources.h"

#include "tests/unit/orchestrator/scheduler/world.h"

namespace lab::scheduler {
namespace {

TEST(PodRequests, AreTheSumOfContainersOrThePeakOfInitContainers) {
  auto pod = parse(R"({"spec": {
    "containers": [{"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}},
                   {"resources": {"requests": {"cpu": "1", "example.com/gpu": "2"}}}],
    "initContainers": [{"resources": {"requests": {"cpu": "2", "memory": "16Mi"}}},
                       {"resources": {"requests": {"cpu": "500m"}}}],
    "overhead": {"cpu": "10m"}}})");
  auto got = pod_requests(*pod);
  EXPECT_EQ(got.cpu, 2010);
  EXPECT_EQ(got.memory, 64 << 20);
  EXPECT_EQ(got.get("example.com/gpu"), 2);
}

TEST(PodRequests, SidecarsRunBesideWhatFollows) {
  auto pod = parse(R"({"spec": {
    "containers": [{"resources": {"requests": {"cpu": "100m"}}}],
    "initContainers": [{"restartPolicy": "Always", "resources": {"requests": {"cpu": "300m"}}},
                       {"resources": {"requests": {"cpu": "500m"}}}]}})");
  EXPECT_EQ(pod_requests(*pod).cpu, 800);  // the second init container beside the sidecar
  auto later = parse(R"({"spec": {
    "containers": [{"resources": {"requests": {"cpu": "100m"}}}],
    "initContainers": [{"resources": {"requests": {"cpu": "350m"}}},
                       {"restartPolicy": "Always", "resources": {"requests": {"cpu": "300m"}}}]}})");
  EXPECT_EQ(pod_requests(*later).cpu, 400);  // container and sidecar; the first init container ran alone
}

TEST(PodRequests, PodLevelReplacesTheSum) {
  auto pod = parse(R"({"spec": {"resources": {"requests": {"cpu": "3"}},
    "containers": [{"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}})");
  EXPECT_EQ(pod_requests(*pod).cpu, 3000);
  EXPECT_EQ(pod_requests(*pod).memory, 1 << 30);
}

TEST(PodRequests, DefaultsCountForScoresOnly) {
  auto pod = World::pod("p");
  EXPECT_EQ(pod->requests.cpu, 0);
  EXPECT_EQ(pod->requests_or_defaults.cpu, 100);
  EXPECT_EQ(pod->requests_or_defaults.memory, 200 << 20);
  EXPECT_TRUE(pod->best_effort);
}

TEST(Cache, FollowsPodsThatComeAndGo) {
  World w;
  w.node("n1");
  auto a = w.pod("a", w.wants("1", "1Gi"));
  w.cache.assume(on_node(*a, "n1"));
  EXPECT_TRUE(w.cache.is_assumed("default/a"));
  EXPECT_EQ(w.cache.find_node("n1")->requested().cpu, 1000);
  w.run(a, "n1");  // confirmed
  EXPECT_FALSE(w.cache.is_assumed("default/a"));
  EXPECT_EQ(w.cache.find_node("n1")->requested().cpu, 1000);
  EXPECT_FALSE(w.cache.forget("default/a"));
  EXPECT_TRUE(w.cache.remove_pod("default/a"));
  EXPECT_EQ(w.cache.find_node("n1")->requested(), Resources{});
  EXPECT_FALSE(w.cache.remove_pod("default/a"));
}

TEST(Cache, ANodeThatReturnsFindsItsPods) {
  World w;
  w.run(w.pod("a", w.wants("1")), "n1");  // pods may be told before their node
  EXPECT_TRUE(w.cache.nodes().empty());
  w.node("n1");
  EXPECT_EQ(w.cache.find_node("n1")->requested().cpu, 1000);
  w.cache.remove_node("n1");
  EXPECT_TRUE(w.cache.nodes().empty());
  w.node("n1");
  EXPECT_EQ(w.cache.find_node("n1")->requested().cpu, 1000);
}

TEST(Trim, KeepsWhatIsRead) {
  auto whole = json::parse(R"({"metadata": {"name": "p", "namespace": "d", "uid": "u", "annotations": {"a": "b"}},
    "spec": {"hostNetwork": true, "containers": [{"name": "c", "image": "i", "env": [{"name": "X"}],
      "ports": [{"containerPort": 80}], "resources": {"requests": {"cpu": "1"}}}],
      "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "w", "emptyDir": {}}]},
    "status": {"phase": "Pending", "containerStatuses": [{}]}})");
  ASSERT_TRUE(whole);
  auto before = make_pod_info(std::make_shared<json::Value>(*whole));
  trim_pod(*whole);
  EXPECT_EQ(json::dump(*whole).find("env"), std::string::npos);
  auto after = make_pod_info(std::make_shared<json::Value>(*whole));
  EXPECT_EQ(after->requests, before->requests);
  EXPECT_EQ(after->host_ports, before->host_ports);
  EXPECT_EQ(after->host_ports.size(), 1u);
  EXPECT_EQ(after->claims, (std::vector<std::string>{"data"}));
  EXPECT_EQ(json::str(*whole, "status", "phase"), "Pending");
}

}  // namespace
}  // namespace lab::scheduler
