// Isolated networks of labs: two with the same bridge and addresses, each of which answers for itself alone.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/fs.h"
#include "base/netlink/netlink.h"
#include "bootstrap/node/network_namespace.h"

namespace lab::bootstrap {
namespace {

constexpr int kLimitMs = 20000;

struct NetworkTest : testing::Test {
  std::string directory = "/tmp/lab-network-test-XXXXXX";
  LabNetwork a, b;

  void SetUp() override {
    ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    a = isolated_network(directory + "/a.net");
    b = isolated_network(directory + "/b.net");
    for (const auto& n : {a, b}) {
      auto made = make_network(n);
      ASSERT_TRUE(made) << made.error().text();
    }
  }
  void TearDown() override {
    for (const auto& n : {a, b}) EXPECT_TRUE(remove_network(n));
    EXPECT_TRUE(fs::list_dir(directory)->empty()) << "a namespace's file is left";
    EXPECT_TRUE(fs::remove_all(directory));
  }
};

std::string inside_of(const LabNetwork& n) {
  auto there = InNetwork::enter(n);
  return there ? NetNs::current()->path() +
                     std::to_string(static_cast<int>(NetNs::open(n.netns)->same_as(*NetNs::current())))
               : there.error().text();
}

sockaddr_in at(const LabNetwork& n, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, n.subnet.at(1).text().c_str(), &out.sin_addr);
  return out;
}

// Listens on the bridge's address, in a port of the kernel's choice.
int listen_in(const LabNetwork& n, int& port) {
  auto fd = socket_in(n, AF_INET, SOCK_STREAM);
  EXPECT_TRUE(fd) << fd.error().text();
  auto where = at(n, port);
  socklen_t size = sizeof where;
  EXPECT_EQ(::bind(*fd, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
  EXPECT_EQ(::listen(*fd, 4), 0);
  EXPECT_EQ(::getsockname(*fd, reinterpret_cast<sockaddr*>(&where), &size), 0);
  port = ntohs(where.sin_port);
  return *fd;
}

// 0, or errno of a connection from within the network.
int dial(const LabNetwork& n, int port) {
  auto fd = socket_in(n, AF_INET, SOCK_STREAM);
  if (!fd) return -1;
  auto where = at(n, port);
  const int error = ::connect(*fd, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0 ? 0 : errno;
  ::close(*fd);
  return error;
}

bool is_asked(int listener) {
  pollfd one{listener, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST_F(NetworkTest, SameAddressesAnswerForTheirOwnLab) {
  int port = 0;
  const int in_a = listen_in(a, port);
  EXPECT_EQ(dial(a, port), 0);
  EXPECT_EQ(dial(b, port), ECONNREFUSED) << "nobody listens there, though a does at the same address";
  int same = port;
  const int in_b = listen_in(b, same);
  EXPECT_EQ(same, port);
  pollfd one{in_a, POLLIN, 0};
  EXPECT_EQ(::poll(&one, 1, kLimitMs), 1);
  ::close(::accept(in_a, nullptr, nullptr));
  EXPECT_EQ(dial(b, port), 0);
  one = {in_b, POLLIN, 0};
  EXPECT_EQ(::poll(&one, 1, kLimitMs), 1);
  EXPECT_FALSE(is_asked(in_a));
  ::close(in_a);
  ::close(in_b);
}

TEST_F(NetworkTest, NoWayLeadsOut) {
  auto ns = NetNs::open(a.netns);
  auto inside = Netlink::open_in(*ns);
  ASSERT_TRUE(inside);
  for (const auto& link : *inside->links()) EXPECT_TRUE(link.name == "lo" || link.name == a.bridge) << link.name;
  for (const auto& route : *inside->routes())
    if (route.destination.address.is_v4()) EXPECT_EQ(route.destination.text(), a.subnet.text());
  // And nothing of it is on this machine's side.
  auto fd = socket_in(a, AF_INET, SOCK_STREAM);
  sockaddr_in outside = at(a, 80);
  ::inet_pton(AF_INET, "198.51.100.1", &outside.sin_addr);
  const int refused = ::connect(*fd, reinterpret_cast<sockaddr*>(&outside), sizeof outside) == 0 ? 0 : errno;
  EXPECT_EQ(refused, ENETUNREACH);
  ::close(*fd);
}

TEST_F(NetworkTest, AThreadGoesBackToWhereItWas) {
  const auto before = NetNs::current();
  EXPECT_TRUE(inside_of(a).ends_with("1")) << inside_of(a);
  EXPECT_TRUE(before->same_as(*NetNs::current()));
  {
    auto there = InNetwork::enter(a);
    ASSERT_TRUE(there);
    bool same = false;  // a thread begins where its maker stands, and stays there
    std::thread([&] { same = NetNs::open(a.netns)->same_as(*NetNs::current()); }).join();
    EXPECT_TRUE(same);
    {
      auto further = InNetwork::enter(b);
      EXPECT_TRUE(NetNs::open(b.netns)->same_as(*NetNs::current()));
    }
    EXPECT_TRUE(NetNs::open(a.netns)->same_as(*NetNs::current()));
  }
  EXPECT_TRUE(before->same_as(*NetNs::current()));
  auto none = InNetwork::enter(LabNetwork{});
  EXPECT_TRUE(none) << "a lab on this machine's own network";
  EXPECT_TRUE(before->same_as(*NetNs::current()));
}

TEST_F(NetworkTest, IsMadeAnewAfterTheMachineWentDown) {
  EXPECT_TRUE(make_network(a)) << "again, while it is there";
  // What is left then is a plain file, or none.
  ASSERT_TRUE(NetNs::remove(a.netns));
  ASSERT_TRUE(fs::write_file(a.netns, ""));
  auto refused = InNetwork::enter(a);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().hint.find("start the lab"), std::string::npos) << refused.error().text();
  ASSERT_TRUE(make_network(a));
  int port = 0;
  const int in_a = listen_in(a, port);
  EXPECT_EQ(dial(a, port), 0);
  ::close(in_a);
  ASSERT_TRUE(remove_network(a));
  auto absent = InNetwork::enter(a);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace lab::bootstrap
