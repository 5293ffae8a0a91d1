// What survives what: the agent's restart, the runtime's death, a lost API object; mirror pods; what is tidied.
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "control_plane.h"

namespace lab::agent::test {
namespace {

namespace res = client::res;
using namespace std::chrono_literals;

class Life : public ClusterTest {};

std::string sleeper(const std::string& name, const std::string& more = "") {
  return "{apiVersion: v1, kind: Pod, metadata: {name: " + name +
         "}, spec: {nodeName: n1, terminationGracePeriodSeconds: 1, " + more +
         "containers: [{name: main, image: 'localhost/busybox:1', command: [sleep, '1000']}]}}";
}

TEST_F(Life, ARestartedAgentDisturbsNothing) {
  cluster().run_pod(sleeper("steady"));
  ASSERT_TRUE(cluster().wait_phase("steady", "Running"));
  auto before = cluster().pod("steady");
  auto transition = [](const json::Value& pod) {
    for (const auto& c : json::list(pod, "status", "conditions"))
      if (json::str(c, "type") == "Ready") return std::string(json::str(c, "lastTransitionTime"));
    return std::string();
  };
  restart_agent();
  ASSERT_TRUE(eventually([&] { return !agent().pod("default", "steady").is_null(); }));
  ASSERT_TRUE(eventually([&] { return json::has(agent().pod("default", "steady"), "status", "containerStatuses"); }));
  std::this_thread::sleep_for(1s);  // time to do harm
  auto after = cluster().pod("steady");
  EXPECT_EQ(json::str(status_of(after), "containerID"), json::str(status_of(before), "containerID"));
  EXPECT_EQ(json::num(status_of(after), "restartCount"), 0);
  EXPECT_EQ(json::str(after, "status", "podIP"), json::str(before, "status", "podIP"));
  EXPECT_EQ(transition(after), transition(before));
  EXPECT_EQ(condition(after, "Ready"), "True");
}

TEST_F(Life, ARestartedAgentKeepsReadyWhatWasReady) {
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: probed}, spec: {nodeName: n1,
    terminationGracePeriodSeconds: 1, containers: [{name: main, image: "localhost/busybox:1", command: [sleep, "1000"],
    readinessProbe: {exec: {command: ["true"]}, initialDelaySeconds: 1, periodSeconds: 3600},
    startupProbe: {exec: {command: ["true"]}, periodSeconds: 1}}]}})y");
  ASSERT_TRUE(cluster().wait_pod("probed", [](const json::Value& p) { return condition(p, "Ready") == "True"; }));
  auto before = cluster().pod("probed");
  restart_agent();
  ASSERT_TRUE(eventually([&] { return json::has(agent().pod("default", "probed"), "status", "containerStatuses"); }));
  EXPECT_EQ(condition(agent().pod("default", "probed"), "Ready"), "True");
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(json::str(cluster().pod("probed"), "metadata", "resourceVersion"),
            json::str(before, "metadata", "resourceVersion"))
      << "nothing about it has changed";
}

TEST_F(Life, PodsDeletedWhileNoAgentRanAreRemoved) {
  cluster().run_pod(sleeper("forgotten"));
  ASSERT_TRUE(cluster().wait_phase("forgotten", "Running"));
  std::string uid(json::str(cluster().pod("forgotten"), "metadata", "uid"));
  stop_agent();
  cluster().remove(res::pods, "forgotten", "default", 0);
  ASSERT_TRUE(cluster().wait_gone("forgotten"));
  ASSERT_NE(Machine::get().ctr({"containers", "info", container_of(uid)}), "");
  start_agent();
  EXPECT_TRUE(eventually([&] { return container_of(uid).empty(); }));
  EXPECT_TRUE(eventually([&] { return ::access((options_.root_dir + "/pods/" + uid).c_str(), F_OK) != 0; }));
}

TEST_F(Life, AKilledRuntimeIsTakenUpAgain) {
  cluster().run_pod(sleeper("survivor"));
  ASSERT_TRUE(cluster().wait_phase("survivor", "Running"));
  auto before = cluster().pod("survivor");
  Machine::get().kill_containerd();
  EXPECT_TRUE(eventually([&] { return condition(cluster().get(res::nodes, "n1", ""), "Ready") == "False"; }));
  cluster().run_pod(sleeper("patient"));  // comes while there is no runtime
  Machine::get().start_containerd();
  EXPECT_TRUE(eventually([&] { return condition(cluster().get(res::nodes, "n1", ""), "Ready") == "True"; }));
  EXPECT_TRUE(cluster().wait_phase("patient", "Running"));
  auto after = cluster().pod("survivor");
  EXPECT_EQ(json::str(status_of(after), "containerID"), json::str(status_of(before), "containerID"));
  EXPECT_EQ(json::num(status_of(after), "restartCount"), 0);
}

TEST_F(Life, AKilledProcessIsStartedAgainSoon) {
  cluster().run_pod(sleeper("phoenix"));
  ASSERT_TRUE(cluster().wait_phase("phoenix", "Running"));
  std::string id(json::str(status_of(cluster().pod("phoenix")), "containerID"));
  Machine::get().ctr({"tasks", "kill", "-s", "SIGKILL", id.substr(id.find("//") + 2)});
  ASSERT_TRUE(cluster().wait_pod("phoenix", [](const json::Value& p) {
    return json::num(status_of(p), "restartCount") == 1 && json::flag(status_of(p), "ready");
  }));
  auto s = status_of(cluster().pod("phoenix"));
  EXPECT_EQ(json::num(s, "lastState", "terminated", "exitCode"), 137);
}

TEST_F(Life, ALostSandboxIsMadeAnew) {
  cluster().run_pod(sleeper("reborn"));
  ASSERT_TRUE(cluster().wait_phase("reborn", "Running"));
  std::string uid(json::str(cluster().pod("reborn"), "metadata", "uid"));
  std::string sandbox = container_of(uid, "sandbox");
  ASSERT_FALSE(sandbox.empty());
  Machine::get().ctr({"tasks", "kill", "-s", "SIGKILL", sandbox});
  ASSERT_TRUE(cluster().wait_pod("reborn", [](const json::Value& p) {
    return json::num(status_of(p), "restartCount") >= 1 && json::flag(status_of(p), "ready");
  }));
  EXPECT_TRUE(cluster().wait_event("reborn", "SandboxChanged"));
}

TEST_F(Life, StaticPodsHaveMirrors) {
  std::string file = options_.static_pod_path + "/st.yaml";
  write_text(file, R"y({apiVersion: v1, kind: Pod, metadata: {name: st, namespace: kube-system}, spec: {
    terminationGracePeriodSeconds: 1, hostNetwork: true,
    containers: [{name: main, image: "localhost/busybox:1", command: [sleep, "1000"]}]}})y");
  auto mirror = [&] { return cluster().get(res::pods, "st-n1", "kube-system"); };
  ASSERT_TRUE(eventually([&] { return json::str(mirror(), "status", "phase") == "Running"; })) << json::dump(mirror());
  EXPECT_EQ(json::str(mirror(), "metadata", "annotations", "kubernetes.io/config.source"), "file");
  EXPECT_EQ(json::str(mirror(), "metadata", "ownerReferences", "x"), "");
  std::string first(json::str(mirror(), "metadata", "uid"));
  cluster().remove(res::pods, "st-n1", "kube-system", 0);  // it is only a picture: a new one appears, the pod runs on
  EXPECT_TRUE(eventually([&] {
    return json::str(mirror(), "metadata", "uid") != first && json::str(mirror(), "status", "phase") == "Running";
  }));
  EXPECT_EQ(json::num(status_of(mirror()), "restartCount"), 0);
  std::remove(file.c_str());
  EXPECT_TRUE(eventually([&] { return mirror().is_null(); }));
}

TEST_F(Life, LargeLogsAreRotated) {
  auto small = options_;
  small.node_name = "n1";
  small.log_max_bytes = 20000;
  small.log_max_files = 3;
  small.gc_interval = 1s;
  options_ = small;
  restart_agent();
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: chatty}, spec: {nodeName: n1,
    terminationGracePeriodSeconds: 1, containers: [{name: main, image: "localhost/busybox:1",
    command: [sh, -c, "i=0; while true; do i=$((i+1)); echo line $i of very many lines in this log; usleep 500; done"]}]}})y");
  ASSERT_TRUE(cluster().wait_phase("chatty", "Running"));
  std::string dir = options_.pod_log_dir + "/default_chatty_" +
                    std::string(json::str(cluster().pod("chatty"), "metadata", "uid")) + "/main";
  auto files = [&] { return run_checked({.argv = {"ls", dir}}).value_or(""); };
  EXPECT_TRUE(eventually([&] { return std::ranges::count(files(), '\n') == 3; })) << files();
  EXPECT_NE(cluster().kubectl({"logs", "chatty", "--tail=1"}).out.find("line "), std::string::npos);
}

}  // namespace
}  // namespace lab::agent::test
