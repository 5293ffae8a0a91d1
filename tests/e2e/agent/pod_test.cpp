// Pods of a real API server on a real containerd: what users see of a pod's life.
#include <unistd.h>

#include <algorithm>

#include "control_plane.h"

namespace lab::agent::test {
namespace {

namespace res = client::res;

class Pod : public ClusterTest {};

TEST_F(Pod, NodeIsRegisteredAndAlive) {
  auto node = cluster().get(res::nodes, "n1", "");
  EXPECT_EQ(json::str(node, "metadata", "labels", "kubernetes.io/hostname"), "n1");
  EXPECT_EQ(json::str(node, "status", "nodeInfo", "kubeletVersion"), "v1.32.3+lab");
  EXPECT_TRUE(json::str(node, "status", "nodeInfo", "containerRuntimeVersion").starts_with("containerd://"));
  EXPECT_EQ(json::str(node, "status", "capacity", "pods"), "110");
  EXPECT_FALSE(json::str(node, "status", "allocatable", "memory").empty());
  EXPECT_EQ(condition(node, "MemoryPressure"), "False");
  EXPECT_EQ(json::num(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port"), agent().agent().port());
  EXPECT_TRUE(eventually([&] {
    return json::str(cluster().get(res::leases, "n1", "kube-node-lease"), "spec", "holderIdentity") == "n1";
  }));
}

TEST_F(Pod, RunsWithEnvironmentFilesAndToken) {
  cluster().create(res::configmaps, R"y({apiVersion: v1, kind: ConfigMap, metadata: {name: settings},
    data: {color: blue, "app.conf": "line 1\nline 2\n"}})y");
  cluster().create(res::secrets,
                   R"y({apiVersion: v1, kind: Secret, metadata: {name: hidden}, stringData: {word: swordfish}})y");
  cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: full, labels: {app: full, tier: front}, annotations: {note: "quoted \"x\""}}
spec:
  nodeName: n1
  containers:
  - name: main
    image: localhost/busybox:1
    command: [sh, -c, "sleep 1000"]
    resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}
    env:
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
    - {name: WORD, valueFrom: {secretKeyRef: {name: hidden, key: word}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: CPUS, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
    - {name: BOTH, value: "$(COLOR)-$(ME)-$$(COLOR)-$(NONE)"}
    - {name: OPTIONAL, valueFrom: {configMapKeyRef: {name: absent, key: x, optional: true}}}
    envFrom: [{prefix: S_, secretRef: {name: hidden}}]
    volumeMounts:
    - {name: config, mountPath: /config}
    - {name: secret, mountPath: /secret, readOnly: true}
    - {name: scratch, mountPath: /scratch}
    - {name: memory, mountPath: /memory}
    - {name: down, mountPath: /down}
    - {name: config, mountPath: /one/app.conf, subPath: app.conf}
  volumes:
  - {name: config, configMap: {name: settings}}
  - {name: secret, secret: {secretName: hidden, defaultMode: 0400}}
  - {name: scratch, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - name: down
    downwardAPI:
      items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: limit, resourceFieldRef: {containerName: main, resource: limits.memory}}]
)y");
  ASSERT_TRUE(cluster().wait_phase("full", "Running"));
  auto pod = cluster().pod("full");
  auto status = status_of(pod);
  EXPECT_EQ(condition(pod, "Ready"), "True");
  EXPECT_EQ(condition(pod, "Initialized"), "True");
  EXPECT_EQ(condition(pod, "ContainersReady"), "True");
  EXPECT_EQ(condition(pod, "PodReadyToStartContainers"), "True");
  EXPECT_EQ(json::str(pod, "status", "qosClass"), "Burstable");
  EXPECT_EQ(json::str(pod, "status", "hostIP"), "127.0.0.1");
  EXPECT_TRUE(json::str(status, "containerID").starts_with("containerd://"));
  EXPECT_TRUE(json::has(status, "state", "running", "startedAt"));
  EXPECT_TRUE(json::flag(status, "started"));

  auto sh = [&](const std::string& line) {
    auto r = cluster().kubectl({"exec", "full", "--", "sh", "-c", line});
    EXPECT_EQ(r.err, "") << line;
    return r.out;
  };
  std::string env = sh("env");
  auto has = [&](const std::string& line) { return ("\n" + env).find("\n" + line + "\n") != std::string::npos; };
  EXPECT_TRUE(has("COLOR=blue")) << env;
  EXPECT_TRUE(has("WORD=swordfish"));
  EXPECT_TRUE(has("S_word=swordfish"));
  EXPECT_TRUE(has("ME=full"));
  EXPECT_TRUE(has("CPUS=500"));
  EXPECT_TRUE(has("BOTH=blue-full-$(COLOR)-$(NONE)")) << env;
  EXPECT_TRUE(has("POD_IP=" + std::string(json::str(pod, "status", "podIP"))));
  EXPECT_TRUE(has("FROM_IMAGE=yes"));
  EXPECT_TRUE(has("HOSTNAME=full"));
  EXPECT_EQ(env.find("OPTIONAL="), std::string::npos);
  EXPECT_EQ(sh("cat /config/app.conf /one/app.conf"), "line 1\nline 2\nline 1\nline 2\n");
  EXPECT_EQ(sh("readlink /config/color; stat -Lc %a /secret/word; cat /secret/word"), "..data/color\n400\nswordfish");
  EXPECT_EQ(sh("cat /down/labels; echo; cat /down/limit"), "app=\"full\"\ntier=\"front\"\n67108864");
  EXPECT_EQ(sh("grep -c ' /memory tmpfs' /proc/mounts; stat -c %a /scratch"), "1\n777\n");
  EXPECT_EQ(sh("head -c 2000000 /dev/zero > /memory/x 2>/dev/null; stat -c %s /memory/x"), "1048576\n");
  EXPECT_NE(sh("cat /etc/hosts").find(std::string(json::str(pod, "status", "podIP")) + "\tfull"), std::string::npos);
  EXPECT_EQ(sh("cat /etc/resolv.conf"),
            "search default.svc.cluster.local svc.cluster.local cluster.local example.test\nnameserver 10.96.0.10\n"
            "options ndots:5\n");
  std::string token = sh("cat /var/run/secrets/kubernetes.io/serviceaccount/token");
  EXPECT_EQ(std::count(token.begin(), token.end(), '.'), 2) << token;
  EXPECT_EQ(sh("cat /var/run/secrets/kubernetes.io/serviceaccount/namespace"), "default");
  EXPECT_NE(sh("cat /var/run/secrets/kubernetes.io/serviceaccount/ca.crt").find("BEGIN CERTIFICATE"),
            std::string::npos);

  std::string uid(json::str(pod, "metadata", "uid"));
  std::string cgroup = "/sys/fs/cgroup/memory" + Machine::get().cgroup_root() + "/kubepods/burstable/pod" + uid;
  EXPECT_EQ(read_text(cgroup + "/memory.limit_in_bytes"), "67108864\n");
  for (const char* reason : {"Pulled: ", "Created: Created container: main", "Started: Started container main"})
    EXPECT_TRUE(cluster().wait_event("full", reason));

  auto map = cluster().get(res::configmaps, "settings");
  json::set(map, "green", "data", "color");
  cluster().replace(res::configmaps, map);
  EXPECT_TRUE(eventually([&] { return sh("cat /config/color") == "green"; }));
  auto labelled = cluster().pod("full");
  json::set(labelled, "back", "metadata", "labels", "tier");
  cluster().replace(res::pods, labelled);
  EXPECT_TRUE(eventually([&] { return sh("cat /down/labels") == "app=\"full\"\ntier=\"back\""; }));
}

TEST_F(Pod, GoesGracefullyAndLeavesNothing) {
  cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: polite}
spec:
  nodeName: n1
  terminationGracePeriodSeconds: 20
  containers:
  - name: main
    image: localhost/busybox:1
    command: [sh, -c, "trap 'echo leaving; exit 3' TERM; echo up; while true; do sleep 0.1; done"]
    lifecycle: {preStop: {exec: {command: [sh, -c, "echo pre > /shared/pre"]}}}
    volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, hostPath: {path: )y" +
                    Machine::get().dir() + R"y(/shared, type: DirectoryOrCreate}}]
)y");
  ASSERT_TRUE(cluster().wait_phase("polite", "Running"));
  auto pod = cluster().pod("polite");
  std::string uid(json::str(pod, "metadata", "uid"));
  auto begun = std::chrono::steady_clock::now();
  cluster().remove(res::pods, "polite");
  ASSERT_TRUE(cluster().wait_gone("polite"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(15))
      << "it waited for the whole grace period";
  EXPECT_EQ(read_text(Machine::get().dir() + "/shared/pre"), "pre\n");
  EXPECT_TRUE(cluster().wait_event("polite", "Killing: Stopping container main"));
  EXPECT_TRUE(eventually([&] { return Machine::get().ctr({"containers", "list"}).find(uid) == std::string::npos; }));
  auto gone = [](const std::string& path) { return ::access(path.c_str(), F_OK) != 0; };
  EXPECT_TRUE(eventually([&] { return gone(options_.root_dir + "/pods/" + uid); }));
  EXPECT_TRUE(eventually(
      [&] { return gone("/sys/fs/cgroup/memory" + Machine::get().cgroup_root() + "/kubepods/besteffort/pod" + uid); }));
  EXPECT_TRUE(eventually([&] { return gone(options_.pod_log_dir + "/default_polite_" + uid); }));
}

TEST_F(Pod, ForcedDeletionDoesNotWaitForAStubbornProcess) {
  cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  nodeName: n1
  terminationGracePeriodSeconds: 300
  containers: [{name: main, image: "localhost/busybox:1", command: [sh, -c, "trap '' TERM; while true; do sleep 0.1; done"]}]
)y");
  ASSERT_TRUE(cluster().wait_phase("stubborn", "Running"));
  cluster().remove(res::pods, "stubborn");
  ASSERT_TRUE(cluster().wait_event("stubborn", "Killing"));
  cluster().remove(res::pods, "stubborn", "default", 1);  // a shorter grace period while the long one runs
  EXPECT_TRUE(cluster().wait_gone("stubborn"));
}

TEST_F(Pod, CrashingContainerBacksOff) {
  cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  nodeName: n1
  containers:
  - {name: main, image: "localhost/busybox:1", command: [sh, -c, "echo why > /dev/termination-log; echo try; exit 7"]}
)y");
  ASSERT_TRUE(cluster().wait_pod("crash", [](const json::Value& p) {
    auto s = status_of(p);
    return json::num(s, "restartCount") >= 2 && json::str(s, "state", "waiting", "reason") == "CrashLoopBackOff";
  }));
  auto s = status_of(cluster().pod("crash"));
  EXPECT_EQ(json::num(s, "lastState", "terminated", "exitCode"), 7);
  EXPECT_EQ(json::str(s, "lastState", "terminated", "reason"), "Error");
  EXPECT_EQ(json::str(s, "lastState", "terminated", "message"), "why\n");
  EXPECT_TRUE(json::str(s, "state", "waiting", "message").starts_with("back-off "));
  EXPECT_EQ(json::str(cluster().pod("crash"), "status", "phase"), "Running");
  EXPECT_EQ(condition(cluster().pod("crash"), "Ready"), "False");
  EXPECT_TRUE(
      cluster().wait_event("crash", "BackOff: Back-off restarting failed container main in pod crash_default("));
  auto logs = cluster().kubectl({"logs", "crash", "--previous"});
  EXPECT_EQ(logs.out, "try\n") << logs.err;
}

TEST_F(Pod, RunsToCompletion) {
  auto one = [&](const std::string& name, const std::string& policy, const std::string& command) {
    cluster().run_pod(
        "{apiVersion: v1, kind: Pod, metadata: {name: " + name + "}, spec: {nodeName: n1, restartPolicy: " + policy +
        ", containers: [{name: main, image: 'localhost/busybox:1', command: [sh, -c, '" + command + "']}]}}");
  };
  one("good", "Never", "exit 0");
  one("bad", "Never", "exit 9");
  one("retry", "OnFailure", "exit 0");
  ASSERT_TRUE(cluster().wait_phase("good", "Succeeded"));
  ASSERT_TRUE(cluster().wait_phase("bad", "Failed"));
  ASSERT_TRUE(cluster().wait_phase("retry", "Succeeded"));
  EXPECT_EQ(json::str(status_of(cluster().pod("good")), "state", "terminated", "reason"), "Completed");
  EXPECT_EQ(json::num(status_of(cluster().pod("bad")), "state", "terminated", "exitCode"), 9);
  EXPECT_EQ(condition(cluster().pod("good"), "Ready"), "False");
  EXPECT_EQ(json::num(status_of(cluster().pod("bad")), "restartCount"), 0);
}

TEST_F(Pod, InitContainersAndSidecarsComeInOrder) {
  cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: ordered}
spec:
  nodeName: n1
  restartPolicy: Never
  initContainers:
  - {name: first, image: "localhost/busybox:1", command: [sh, -c, "echo first >> /v/log"], volumeMounts: [{name: v, mountPath: /v}]}
  - name: side
    image: localhost/busybox:1
    restartPolicy: Always
    command: [sh, -c, "echo side >> /v/log; touch /v/up; trap 'echo side-end >> /v/log; exit 0' TERM; while true; do sleep 0.1; done"]
    startupProbe: {exec: {command: [test, -e, /v/up]}, periodSeconds: 1}
    volumeMounts: [{name: v, mountPath: /v}]
  - {name: second, image: "localhost/busybox:1", command: [sh, -c, "echo second >> /v/log"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: main, image: "localhost/busybox:1", command: [sh, -c, "echo main >> /v/log; exit 0"], volumeMounts: [{name: v, mountPath: /v}]}
  volumes: [{name: v, hostPath: {path: )y" +
                    Machine::get().dir() + R"y(/ordered, type: DirectoryOrCreate}}]
)y");
  ASSERT_TRUE(cluster().wait_phase("ordered", "Succeeded"));
  EXPECT_EQ(read_text(Machine::get().dir() + "/ordered/log"), "first\nside\nsecond\nmain\nside-end\n");
  EXPECT_EQ(json::str(status_of(cluster().pod("ordered"), "first"), "state", "terminated", "reason"), "Completed");
}

TEST_F(Pod, MissingConfigMapAndImageAreExplained) {
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: noconfig}, spec: {nodeName: n1, containers: [
    {name: main, image: "localhost/busybox:1", command: [sleep, "1000"], envFrom: [{configMapRef: {name: later}}]}]}})y");
  ASSERT_TRUE(cluster().wait_pod("noconfig", [](const json::Value& p) {
    return json::str(status_of(p), "state", "waiting", "reason") == "CreateContainerConfigError";
  }));
  EXPECT_EQ(json::str(status_of(cluster().pod("noconfig")), "state", "waiting", "message"),
            "configmap \"later\" not found");
  cluster().create(res::configmaps, "{apiVersion: v1, kind: ConfigMap, metadata: {name: later}, data: {a: b}}");
  EXPECT_TRUE(cluster().wait_phase("noconfig", "Running"));

  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: noimage}, spec: {nodeName: n1, containers: [
    {name: main, image: "localhost:1/absent:1"}]}})y");
  ASSERT_TRUE(cluster().wait_pod("noimage", [](const json::Value& p) {
    return json::str(status_of(p), "state", "waiting", "reason") == "ImagePullBackOff";
  }));
  auto s = status_of(cluster().pod("noimage"));
  EXPECT_NE(json::str(s, "state", "waiting", "message").find("lab image load"), std::string::npos);

  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: neverpull}, spec: {nodeName: n1, containers: [
    {name: main, image: "localhost/absent:1", imagePullPolicy: Never}]}})y");
  ASSERT_TRUE(cluster().wait_pod("neverpull", [](const json::Value& p) {
    return json::str(status_of(p), "state", "waiting", "reason") == "ErrImageNeverPull";
  }));
  // Present, but of policy Always, and the registry is away: the image on the node serves.
  Machine::get().ctr({"images", "tag", "localhost/busybox:1", "localhost:1/present:latest"});
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: offline}, spec: {nodeName: n1, containers: [
    {name: main, image: "localhost:1/present:latest", command: [sleep, "1000"]}]}})y");
  EXPECT_TRUE(cluster().wait_phase("offline", "Running"));
}

TEST_F(Pod, WithoutRoomIsRefused) {
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: huge}, spec: {nodeName: n1, containers: [
    {name: main, image: "localhost/busybox:1", resources: {requests: {cpu: "1000"}}}]}})y");
  ASSERT_TRUE(cluster().wait_phase("huge", "Failed"));
  EXPECT_EQ(json::str(cluster().pod("huge"), "status", "reason"), "OutOfcpu");
  EXPECT_NE(json::str(cluster().pod("huge"), "status", "message").find("requested: 1000000"), std::string::npos);
}

TEST_F(Pod, EphemeralContainersJoinARunningPod) {
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: debugged}, spec: {nodeName: n1,
    terminationGracePeriodSeconds: 1, containers: [{name: main, image: "localhost/busybox:1", command: [sleep, "3000"]}]}})y");
  ASSERT_TRUE(cluster().wait_phase("debugged", "Running"));
  auto r = cluster().kubectl({"debug", "debugged", "--image=localhost/busybox:1", "-c", "tool", "--target=main", "--",
                              "sh", "-c", "ps; sleep 1000"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  ASSERT_TRUE(cluster().wait_pod(
      "debugged", [](const json::Value& p) { return json::has(status_of(p, "tool"), "state", "running"); }));
  EXPECT_TRUE(eventually([&] {
    return cluster().kubectl({"logs", "debugged", "-c", "tool"}).out.find("sleep 3000") != std::string::npos;
  }));
}

TEST_F(Pod, ResizesInPlaceOrByARestartAsItsPolicySays) {
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: grows}, spec: {nodeName: n1,
    terminationGracePeriodSeconds: 1, containers: [{name: main, image: "localhost/busybox:1", command: [sleep, "3000"],
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}},
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]}]}})y");
  ASSERT_TRUE(cluster().wait_phase("grows", "Running"));
  auto resize = [](const std::string& limits) {
    auto r = cluster().kubectl({"patch", "pod", "grows", "--subresource=resize", "-p",
                                R"({"spec":{"containers":[{"name":"main","resources":{"limits":)" + limits + "}}]}}"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
  };
  auto has = [](const char* what, const char* amount) {
    return [what, amount](const json::Value& p) {
      return json::str(status_of(p), "resources", "limits", what) == amount &&
             json::num(p, "status", "observedGeneration") == json::num(p, "metadata", "generation") &&
             json::flag(status_of(p), "ready");
    };
  };
  resize(R"({"cpu":"300m"})");
  ASSERT_TRUE(cluster().wait_pod("grows", has("cpu", "300m")));
  EXPECT_EQ(json::num(status_of(cluster().pod("grows")), "restartCount"), 0);
  auto quota = cluster().kubectl({"exec", "grows", "--", "sh", "-c",
                                  "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null"});
  EXPECT_NE(quota.out.find("30000"), std::string::npos) << quota.out << quota.err;
  resize(R"({"memory":"80Mi"})");
  ASSERT_TRUE(cluster().wait_pod("grows", has("memory", "80Mi")));
  EXPECT_EQ(json::num(status_of(cluster().pod("grows")), "restartCount"), 1);
  EXPECT_NE(cluster()
                .kubectl({"patch", "pod", "grows", "--subresource=resize", "-p",
                          R"({"spec":{"containers":[{"name":"main","resources":{"limits":{"cpu":"50m"}}}]}})"})
                .exit_code,
            0)
      << "a limit below the request";
}

TEST_F(Pod, ProbesDecideReadinessAndRestarts) {
  cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  nodeName: n1
  containers:
  - name: web
    image: localhost/busybox:1
    command: [sh, -c, "mkdir -p /www; httpd -p 8080 -h /www; sleep 2; touch /www/ready; while true; do sleep 0.1; done"]
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
    startupProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 30}
  - name: frail
    image: localhost/busybox:1
    command: [sh, -c, "touch /alive; sleep 2; rm /alive; while true; do sleep 0.1; done"]
    livenessProbe: {exec: {command: [cat, /alive]}, periodSeconds: 1, failureThreshold: 1, initialDelaySeconds: 1}
  terminationGracePeriodSeconds: 1
)y");
  ASSERT_TRUE(
      cluster().wait_pod("probed", [](const json::Value& p) { return json::flag(status_of(p, "web"), "ready"); }));
  EXPECT_TRUE(cluster().wait_event("probed", "Readiness probe failed: HTTP probe failed with statuscode: 404"));
  ASSERT_TRUE(cluster().wait_pod(
      "probed", [](const json::Value& p) { return json::num(status_of(p, "frail"), "restartCount") >= 1; }));
  EXPECT_TRUE(cluster().wait_event("probed", "Killing: Container frail failed liveness probe, will be restarted"));
  EXPECT_EQ(json::num(status_of(cluster().pod("probed"), "web"), "restartCount"), 0);
}

TEST_F(Pod, SecurityContextsHold) {
  cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: secure}
spec:
  nodeName: n1
  shareProcessNamespace: true
  hostAliases: [{ip: 192.0.2.7, hostnames: [seven.test]}]
  securityContext: {runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456, supplementalGroups: [4567]}
  containers:
  - name: main
    image: localhost/busybox:1
    command: [sh, -c, "sleep 1000"]
    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: v, mountPath: /v}]
  - {name: other, image: "localhost/busybox:1", command: [sleep, "2000"]}
  volumes: [{name: v, emptyDir: {}}]

)y");
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: rootless}, spec: {nodeName: n1, containers: [
    {name: main, image: "localhost/busybox:1", command: [sleep, "1000"], securityContext: {runAsNonRoot: true}}]}})y");
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: onhost}, spec: {nodeName: n1, hostNetwork: true,
    hostPID: true, containers: [{name: main, image: "localhost/busybox:1", command: [sleep, "1000"]}]}})y");
  ASSERT_TRUE(cluster().wait_phase("secure", "Running"));
  auto sh = [&](const std::string& pod, const std::string& line) {
    auto r = cluster().kubectl({"exec", pod, "-c", "main", "--", "sh", "-c", line});
    EXPECT_EQ(r.err, "") << line;
    return r.out;
  };
  EXPECT_EQ(sh("secure", "id -u; id -g; id -G"), "1234\n2345\n2345 3456 4567\n");
  EXPECT_EQ(sh("secure", "touch /x 2>&1; true"), "touch: /x: Read-only file system\n");
  EXPECT_EQ(sh("secure", "touch /v/x; stat -c '%g' /v/x"), "3456\n");
  EXPECT_EQ(sh("secure", "grep -E 'CapEff|NoNewPrivs' /proc/self/status"),
            "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
  EXPECT_NE(sh("secure", "ps | grep 'sleep 2000' | grep -v grep"), "") << "the other container's process is not seen";
  EXPECT_NE(sh("secure", "cat /etc/hosts").find("192.0.2.7\tseven.test"), std::string::npos);
  ASSERT_TRUE(cluster().wait_pod("rootless", [](const json::Value& p) {
    return json::str(status_of(p), "state", "waiting", "reason") == "CreateContainerConfigError";
  }));
  EXPECT_EQ(json::str(status_of(cluster().pod("rootless")), "state", "waiting", "message"),
            "container has runAsNonRoot and image will run as root");
  ASSERT_TRUE(cluster().wait_phase("onhost", "Running"));
  EXPECT_EQ(json::str(cluster().pod("onhost"), "status", "podIP"), "127.0.0.1");
  EXPECT_NE(sh("onhost", "ip addr; ps").find("agenttest0"), std::string::npos);
}

TEST_F(Pod, TooMuchMemoryIsOOMKilledAndDeadlinesHold) {
  cluster().run_pod(R"y({apiVersion: v1, kind: Pod, metadata: {name: greedy}, spec: {nodeName: n1, restartPolicy: Never,
    containers: [{name: main, image: "localhost/busybox:1", command: [sh, -c, "head -c 300m /dev/zero | tail"],
    resources: {limits: {memory: 20Mi}}}]}})y");
  ASSERT_TRUE(cluster().wait_phase("greedy", "Failed"));
  auto s = status_of(cluster().pod("greedy"));
  EXPECT_EQ(json::str(s, "state", "terminated", "reason"), "OOMKilled") << json::dump(s);
  cluster().run_pod(
      R"y({apiVersion: v1, kind: Pod, metadata: {name: late}, spec: {nodeName: n1, activeDeadlineSeconds: 2,
    terminationGracePeriodSeconds: 1, containers: [{name: main, image: "localhost/busybox:1", command: [sleep, "1000"]}]}})y");
  ASSERT_TRUE(cluster().wait_phase("late", "Failed"));
  EXPECT_EQ(json::str(cluster().pod("late"), "status", "reason"), "DeadlineExceeded");
}

}  // namespace
}  // namespace lab::agent::test
