// Three nodes with real overlay agents, which know each other by a file of peers that a test may change.
#pragma once

#include "tests/netns/support/wired_nodes.h"

namespace lab::test {

struct Cluster : WiredNodes {
  explicit Cluster(int nodes = 3) : WiredNodes(nodes, "192.168.77.") {
    std::string peers;
    for (int i = 1; i <= nodes; ++i) peers += node(i) + " " + address(i) + " " + range(i) + "\n";
    write_peers(peers);
  }

  static std::string address(int i) { return "192.168.77." + std::to_string(i); }
  void write_peers(const std::string& text) { must(fs::write_file(box.directory() + "/peers", text)); }

  // `more`: "password=WORD" encrypts; "mesh" makes it a peer of the mesh of all nodes.
  void start(int i, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {OVERLAY_NODE, node(i), address(i), range(i), dir(i)});
    agents[node(i)] = box.background(node(i), std::move(more));
  }
  json::Value status(int i) { return ask(i, "/v1/status"); }
  bool ready(int i, std::size_t peers = 2) {
    return eventually([&] {
      auto s = status(i);
      return json::flag(s, "ready") && json::list(s, "peers").size() == peers &&
             fs::exists(dir(i) + "/net.d/10-lab.conflist");
    });
  }
  bool ping(const std::string& from, const std::string& to, int size = 56) {
    return box.run(from, {"busybox", "ping", "-c1", "-W3", "-s", std::to_string(size), to}).ok();
  }
};

}  // namespace lab::test
