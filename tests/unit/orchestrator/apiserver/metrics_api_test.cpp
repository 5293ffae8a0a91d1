#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "base/http/server.h"
#include "fixture.h"
#include "orchestrator/apiserver/usage_sample.h"
#include "pki/certificate.h"

namespace lab::apiserver {
namespace {

constexpr std::string_view kMetrics = "/apis/metrics.k8s.io/v1beta1";

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

UsagePoint point(std::int64_t at_ms, double cpu, double started = 0) {
  return {.at_ms = at_ms, .cpu_seconds = cpu, .memory = 4096, .started_seconds = started};
}

TEST(UsageSample, ReadsTheTextFormat) {
  auto sample = UsageSample::parse(
      "# HELP x y\n# TYPE x counter\n"
      "node_cpu_usage_seconds_total 12.5 1700000000123\nnode_memory_working_set_bytes 1e+06 1700000000123\n"
      "container_cpu_usage_seconds_total{container=\"a\\\"b\",namespace=\"n\",pod=\"p\"} 0.25 1700000000100\n"
      "container_memory_working_set_bytes{container=\"a\\\"b\",namespace=\"n\",pod=\"p\"} 2048\n"
      "container_cpu_usage_seconds_total{container=\"cut");
  ASSERT_TRUE(sample) << sample.error().text();
  EXPECT_EQ(sample->node.at_ms, 1700000000123);
  EXPECT_DOUBLE_EQ(sample->node.cpu_seconds, 12.5);
  EXPECT_EQ(sample->node.memory, 1'000'000u);
  ASSERT_EQ(sample->pods.size(), 1u);
  const auto& container = sample->pods.at({"n", "p"}).at("a\"b");
  EXPECT_DOUBLE_EQ(container.cpu_seconds, 0.25);
  EXPECT_EQ(container.memory, 2048u);
  EXPECT_FALSE(UsageSample::parse("404 page not found\n"));
}

TEST(UsageSample, RatesAreBetweenTwoPointsOfOneLife) {
  auto before = point(10'000, 1.0);
  auto usage = usage_between(&before, point(12'000, 2.0));
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->nanocores, 500'000'000u);
  EXPECT_EQ(usage->window.count(), 2000);
  EXPECT_EQ(usage->memory, 4096u);
  EXPECT_FALSE(usage_between(&before, point(12'000, 0.5)));  // the counter went back
  EXPECT_FALSE(usage_between(&before, point(10'001, 1.5)));  // too close
  EXPECT_FALSE(usage_between(nullptr, point(12'000, 2.0)));
  // Begun since: its whole life counts, also where another one of that name was before.
  for (const UsagePoint* earlier : {static_cast<const UsagePoint*>(nullptr), static_cast<const UsagePoint*>(&before)}) {
    auto young = usage_between(earlier, point(14'000, 0.5, 12));
    ASSERT_TRUE(young);
    EXPECT_EQ(young->nanocores, 250'000'000u);
  }
}

// A node agent's resource metrics: the node uses half a core, the container "c" of pod "p" a quarter.
class MetricsApiTest : public ServerTest {
 protected:
  MetricsApiTest() {
    auto ca = pki::Authority::create("test", std::chrono::hours(1), pki::KeyAlgorithm::kEcdsaP256);
    auto key = pki::PrivateKey::generate(pki::KeyAlgorithm::kEcdsaP256);
    auto certificate = ca.issue({.common_name = "n1", .addresses = {"127.0.0.1"}, .server_auth = true}, key);
    EXPECT_TRUE(certificate);
    http::ServerOptions options;
    options.tls = [pem = *certificate, key_pem = key.pem()]() -> Result<TlsServerConfig> {
      TlsServerConfig tls;
      tls.certificate_chain_pem = pem;
      tls.private_key_pem = key_pem;
      return tls;
    };
    auto started = http::Server::start(std::move(options), [this](http::Request request, http::ResponseWriter& writer) {
      return answer(std::move(request), writer);
    });
    EXPECT_TRUE(started);
    agent_ = std::move(*started);
    for (const char* name : {"n1", "n2"})
      make("/api/v1/nodes",
           json::Object{{"apiVersion", "v1"},
                        {"kind", "Node"},
                        {"metadata", json::Object{{"name", name}, {"labels", json::Object{{"node", name}}}}}});
    set_ready("n1", true);
    make(kPods, pod("p", "n1"));
    make(kPods, pod("unmeasured", "n1"));
  }

  void set_ready(const std::string& node, bool ready) {
    json::Object condition{{"type", "Ready"}, {"status", ready ? "True" : "False"}};
    json::Object address{{"type", "InternalIP"}, {"address", "127.0.0.1"}};
    json::Value status;
    json::set(status, json::Array{std::move(condition)}, "status", "conditions");
    json::set(status, json::Array{std::move(address)}, "status", "addresses");
    json::set(status, agent_->port(), "status", "daemonEndpoints", "kubeletEndpoint", "Port");
    EXPECT_EQ(merge("/api/v1/nodes/" + node + "/status", status).status, 200);
  }

  Task<void> answer(http::Request request, http::ResponseWriter& writer) {
    ++asked_;
    http::Response response;
    auto at = now_ms();
    auto life = static_cast<double>(at - began_) / 1e3;
    auto line = [&](const std::string& name, double value) {
      response.body.push_back(http::buffer(name + " " + std::to_string(value) + " " + std::to_string(at) + "\n"));
    };
    std::string labels = "{container=\"c\",namespace=\"default\",pod=\"p\"}";
    if (request.target != "/metrics/resource") response.status = 404;
    line("node_cpu_usage_seconds_total", 100 + life / 2);
    line("node_memory_working_set_bytes", 2048);
    line("container_cpu_usage_seconds_total" + labels, 7 + life / 4);
    line("container_memory_working_set_bytes" + labels, 1024);
    (void)co_await writer.send(std::move(response));
  }

  std::int64_t began_ = now_ms();
  std::atomic<int> asked_{0};
  std::unique_ptr<http::Server> agent_;
};

std::int64_t nanocores(const json::Value& usage) {
  std::string text(json::str(usage, "cpu"));
  EXPECT_TRUE(text.ends_with("n")) << text;
  return std::atoll(text.c_str());
}

TEST_F(MetricsApiTest, NodesAndPods) {
  auto nodes = get(std::string(kMetrics) + "/nodes");
  ASSERT_EQ(nodes.status, 200) << nodes.text;
  EXPECT_EQ(json::str(nodes.body, "kind"), "NodeMetricsList");
  ASSERT_EQ(json::list(nodes.body, "items").size(), 1u) << nodes.text;  // n2 is not Ready
  const auto& node = json::list(nodes.body, "items")[0];
  EXPECT_EQ(json::str(node, "metadata", "name"), "n1");
  EXPECT_EQ(json::str(node, "usage", "memory"), "2Ki");
  EXPECT_NEAR(static_cast<double>(nanocores(json::at(node, "usage"))), 5e8, 1e7);

  auto pods = get(std::string(kMetrics) + "/pods");
  ASSERT_EQ(json::list(pods.body, "items").size(), 1u) << pods.text;
  const auto& pod = json::list(pods.body, "items")[0];
  EXPECT_EQ(json::str(pod, "metadata", "labels", "app"), "web");
  ASSERT_EQ(json::list(pod, "containers").size(), 1u);
  EXPECT_EQ(json::str(json::list(pod, "containers")[0], "usage", "memory"), "1Ki");
  EXPECT_NEAR(static_cast<double>(nanocores(json::at(json::list(pod, "containers")[0], "usage"))), 2.5e8, 1e7);
  EXPECT_EQ(asked_, 2);  // what is a few seconds old answers at once
}

TEST_F(MetricsApiTest, OneByNameAndBySelector) {
  auto of = [](std::string_view rest) {
    return std::string(kMetrics) + "/namespaces/default/pods" + std::string(rest);
  };
  EXPECT_EQ(json::str(get(of("/p")).body, "kind"), "PodMetrics");
  EXPECT_EQ(get(of("/unmeasured")).status, 404);
  EXPECT_EQ(get(of("/none")).status, 404);
  EXPECT_EQ(get(std::string(kMetrics) + "/nodes/n2").status, 404);
  EXPECT_EQ(json::list(get(of("?labelSelector=app%3Dweb")).body, "items").size(), 1u);
  EXPECT_EQ(json::list(get(of("?labelSelector=app%3Dother")).body, "items").size(), 0u);
  EXPECT_EQ(json::list(get(std::string(kMetrics) + "/namespaces/other/pods").body, "items").size(), 0u);
  EXPECT_EQ(get(of("?fieldSelector=spec.nodeName%3Dn1")).status, 400);
  EXPECT_EQ(get(of("?watch=true")).status, 405);
  EXPECT_EQ(call("DELETE", of("/p")).status, 405);
}

TEST_F(MetricsApiTest, AnAgentThatDoesNotAnswerIsLeftOut) {
  agent_->shutdown(std::chrono::seconds(0));
  auto nodes = get(std::string(kMetrics) + "/nodes");
  EXPECT_EQ(nodes.status, 200) << nodes.text;
  EXPECT_EQ(json::list(nodes.body, "items").size(), 0u);
}

TEST_F(MetricsApiTest, PrintsAsATable) {
  auto table = get(std::string(kMetrics) + "/nodes", {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
  EXPECT_EQ(json::str(table.body, "kind"), "Table") << table.text;
  ASSERT_EQ(json::list(table.body, "rows").size(), 1u);
  EXPECT_EQ(json::list(json::list(table.body, "rows")[0], "cells").size(),
            json::list(table.body, "columnDefinitions").size());
}

TEST_F(MetricsApiTest, StandsInDiscovery) {
  EXPECT_NE(get("/apis").text.find("\"metrics.k8s.io\""), std::string::npos);
  auto resources = get(std::string(kMetrics));
  ASSERT_EQ(json::list(resources.body, "resources").size(), 2u) << resources.text;
  EXPECT_EQ(json::list(json::list(resources.body, "resources")[0], "verbs"), (json::Array{"get", "list"}));
  auto aggregated = get("/apis", {{"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}});
  EXPECT_NE(aggregated.text.find("\"PodMetrics\""), std::string::npos);
}

}  // namespace
}  // namespace lab::apiserver
