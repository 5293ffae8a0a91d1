// One overlay agent as a process of its own, for tests: overlay_test_node NAME ADDRESS POD_CIDR DIRECTORY [MORE...].
// Its peers are lines "NAME ADDRESS POD_CIDR" in DIRECTORY/../peers, read again when the file changes.
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "base/fs.h"
#include "base/log.h"
#include "overlay-net/agent/agent.h"

namespace lab::overlay {
namespace {

std::vector<Peer> read_peers(const std::string& path, const std::string& self) {
  std::vector<Peer> out;
  std::istringstream in(fs::read_file(path).value_or(""));
  for (std::string name, address, cidr; in >> name >> address >> cidr;) {
    if (name == self) continue;
    out.push_back({name, *IpAddress::parse(address), *Cidr::parse(cidr), AgentCore::vtep_mac_of(name)});
  }
  return out;
}

Task<void> follow_peers(OverlayAgent& agent, std::string path, std::string self, std::stop_token stop) {
  std::string last = "-";
  do {
    auto now = fs::read_file(path).value_or("");
    if (now != last) agent.set_peers(read_peers(path, self));
    last = now;
  } while (co_await sleep_for(std::chrono::milliseconds(20), stop));
}

// Faster than life, so that tests are.
PathOptions paths_of(const std::vector<std::string>& more) {
  PathOptions out{.heartbeat = std::chrono::milliseconds(200), .restless = std::chrono::milliseconds(100)};
  for (const auto& m : more) {
    if (m.starts_with("password=")) out.authenticator = authenticate_by_password(m.substr(9));
  }
  return out;
}

MeshOptions mesh_of(const std::string& name, const std::string& address, const std::vector<Peer>& peers) {
  auto key = std::make_shared<MeshCredentials>();
  key->password_key = mesh_password_key("secret");
  MeshOptions out{.node_name = name, .listen = address};
  out.credentials = [key]() -> Result<std::shared_ptr<const MeshCredentials>> { return key; };
  for (const auto& p : peers) out.peers.push_back(p.underlay.text());
  return out;
}

int run(char** argv, const std::vector<std::string>& more) {
  std::string name = argv[1], dir = argv[4];
  AgentOptions options{.core = {.node_name = name,
                                .underlay = *IpAddress::parse(argv[2]),
                                .state_dir = dir + "/state",
                                .socket_path = dir + "/agent.sock",
                                .cni_dir = dir + "/net.d"},
                       .pod_cidr = *Cidr::parse(argv[3]),
                       .paths = paths_of(more),
                       .resync = std::chrono::milliseconds(500)};
  if (std::ranges::find(more, "mesh") != more.end()) {
    options.mesh = mesh_of(name, argv[2], read_peers(dir + "/../peers", name));
  }
  EventLoop loop;
  Scope scope(loop);
  OverlayAgent agent(std::move(options));
  if (auto started = agent.start(scope); !started) {
    log::error("cannot start", {{"error", started.error().text()}});
    return 1;
  }
  scope.spawn("peers", follow_peers(agent, dir + "/../peers", name, scope.token()));
  loop.run();
  return 0;
}

}  // namespace
}  // namespace lab::overlay

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: overlay_test_node NAME ADDRESS POD_CIDR DIRECTORY [password=WORD] [mesh]\n");
    return 2;
  }
  return lab::overlay::run(argv, {argv + 5, argv + argc});
}
