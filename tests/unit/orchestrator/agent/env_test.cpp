#include "orchestrator/agent/env.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/yaml/yaml.h"

namespace lab::agent {
namespace {

json::Value y(std::string_view text) {
  auto v = yaml::parse(text);
  EXPECT_TRUE(v) << (v ? "" : v.error().text());
  return v ? std::move(*v) : json::Value();
}
ObjectPtr object(std::string_view text) {
  return std::make_shared<const json::Value>(y(text));
}
std::string value_of(const Variables& env, const std::string& name) {
  for (const auto& [k, v] : env)
    if (k == name) return v;
  return "(unset)";
}

TEST(Expand, FollowsKubernetesRules) {
  std::string a = "1";
  auto look = [&](std::string_view name) -> const std::string* { return name == "A" ? &a : nullptr; };
  EXPECT_EQ(expand("$(A)-$(B)-$$(A)-$A-$", look), "1-$(B)-$(A)-$A-$");
  EXPECT_EQ(expand("$(A", look), "$(A");
  EXPECT_EQ(expand("$$$(A)", look), "$1");
  EXPECT_EQ(expand("", look), "");
}

TEST(Environment, LaterValuesSeeEarlierOnesAndOwnOnesWin) {
  auto pod = y("{metadata: {name: p, namespace: ns, uid: u}, spec: {containers: [{name: c}]}}");
  auto container = y(R"y({name: c, env: [{name: A, value: x}, {name: B, value: "$(A)$(SVC_SERVICE_HOST)"},
    {name: C, value: "$(D)"}, {name: D, value: d}, {name: SVC_SERVICE_PORT, value: mine}]})y");
  auto services =
      service_variables({object("{metadata: {name: svc}, spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}}")});
  auto env = make_environment(pod, container, {}, {}, services);
  ASSERT_TRUE(env);
  EXPECT_EQ(value_of(*env, "B"), "x10.0.0.1");
  EXPECT_EQ(value_of(*env, "C"), "$(D)");
  EXPECT_EQ(value_of(*env, "SVC_SERVICE_PORT"), "mine");
  EXPECT_EQ(std::ranges::count(*env, "SVC_SERVICE_PORT", &std::pair<std::string, std::string>::first), 1);
}

TEST(Environment, MissingObjectsAreNamed) {
  auto pod = y("{metadata: {name: p, namespace: ns}, spec: {}}");
  auto container = y("{name: c, env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}");
  auto none = make_environment(pod, container, {}, {}, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "secret \"s\" not found");
  FetchedObjects have{{{ObjectRef::kSecret, "s"}, object("{data: {other: eA==}}")}};
  auto no_key = make_environment(pod, container, have, {}, {});
  ASSERT_FALSE(no_key);
  EXPECT_EQ(no_key.error().message, "couldn't find key k in Secret ns/s");
}

TEST(Environment, ServiceVariablesAsDockerLinks) {
  auto env = service_variables({object(R"y({metadata: {name: my-db}, spec: {clusterIP: 10.0.0.2, ports: [
      {name: main, port: 5432}, {name: stats, port: 99, protocol: UDP}]}})y"),
                                object("{metadata: {name: headless}, spec: {clusterIP: None, ports: [{port: 1}]}}")});
  EXPECT_EQ(value_of(env, "MY_DB_SERVICE_HOST"), "10.0.0.2");
  EXPECT_EQ(value_of(env, "MY_DB_SERVICE_PORT"), "5432");
  EXPECT_EQ(value_of(env, "MY_DB_SERVICE_PORT_STATS"), "99");
  EXPECT_EQ(value_of(env, "MY_DB_PORT"), "tcp://10.0.0.2:5432");
  EXPECT_EQ(value_of(env, "MY_DB_PORT_99_UDP"), "udp://10.0.0.2:99");
  EXPECT_EQ(value_of(env, "HEADLESS_SERVICE_HOST"), "(unset)");
}

TEST(FieldValue, PathsOfTheDownwardApi) {
  auto pod = y(R"y({metadata: {name: p, namespace: ns, uid: u, labels: {b: "2", a: '1"'}, annotations: {"x/y": z}},
    spec: {serviceAccountName: sa}})y");
  PodFacts facts{.node_name = "n", .host_ip = "10.0.0.1", .pod_ip = "10.1.0.1", .pod_ips = {"10.1.0.1", "fd00::1"}};
  EXPECT_EQ(field_value(pod, "metadata.labels['b']", facts).value_or("?"), "2");
  EXPECT_EQ(field_value(pod, "metadata.annotations['x/y']", facts).value_or("?"), "z");
  EXPECT_EQ(field_value(pod, "status.podIPs", facts).value_or("?"), "10.1.0.1,fd00::1");
  EXPECT_EQ(field_value(pod, "metadata.labels", facts, true).value_or("?"), "a=\"1\\\"\"\nb=\"2\"");
  EXPECT_FALSE(field_value(pod, "metadata.labels", facts));
  EXPECT_FALSE(field_value(pod, "spec.secrets", facts));
}

TEST(ResourceValue, DividesAndFallsBackToTheNode) {
  auto pod = y("{spec: {containers: [{name: c, resources: {limits: {cpu: 250m, memory: 100Mi}}}, {name: free}]}}");
  const auto& c = json::list(pod, "spec", "containers")[0];
  PodFacts facts;
  facts.allocatable_cpu_milli = 3500;
  facts.allocatable_memory = 5 << 20;
  auto ask = [&](std::string_view ref) { return resource_value(pod, c, y(ref), facts).value_or("?"); };
  EXPECT_EQ(ask("{resource: limits.cpu}"), "1");  // rounded up
  EXPECT_EQ(ask("{resource: limits.cpu, divisor: 1m}"), "250");
  EXPECT_EQ(ask("{resource: limits.memory, divisor: 1Mi}"), "100");
  EXPECT_EQ(ask("{resource: requests.memory, divisor: 1Mi}"), "100");  // a limit alone is the request, too
  EXPECT_EQ(ask("{resource: limits.cpu, containerName: free}"), "4");
  EXPECT_EQ(ask("{resource: limits.memory, containerName: free, divisor: 1Mi}"), "5");
  EXPECT_EQ(ask("{resource: nonsense}"), "?");
  EXPECT_EQ(ask("{resource: limits.cpu, containerName: nobody}"), "?");
}

}  // namespace
}  // namespace lab::agent
