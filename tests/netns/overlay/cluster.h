// Three nodes as network namespaces on one bridge, each with a real overlay agent; pods as namespaces that the real
// plugin binary wires, called as a container runtime calls it.
#pragma once

#include <gtest/gtest.h>

#include "base/fs.h"
#include "base/json.h"
#include "tests/netns/support/sandbox.h"

namespace lab::test {

struct Cluster {
  Sandbox box;
  std::map<std::string, pid_t> agents;

  explicit Cluster(int nodes = 3) {
    box.add("wire");
    auto wire = must(Netlink::open_in(box.ns("wire")));
    must(wire.create_bridge({.name = "br0", .mtu = 1500, .up = true}));
    std::string peers;
    for (int i = 1; i <= nodes; ++i) {
      box.add(node(i));
      box.plug(node(i), "eth0", address(i) + "/24", "wire", "br0");
      peers += node(i) + " " + address(i) + " " + range(i) + "\n";
    }
    write_peers(peers);
  }

  static std::string node(int i) { return "n" + std::to_string(i); }
  static std::string address(int i) { return "192.168.77." + std::to_string(i); }
  static std::string range(int i) { return "10.244." + std::to_string(i) + ".0/24"; }
  std::string dir(int i) const { return box.directory() + "/" + node(i) + ".d"; }
  void write_peers(const std::string& text) { must(fs::write_file(box.directory() + "/peers", text)); }

  // `more`: "password=WORD" encrypts; "mesh" makes it a peer of the mesh of all nodes.
  void start(int i, std::vector<std::string> more = {}) {
    must(fs::make_dirs(dir(i)));
    more.insert(more.begin(), {OVERLAY_NODE, node(i), address(i), range(i), dir(i)});
    agents[node(i)] = box.background(node(i), std::move(more));
  }
  void kill(int i) {
    box.stop(agents.at(node(i)));
    agents.erase(node(i));
  }
  json::Value status(int i) {
    auto out = box.run(node(i), {"curl", "-s", "--unix-socket", dir(i) + "/agent.sock", "http://x/v1/status"});
    auto v = json::parse(out.out);
    return v ? *v : json::Value();
  }
  bool ready(int i, std::size_t peers = 2) {
    return eventually([&] {
      auto s = status(i);
      return json::flag(s, "ready") && json::list(s, "peers").size() == peers &&
             fs::exists(dir(i) + "/net.d/10-lab.conflist");
    });
  }

  // The plugin, called on node i. `extra` goes into the configuration.
  Finished cni(int i, const std::string& command, const std::string& container, const std::string& netns,
               json::Object extra = {}, const std::string& program = LAB_CNI, const std::string& version = "1.0.0") {
    json::Object config{
        {"cniVersion", version}, {"name", "lab"}, {"type", "lab-cni"}, {"agentSocket", dir(i) + "/agent.sock"}};
    for (auto& [key, value] : extra) config[key] = value;
    return must(lab::run({.argv = {"nsenter", "--net=" + box.path(node(i)), "--", program},
                          .env = {{"CNI_COMMAND", command},
                                  {"CNI_CONTAINERID", container},
                                  {"CNI_NETNS", netns},
                                  {"CNI_IFNAME", "eth0"},
                                  {"CNI_PATH", "/opt/cni/bin"},
                                  {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + container}},
                          .stdin_text = json::dump(config),
                          .timeout = std::chrono::seconds(30)}));
  }
  // A new pod on node i; its address.
  std::string add_pod(int i, const std::string& name, json::Object extra = {}) {
    box.add(name);
    auto out = cni(i, "ADD", name, box.path(name), std::move(extra));
    if (!out.ok()) throw std::runtime_error("ADD " + name + ": " + out.out);
    auto result = must(json::parse(out.out));
    results[name] = result;
    auto address = std::string(json::str(json::list(result, "ips").at(0), "address"));
    return address.substr(0, address.find('/'));
  }
  bool ping(const std::string& from, const std::string& to, int size = 56) {
    return box.run(from, {"busybox", "ping", "-c1", "-W3", "-s", std::to_string(size), to}).ok();
  }
  std::map<std::string, json::Value> results;
};

}  // namespace lab::test
