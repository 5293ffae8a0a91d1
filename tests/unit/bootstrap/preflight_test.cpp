// How findings are judged, and whose port it is.
#include "bootstrap/preflight/preflight.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lab::bootstrap {
namespace {

const std::vector<PreflightFinding> kFindings{
    {"Port-6443", "port 6443 is in use by nginx (pid 7)", "stop that program"},
    {"Swap", "swap is on", "switch it off", false},
    {"CRI", "no container runtime", "install it"},
};

TEST(Preflight, FatalFindingsAreOneErrorThatListsThemAll) {
  std::vector<std::string> warnings;
  auto r = judge_preflight(kFindings, {}, warnings);
  ASSERT_FALSE(r);
  EXPECT_TRUE(is_preflight_failure(r.error()));
  EXPECT_NE(r.error().message.find("[ERROR Port-6443]: port 6443 is in use by nginx (pid 7); stop that program"),
            std::string::npos)
      << r.error().message;
  EXPECT_NE(r.error().message.find("[ERROR CRI]"), std::string::npos);
  EXPECT_NE(r.error().hint.find("--ignore-preflight-errors"), std::string::npos);
  EXPECT_EQ(warnings, std::vector<std::string>{"[Swap]: swap is on; switch it off"});
  EXPECT_FALSE(is_preflight_failure(Error{.code = Code::kInvalid, .message = "another"}));
}

TEST(Preflight, IgnoredOnesBecomeWarnings) {
  std::vector<std::string> warnings;
  auto r = judge_preflight(kFindings, {"port-6443"}, warnings);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().message.find("Port-6443"), std::string::npos) << "case does not matter";
  EXPECT_EQ(warnings.size(), 2u);
  for (auto ignored : {std::vector<std::string>{"Port-6443", "CRI"}, std::vector<std::string>{"all"},
                       std::vector<std::string>{"ALL"}}) {
    warnings.clear();
    EXPECT_TRUE(judge_preflight(kFindings, ignored, warnings));
    EXPECT_EQ(warnings.size(), 3u);
  }
  warnings.clear();
  EXPECT_TRUE(judge_preflight({}, {}, warnings));
  EXPECT_TRUE(warnings.empty());
}

// A socket that listens on a port the kernel chose, in this process.
struct Listener {
  explicit Listener(int family) : fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (family == AF_INET)
      reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
      reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr = in6addr_loopback;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) return;
    ::listen(fd, 1);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(family == AF_INET ? reinterpret_cast<sockaddr_in*>(&address)->sin_port
                                   : reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  }
  ~Listener() { ::close(fd); }
  int fd, port = 0;
};

TEST(Preflight, NamesTheProcessThatListensOnAPort) {
  const std::string us = "bootstrap_test (pid " + std::to_string(::getpid()) + ")";
  int free_port = 0;
  {
    Listener v4(AF_INET);
    ASSERT_NE(v4.port, 0);
    EXPECT_EQ(port_owner(v4.port), us);
    Listener v6(AF_INET6);
    if (v6.port) EXPECT_EQ(port_owner(v6.port), us);
    free_port = v4.port;
  }
  EXPECT_EQ(port_owner(free_port), "");
  EXPECT_EQ(port_owner(1), "");
}

TEST(Preflight, AUsedApiPortIsFound) {
  Listener taken(AF_INET);
  bool found = false;
  for (const auto& f : run_preflight({.api_port = taken.port, .data_directory = "/tmp/not/yet/there"})) {
    if (f.check != "Port-" + std::to_string(taken.port)) continue;
    found = true;
    EXPECT_TRUE(f.fatal);
    EXPECT_NE(f.message.find("bootstrap_test"), std::string::npos) << f.message;
    EXPECT_NE(f.fix.find("--apiserver-bind-port"), std::string::npos);
  }
  EXPECT_TRUE(found);
}

TEST(Preflight, WithoutContainerdItIsSaidHowToGetIt) {
  const std::string path = ::getenv("PATH");
  auto runtime = [](std::string socket) {
    for (const auto& f : run_preflight({.cri_socket = socket, .data_directory = "/tmp/not/yet/there"}))
      if (f.check == "CRI") return f.message + "; " + f.fix;
    return std::string();
  };
  ::setenv("PATH", "/nowhere", 1);
  const auto none = runtime("unix:///nowhere/run/containerd/containerd.sock");
  const auto other = runtime("unix:///nowhere/crio.sock");
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_NE(none.find("containerd is not installed"), std::string::npos) << none;
  EXPECT_NE(none.find("apt-get install containerd"), std::string::npos) << none;
  EXPECT_NE(other.find("no container runtime answers on unix:///nowhere/crio.sock"), std::string::npos) << other;
  EXPECT_NE(other.find("--cri-socket"), std::string::npos) << other;
}

TEST(Preflight, SpaceIsCheckedWhereItWillBeNeeded) {
  auto space = [](std::uint64_t need) {
    for (const auto& f : run_preflight({.data_directory = "/tmp/not/yet/there", .need_bytes = need}))
      if (f.check == "DiskSpace") return f.message;
    return std::string();
  };
  EXPECT_EQ(space(1), "");
  EXPECT_NE(space(1ull << 62).find("/tmp/not/yet/there needs"), std::string::npos);
  std::string images;
  for (const auto& f : run_preflight({.need_bytes = 1, .image_directory = "/tmp/images/of", .need_image_bytes = 1ull << 62}))
    if (f.check == "DiskSpace") images += f.message + "; " + f.fix;
  EXPECT_TRUE(images.starts_with("/tmp/images/of needs")) << "the runtime may lie on another file system: " << images;
}

}  // namespace
}  // namespace lab::bootstrap
