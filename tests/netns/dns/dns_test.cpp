// The cluster DNS as clients meet it: BIND's dig and the C library's resolver ask it at its own address and port, with
// two upstream servers that come and go.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <sstream>
#include <thread>

#include "base/fs.h"
#include "orchestrator/dns/server.h"
#include "tests/netns/support/sandbox.h"

namespace lab::dns {
namespace {

using test::must;

// A server with a loop and a thread of its own inside a namespace.
class Running {
 public:
  Running(const NetNs& ns, std::string domain, const std::string& address, ForwarderOptions forward = {}) {
    DnsOptions options{
        .domain = std::move(domain), .address = *IpAddress::parse(address), .forward = std::move(forward)};
    thread_ = std::thread([this, options, &ns] { must(run_in_netns(ns, [&] { run_task(body(*this, options)); })); });
    ready_.get_future().get();
  }
  ~Running() {
    stop_.set(true);
    thread_.join();
  }
  void service(const std::string& key, const std::string& spec, const std::string& slice = "{}") {
    std::promise<void> done;
    loop_->post([&] {
      auto s = json::parse("{\"spec\":" + spec + "}").value(), e = json::parse(slice).value();
      server_->zone().set_namespace(key.substr(0, key.find('/')), true);
      server_->zone().set_service(key, &s, {&e});
      done.set_value();
    });
    done.get_future().get();
  }

 private:
  static Task<void> body(Running& self, DnsOptions options) {
    self.loop_ = Loop::current();
    Scope scope(*self.loop_);
    self.server_ = std::make_unique<DnsServer>(options);
    must(self.server_->start(scope));
    self.ready_.set_value();
    co_await self.stop_.wait();
    co_await scope.close();
    self.server_.reset();
    must(DnsServer::clean_up(options.address));
  }
  Loop* loop_ = nullptr;
  std::unique_ptr<DnsServer> server_;
  OneShot<bool> stop_;
  std::promise<void> ready_;
  std::thread thread_;
};

struct DnsTest : testing::Test {
  test::Sandbox box;
  std::unique_ptr<Running> first, second, dns;

  void SetUp() override {
    box.add("n");
    first = upstream("192.0.2.1", "192.0.2.81");
    second = upstream("192.0.2.2", "192.0.2.82");
    dns = std::make_unique<Running>(box.ns("n"), "cluster.local", "10.96.0.10",
                                    ForwarderOptions{.upstreams = {"192.0.2.1", "192.0.2.2"},
                                                     .timeout = std::chrono::milliseconds(300),
                                                     .rest = std::chrono::milliseconds(500)});
    dns->service("default/web", R"({"clusterIP":"10.96.0.5","ports":[{"name":"http","port":80,"protocol":"TCP"}]})");
    std::string endpoints;
    for (int i = 1; i <= 60; ++i) {
      endpoints += std::string(i > 1 ? "," : "") + R"({"addresses":["10.244.1.)" + std::to_string(i) +
                   R"("],"hostname":"db-)" + std::to_string(i) + "\"}";
    }
    dns->service("shop/db", R"({"clusterIP":"None","ports":[{"name":"sql","port":5432}]})",
                 R"({"addressType":"IPv4","ports":[{"name":"sql","port":5432,"protocol":"TCP"}],"endpoints":[)" +
                     endpoints + "]}");
    dns->service("shop/out", R"({"type":"ExternalName","externalName":"www.prod.svc.example.org"})");
  }
  // Knows www.prod.svc.example.org by an address of its own.
  std::unique_ptr<Running> upstream(const std::string& at, const std::string& answer) {
    auto out = std::make_unique<Running>(box.ns("n"), "example.org", at);
    out->service("prod/www", R"({"clusterIP":")" + answer + "\"}");
    return out;
  }
  std::string dig(const std::string& what) { return box.sh("n", "dig +tries=1 +timeout=5 @10.96.0.10 " + what).out; }
  std::string answer(const std::string& what) {
    auto out = dig("+short " + what);
    std::ranges::replace(out, '\n', ' ');
    return out;
  }
  static bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }
  // Seconds that dig shows for the first record of this name.
  int ttl(const std::string& what, const std::string& name) {
    std::istringstream lines(dig("+noall +answer " + what));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string owner;
      int seconds = -1;
      if (words >> owner >> seconds && owner == name) return seconds;
    }
    return -1;
  }
  // What the C library finds with a pod's resolv.conf.
  std::string resolve(const std::string& name) {
    must(fs::write_file(box.directory() + "/resolv.conf",
                        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"
                        "options ndots:5\n"));
    auto line = "mount --bind " + box.directory() + "/resolv.conf /etc/resolv.conf && getent ahostsv4 " + name +
                " | awk '{ print $1 }' | sort -u | head -2 | tr '\\n' ' '";
    return box.run("n", {"unshare", "-m", "sh", "-c", line}).out;
  }
};

TEST_F(DnsTest, EveryKindOfRecord) {
  EXPECT_EQ(answer("web.default.svc.cluster.local"), "10.96.0.5 ");
  EXPECT_EQ(answer("db-7.db.shop.svc.cluster.local"), "10.244.1.7 ");
  EXPECT_EQ(answer("10-244-1-9.shop.pod.cluster.local"), "10.244.1.9 ");
  EXPECT_EQ(answer("_http._tcp.web.default.svc.cluster.local SRV"), "0 100 80 web.default.svc.cluster.local. ");
  EXPECT_TRUE(has(answer("_sql._tcp.db.shop.svc.cluster.local SRV"), "0 100 5432 db-33.db.shop.svc.cluster.local."));
  EXPECT_EQ(answer("-x 10.96.0.5"), "web.default.svc.cluster.local. ");
  EXPECT_EQ(answer("-x 10.244.1.7"), "db-7.db.shop.svc.cluster.local. ");
  EXPECT_EQ(answer("out.shop.svc.cluster.local"), "www.prod.svc.example.org. 192.0.2.81 ");
  EXPECT_EQ(answer("dns-version.cluster.local TXT"), "\"1.1.0\" ");
}

TEST_F(DnsTest, NegativeAnswersCarryTheSoa) {
  for (auto [what, status] : {std::pair{"none.default.svc.cluster.local", "NXDOMAIN"},
                              {"web.default.svc.cluster.local AAAA", "NOERROR"},
                              {"none.default.svc.cluster.local +tcp", "NXDOMAIN"}}) {
    auto out = dig(what);
    EXPECT_TRUE(has(out, std::string("status: ") + status)) << out;
    EXPECT_TRUE(has(out, "ANSWER: 0, AUTHORITY: 1")) << out;
    EXPECT_TRUE(has(out, "SOA\tns.dns.cluster.local.")) << out;
  }
  auto out = dig("none.prod.svc.example.org");
  EXPECT_TRUE(has(out, "NXDOMAIN") && has(out, "SOA\tns.dns.example.org.")) << out;
}

TEST_F(DnsTest, LargeAnswersAreCutToWhatTheClientTakes) {
  auto name = "_sql._tcp.db.shop.svc.cluster.local SRV ";
  auto cut = dig(name + std::string("+ignore +noedns"));
  EXPECT_TRUE(has(cut, " tc")) << cut;
  int size = std::atoi(cut.c_str() + cut.find("rcvd: ") + 6);
  EXPECT_GT(size, 200);
  EXPECT_LE(size, 512);
  cut = dig(name + std::string("+ignore +bufsize=4096"));
  EXPECT_TRUE(has(cut, " tc") && has(cut, "udp: 1232")) << cut;  // no more than passes every path
  size = std::atoi(cut.c_str() + cut.find("rcvd: ") + 6);
  EXPECT_GT(size, 512);
  EXPECT_LE(size, 1232);
  auto whole = dig(name);  // turns to TCP by itself
  EXPECT_TRUE(has(whole, "ANSWER: 60") && has(whole, "(TCP)")) << whole;
  EXPECT_TRUE(has(dig(name + std::string("+tcp +keepopen")), "ANSWER: 60"));
}

TEST_F(DnsTest, EdnsAndWhatIsNotServed) {
  EXPECT_TRUE(has(dig("web.default.svc.cluster.local +edns=1 +noednsneg"), "status: BADVERS"));
  EXPECT_TRUE(has(dig("web.default.svc.cluster.local +dnssec"), "flags: do; udp: 1232"));
  EXPECT_TRUE(has(dig("web.default.svc.cluster.local +cookie=0123456789abcdef +subnet=10.0.0.0/8"), "10.96.0.5"));
  EXPECT_FALSE(has(dig("web.default.svc.cluster.local +noedns"), "EDNS"));
  EXPECT_TRUE(has(dig("cluster.local AXFR +tcp"), "Transfer failed") || has(dig("cluster.local AXFR"), "REFUSED"));
  EXPECT_TRUE(has(dig("version.bind CH TXT"), "status: REFUSED"));
  EXPECT_TRUE(has(dig("+opcode=notify web.default.svc.cluster.local"), "status: NOTIMP"));
}

TEST_F(DnsTest, AnswersFromUpstreamLieInTheCacheAndGrowOlder) {
  const std::string name = "www.prod.svc.example.org";
  int fresh = ttl(name, name + ".");
  EXPECT_GT(fresh, 0);
  EXPECT_TRUE(test::eventually([&] {
    int now = ttl(name, name + ".");
    return now >= 0 && now < fresh;
  }));
  // Known until they expire, though nobody could be asked.
  EXPECT_EQ(answer("new.prod.svc.example.org"), "");
  first.reset();
  second.reset();
  EXPECT_TRUE(has(dig("new.prod.svc.example.org"), "status: NXDOMAIN"));
}

TEST_F(DnsTest, UpstreamsThatDieAreLeftAndComeBack) {
  const std::string name = "www.prod.svc.example.org";
  // Each question is another one to the cache.
  auto asked = [&](const std::string& more) { return answer(name + " " + more); };
  EXPECT_EQ(asked(""), "192.0.2.81 ");
  first.reset();
  EXPECT_EQ(asked("+noedns"), "192.0.2.82 ");
  EXPECT_EQ(asked("+dnssec"), "192.0.2.82 ");
  second.reset();
  EXPECT_TRUE(has(dig("other.prod.svc.example.org"), "SERVFAIL"));
  EXPECT_EQ(answer("web.default.svc.cluster.local"), "10.96.0.5 ");  // the cluster's names do not need them
  first = upstream("192.0.2.1", "192.0.2.91");
  EXPECT_TRUE(test::eventually([&] { return asked("+adflag +cdflag") == "192.0.2.91 "; })) << asked("+adflag +cdflag");
}

TEST_F(DnsTest, TheSearchPathOfAPodLeadsThere) {
  EXPECT_EQ(resolve("web"), "10.96.0.5 ");
  EXPECT_EQ(resolve("web.default"), "10.96.0.5 ");
  EXPECT_EQ(resolve("web.default.svc"), "10.96.0.5 ");
  EXPECT_EQ(resolve("web.default.svc.cluster.local"), "10.96.0.5 ");
  EXPECT_EQ(resolve("db-7.db.shop"), "10.244.1.7 ");
  EXPECT_EQ(resolve("www.prod.svc.example.org"), "192.0.2.81 ");
  EXPECT_EQ(resolve("none"), "");
}

}  // namespace
}  // namespace lab::dns
