// One overlay agent with a mesh and nothing else to know its peers by, as a process of its own:
//   mesh_test_node NAME ADDRESS POD_CIDR DIRECTORY PASSWORD [PEER...]
// With RING_FOUNDERS in the environment ("n1,n2", or "-" for none) POD_CIDR is the range of the ring that all share.
// Its log goes to DIRECTORY/log.
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/log.h"
#include "overlay-net/agent/agent.h"

namespace lab::overlay {
namespace {

using namespace std::chrono_literals;

int run(int argc, char** argv) {
  std::string name = argv[1], dir = argv[4];
  auto key = std::make_shared<MeshCredentials>();
  key->password_key = mesh_password_key(argv[5]);
  std::shared_ptr<const MeshCredentials> shown = key;
  MeshOptions mesh{.node_name = name,
                   .listen = argv[2],
                   .peers = {argv + 6, argv + argc},
                   .credentials = [shown]() -> Result<std::shared_ptr<const MeshCredentials>> { return shown; },
                   .times = {.heartbeat = 300ms, .dead_after = 3s, .gossip_every = 1s},
                   .back_off = {.first = 100ms, .most = 1s},
                   .courtesy = 300ms};
  AgentOptions options{.core = {.node_name = name,
                                .underlay = *IpAddress::parse(argv[2]),
                                .state_dir = dir + "/state",
                                .socket_path = dir + "/agent.sock",
                                .cni_dir = dir + "/net.d"},
                       .pod_cidr = *Cidr::parse(argv[3]),
                       .cluster_cidr = *Cidr::parse("10.244.0.0/16"),
                       .mesh = std::move(mesh),
                       .resync = 500ms};
  if (const char* founders = std::getenv("RING_FOUNDERS")) {
    RingOptions ring{.range = std::exchange(options.pod_cidr, {})};
    std::istringstream names(founders);
    for (std::string one; std::getline(names, one, ',');) {
      if (one != "-") ring.founders.push_back(one);
    }
    options.ring = std::move(ring);
  }
  EventLoop loop;
  Scope scope(loop);
  std::unique_ptr<OverlayAgent> agent;
  loop.post([&] {
    agent = std::make_unique<OverlayAgent>(std::move(options));
    if (auto started = agent->start(scope); !started) {
      log::error("cannot start", {{"error", started.error().text()}});
      std::_Exit(1);
    }
  });
  loop.run();
  return 0;
}

}  // namespace
}  // namespace lab::overlay

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: mesh_test_node NAME ADDRESS POD_CIDR DIRECTORY PASSWORD [PEER...]\n");
    return 2;
  }
  if (!std::freopen((std::string(argv[4]) + "/log").c_str(), "a", stderr)) return 1;
  return lab::overlay::run(argc, argv);
}
