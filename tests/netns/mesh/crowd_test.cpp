// A hundred peers that start within one second, in one process, on the loopback of a namespace of their own.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/io/scope.h"
#include "overlay-net/mesh/mesh.h"
#include "tests/netns/support/sandbox.h"

namespace lab::overlay {
namespace {

using namespace std::chrono_literals;

constexpr int kPeers = 100;

struct Crowd {
  EventLoop loop;
  Scope scope{loop};
  std::vector<std::unique_ptr<Mesh>> meshes;

  void start(int i) {
    static const auto key = [] {
      auto k = std::make_shared<MeshCredentials>();
      k->password_key = mesh_password_key("secret");
      return std::shared_ptr<const MeshCredentials>(k);
    }();
    MeshOptions o{.node_name = "n" + std::to_string(i),
                  .listen = "127.0.1." + std::to_string(i + 1),
                  .port = 6783,
                  .credentials = []() -> Result<std::shared_ptr<const MeshCredentials>> { return key; },
                  .handshake_limit = 60s};
    if (i > 0) o.peers = {"127.0.1." + std::to_string(1 + i / 2)};
    meshes.push_back(std::make_unique<Mesh>(std::move(o)));
    meshes.back()->announce("node " + std::to_string(i));
    meshes.back()->start(scope);
  }
  bool all_know_all() const {
    for (const auto& m : meshes) {
      if (m->announcements().size() != kPeers - 1) return false;
    }
    return true;
  }
  Task<bool> until_all_know_all(int seconds) {
    for (int i = 0; i < seconds * 10; ++i) {
      if (all_know_all()) co_return true;
      co_await sleep_for(100ms);
    }
    co_return false;
  }
  Task<void> run(bool& met, Duration& starting, Duration& meeting) {
    auto begin = loop.now();
    for (int i = 0; i < kPeers; ++i) start(i);
    starting = loop.now() - begin;
    met = co_await until_all_know_all(100);
    meeting = loop.now() - begin;
    co_await scope.close();
  }
};

TEST(Crowd, AHundredPeersThatJoinWithinASecondMeet) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  ASSERT_GE(files.rlim_cur, 12000u) << "a hundred peers in one process have ten thousand sockets";
  test::Sandbox box;
  box.add("loop");
  bool met = false;
  Duration starting{}, meeting{};
  test::must(in_netns(box.ns("loop"), [&]() -> Result<void> {
    Crowd crowd;
    run_until_done(crowd.loop, crowd.run(met, starting, meeting));
    return {};
  }));
  EXPECT_TRUE(met);
  RecordProperty("started_within_ms",
                 std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(starting).count()));
  RecordProperty("met_after_ms",
                 std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(meeting).count()));
}

}  // namespace
}  // namespace lab::overlay
