// Overlay agent, service proxy and cluster DNS of one node together, fed by a real API server: objects go in through
// the API, packets tell what came of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/fs.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/dns/server.h"
#include "orchestrator/proxy/proxy.h"
#include "overlay-net/agent/agent.h"
#include "tests/netns/support/probe.h"
#include "tests/netns/support/sandbox.h"

namespace lab {
namespace {

namespace res = client::res;
using test::must;

json::Value parse(const std::string& text) {
  return must(json::parse(text));
}

struct NodeTest : testing::Test {
  test::Sandbox box;
  std::string dir = box.directory() + "/state";
  std::unique_ptr<client::Client> api;
  Pool blocking{"test", 2};

  void SetUp() override {
    box.add("wire");
    must(must(Netlink::open_in(box.ns("wire"))).create_bridge({.name = "br0", .up = true}));
    box.add("n1");
    box.plug("n1", "eth0", "192.168.77.1/24", "wire", "br0");
    must(fs::make_dirs(dir));
  }

  // Runs the body on a loop in the node's namespace, with an API server that holds the Node "n1".
  void run(std::function<Task<void>(Loop&)> body) {
    must(run_in_netns(box.ns("n1"), [&] {
      auto store = must(store::open_embedded({.path = dir + "/db"}));
      apiserver::ServerOptions options;
      options.store = store.get();
      options.authorization = false;
      auto server = must(apiserver::ApiServer::start(options));
      must(server->wait_ready(std::chrono::seconds(60)));
      run_task(start(*this, *server, body));
    }));
  }
  static Task<void> start(NodeTest& t, apiserver::ApiServer& server, std::function<Task<void>(Loop&)> body) {
    Loop& loop = *Loop::current();
    t.api = std::make_unique<client::Client>(server.in_process({"admin", "", {"system:masters"}, {}}, loop));
    co_await t.create(res::nodes, "",
                      R"({"metadata":{"name":"n1"},"spec":{"podCIDR":"10.244.1.0/24","podCIDRs":["10.244.1.0/24"]}})");
    co_await body(loop);
    t.api.reset();
  }
  Task<void> create(client::Resource r, std::string ns, std::string text) {
    auto made = co_await api->create(r, ns, parse(text));
    EXPECT_TRUE(made) << made.error().text();
  }
  Task<void> patch(client::Resource r, std::string ns, std::string name, std::string text) {
    auto done = co_await api->patch(r, ns, name, client::PatchType::kMerge, parse(text));
    EXPECT_TRUE(done) << done.error().text();
  }
  // What a command on the node prints, without stopping the loop.
  Task<std::string> sh(std::string line) {
    return blocking.run([this, line] { return box.sh("n1", line).out; });
  }
  // Until what is seen holds the wanted text.
  Task<bool> until_seen(std::string what, std::function<std::string()> look, std::string wanted) {
    auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::string seen;
    while (std::chrono::steady_clock::now() < limit) {
      seen = co_await blocking.run([look] { return look(); });
      if (seen.find(wanted) != std::string::npos) co_return true;
      co_await sleep_for(std::chrono::milliseconds(50));
    }
    ADD_FAILURE() << what << " never says " << wanted << " but " << seen;
    co_return false;
  }
  Task<bool> until(std::string line, std::string wanted) {
    return until_seen(line, [this, line] { return box.sh("n1", line).out; }, wanted);
  }
  // What a connection to ADDRESS:PORT from the node is answered.
  Task<bool> until_answer(std::string to, std::string wanted) {
    auto look = [this, to] { return test::ask_tcp(box.ns("n1"), to, std::chrono::seconds(5)); };
    return until_seen("a connection to " + to, look, wanted);
  }
  overlay::AgentOptions overlay_options() {
    return {.core = {.node_name = "n1",
                     .underlay = *IpAddress::parse("192.168.77.1"),
                     .state_dir = dir + "/overlay",
                     .socket_path = dir + "/overlay.sock",
                     .cni_dir = dir + "/net.d"},
            .client = api.get()};
  }
};

TEST_F(NodeTest, NodesBecomePeersAndGo) {
  run([this](Loop& loop) -> Task<void> {
    overlay::OverlayAgent agent(overlay_options());
    Scope scope(loop);
    must(agent.start(scope));
    co_await create(res::nodes, "",
                    R"({"metadata":{"name":"n2"},"spec":{"podCIDR":"10.244.2.0/24","podCIDRs":["10.244.2.0/24"]}})");
    auto n2 = parse(R"({"status":{"addresses":[{"type":"InternalIP","address":"192.168.77.2"}]}})");
    must(co_await api->patch(res::nodes, "", "n2", client::PatchType::kMerge, n2, "status"));
    EXPECT_TRUE(co_await until("ip route", "10.244.2.0/24 via 10.244.2.0 dev lab-vxlan"));
    EXPECT_TRUE(co_await until("bridge fdb show dev lab-vxlan", "dst 192.168.77.2"));
    auto self = must(co_await api->get(res::nodes, "", "n1"));
    EXPECT_EQ(json::str(self, "metadata", "annotations", overlay::kUnderlayAnnotation), "192.168.77.1");
    EXPECT_EQ(json::str(self, "metadata", "annotations", overlay::kVtepMacAnnotation),
              overlay::AgentCore::vtep_mac_of("n1").text());
    EXPECT_TRUE(fs::exists(dir + "/net.d/10-lab.conflist"));
    // Its address changes: followed. It is deleted: gone.
    co_await patch(res::nodes, "", "n2",
                   R"({"metadata":{"annotations":{"overlay.lab/underlay-address":"192.168.77.22"}}})");
    EXPECT_TRUE(co_await until("bridge fdb show dev lab-vxlan", "dst 192.168.77.22"));
    must(co_await api->remove(res::nodes, "", "n2"));
    EXPECT_TRUE(co_await until("ip route | grep -q 10.244.2.0 || echo gone", "gone"));
    co_await scope.close();
  });
}

TEST_F(NodeTest, WhatWasKnownServesWithoutAnApiServer) {
  run([this](Loop& loop) -> Task<void> {
    overlay::OverlayAgent agent(overlay_options());
    Scope scope(loop);
    must(agent.start(scope));
    co_await create(
        res::nodes, "",
        R"({"metadata":{"name":"n2","annotations":{"overlay.lab/underlay-address":"192.168.77.2"}},"spec":{"podCIDR":"10.244.2.0/24"}})");
    EXPECT_TRUE(co_await until("ip route", "10.244.2.0/24"));
    co_await scope.close();
  });
  must(in_netns(box.ns("n1"), [&] { return overlay::OverlayAgent::clean_up(dir + "/net.d"); }));
  must(run_in_netns(box.ns("n1"), [&] {
    overlay::AgentCore core(overlay_options().core);
    must(core.reconcile());
  }));
  auto lines = box.describe("n1");
  EXPECT_TRUE(std::ranges::any_of(lines, [](auto& l) { return l.find("10.244.2.0/24 via") != std::string::npos; }));
}

TEST_F(NodeTest, ServicesAnswerByAddressAndByName) {
  test::AnswerServer a(box.ns("n1"), {.word = "a", .tcp = 8001}), b(box.ns("n1"), {.word = "b", .tcp = 8002});
  run([this](Loop& loop) -> Task<void> {
    co_await create(
        res::services, "default",
        R"({"metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.77","type":"NodePort","ports":[{"port":80,"nodePort":30080}]}})");
    proxy::ProxyOptions proxy_options{.client = api.get(),
                                      .node_name = "n1",
                                      .service_cidr = *Cidr::parse("10.96.0.0/12"),
                                      .pod_cidrs = {*Cidr::parse("10.244.0.0/16")},
                                      .served_here = {*IpAddress::parse("10.96.0.10")},
                                      .check_interval = std::chrono::milliseconds(200)};
    auto first = std::make_unique<proxy::ServiceProxy>(proxy_options);
    dns::DnsServer dns({.client = api.get(), .address = *IpAddress::parse("10.96.0.10")});
    auto proxy_scope = std::make_unique<Scope>(loop);
    Scope scope(loop);
    must(first->start(*proxy_scope));
    must(dns.start(scope));
    const std::string ask = "10.96.0.77:80", ask_port = "192.168.77.1:30080";
    EXPECT_TRUE(co_await until_answer(ask, "Connection refused"));
    auto slice = [](const char* port) {
      return std::string(
                 R"({"metadata":{"name":"web-1","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[{"name":"","port":)") +
             port +
             R"(,"protocol":"TCP"}],"endpoints":[{"addresses":["192.168.77.1"],"nodeName":"n1","conditions":{"ready":true}}]})";
    };
    co_await create(res::endpointslices, "default", slice("8001"));
    EXPECT_TRUE(co_await until_answer(ask, "a "));
    EXPECT_TRUE(co_await until_answer(ask_port, "a "));
    must(co_await api->patch(res::endpointslices, "default", "web-1", client::PatchType::kMerge,
                             parse(R"({"ports":[{"name":"","port":8002,"protocol":"TCP"}]})")));
    EXPECT_TRUE(co_await until_answer(ask, "b "));
    EXPECT_TRUE(co_await until("busybox nslookup web.default.svc.cluster.local 10.96.0.10", "10.96.0.77"));
    EXPECT_TRUE(co_await until("busybox nslookup 10.96.0.77 10.96.0.10", "web.default.svc.cluster.local"));
    EXPECT_TRUE(co_await until("busybox nslookup nope.default.svc.cluster.local 10.96.0.10 2>&1", "NXDOMAIN"));

    // Someone flushes the ruleset: it comes back. A proxy that starts anew takes over.
    (void)co_await sh("nft flush ruleset");
    EXPECT_TRUE(co_await until_answer(ask, "b "));
    co_await proxy_scope->close();
    first.reset();
    EXPECT_TRUE(co_await until_answer(ask, "b "));
    proxy::ServiceProxy second(proxy_options);
    proxy_scope = std::make_unique<Scope>(loop);
    must(second.start(*proxy_scope));
    EXPECT_TRUE(co_await until_answer(ask, "b "));
    must(co_await api->remove(res::services, "default", "web"));
    EXPECT_TRUE(co_await until("nft list map ip lab-proxy services | grep -q 10.96.0.77 || echo gone", "gone"));
    EXPECT_TRUE(co_await until("busybox nslookup web.default.svc.cluster.local 10.96.0.10 2>&1", "NXDOMAIN"));
    co_await proxy_scope->close();
    co_await scope.close();
  });
  must(in_netns(box.ns("n1"), [] { return proxy::ServiceProxy::clean_up(); }));
  must(in_netns(box.ns("n1"), [] { return dns::DnsServer::clean_up(*IpAddress::parse("10.96.0.10")); }));
  for (const auto& line : box.describe("n1")) EXPECT_EQ(line.find("10.96"), std::string::npos) << line;
}

// The Node's zone chooses among endpoints, as soon as it is known and when it changes; load balancers are told.
TEST_F(NodeTest, TheNodesZoneAndHealthChecksFollowTheApi) {
  test::AnswerServer a(box.ns("n1"), {.word = "a", .tcp = 8001}), b(box.ns("n1"), {.word = "b", .tcp = 8002});
  run([this](Loop& loop) -> Task<void> {
    proxy::ServiceProxy proxy({.client = api.get(),
                               .node_name = "n1",
                               .service_cidr = *Cidr::parse("10.96.0.0/12"),
                               .pod_cidrs = {*Cidr::parse("10.244.0.0/16")},
                               .check_interval = std::chrono::milliseconds(200)});
    Scope scope(loop);
    must(proxy.start(scope));
    co_await create(
        res::services, "default",
        R"({"metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.77","type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":80}]}})");
    auto slice = [](const char* name, const char* zone, const char* port) {
      return std::string(R"({"metadata":{"name":")") + name +
             R"(","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[{"name":"","port":)" +
             port +
             R"(,"protocol":"TCP"}],"endpoints":[{"addresses":["192.168.77.1"],"nodeName":"n1","conditions":{"ready":true},)" +
             R"("zone":")" + zone + R"(","hints":{"forZones":[{"name":")" + zone + R"("}]}}]})";
    };
    auto web = must(co_await api->get(res::services, "default", "web"));
    auto check = "192.168.77.1:" + std::to_string(json::num(web, "spec", "healthCheckNodePort"));
    auto curl = "curl -s -o /dev/stdout -w ' %{http_code}' http://" + check + "/healthz";
    EXPECT_TRUE(co_await until(curl, R"("localEndpoints":0,"serviceProxyHealthy":true} 503)"));
    co_await create(res::endpointslices, "default", slice("web-1", "east", "8001"));
    co_await create(res::endpointslices, "default", slice("web-2", "west", "8002"));
    EXPECT_TRUE(co_await until(curl, R"({"service":{"namespace":"default","name":"web"},"localEndpoints":1)"));
    EXPECT_TRUE(co_await until(curl, " 200"));
    for (auto [zone, answer] : {std::pair{"west", "b "}, {"east", "a "}}) {
      co_await patch(res::nodes, "", "n1",
                     std::string(R"({"metadata":{"labels":{"topology.kubernetes.io/zone":")") + zone + "\"}}}");
      auto slots = "nft list map ip lab-proxy service-endpoints-tcp | tr '\n' ' '";
      EXPECT_TRUE(co_await until(slots, std::string("80 . 0 : 192.168.77.1 . ") + (*answer == 'a' ? "8001" : "8002")));
      for (int i = 0; i < 8; ++i) EXPECT_TRUE(co_await until_answer("10.96.0.77:80", answer));
    }
    must(co_await api->remove(res::services, "default", "web"));
    EXPECT_TRUE(co_await until(curl, " 000"));
    co_await scope.close();
  });
  must(in_netns(box.ns("n1"), [] { return proxy::ServiceProxy::clean_up(); }));
}

}  // namespace
}  // namespace lab
