// Nodes as network namespaces on one bridge, each with an overlay agent as a process of its own; pods as namespaces
// that the real plugin wires, called as a container runtime calls it.
#pragma once

#include <gtest/gtest.h>

#include "base/fs.h"
#include "base/json.h"
#include "tests/netns/support/sandbox.h"

namespace lab::test {

struct WiredNodes {
  Sandbox box;
  std::map<std::string, pid_t> agents;         // by node
  std::map<std::string, json::Value> results;  // of the plugin, by pod

  // `network`: "192.168.77."
  WiredNodes(int nodes, const std::string& network) {
    box.add("wire");
    auto wire = must(Netlink::open_in(box.ns("wire")));
    must(wire.create_bridge({.name = "br0", .mtu = 1500, .up = true}));
    for (int i = 1; i <= nodes; ++i) {
      box.add(node(i));
      box.plug(node(i), "eth0", network + std::to_string(i) + "/24", "wire", "br0");
      must(fs::make_dirs(dir(i)));
    }
  }

  static std::string node(int i) { return "n" + std::to_string(i); }
  static std::string range(int i) { return "10.244." + std::to_string(i) + ".0/24"; }
  std::string dir(int i) const { return box.directory() + "/" + node(i) + ".d"; }

  void kill(int i) {
    box.stop(agents.at(node(i)));
    agents.erase(node(i));
  }
  // What the agent answers to GET on its socket; null when nobody does.
  json::Value ask(int i, const std::string& path) {
    auto out = box.run(node(i), {"curl", "-s", "-m", "5", "--unix-socket", dir(i) + "/agent.sock", "http://x" + path});
    auto v = json::parse(out.out);
    return v ? *v : json::Value();
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
  void del_pod(int i, const std::string& name) {
    auto out = cni(i, "DEL", name, box.path(name));
    if (!out.ok()) throw std::runtime_error("DEL " + name + ": " + out.out);
  }
};

}  // namespace lab::test
