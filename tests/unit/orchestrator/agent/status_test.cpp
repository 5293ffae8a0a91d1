// Phase, conditions and the next actions, state by state.
#include "orchestrator/agent/status.h"

#include <gtest/gtest.h>

#include "base/yaml/yaml.h"
#include "orchestrator/agent/actions.h"

namespace lab::agent {
namespace {

using State = cri::ContainerState;

json::Value y(std::string_view text) {
  auto v = yaml::parse(text);
  EXPECT_TRUE(v) << (v ? "" : v.error().text());
  return v ? std::move(*v) : json::Value();
}

struct Box {
  json::Value pod;
  PodRuntime runtime;
  std::map<std::string, StartError> waiting;
  std::map<std::string, std::string> messages;
  json::Value before;
  std::set<std::string> not_ready, not_started;
  std::map<std::string, std::string> given_up;

  explicit Box(std::string_view spec) : pod(y("{metadata: {name: p, namespace: ns, uid: u}}")) {
    json::set(pod, y(spec), "spec");
  }
  Box& sandbox(bool ready = true) {
    cri::SandboxStatus s;
    s.id = "s" + std::to_string(runtime.sandboxes.size());
    s.ready = ready;
    s.ips = {"10.0.0.9"};
    runtime.sandboxes.insert(runtime.sandboxes.begin(), s);
    return *this;
  }
  Box& container(const std::string& name, State state, int exit_code = 0, std::uint32_t attempt = 0) {
    cri::ContainerStatus c;
    c.id = name + std::to_string(attempt);
    c.name = name;
    c.state = state;
    c.attempt = attempt;
    c.exit_code = exit_code;
    c.started_at = c.finished_at = 1'700'000'000'000'000'000;
    if (!runtime.sandboxes.empty()) c.sandbox_id = runtime.sandboxes.front().id;
    runtime.containers.insert(runtime.containers.begin(), c);
    return *this;
  }
  json::Value status() const {
    PodFacts facts{.host_ip = "10.0.0.1", .pod_ip = "10.0.0.9", .pod_ips = {"10.0.0.9"}};
    return make_pod_status({.pod = pod,
                            .before = before,
                            .runtime = runtime,
                            .facts = facts,
                            .waiting = waiting,
                            .messages = messages,
                            .probes_ready = [this](const std::string& c) { return !not_ready.contains(c); },
                            .started = [this](const std::string& c) { return !not_started.contains(c); },
                            .now = WallTime(std::chrono::seconds(1'700'000'100))});
  }
  std::string phase() const { return std::string(json::str(status(), "phase")); }
  PodActions next() const {
    return next_actions({pod, runtime, [this](const std::string& c) { return !not_started.contains(c); },
                         [this](const std::string& id) {
                           auto it = given_up.find(id);
                           return it == given_up.end() ? "" : it->second;
                         }});
  }
  std::string starts() const {
    std::string out;
    for (const auto& c : next().start) out += c.name + " ";
    return out;
  }
};

std::string condition(const json::Value& status, std::string_view type, std::string_view field = "status") {
  for (const auto& c : json::list(status, "conditions"))
    if (json::str(c, "type") == type) return std::string(json::str(c, field));
  return "?";
}

constexpr const char* kTwo = "{containers: [{name: a, image: i}, {name: b, image: i}]}";

TEST(PodPhase, FollowsTheContainers) {
  EXPECT_EQ(Box(kTwo).phase(), "Pending");
  EXPECT_EQ(Box(kTwo).sandbox().container("a", State::kRunning).phase(), "Pending");
  EXPECT_EQ(Box(kTwo).sandbox().container("a", State::kRunning).container("b", State::kRunning).phase(), "Running");
  EXPECT_EQ(Box(kTwo).sandbox().container("a", State::kRunning).container("b", State::kExited, 1).phase(), "Running");
  EXPECT_EQ(Box(kTwo).sandbox().container("a", State::kExited, 1).container("b", State::kExited, 1).phase(), "Running");
  auto never = [](int a, int b) {
    return Box("{restartPolicy: Never, containers: [{name: a, image: i}, {name: b, image: i}]}")
        .sandbox(false)
        .container("a", State::kExited, a)
        .container("b", State::kExited, b)
        .phase();
  };
  EXPECT_EQ(never(0, 0), "Succeeded");
  EXPECT_EQ(never(0, 2), "Failed");
}

TEST(PodPhase, IsNotFinalWhileSomethingRuns) {
  Box b(
      "{restartPolicy: Never, initContainers: [{name: s, image: i, restartPolicy: Always}], containers: [{name: a, "
      "image: i}]}");
  b.sandbox().container("s", State::kRunning).container("a", State::kExited, 0);
  b.before = y("{phase: Running}");
  EXPECT_EQ(b.phase(), "Running");
}

TEST(PodPhase, FailedInitContainerFailsANeverPod) {
  Box b("{restartPolicy: Never, initContainers: [{name: i, image: i}], containers: [{name: a, image: i}]}");
  b.sandbox().container("i", State::kExited, 1);
  EXPECT_EQ(b.phase(), "Failed");
  EXPECT_TRUE(b.next().finished);
}

TEST(PodStatus, CrashLoopShowsTheLastEnd) {
  Box b(kTwo);
  b.sandbox().container("a", State::kRunning).container("b", State::kExited, 7, 0).container("b", State::kExited, 9, 1);
  b.waiting["b"] = {"CrashLoopBackOff", "back-off 10s"};
  b.messages["b1"] = "said why";
  auto s = json::list(b.status(), "containerStatuses")[1];
  EXPECT_EQ(json::str(s, "state", "waiting", "reason"), "CrashLoopBackOff");
  EXPECT_EQ(json::num(s, "lastState", "terminated", "exitCode"), 9);
  EXPECT_EQ(json::str(s, "lastState", "terminated", "message"), "said why");
  EXPECT_EQ(json::num(s, "restartCount"), 1);
  EXPECT_EQ(condition(b.status(), "ContainersReady", "message"), "containers with unready status: [b]");
}

TEST(PodStatus, ReadinessNeedsProbesAndGates) {
  Box b(kTwo);
  b.sandbox().container("a", State::kRunning).container("b", State::kRunning);
  EXPECT_EQ(condition(b.status(), "Ready"), "True");
  b.not_ready = {"a"};
  EXPECT_EQ(condition(b.status(), "Ready"), "False");
  EXPECT_EQ(condition(b.status(), "Initialized"), "True");
  b.not_ready = {};
  json::set(b.pod, json::Array{json::Value{{"conditionType", "x/y"}}}, "spec", "readinessGates");
  EXPECT_EQ(condition(b.status(), "Ready", "reason"), "ReadinessGatesNotReady");
  EXPECT_EQ(condition(b.status(), "ContainersReady"), "True");
  json::set(b.pod, y("[{type: x/y, status: 'True'}]"), "status", "conditions");
  EXPECT_EQ(condition(b.status(), "Ready"), "True");
}

TEST(PodStatus, TransitionTimesStayWhileTheStatusDoes) {
  Box b(kTwo);
  b.sandbox().container("a", State::kRunning).container("b", State::kRunning);
  b.before =
      y("{conditions: [{type: Ready, status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z'}, "
        "{type: Initialized, status: 'False', lastTransitionTime: '2020-01-01T00:00:00Z'}]}");
  EXPECT_EQ(condition(b.status(), "Ready", "lastTransitionTime"), "2020-01-01T00:00:00Z");
  EXPECT_EQ(condition(b.status(), "Initialized", "lastTransitionTime"), "2023-11-14T22:15:00Z");
}

TEST(StatusPatch, HoldsWhatChangedAndWhatIsGone) {
  auto before = y("{phase: Pending, reason: X, podIPs: [{ip: 1.1.1.1}], podIP: 1.1.1.1, hostIP: h}");
  auto now = y("{phase: Running, podIPs: [{ip: 2.2.2.2}], podIP: 2.2.2.2, hostIP: h}");
  EXPECT_EQ(status_patch(before, now),
            y("{phase: Running, podIPs: [{$patch: replace}, {ip: 2.2.2.2}], podIP: 2.2.2.2, reason: null}"));
  EXPECT_TRUE(status_patch(now, now).is_null());
}

TEST(StatusPatch, AConditionLosesTheReasonItNoLongerHas) {
  auto before =
      y("{conditions: [{type: Ready, status: 'False', reason: R, message: m}, {type: Initialized, status: 'True'}]}");
  auto now = y("{conditions: [{type: Ready, status: 'True'}, {type: Initialized, status: 'True'}]}");
  EXPECT_EQ(status_patch(before, now), y("{conditions: [{type: Ready, status: 'True', reason: null, message: null}, "
                                         "{type: Initialized, status: 'True'}]}"));
}

TEST(Actions, BeginWithASandboxAndTheFirstInitContainer) {
  Box b("{initContainers: [{name: i, image: i}, {name: j, image: i}], containers: [{name: a, image: i}]}");
  EXPECT_TRUE(b.next().create_sandbox);
  EXPECT_EQ(b.starts(), "i ");
  b.sandbox().container("i", State::kRunning);
  EXPECT_EQ(b.starts(), "");
  b.container("i", State::kExited, 0, 1);
  EXPECT_EQ(b.starts(), "j ");
  b.container("j", State::kExited, 0);
  EXPECT_EQ(b.starts(), "a ");
  b.container("a", State::kRunning);
  EXPECT_EQ(b.starts(), "");
}

TEST(Actions, SidecarsHoldUpWhatFollowsUntilTheyHaveStarted) {
  Box b(
      "{initContainers: [{name: s, image: i, restartPolicy: Always}, {name: j, image: i}], containers: [{name: a, "
      "image: i}]}");
  b.sandbox().container("s", State::kRunning);
  b.not_started = {"s"};
  EXPECT_EQ(b.starts(), "");
  b.not_started = {};
  EXPECT_EQ(b.starts(), "j ");
  b.container("j", State::kExited, 0).container("a", State::kRunning).container("s", State::kExited, 1, 1);
  EXPECT_EQ(b.starts(), "s ") << "a sidecar restarts beside the running containers";
}

TEST(Actions, RestartPolicies) {
  auto starts = [](const std::string& policy, int code) {
    return Box("{restartPolicy: " + policy + ", containers: [{name: a, image: i}, {name: b, image: i}]}")
        .sandbox()
        .container("a", State::kExited, code)
        .container("b", State::kRunning)
        .starts();
  };
  EXPECT_EQ(starts("Always", 0), "a ");
  EXPECT_EQ(starts("OnFailure", 0), "");
  EXPECT_EQ(starts("OnFailure", 1), "a ");
  EXPECT_EQ(starts("Never", 1), "");
}

TEST(Actions, ALostSandboxBeginsAnewButWhatIsDoneStaysDone) {
  Box b(
      "{restartPolicy: OnFailure, initContainers: [{name: i, image: i}], containers: [{name: a, image: i}, {name: b, "
      "image: i}]}");
  b.sandbox(false)
      .container("i", State::kExited, 0)
      .container("a", State::kExited, 0)
      .container("b", State::kExited, 137);
  auto next = b.next();
  EXPECT_TRUE(next.create_sandbox);
  EXPECT_EQ(b.starts(), "i ");
  b.sandbox().container("i", State::kExited, 0, 1);
  EXPECT_EQ(b.starts(), "b ");
  Box done("{restartPolicy: Never, containers: [{name: a, image: i}]}");
  done.sandbox(false).container("a", State::kExited, 0);
  EXPECT_TRUE(done.next().finished);
  EXPECT_FALSE(done.next().create_sandbox);
}

TEST(Actions, ProbesAndChangedImagesEndAContainer) {
  Box b(kTwo);
  b.sandbox().container("a", State::kRunning).container("b", State::kRunning);
  b.given_up["a0"] = "liveness";
  auto next = b.next();
  ASSERT_EQ(next.kill.size(), 1u);
  EXPECT_EQ(next.kill[0].message, "Container a failed liveness probe, will be restarted");
  b.given_up.clear();
  for (auto& c : b.runtime.containers)
    c.annotations["io.kubernetes.container.hash"] = container_hash(y("{name: " + c.name + ", image: old}"));
  EXPECT_EQ(b.next().kill.size(), 2u);
}

TEST(Actions, EphemeralContainersStartOnce) {
  Box b("{containers: [{name: a, image: i}], ephemeralContainers: [{name: e, image: i}]}");
  b.sandbox().container("a", State::kRunning);
  EXPECT_EQ(b.starts(), "e ");
  b.container("e", State::kExited, 1);
  EXPECT_EQ(b.starts(), "");
}

TEST(PodStatus, TellsWhichSpecItIsAbout) {
  Box box("{containers: [{name: a}]}");
  json::set(box.pod, 3, "metadata", "generation");
  auto status = box.sandbox().container("a", State::kRunning).status();
  EXPECT_EQ(json::num(status, "observedGeneration"), 3);
  for (const auto& c : json::list(status, "conditions")) EXPECT_EQ(json::num(c, "observedGeneration"), 3);
}

}  // namespace
}  // namespace lab::agent
