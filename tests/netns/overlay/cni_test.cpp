// The plugin against the CNI specification, on one node with a real agent.
#include <algorithm>
#include <mutex>
#include <set>
#include <thread>

#include "tests/netns/overlay/cluster.h"
#include "tests/netns/support/probe.h"

namespace lab {
namespace {

using test::Cluster;

struct CniTest : testing::Test {
  Cluster c{1};
  void SetUp() override {
    c.start(1);
    ASSERT_TRUE(c.ready(1, 0)) << json::dump(c.status(1));
  }
  int used() { return int(json::num(c.status(1), "ipam", "used")); }
};

TEST_F(CniTest, ResultsFollowTheSpecification) {
  c.box.add("p");
  auto out = c.cni(1, "ADD", "p", c.box.path("p"));
  ASSERT_TRUE(out.ok()) << out.out;
  auto r = *json::parse(out.out);
  EXPECT_EQ(json::str(r, "cniVersion"), "1.0.0");
  const auto& interfaces = json::list(r, "interfaces");
  ASSERT_EQ(interfaces.size(), 3u);
  EXPECT_EQ(json::str(interfaces[0], "name"), "lab0");
  EXPECT_EQ(json::str(interfaces[2], "name"), "eth0");
  EXPECT_EQ(json::str(interfaces[2], "sandbox"), c.box.path("p"));
  const auto& ip = json::list(r, "ips").at(0);
  EXPECT_EQ(json::str(ip, "address"), "10.244.1.2/24");
  EXPECT_EQ(json::str(ip, "gateway"), "10.244.1.1");
  EXPECT_EQ(json::num(ip, "interface"), 2);
  EXPECT_FALSE(json::has(ip, "version"));
  // What it says is what is there.
  auto inside = test::must(Netlink::open_in(c.box.ns("p")));
  EXPECT_EQ(test::must(inside.link("eth0")).mac.text(), json::str(interfaces[2], "mac"));
  auto outside = test::must(Netlink::open_in(c.box.ns("n1")));
  EXPECT_EQ(test::must(outside.link(std::string(json::str(interfaces[1], "name")))).mac.text(),
            json::str(interfaces[1], "mac"));
  EXPECT_EQ(test::must(outside.link("lab0")).mac.text(), json::str(interfaces[0], "mac"));

  EXPECT_TRUE(c.cni(1, "CHECK", "p", c.box.path("p"), {{"prevResult", r}}).ok());
  EXPECT_TRUE(c.ping("p", "10.244.1.1"));
  EXPECT_TRUE(c.ping("p", "127.0.0.1"));

  c.box.add("old");
  auto r4 = *json::parse(c.cni(1, "ADD", "old", c.box.path("old"), {}, LAB_CNI, "0.4.0").out);
  EXPECT_EQ(json::str(r4, "cniVersion"), "0.4.0");
  EXPECT_EQ(json::str(json::list(r4, "ips").at(0), "version"), "4");
}

TEST_F(CniTest, CheckSeesWhatIsWrong) {
  c.add_pod(1, "p");
  json::Object prev{{"prevResult", c.results["p"]}};
  ASSERT_TRUE(c.cni(1, "CHECK", "p", c.box.path("p"), prev).ok());
  auto inside = test::must(Netlink::open_in(c.box.ns("p")));
  int eth0 = test::must(inside.link("eth0")).index;
  test::must(inside.delete_route({.destination = *Cidr::parse("0.0.0.0/0"), .link = eth0}));
  auto out = c.cni(1, "CHECK", "p", c.box.path("p"), prev);
  EXPECT_FALSE(out.ok());
  EXPECT_NE(out.out.find("default route"), std::string::npos) << out.out;
  test::must(inside.delete_address({eth0, *Cidr::parse("10.244.1.2/24")}));
  EXPECT_NE(c.cni(1, "CHECK", "p", c.box.path("p"), prev).out.find("lacks the address"), std::string::npos);
  EXPECT_FALSE(c.cni(1, "CHECK", "unknown", c.box.path("p"), prev).ok());
}

TEST_F(CniTest, DelIsRepeatableAndNeedsNoSandbox) {
  auto before = c.box.describe("n1");
  c.add_pod(1, "p");
  c.add_pod(1, "q");
  EXPECT_EQ(used(), 2);
  EXPECT_TRUE(c.cni(1, "DEL", "p", c.box.path("p")).ok());
  EXPECT_TRUE(c.cni(1, "DEL", "p", c.box.path("p")).ok());
  c.box.remove("q");
  EXPECT_TRUE(c.cni(1, "DEL", "q", "").ok());
  EXPECT_TRUE(c.cni(1, "DEL", "never", "/run/nowhere").ok());
  EXPECT_EQ(used(), 0);
  EXPECT_EQ(c.box.describe("n1"), before);
}

TEST_F(CniTest, AFailedAddLeavesNothing) {
  auto before = c.box.describe("n1");
  auto out = c.cni(1, "ADD", "p", "/run/no/such/netns");
  EXPECT_FALSE(out.ok());
  EXPECT_EQ(json::num(*json::parse(out.out), "code"), 3);
  EXPECT_EQ(used(), 0);
  EXPECT_EQ(c.box.describe("n1"), before);
}

TEST_F(CniTest, WithoutTheAgentTryAgainLaterAndThenItWorks) {
  c.kill(1);
  c.box.add("p");
  auto out = c.cni(1, "ADD", "p", c.box.path("p"));
  EXPECT_EQ(json::num(*json::parse(out.out), "code"), 11) << out.out;
  c.start(1);
  ASSERT_TRUE(c.ready(1, 0));
  EXPECT_TRUE(c.cni(1, "ADD", "p", c.box.path("p")).ok());
  // An ADD that is repeated after a crash gets the same address.
  EXPECT_TRUE(c.cni(1, "DEL", "p", c.box.path("p")).ok());
}

TEST_F(CniTest, ManyPodsAtOnceGetDifferentAddresses) {
  constexpr int kPods = 24;
  std::vector<std::string> names;
  for (int i = 0; i < kPods; ++i) {
    names.push_back("m" + std::to_string(i));
    c.box.add(names.back());
  }
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<std::string> addresses;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kPods; i += 4) {
        auto out = c.cni(1, "ADD", names[i], c.box.path(names[i]));
        auto r = json::parse(out.out);
        std::lock_guard lock(mutex);
        if (r && out.ok()) addresses.emplace(json::str(json::list(*r, "ips").at(0), "address"));
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(addresses.size(), std::size_t(kPods));
  EXPECT_TRUE(c.ping("m0", "10.244.1.20"));
}

TEST_F(CniTest, HostPortsLeadToThePod) {
  c.box.add("outside");
  c.box.plug("outside", "eth0", "192.168.77.200/24", "wire", "br0");
  json::Object ports{
      {"runtimeConfig",
       json::Object{
           {"portMappings", json::Array{json::Object{{"hostPort", 8080}, {"containerPort", 80}, {"protocol", "tcp"}},
                                        json::Object{{"hostPort", 5353}, {"containerPort", 53}, {"protocol", "udp"}},
                                        json::Object{{"containerPort", 9}, {"protocol", "tcp"}}}}}}};
  c.add_pod(1, "web", ports);
  c.add_pod(1, "client");
  test::AnswerServer server(c.box.ns("web"), {.word = "web", .tcp = 80, .udp = 53});
  auto tcp = [&](const std::string& from) { return test::ask_tcp(c.box.ns(from), "192.168.77.1:8080"); };
  for (const char* from : {"outside", "n1", "client", "web"}) {  // the last: hairpin
    EXPECT_TRUE(tcp(from).starts_with("web ")) << from;
  }
  EXPECT_TRUE(test::ask_udp(c.box.ns("outside"), "192.168.77.1:5353").starts_with("web "));
  EXPECT_TRUE(c.cni(1, "DEL", "web", c.box.path("web")).ok());
  EXPECT_EQ(tcp("outside"), "Connection refused");
}

TEST_F(CniTest, LoopbackPluginBringsLoopbackUp) {
  auto link = c.box.directory() + "/loopback";
  test::must(fs::symlink(LAB_CNI, link));
  auto path = c.box.path("bare");
  test::must(NetNs::create(path));
  auto out = c.cni(1, "ADD", "bare", path, {}, link, "0.3.1");
  EXPECT_TRUE(out.ok()) << out.out;
  auto inside = test::must(Netlink::open_in(test::must(NetNs::open(path))));
  EXPECT_TRUE(test::must(inside.link("lo")).up);
  EXPECT_EQ(json::str(json::list(*json::parse(out.out), "interfaces").at(0), "name"), "lo");
  test::must(NetNs::remove(path));
}

}  // namespace
}  // namespace lab
