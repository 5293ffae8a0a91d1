// What services cost, counted rather than timed: the rules that the first packet of a connection passes, and the
// netlink traffic of one endpoint's change, are the same with ten services and with five thousand.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <sstream>

#include "orchestrator/proxy/executor.h"
#include "tests/netns/support/probe.h"
#include "tests/netns/support/sandbox.h"

namespace {
std::atomic<std::size_t> messages_out, bytes_out, bytes_in;
}

// In place of the C library's, so that what libnftables says to the kernel and hears from it is counted.
extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  auto n = ::syscall(SYS_sendmsg, fd, message, flags);
  if (n > 0) ++messages_out, bytes_out += std::size_t(n);
  return n;
}
extern "C" ssize_t recvmsg(int fd, msghdr* message, int flags) {
  auto n = ::syscall(SYS_recvmsg, fd, message, flags);
  if (n > 0 && !(flags & MSG_PEEK)) bytes_in += std::size_t(n);
  return n;
}

namespace lab::proxy {
namespace {

using test::must;

struct Cost {
  std::vector<std::string> rules;  // passed by the first packet
  std::size_t elements = 0, messages = 0, bytes = 0, answered = 0;
};

ServiceRules service(unsigned number, unsigned endpoints) {
  auto ip = IpAddress::v4(0x0a600010u + number);
  Frontend f{.key = {Space::kAddress, ip, Protocol::kTcp, 80}};
  for (unsigned i = 0; i < endpoints; ++i) {
    // The first service leads to a server of this node, and so do all of its endpoints.
    auto address = number ? IpAddress::v4(0x0af40000u + number * 4 + i) : *IpAddress::parse("192.168.77.1");
    f.targets.push_back({address, std::uint16_t(number ? 8080 : 8080 + i)});
  }
  return {{f}, {ip}, {}, {}};
}

struct CostTest : testing::Test {
  test::Sandbox box;

  void SetUp() override {
    box.add("wire");
    must(must(Netlink::open_in(box.ns("wire"))).create_bridge({.name = "br0", .up = true}));
    box.add("n");
    box.plug("n", "eth0", "192.168.77.1/24", "wire", "br0");
  }

  // The chains and rules of our table, in order, that a new connection's first packet met, as the kernel tells it.
  std::vector<std::string> rules_passed() {
    auto file = box.directory() + "/trace";
    EXPECT_TRUE(box.sh("n",
                       "nft 'add table ip trace; add chain ip trace c { type filter hook output priority -350; }; "
                       "add rule ip trace c ip daddr 10.96.0.16 tcp flags == syn meta nftrace set 1'")
                    .ok());
    auto watcher = box.background("n", {"sh", "-c", "exec stdbuf -oL nft monitor trace >" + file});
    std::vector<std::string> rules;
    auto seen = [&] {
      EXPECT_EQ(test::ask_tcp(box.ns("n"), "10.96.0.16:80").substr(0, 6), "served");
      std::istringstream lines(box.sh("n", "cat " + file).out);
      std::string first;
      rules.clear();
      for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string trace, id, number, family, table;
        words >> trace >> id >> number >> family >> table;
        if (number.empty() || table != "lab-proxy") continue;
        if (first.empty()) first = number;
        auto rule = line.find(" rule ");
        if (number == first && rule != std::string::npos) rules.push_back(line.substr(line.find("lab-proxy")));
        // The last thing before it leaves: who is no pod is masqueraded.
        if (!rules.empty() && rules.back().find("postrouting") != std::string::npos) return true;
      }
      return false;
    };
    EXPECT_TRUE(test::eventually(seen, 60)) << box.sh("n", "cat " + file).out;
    box.stop(watcher);
    box.sh("n", "nft delete table ip trace");
    return rules;
  }

  Cost with(unsigned services) {
    Cost cost;
    Ruleset rules({*Cidr::parse("10.244.0.0/16")});
    for (unsigned i = 0; i < services; ++i) (void)rules.update("s" + std::to_string(i), service(i, 3));
    auto executor = must(in_netns(box.ns("n"), [] { return Executor::open(*Cidr::parse("10.96.0.0/12")); }));
    must(in_netns(box.ns("n"), [&]() -> Result<void> {
      LAB_CHECK(executor.prepare());
      return executor.run(rules.full_script());
    }));
    cost.rules = rules_passed();
    // Nothing new is made for the change that is counted: a service with so many endpoints has been there.
    for (unsigned endpoints : {2u, 3u, 2u}) {
      auto change = rules.update("s1", service(1, endpoints));
      messages_out = bytes_out = bytes_in = 0;
      must(in_netns(box.ns("n"), [&] { return executor.run(change.script); }));
      cost.elements = change.elements;
      cost.messages = messages_out;
      cost.bytes = bytes_out;
      cost.answered = bytes_in;
    }
    return cost;
  }
};

TEST_F(CostTest, IsTheSameWithTenServicesAndWithFiveThousand) {
  test::AnswerServer a(box.ns("n"), {.word = "served", .tcp = 8080}), b(box.ns("n"), {.word = "served", .tcp = 8081}),
      c(box.ns("n"), {.word = "served", .tcp = 8082});
  auto few = with(10), many = with(5000);
  for (const auto& [name, cost] : {std::pair{"ten", &few}, {"five_thousand", &many}}) {
    RecordProperty(name, std::to_string(cost->rules.size()) + " rules; " + std::to_string(cost->elements) +
                             " elements in " + std::to_string(cost->messages) + " messages, " +
                             std::to_string(cost->bytes) + " bytes out, " + std::to_string(cost->answered) + " in");
  }
  EXPECT_GT(few.rules.size(), 5u);
  EXPECT_EQ(few.rules, many.rules);
  EXPECT_LE(few.elements, 5u);
  EXPECT_EQ(few.elements, many.elements);
  EXPECT_GT(few.messages, 0u);
  EXPECT_EQ(few.messages, many.messages);
  EXPECT_LT(many.bytes, few.bytes + 256);  // longer numbers
  EXPECT_LT(many.answered, few.answered + 1024) << "the kernel was asked for what it holds";
  EXPECT_EQ(must(in_netns(box.ns("n"), [] { return Nft::open()->run("list map ip lab-proxy services"); })).empty(),
            false);
  must(in_netns(box.ns("n"), [] { return Executor::clean_up(); }));
}

}  // namespace
}  // namespace lab::proxy
