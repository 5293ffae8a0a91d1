// One overlay agent as a process of its own, for tests: netns_test_node NAME ADDRESS POD_CIDR DIRECTORY [WORD...].
//
//   (no word)            its peers are lines "NAME ADDRESS POD_CIDR" in DIRECTORY/../peers, read again when that
//   changes password=WORD        and what pods send is encrypted mesh                 and it is in a mesh with them
//   mesh-password=WORD   it knows peers by the mesh alone, beginning with those of
//   peer=ADDRESS
//   ring=N1,N2           and POD_CIDR is the range of a ring that all share, with these founders ("-": none)
// Its log goes to DIRECTORY/log.
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/fs.h"
#include "base/log.h"
#include "overlay-net/agent/agent.h"

namespace lab::overlay {
namespace {

using namespace std::chrono_literals;

using Words = std::vector<std::string>;

// What stands behind "KEY=" in each word that begins so.
Words values(const Words& words, const std::string& key) {
  Words out;
  for (const auto& w : words) {
    if (w.starts_with(key + "=")) out.push_back(w.substr(key.size() + 1));
  }
  return out;
}

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
  } while (co_await sleep_for(20ms, stop));
}

// Times here and below are faster than life's, so that tests are.
PathOptions paths_of(const Words& words) {
  PathOptions out{.heartbeat = 200ms, .restless = 100ms};
  for (const auto& password : values(words, "password")) out.authenticator = authenticate_by_password(password);
  return out;
}

MeshOptions mesh_of(const std::string& name, const std::string& address, const std::string& password, Words peers) {
  auto key = std::make_shared<MeshCredentials>();
  key->password_key = mesh_password_key(password);
  std::shared_ptr<const MeshCredentials> shown = key;
  MeshOptions out{.node_name = name, .listen = address, .peers = std::move(peers)};
  out.credentials = [shown]() -> Result<std::shared_ptr<const MeshCredentials>> { return shown; };
  return out;
}

RingOptions ring_of(const Cidr& range, const std::string& founders) {
  RingOptions out{.range = range};
  std::istringstream names(founders);
  for (std::string one; std::getline(names, one, ',');) {
    if (one != "-") out.founders.push_back(one);
  }
  return out;
}

int run(char** argv, const Words& words) {
  std::string name = argv[1], address = argv[2], dir = argv[4], file = dir + "/../peers";
  AgentOptions options{.core = {.node_name = name,
                                .underlay = *IpAddress::parse(address),
                                .state_dir = dir + "/state",
                                .socket_path = dir + "/agent.sock",
                                .cni_dir = dir + "/net.d"},
                       .pod_cidr = *Cidr::parse(argv[3]),
                       .resync = 500ms};
  auto mesh = values(words, "mesh-password");
  if (mesh.empty()) {
    options.paths = paths_of(words);
    if (std::ranges::find(words, "mesh") != words.end()) {
      Words peers;
      for (const auto& p : read_peers(file, name)) peers.push_back(p.underlay.text());
      options.mesh = mesh_of(name, address, "secret", peers);
    }
  } else {
    options.cluster_cidr = *Cidr::parse("10.244.0.0/16");
    options.mesh = mesh_of(name, address, mesh.front(), values(words, "peer"));
    options.mesh->times = {.heartbeat = 300ms, .dead_after = 3s, .gossip_every = 1s};
    options.mesh->back_off = {.first = 100ms, .most = 1s};
    options.mesh->courtesy = 300ms;
  }
  for (const auto& founders : values(words, "ring")) {
    options.ring = ring_of(std::exchange(options.pod_cidr, {}), founders);
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
    if (mesh.empty()) scope.spawn("peers", follow_peers(*agent, file, name, scope.token()));
  });
  loop.run();
  return 0;
}

}  // namespace
}  // namespace lab::overlay

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: netns_test_node NAME ADDRESS POD_CIDR DIRECTORY [WORD...]\n");
    return 2;
  }
  if (!std::freopen((std::string(argv[4]) + "/log").c_str(), "a", stderr)) return 1;
  return lab::overlay::run(argv, {argv + 5, argv + argc});
}
