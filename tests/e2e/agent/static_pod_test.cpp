// Pods from manifests, on a node without a control plane.
#include <gtest/gtest.h>

#include "machine.h"

namespace lab::agent::test {
namespace {

json::Value first_status(const json::Value& pod, const char* list = "containerStatuses") {
  const auto& l = json::list(pod, "status", list);
  return l.empty() ? json::Value() : l[0];
}

TEST(StaticPod, RunsIsReportedAndGoesWithItsManifest) {
  auto options = Machine::get().options("static1");
  RunningAgent agent(options);
  write_text(options.static_pod_path + "/web.yaml", R"(
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: kube-system}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: localhost/busybox:1
    command: [sh, -c, "echo hello from $(WHO); exec sleep 1000"]
    env: [{name: WHO, value: the pod}]
)");
  ASSERT_TRUE(eventually([&] {
    return json::str(agent.pod("kube-system", "web-static1"), "status", "phase") == "Running";
  })) << json::dump_pretty(agent.pod("kube-system", "web-static1"));
  auto pod = agent.pod("kube-system", "web-static1");
  auto status = first_status(pod);
  EXPECT_TRUE(json::flag(status, "ready"));
  EXPECT_TRUE(json::str(pod, "status", "podIP").starts_with("10.243.")) << json::dump(pod);
  EXPECT_EQ(json::num(status, "restartCount"), 0);
  std::string log = options.pod_log_dir + "/kube-system_web-static1_" + std::string(json::str(pod, "metadata", "uid")) +
                    "/main/0.log";
  EXPECT_TRUE(eventually([&] { return read_text(log).find("hello from the pod") != std::string::npos; }));

  std::remove((options.static_pod_path + "/web.yaml").c_str());
  EXPECT_TRUE(eventually([&] { return agent.pod("kube-system", "web-static1").is_null(); }));
  EXPECT_EQ(read_text(log), "");
}

}  // namespace
}  // namespace lab::agent::test
