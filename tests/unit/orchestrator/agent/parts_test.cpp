// Resources, names, logs, volumes' files, back-off: one group each.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/fs.h"
#include "base/io/scope.h"
#include "base/yaml/yaml.h"
#include "orchestrator/agent/backoff.h"
#include "orchestrator/agent/container_config.h"
#include "orchestrator/agent/gather.h"
#include "orchestrator/agent/images.h"
#include "orchestrator/agent/logs.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/static_pods.h"
#include "orchestrator/agent/volumes/host_path.h"
#include "orchestrator/agent/volumes/payload.h"

namespace lab::agent {
namespace {

using namespace std::chrono_literals;

json::Value y(std::string_view text) {
  auto v = yaml::parse(text);
  EXPECT_TRUE(v) << (v ? "" : v.error().text());
  return v ? std::move(*v) : json::Value();
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() { path = ::mkdtemp(name_); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::string path;

 private:
  char name_[32] = "/tmp/lab-agent-unit-XXXXXX";
};

TEST(Qos, ClassesAndCgroupNumbers) {
  auto qos = [](const char* resources) {
    return name_of(qos_of(y(std::string("{spec: {containers: [{name: c, resources: ") + resources + "}]}}")));
  };
  EXPECT_EQ(qos("{}"), "BestEffort");
  EXPECT_EQ(qos("{requests: {cpu: 1m}}"), "Burstable");
  EXPECT_EQ(qos("{limits: {cpu: 1, memory: 1Gi}}"), "Guaranteed");
  EXPECT_EQ(qos("{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}"), "Burstable");
  EXPECT_EQ(cpu_shares(0), 2);
  EXPECT_EQ(cpu_shares(1000), 1024);
  EXPECT_EQ(cpu_weight(2), 1);
  EXPECT_EQ(cpu_weight(262144), 10000);
  EXPECT_EQ(cpu_quota(1), 1000);
  EXPECT_EQ(cpu_quota(1500), 150000);

  auto pod =
      y("{spec: {containers: [{name: a, resources: {requests: {memory: 1Gi}, limits: {cpu: 2, memory: 2Gi}}}, "
        "{name: b, resources: {limits: {cpu: 1, memory: 1Gi}}}]}}");
  auto limits = pod_limits(pod);
  EXPECT_EQ(limits.cpu_shares, 3072);
  EXPECT_EQ(limits.cpu_quota, 300000);
  EXPECT_EQ(limits.memory, std::int64_t(3) << 30);
  auto r = container_resources(pod, json::list(pod, "spec", "containers")[0], std::int64_t(4) << 30);
  EXPECT_EQ(r.oom_score_adj, 750);
  EXPECT_EQ(r.memory_limit, std::int64_t(2) << 30);
  EXPECT_EQ(r.cpu_quota, 200000);
}

TEST(Names, HostnameHostsAndResolver) {
  AgentOptions o;
  o.node_name = "node";
  o.cluster_dns = {"10.96.0.10"};
  auto pod =
      y("{metadata: {name: p, namespace: ns}, spec: {hostname: h, subdomain: s, hostAliases: [{ip: 1.2.3.4, hostnames: "
        "[a, b]}]}}");
  EXPECT_EQ(pod_hostname(pod, o), "h");
  auto hosts = pod_etc_hosts(pod, o, {"10.0.0.9"}, "");
  EXPECT_NE(hosts.find("10.0.0.9\th.s.ns.svc.cluster.local\th\n"), std::string::npos) << hosts;
  EXPECT_NE(hosts.find("1.2.3.4\ta\tb\n"), std::string::npos);
  std::string host = "# c\nnameserver 8.8.8.8\nsearch corp.example\noptions edns0 ndots:2\n";
  auto dns = pod_dns(pod, o, host);
  EXPECT_EQ(dns.servers, std::vector<std::string>{"10.96.0.10"});
  EXPECT_EQ(dns.searches,
            (std::vector<std::string>{"ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"}));
  json::set(pod, y("{options: [{name: ndots, value: '1'}, {name: rotate}]}"), "spec", "dnsConfig");
  EXPECT_EQ(pod_dns(pod, o, host).options, (std::vector<std::string>{"ndots:1", "rotate"}));
  json::set(pod, "Default", "spec", "dnsPolicy");
  EXPECT_EQ(pod_dns(pod, o, host).servers, std::vector<std::string>{"8.8.8.8"});
  auto long_name = y("{metadata: {name: " + std::string(62, 'x') + "-yyyy, namespace: n}, spec: {}}");
  EXPECT_EQ(pod_hostname(long_name, o), std::string(62, 'x'));
}

TEST(ImageNames, RegistryTagAndPolicy) {
  EXPECT_EQ(registry_of("busybox"), "docker.io");
  EXPECT_EQ(registry_of("library/busybox"), "docker.io");
  EXPECT_EQ(registry_of("localhost:5000/a/b:1"), "localhost:5000");
  EXPECT_EQ(with_tag("a.b:5000/x"), "a.b:5000/x:latest");
  EXPECT_EQ(with_tag("x@sha256:00"), "x@sha256:00");
  EXPECT_EQ(pull_policy(y("{image: x}")), "Always");
  EXPECT_EQ(pull_policy(y("{image: 'x:1'}")), "IfNotPresent");
  EXPECT_EQ(pull_policy(y("{image: x, imagePullPolicy: Never}")), "Never");
}

TEST(Logs, LinesOfTheRuntime) {
  auto l = parse_log_line("2026-11-22T10:00:00.1Z stdout F hello world");
  ASSERT_TRUE(l);
  EXPECT_EQ(l->text, "hello world");
  EXPECT_FALSE(l->partial);
  EXPECT_TRUE(parse_log_line("2026-11-22T10:00:00.1Z stderr P part")->partial);
  EXPECT_EQ(parse_log_line("2026-11-22T10:00:00.1Z stdout F ")->text, "");
  EXPECT_FALSE(parse_log_line("garbage"));
  EXPECT_FALSE(parse_log_line("2026-11-22T10:00:00.1Z other F x"));
  EXPECT_FALSE(parse_log_line(""));
}

std::string read_log(const std::string& path, LogOptions options) {
  Pool pool("test", 1);
  std::string out;
  auto send = [&](std::string piece) -> Task<Result<void>> {
    return [](std::string* into, std::string p) -> Task<Result<void>> {
      *into += p;
      co_return Result<void>{};
    }(&out, std::move(piece));
  };
  auto running = []() -> Task<Result<bool>> { co_return false; };
  auto done = run_task(stream_log(path, options, pool, running, send, {}));
  EXPECT_TRUE(done) << (done ? "" : done.error().text());
  return out;
}

TEST(Logs, TailLimitSinceStreamsAndPartialLines) {
  TemporaryDirectory dir;
  std::string path = dir.path + "/0.log", text;
  for (int i = 0; i < 3000; ++i) {
    char line[128];
    std::snprintf(line, sizeof line, "2026-11-22T10:%02d:%02d.0Z %s F line %d\n", i / 60, i % 60,
                  i % 2 ? "stderr" : "stdout", i);
    text += line;
  }
  text += "2026-11-22T11:00:00.0Z stdout P one \n2026-11-22T11:00:00.1Z stdout F two\n";
  ASSERT_TRUE(fs::write_file(path, text));
  EXPECT_EQ(read_log(path, {.tail_lines = 3}), "line 2999\none two\n");
  EXPECT_EQ(read_log(path, {.tail_lines = 0}), "");
  EXPECT_EQ(read_log(path, {.timestamps = true, .tail_lines = 2}), "2026-11-22T11:00:00.0Z one two\n");
  EXPECT_EQ(read_log(path, {.limit_bytes = 10}), "line 0\nlin");
  EXPECT_EQ(read_log(path, {.since = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 22) + 11h)}),
            "one two\n");
  EXPECT_EQ(read_log(path, {.tail_lines = 4, .stream = "Stderr"}), "line 2999\n");
  std::string all = read_log(path, {.tail_lines = 100000});
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 3001);
  EXPECT_TRUE(tail_for_message(path).ends_with("line 2999\none two\n"));
  EXPECT_LE(tail_for_message(path).size(), 2048u);
}

TEST(Logs, RotationKeepsSoMany) {
  TemporaryDirectory dir;
  std::string path = dir.path + "/0.log";
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(fs::write_file(path, std::to_string(i)));
    ASSERT_TRUE(rotate_log(path, 4));
  }
  ASSERT_TRUE(fs::write_file(path, "now"));
  auto names = fs::list_dir(dir.path);
  ASSERT_TRUE(names);
  EXPECT_EQ(names->size(), 4u);
  EXPECT_EQ(fs::read_file(dir.path + "/" + names->back()).value_or(""), "5");
}

TEST(AtomicWriter, SwapsWholeSetsAndWritesOnlyChanges) {
  TemporaryDirectory dir;
  std::string v = dir.path + "/v";
  auto read = [&](const std::string& name) { return fs::read_file(v + "/" + name).value_or("(none)"); };
  auto changed = write_payload(v, {{"a", "1", 0644}, {"sub/b", "2", 0400}}, std::nullopt);
  ASSERT_TRUE(changed) << changed.error().text();
  EXPECT_TRUE(*changed);
  EXPECT_EQ(read("a"), "1");
  EXPECT_EQ(read("sub/b"), "2");
  struct stat st{};
  ASSERT_EQ(::stat((v + "/sub/b").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0400u);
  EXPECT_EQ(std::filesystem::read_symlink(v + "/a"), "..data/a");
  auto first = std::filesystem::read_symlink(v + "/..data");
  EXPECT_FALSE(*write_payload(v, {{"a", "1", 0644}, {"sub/b", "2", 0400}}, std::nullopt));
  EXPECT_EQ(std::filesystem::read_symlink(v + "/..data"), first);
  EXPECT_TRUE(*write_payload(v, {{"a", "3", 0644}, {"c", "", 0644}}, std::nullopt));
  EXPECT_EQ(read("a"), "3");
  EXPECT_EQ(read("c"), "");
  EXPECT_EQ(read("sub/b"), "(none)");
  EXPECT_FALSE(std::filesystem::exists(v + "/" + first.string())) << "the old version is left";
  EXPECT_FALSE(write_payload(v, {{"../escape", "x", 0644}}, std::nullopt));
  EXPECT_FALSE(write_payload(v, {{"a/../../escape", "x", 0644}}, std::nullopt));
  EXPECT_FALSE(write_payload(v, {{"/abs", "x", 0644}}, std::nullopt));
}

TEST(Payload, ItemsModesProjectionsAndMissingKeys) {
  auto pod = y("{metadata: {name: p, namespace: ns, labels: {a: b}}, spec: {containers: [{name: c}]}}");
  FetchedObjects have{{{ObjectRef::kConfigMap, "m"},
                       std::make_shared<const json::Value>(y("{data: {k: v, l: w}, binaryData: {bin: AAE=}}"))},
                      {{ObjectRef::kSecret, "gone"}, nullptr}};
  auto files = [&](std::string_view volume, const Tokens& tokens = {}) {
    return payload_of(pod, y(volume), have, tokens, {});
  };
  EXPECT_EQ(files("{configMap: {name: m}}")->size(), 3u);
  auto items =
      files("{configMap: {name: m, defaultMode: 256, items: [{key: k, path: x/y}, {key: l, path: z, mode: 511}]}}");
  ASSERT_TRUE(items);
  EXPECT_EQ((*items)[0], (PayloadFile{"x/y", "v", 0400}));
  EXPECT_EQ((*items)[1], (PayloadFile{"z", "w", 0777}));
  EXPECT_EQ(files("{configMap: {name: m, items: [{key: nope, path: x}]}}").error().message,
            "configmap references non-existent config key: nope");
  EXPECT_EQ(files("{secret: {secretName: gone}}").error().message, "secret \"gone\" not found");
  EXPECT_TRUE(files("{secret: {secretName: gone, optional: true}}")->empty());
  auto all = files(
      "{projected: {sources: [{configMap: {name: m}}, {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: "
      "metadata.labels}}]}}, "
      "{serviceAccountToken: {path: token, expirationSeconds: 3607}}]}}",
      {{TokenRef{"", 3607}, "secret"}});
  ASSERT_TRUE(all) << all.error().text();
  EXPECT_EQ(all->size(), 5u);
  EXPECT_EQ(all->back().data, "secret");
}

TEST(HostPath, TypesAreChecked) {
  TemporaryDirectory dir;
  ASSERT_TRUE(fs::write_file(dir.path + "/file", ""));
  EXPECT_TRUE(prepare_host_path(dir.path, "Directory"));
  EXPECT_TRUE(prepare_host_path(dir.path + "/file", "File"));
  EXPECT_TRUE(prepare_host_path(dir.path + "/new/dir", "DirectoryOrCreate"));
  EXPECT_TRUE(std::filesystem::is_directory(dir.path + "/new/dir"));
  EXPECT_TRUE(prepare_host_path(dir.path + "/absent", ""));
  auto wrong = prepare_host_path(dir.path + "/file", "Directory");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message, "hostPath type check failed: " + dir.path + "/file is not a directory");
  EXPECT_FALSE(prepare_host_path(dir.path + "/absent", "File"));
  EXPECT_FALSE(prepare_host_path("/dev/null", "BlockDevice"));
  EXPECT_TRUE(prepare_host_path("/dev/null", "CharDevice"));
}

TEST(Backoff, DoublesToItsLimitAndForgets) {
  Backoff b(10s, 5min);
  TimePoint t{};
  EXPECT_LE(b.remaining("c", t, t), 0s);
  b.next("c", t, t);
  EXPECT_EQ(b.remaining("c", t, t + 3s), 7s);
  b.next("c", t + 11s, t + 11s);
  EXPECT_EQ(b.delay("c"), 20s);
  for (int i = 0; i < 10; ++i) b.next("c", t + 12s, t + 12s);
  EXPECT_EQ(b.delay("c"), 5min);
  EXPECT_LE(b.remaining("c", t + 20min, t + 20min), 0s) << "a long good run forgives";
  b.next("c", t + 20min, t + 20min);
  EXPECT_EQ(b.delay("c"), 10s);
}

TEST(StaticPods, AreReadAndProblemsNamed) {
  TemporaryDirectory dir;
  ASSERT_TRUE(
      fs::write_file(dir.path + "/a.yaml",
                     "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: i}]}}"));
  ASSERT_TRUE(fs::write_file(dir.path + "/b.yaml", "kind: Deployment\napiVersion: apps/v1\n"));
  ASSERT_TRUE(fs::write_file(dir.path + "/c.yaml", "{unclosed"));
  ASSERT_TRUE(fs::write_file(dir.path + "/notes.txt", "no manifest"));
  auto set = read_manifests(dir.path, "n1");
  ASSERT_EQ(set.pods.size(), 1u);
  const auto& pod = *set.pods.begin()->second;
  EXPECT_EQ(name_of(pod), "a-n1");
  EXPECT_EQ(namespace_of(pod), "default");
  EXPECT_TRUE(is_static(pod));
  EXPECT_EQ(set.problems.size(), 2u);
  EXPECT_NE(read_manifests(dir.path, "n2").pods.begin()->first, set.pods.begin()->first) << "another node, another pod";
  auto mirror = make_mirror_pod(pod, "n1", "node-uid");
  EXPECT_TRUE(is_mirror(mirror));
  EXPECT_FALSE(is_static(mirror));
  EXPECT_TRUE(uid_of(mirror).empty());
  EXPECT_TRUE(read_manifests(dir.path + "/absent", "n1").pods.empty());
}

TEST(Begin, GivesTheResultAndNeverHangsWhenTheScopeIsClosed) {
  auto work = []() -> Task<int> {
    co_await sleep_for(10ms);
    co_return 7;
  };
  auto run = [](Task<int> (*make)()) -> Task<std::pair<int, int>> {
    Scope scope(*Loop::current());
    auto first = begin<int>(scope, "work", make(), -1);
    int a = co_await first.wait();
    co_await scope.close();
    auto second = begin<int>(scope, "late", make(), -1);
    int b = co_await second.wait();
    co_return std::pair(a, b);
  };
  auto [a, b] = run_task(run(+work));
  EXPECT_EQ(a, 7);
  EXPECT_EQ(b, -1);
}

}  // namespace
}  // namespace lab::agent
