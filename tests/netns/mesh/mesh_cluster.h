// Nodes that know each other by the mesh alone, and what a network may do to it.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <random>

#include "tests/netns/support/wired_nodes.h"

namespace lab::test {

struct MeshCluster : WiredNodes {
  explicit MeshCluster(int nodes = 3) : WiredNodes(nodes, "192.168.78.") {}

  static std::string address(int i) { return "192.168.78." + std::to_string(i); }

  // `under` runs it; with `ring` all share one range of addresses, and these are its founders ("-": none).
  void start(int i, std::vector<std::string> peers = {}, const std::string& password = "secret",
             std::vector<std::string> under = {}, const std::string& name = {}, const std::string& ring = {}) {
    auto argv = std::move(under);
    argv.insert(argv.end(), {MESH_NODE, name.empty() ? node(i) : name, address(i),
                             ring.empty() ? range(i) : "10.99.0.0/24", dir(i), "mesh-password=" + password});
    for (const auto& p : peers) argv.push_back("peer=" + p);
    if (!ring.empty()) argv.push_back("ring=" + ring);
    agents[node(i)] = box.background(node(i), std::move(argv));
  }
  void signal(int i, int number) { ::kill(agents.at(node(i)), number); }

  // Nothing passes between the two any more, in either direction.
  void cut(int i, int from) {
    must_run(i,
             "nft add table ip cut && nft add chain ip cut in '{ type filter hook input priority 0; }' && "
             "nft add chain ip cut out '{ type filter hook output priority 0; }'");
    must_run(i, "nft add rule ip cut in ip saddr " + address(from) + " drop && nft add rule ip cut out ip daddr " +
                    address(from) + " drop");
  }
  void heal(int i) { must_run(i, "nft delete table ip cut"); }

  json::Value get(int i) { return ask(i, "/v1/net"); }
  json::Value mesh(int i) { return json::at(get(i), "mesh"); }
  std::string report_text(int i) { return json::dump(get(i)); }
  std::string log(int i) { return fs::read_file(dir(i) + "/log").value_or(""); }
  static int count(const std::string& text, const std::string& what) {
    int n = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
    return n;
  }
  // Peers, itself included, that some chain of connections leads to.
  int reachable(int i) {
    int n = 0;
    for (const auto& p : json::list(mesh(i), "peers")) n += json::flag(p, "reachable");
    return n;
  }
  bool knows(int i, int peers) {
    return eventually([&] { return reachable(i) == peers; }, 40);
  }
  bool routes_to(int i, std::size_t peers) {
    return eventually([&] {
      auto v = get(i);
      return json::flag(v, "ready") && json::list(v, "peers").size() == peers;
    });
  }
  json::Value peer(int i, const std::string& nickname) {
    for (const auto& p : json::list(mesh(i), "peers")) {
      if (json::str(p, "nickname") == nickname) return p;
    }
    return {};
  }
  bool connected(int i, int to) {
    for (const auto& v : json::list(mesh(i), "connections")) {
      if (json::str(v, "nickname") == node(to) && json::str(v, "state") == "established") return true;
    }
    return false;
  }
  long refused(int i, const std::string& reason) {
    auto out =
        box.run(node(i), {"curl", "-s", "-m", "5", "--unix-socket", dir(i) + "/agent.sock", "http://x/metrics"}).out;
    auto at = out.find("lab_mesh_refused_total{reason=\"" + reason + "\"} ");
    return at == std::string::npos ? 0 : std::atol(out.c_str() + out.find("} ", at) + 2);
  }

  // The first packet may come before the path is warm on a busy machine.
  bool ping(const std::string& from, const std::string& to) {
    return eventually([&] { return box.run(from, {"busybox", "ping", "-c1", "-W2", to}).ok(); });
  }

  // Connections from a namespace that say what no peer says; cut off in the middle, or left to wait for the answer.
  void throw_garbage(const std::string& from, const std::string& to, int connections) {
    must(in_netns(box.ns(from), [&]() -> Result<void> {
      std::mt19937 random(20);
      for (int i = 0; i < connections; ++i) {
        int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in peer{.sin_family = AF_INET,
                         .sin_port = htons(6783),
                         .sin_addr = {htonl(IpAddress::parse(to)->v4_value())},
                         .sin_zero = {}};
        if (::connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) return fail_errno("connect " + to);
        std::string bytes = i % 3 ? "LAB-MESH\n" : "";
        for (unsigned n = random() % 200; n > 0; --n) bytes += static_cast<char>(random());
        (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        ::close(fd);
      }
      return {};
    }));
  }
  // Datagrams of all lengths up to a frame's, to this port; every second one begins with `head`.
  void throw_datagrams(const std::string& from, const std::string& to, std::uint16_t port,
                       const std::string& head = {}) {
    must(in_netns(box.ns(from), [&]() -> Result<void> {
      std::mt19937 random(port);
      int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      sockaddr_in peer{.sin_family = AF_INET,
                       .sin_port = htons(port),
                       .sin_addr = {htonl(IpAddress::parse(to)->v4_value())},
                       .sin_zero = {}};
      for (unsigned i = 0; i < 600; ++i) {
        std::string bytes = i % 2 ? head : "";
        for (unsigned n = i * 2; n > 0; --n) bytes += static_cast<char>(random());
        (void)!::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&peer), sizeof peer);
      }
      ::close(fd);
      return {};
    }));
  }
  // The same at the agent's own socket, where the plugin and `lab net` speak HTTP.
  void throw_at_socket(int i) {
    std::mt19937 random(7);
    for (unsigned n = 0; n < 100; ++n) {
      int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_un at{.sun_family = AF_UNIX, .sun_path = {}};
      (dir(i) + "/agent.sock").copy(at.sun_path, sizeof at.sun_path - 1);
      EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
      std::string bytes = n % 2 ? "POST /v1/pods HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{\"container" : "";
      for (unsigned k = n; k > 0; --k) bytes += static_cast<char>(random());
      (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
  }

 private:
  void must_run(int i, const std::string& line) {
    auto done = box.sh(node(i), line);
    if (!done.ok()) throw std::runtime_error(line + ": " + done.out);
  }
};

}  // namespace lab::test
