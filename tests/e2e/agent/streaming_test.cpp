// Logs, exec, attach, cp, port-forward, stats: stock kubectl through the API server to the agent and the runtime.
#include <signal.h>

#include <fstream>
#include <thread>

#include "base/fs.h"
#include "base/http/client.h"
#include "control_plane.h"

namespace lab::agent::test {
namespace {

namespace res = client::res;
using namespace std::chrono_literals;

// Between the two outputs the pod pauses: the runtime reads them apart, and their order in the log is that of reading.
class Streaming : public ClusterTest {
 protected:
  static void SetUpTestSuite() {
    ClusterTest::SetUpTestSuite();
    cluster().run_pod(R"y(
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  nodeName: n1
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: localhost/busybox:1
    stdin: true
    command: [sh, -c, "for i in 1 2 3 4 5; do echo line $i; done; sleep 1; echo to-err >&2; mkdir /www; echo served > /www/x; httpd -p 8080 -h /www; while read w; do echo got $w; done; sleep 1000"]
)y");
    ASSERT_TRUE(cluster().wait_phase("talker", "Running"));
  }
};

TEST_F(Streaming, LogsHonourTheirOptions) {
  auto logs = [&](std::vector<std::string> more) {
    std::vector<std::string> args{"logs", "talker"};
    args.insert(args.end(), more.begin(), more.end());
    return cluster().kubectl(args);
  };
  ASSERT_TRUE(eventually([&] { return logs({}).out.find("to-err") != std::string::npos; }));
  EXPECT_EQ(logs({}).out, "line 1\nline 2\nline 3\nline 4\nline 5\nto-err\n");
  EXPECT_EQ(logs({"--tail=2"}).out, "line 5\nto-err\n");
  EXPECT_EQ(logs({"--tail=0"}).out, "");
  EXPECT_EQ(logs({"--limit-bytes=9"}).out, "line 1\nli");
  EXPECT_EQ(logs({"--since=1h"}).out.size(), logs({}).out.size());
  EXPECT_EQ(logs({"--since-time=2100-01-01T00:00:00Z"}).out, "");
  auto stamped = logs({"--timestamps", "--tail=1"}).out;
  EXPECT_EQ(stamped.substr(stamped.find(' ') + 1), "to-err\n");
  EXPECT_EQ(stamped.find("20"), 0u);
  EXPECT_NE(logs({"--previous"}).exit_code, 0);
  EXPECT_NE(cluster().kubectl({"logs", "talker", "-c", "nobody"}).exit_code, 0);
}

TEST_F(Streaming, LogsFollowUntilTheEnd) {
  cluster().run_pod(
      R"y({apiVersion: v1, kind: Pod, metadata: {name: counter}, spec: {nodeName: n1, restartPolicy: Never,
    containers: [{name: main, image: "localhost/busybox:1",
    command: [sh, -c, "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.2; done; printf unfinished"]}]}})y");
  ASSERT_TRUE(cluster().wait_pod("counter", [](const json::Value& p) {
    return json::has(status_of(p), "state", "running") || json::has(status_of(p), "state", "terminated");
  }));
  auto r = cluster().kubectl({"logs", "-f", "counter"});
  EXPECT_EQ(r.out, "1\n2\n3\n4\n5\n6\n7\n8\n9\nunfinished") << r.err;
}

TEST_F(Streaming, ExecKeepsExitCodesStreamsAndInput) {
  auto exec = [&](std::vector<std::string> more, std::string input = {}) {
    std::vector<std::string> args{"exec"};
    args.insert(args.end(), more.begin(), more.end());
    return cluster().kubectl(args, std::move(input));
  };
  auto r = exec({"talker", "--", "sh", "-c", "echo out; echo err >&2; exit 42"});
  EXPECT_EQ(r.exit_code, 42);
  EXPECT_EQ(r.out, "out\n");
  EXPECT_NE(r.err.find("err\n"), std::string::npos);
  EXPECT_EQ(exec({"-i", "talker", "--", "cat"}, "typed\n").out, "typed\n");  // ends at the end of input
  EXPECT_EQ(exec({"-i", "talker", "--", "wc", "-c"}, std::string(1 << 20, 'x')).out, "1048576\n");
  std::string big = exec({"talker", "--", "head", "-c", "3000000", "/dev/zero"}).out;
  EXPECT_EQ(big.size(), 3000000u);
  EXPECT_NE(exec({"talker", "--", "no-such-program"}).exit_code, 0);
  EXPECT_NE(exec({"talker", "-c", "nobody", "--", "true"}).exit_code, 0);
}

TEST_F(Streaming, CopyBothWays) {
  std::string dir = Machine::get().dir();
  std::string text(500000, 'q');
  write_text(dir + "/to-pod", text);
  auto there = cluster().kubectl({"cp", dir + "/to-pod", "talker:/tmp/file"});
  EXPECT_EQ(there.exit_code, 0) << there.err;
  auto back = cluster().kubectl({"cp", "talker:/tmp/file", dir + "/from-pod"});
  EXPECT_EQ(back.exit_code, 0) << back.err;
  EXPECT_EQ(read_text(dir + "/from-pod"), text);
}

TEST_F(Streaming, AttachReachesTheProcess) {
  auto r = cluster().kubectl({"attach", "-i", "talker"}, "hello\n");
  EXPECT_TRUE(eventually([&] {
    return cluster().kubectl({"logs", "talker"}).out.find("got hello\n") != std::string::npos;
  })) << r.out
      << r.err;
}

TEST_F(Streaming, PortForward) {
  cluster().kubectl({"version"});  // writes the kubeconfig
  std::string log = Machine::get().dir() + "/port-forward.log", kubeconfig;
  for (const auto& name : fs::list_dir(Machine::get().dir()).value_or(std::vector<std::string>{}))
    if (name.starts_with("control-plane-")) kubeconfig = Machine::get().dir() + "/" + name + "/kubeconfig";
  auto pid = spawn_daemon({.argv = {"kubectl", "--kubeconfig", kubeconfig, "port-forward", "talker", ":8080"},
                           .env = {{"HOME", Machine::get().dir()}},
                           .log_path = log});
  ASSERT_TRUE(pid);
  ASSERT_TRUE(eventually([&] { return read_text(log).find("Forwarding from 127.0.0.1:") != std::string::npos; }))
      << read_text(log);
  std::string text = read_text(log);
  int port = std::atoi(text.c_str() + text.find("127.0.0.1:") + 10);
  for (int i = 0; i < 3; ++i) {
    auto r = run_checked({.argv = {"curl", "-sS", "http://127.0.0.1:" + std::to_string(port) + "/x"}, .timeout = 20s});
    EXPECT_EQ(r.value_or(r ? "" : r.error().text()), "served\n") << read_text(log);
  }
  ::kill(*pid, SIGTERM);
  eventually([&] { return !process_alive(*pid); });
}

TEST_F(Streaming, StatsTellWhatContainersUse) {
  auto summary = cluster().kubectl({"get", "--raw", "/api/v1/nodes/n1/proxy/stats/summary"});
  auto parsed = json::parse(summary.out);
  ASSERT_TRUE(parsed) << summary.out << summary.err;
  EXPECT_EQ(json::str(*parsed, "node", "nodeName"), "n1");
  bool found = false;
  for (const auto& p : json::list(*parsed, "pods"))
    if (json::str(p, "podRef", "name") == "talker") {
      found = true;
      EXPECT_GT(json::num(p, "containers", "nothing"), -1);
      EXPECT_GT(json::num(json::list(p, "containers")[0], "memory", "workingSetBytes"), 0);
      EXPECT_GT(json::num(json::list(p, "containers")[0], "cpu", "usageCoreNanoSeconds"), 0);
    }
  EXPECT_TRUE(found) << summary.out;
  auto metrics = cluster().kubectl({"get", "--raw", "/api/v1/nodes/n1/proxy/metrics/resource"}).out;
  EXPECT_NE(
      metrics.find("container_memory_working_set_bytes{container=\"main\",namespace=\"default\",pod=\"talker\"} "),
      std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("\nnode_cpu_usage_seconds_total "), std::string::npos);
}

TEST_F(Streaming, StrangersAreRefused) {
  std::string url = "https://127.0.0.1:" + std::to_string(agent().agent().port());
  auto get = [&](const std::string& path, std::vector<std::string> more = {}) {
    std::vector<std::string> argv{"curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", url + path};
    argv.insert(argv.end(), more.begin(), more.end());
    return run_checked({.argv = argv, .timeout = 20s}).value_or("");
  };
  EXPECT_EQ(get("/healthz"), "200");
  EXPECT_EQ(get("/pods"), "401");
  EXPECT_EQ(get("/pods", {"-H", "Authorization: Bearer wrong"}), "401");
  EXPECT_EQ(get("/pods", {"-H", "Authorization: Bearer admin-token"}), "200");
  EXPECT_EQ(get("/nothing", {"-H", "Authorization: Bearer admin-token"}), "404");
  EXPECT_EQ(get("/containerLogs/default/talker/main?tailLines=x", {"-H", "Authorization: Bearer admin-token"}), "400");
}

}  // namespace
}  // namespace lab::agent::test
