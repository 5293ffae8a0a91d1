// The server over real sockets on loopback, asked by an independent resolver (ldns); a second server is its upstream.
#include "orchestrator/dns/server.h"

#include <gtest/gtest.h>
#include <ldns/ldns.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <thread>

namespace lab::dns {
namespace {

const IpAddress kLoopback = *IpAddress::parse("127.0.0.1");

// A server on a loop and a thread of its own.
struct Running {
  Loop* loop = nullptr;
  std::unique_ptr<DnsServer> server;
  OneShot<bool> stop;
  std::promise<void> ready;
  std::thread thread;

  Running(std::string domain, ForwarderOptions forward) {
    DnsOptions options{
        .domain = domain, .address = kLoopback, .port = 0, .bind_on_node = false, .forward = std::move(forward)};
    thread = std::thread([this, options] { run_task(body(*this, options)); });
    ready.get_future().get();
  }
  ~Running() {
    stop.set(true);
    thread.join();
  }
  static Task<void> body(Running& self, DnsOptions options) {
    self.loop = Loop::current();
    Scope scope(*self.loop);
    self.server = std::make_unique<DnsServer>(options);
    auto started = self.server->start(scope);
    EXPECT_TRUE(started) << started.error().text();
    self.ready.set_value();
    co_await self.stop.wait();
    co_await scope.close();
    self.server.reset();
  }
  void on_loop(std::function<void()> f) {
    std::promise<void> done;
    loop->post([&] {
      f();
      done.set_value();
    });
    done.get_future().get();
  }
  void service(const std::string& key, const std::string& spec, const std::string& slice = "{}") {
    on_loop([&] {
      auto s = json::parse("{\"spec\":" + spec + "}").value(), e = json::parse(slice).value();
      server->zone().set_namespace(key.substr(0, key.find('/')), true);
      server->zone().set_service(key, &s, {&e});
    });
  }
  std::string upstream() const { return "127.0.0.1:" + std::to_string(server->port()); }
};

// "RCODE ADDRESS ..." of a question asked through ldns.
std::string ask(int port, const char* name, ldns_rr_type type = LDNS_RR_TYPE_A, bool tcp = false, int edns = 0,
                bool* truncated = nullptr) {
  ldns_resolver* resolver = ldns_resolver_new();
  ldns_rdf* server = ldns_rdf_new_frm_str(LDNS_RDF_TYPE_A, "127.0.0.1");
  ldns_resolver_push_nameserver(resolver, server);
  ldns_resolver_set_port(resolver, static_cast<std::uint16_t>(port));
  ldns_resolver_set_usevc(resolver, tcp);
  ldns_resolver_set_igntc(resolver, truncated != nullptr);
  ldns_resolver_set_fallback(resolver, false);
  ldns_resolver_set_edns_udp_size(resolver, static_cast<std::uint16_t>(edns));
  ldns_resolver_set_recursive(resolver, true);
  ldns_resolver_set_retry(resolver, 1);
  ldns_resolver_set_timeout(resolver, {.tv_sec = 8, .tv_usec = 0});
  ldns_rdf* domain = ldns_dname_new_frm_str(name);
  ldns_pkt* packet = ldns_resolver_query(resolver, domain, type, LDNS_RR_CLASS_IN, LDNS_RD);
  std::string out = "no answer";
  if (packet) {
    out = std::to_string(ldns_pkt_get_rcode(packet));
    if (truncated) *truncated = ldns_pkt_tc(packet);
    const ldns_rr_list* answers = ldns_pkt_answer(packet);
    for (std::size_t i = 0; i < ldns_rr_list_rr_count(answers); ++i) {
      char* text = ldns_rdf2str(ldns_rr_rdf(ldns_rr_list_rr(answers, i), 0));
      out += " " + std::string(text);
      free(text);
    }
    ldns_pkt_free(packet);
  }
  ldns_rdf_deep_free(domain);
  ldns_rdf_deep_free(server);
  ldns_resolver_free(resolver);
  return out;
}

TEST(DnsServer, AnswersOverUdpAndTcp) {
  Running dns("cluster.local", {});
  dns.service("default/web", R"({"clusterIP":"10.96.0.5"})");
  int port = dns.server->port();
  EXPECT_EQ(ask(port, "web.default.svc.cluster.local."), "0 10.96.0.5");
  EXPECT_EQ(ask(port, "WEB.Default.svc.cluster.local."), "0 10.96.0.5");
  EXPECT_EQ(ask(port, "web.default.svc.cluster.local.", LDNS_RR_TYPE_A, true), "0 10.96.0.5");
  EXPECT_EQ(ask(port, "web.default.svc.cluster.local.", LDNS_RR_TYPE_A, false, 4096), "0 10.96.0.5");
  EXPECT_EQ(ask(port, "web.default.svc.cluster.local.", LDNS_RR_TYPE_AAAA), "0");
  EXPECT_EQ(ask(port, "none.default.svc.cluster.local."), "3");
  EXPECT_EQ(ask(port, "5.0.96.10.in-addr.arpa.", LDNS_RR_TYPE_PTR), "0 web.default.svc.cluster.local.");
}

TEST(DnsServer, LargeAnswersAreCutOverUdpAndWholeOverTcp) {
  Running dns("cluster.local", {});
  std::string endpoints;
  for (int i = 0; i < 200; ++i) {
    endpoints += std::string(i ? "," : "") + R"({"addresses":["10.244.1.)" + std::to_string(i + 1) + "\"]}";
  }
  dns.service("default/many", R"({"clusterIP":"None"})", R"({"addressType":"IPv4","endpoints":[)" + endpoints + "]}");
  bool truncated = false;
  ask(dns.server->port(), "many.default.svc.cluster.local.", LDNS_RR_TYPE_A, false, 0, &truncated);
  EXPECT_TRUE(truncated);
  auto whole = ask(dns.server->port(), "many.default.svc.cluster.local.", LDNS_RR_TYPE_A, true);
  EXPECT_EQ(std::ranges::count(whole, ' '), 200);
}

TEST(DnsServer, ForwardsCachesAndFollowsExternalNames) {
  Running outside("example.org", {});
  outside.service("prod/www", R"({"clusterIP":"192.0.2.80"})");
  Running dns("cluster.local", {.upstreams = {outside.upstream()}});
  dns.service("default/ext", R"({"type":"ExternalName","externalName":"www.prod.svc.example.org"})");
  dns.service("default/web", R"({"clusterIP":"10.96.0.5"})");
  dns.service("default/alias", R"({"type":"ExternalName","externalName":"web.default.svc.cluster.local"})");
  dns.service("default/lost", R"({"type":"ExternalName","externalName":"none.prod.svc.example.org"})");
  int port = dns.server->port();
  EXPECT_EQ(ask(port, "www.prod.svc.example.org."), "0 192.0.2.80");
  EXPECT_EQ(ask(port, "Www.prod.svc.example.ORG."), "0 192.0.2.80");
  EXPECT_EQ(ask(port, "www.prod.svc.example.org.", LDNS_RR_TYPE_A, true), "0 192.0.2.80");
  EXPECT_EQ(ask(port, "none.prod.svc.example.org."), "3");
  EXPECT_EQ(outside.server->stats().queries, 2u);  // the rest came from the cache
  EXPECT_EQ(ask(port, "ext.default.svc.cluster.local."), "0 www.prod.svc.example.org. 192.0.2.80");
  EXPECT_EQ(ask(port, "alias.default.svc.cluster.local."), "0 web.default.svc.cluster.local. 10.96.0.5");
  EXPECT_EQ(ask(port, "lost.default.svc.cluster.local."), "3 none.prod.svc.example.org.");
  // Names of the cluster stay here.
  auto before = outside.server->stats().queries;
  EXPECT_EQ(ask(port, "none.default.svc.cluster.local."), "3");
  EXPECT_EQ(outside.server->stats().queries, before);
}

TEST(DnsServer, UpstreamTruncationIsFollowedOverTcp) {
  Running outside("example.org", {});
  std::string endpoints;
  for (int i = 0; i < 200; ++i) {
    endpoints += std::string(i ? "," : "") + R"({"addresses":["10.9.1.)" + std::to_string(i + 1) + "\"]}";
  }
  outside.service("prod/many", R"({"clusterIP":"None"})", R"({"addressType":"IPv4","endpoints":[)" + endpoints + "]}");
  Running dns("cluster.local", {.upstreams = {outside.upstream()}});
  auto whole = ask(dns.server->port(), "many.prod.svc.example.org.", LDNS_RR_TYPE_A, true);
  EXPECT_EQ(std::ranges::count(whole, ' '), 200);
}

// A port where nobody answers: bound, never read.
struct Silent {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int port = 0;
  Silent() {
    sockaddr_in a{.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&a), size) || ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size))
      std::abort();
    port = ntohs(a.sin_port);
  }
  ~Silent() { ::close(fd); }
};

TEST(DnsServer, DeadUpstreamsFailFastAndTheNextOneIsAsked) {
  Running outside("example.org", {});
  outside.service("prod/www", R"({"clusterIP":"192.0.2.80"})");
  Silent silent;
  auto dead = "127.0.0.1:" + std::to_string(silent.port);
  ForwarderOptions quick{.upstreams = {dead, outside.upstream()},
                         .timeout = std::chrono::milliseconds(200),
                         .rest = std::chrono::minutes(5)};
  Running dns("cluster.local", quick);
  EXPECT_EQ(ask(dns.server->port(), "www.prod.svc.example.org."), "0 192.0.2.80");

  Running none("cluster.local", {});
  EXPECT_EQ(ask(none.server->port(), "example.org."), "2");
  Running cut("cluster.local",
              {.upstreams = {dead}, .timeout = std::chrono::milliseconds(200), .rest = std::chrono::minutes(5)});
  EXPECT_EQ(ask(cut.server->port(), "a.example.org."), "2");
  EXPECT_EQ(ask(cut.server->port(), "b.example.org."), "2");
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(cut.server->port(), "c.example.org."), "2");
  // Twenty timeouts in a row would be four seconds: it rests instead.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
}

TEST(DnsServer, RubbishIsIgnored) {
  Running dns("cluster.local", {});
  dns.service("default/web", R"({"clusterIP":"10.96.0.5"})");
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(std::uint16_t(dns.server->port()))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 200; ++i) {
    std::string junk(static_cast<std::size_t>(i), static_cast<char>(i * 37));
    (void)::sendto(fd, junk.data(), junk.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  ::close(fd);
  EXPECT_EQ(ask(dns.server->port(), "web.default.svc.cluster.local."), "0 10.96.0.5");
}

TEST(DnsServer, BadUpstreamsAreNamed) {
  for (const char* bad : {"dns.example.org", "1.2.3.4:0", "1.2.3.4:99999", "x"}) {
    auto f = Forwarder::make({.upstreams = {bad}});
    ASSERT_FALSE(f) << bad;
    EXPECT_NE(f.error().text().find(bad), std::string::npos);
  }
  for (const char* good : {"1.2.3.4", "1.2.3.4:5353", "fd00::1", "[fd00::1]:5353"})
    EXPECT_TRUE(Forwarder::make({.upstreams = {good}})) << good;
}

TEST(ResolvConf, NameserversWithoutOurselves) {
  auto list = upstreams_of_resolv_conf(
      "# c\nsearch x\nnameserver 10.0.0.2\nnameserver 10.96.0.10\nnameserver  fd00::1\nnameserver\n",
      *IpAddress::parse("10.96.0.10"));
  EXPECT_EQ(list, (std::vector<std::string>{"10.0.0.2", "fd00::1"}));
}

}  // namespace
}  // namespace lab::dns
