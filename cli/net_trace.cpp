#include "cli/net_trace.h"

#include <cstdio>

#include "bootstrap/local/lab.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

struct TracedPod {
  std::string text;  // "default/web-1"
  std::string node, address, node_address;
  bool host_network = false;
};

Result<TracedPod> find_pod(bootstrap::Cluster& cluster, const std::string& word, const std::string& ns) {
  auto slash = word.find('/');
  auto space = slash == std::string::npos ? ns : word.substr(0, slash);
  auto name = slash == std::string::npos ? word : word.substr(slash + 1);
  LAB_TRY(auto pod, cluster.get(client::res::pods, space, name));
  TracedPod out{space + "/" + name, std::string(json::str(pod, "spec", "nodeName")),
                std::string(json::str(pod, "status", "podIP")), std::string(json::str(pod, "status", "hostIP")),
                json::flag(pod, "spec", "hostNetwork")};
  if (out.address.empty() || out.node.empty()) {
    return fail(Code::kUnavailable,
                "pod " + out.text + " has no address yet: it is " + std::string(json::str(pod, "status", "phase")),
                "kubectl describe pod " + name + " -n " + space);
  }
  return out;
}

Result<json::Value> ask(bootstrap::NodeDriver& driver, const std::string& node, std::vector<std::string> words) {
  LAB_TRY(auto done, driver.exec(node, {.argv = std::move(words), .timeout_seconds = 30}));
  if (done.exit_code != 0) return fail(Code::kUnavailable, "node " + node + ": " + done.err);
  return json::parse(done.out);
}

// Numbered lines; a step that is missing ends the way.
class Steps {
 public:
  void say(const std::string& where, const std::string& what) {
    std::printf("%2d  %-28s %s\n", ++number_, where.c_str(), what.c_str());
  }
  int broken(const std::string& where, const std::string& what) {
    std::printf("%2d  %-28s BROKEN: %s\n", ++number_, where.c_str(), what.c_str());
    return kFailed;
  }

 private:
  int number_ = 0;
};

std::string field(const json::Value& v, std::string_view key) {
  return std::string(json::str(v, key));
}

// Between two nodes through the kernel's vxlan device.
int through_vxlan(Steps& steps, const TracedPod& from, const TracedPod& to, const json::Value& hop,
                  const json::Value& report) {
  auto mac = field(hop, "mac"), remote = field(hop, "remote");
  if (mac.empty()) return steps.broken("lab-vxlan on " + from.node, "no neighbour entry for " + field(hop, "gateway"));
  if (remote.empty()) return steps.broken("lab-vxlan on " + from.node, "no forwarding entry for " + mac);
  steps.say("lab-vxlan on " + from.node, field(hop, "gateway") + " has the MAC " + mac + ", which is behind " + remote);
  steps.say(from.node + " to " + to.node,
            "UDP " + field(report, "address") + " -> " + remote + " port " + std::to_string(json::num(report, "port")) +
                ", VNI " + std::to_string(json::num(report, "vni")) + ": the pod's packet and 50 bytes");
  if (!to.node_address.empty() && remote != to.node_address) {
    return steps.broken(to.node, "its address is " + to.node_address + ", not " + remote);
  }
  steps.say("lab-vxlan on " + to.node, "takes the packet out again");
  return kDone;
}

void through_wireguard(Steps& steps, const TracedPod& from, const TracedPod& to, const json::Value& report) {
  steps.say("lab-wg on " + from.node, "the kernel encrypts it with the key of node " + to.node + " (WireGuard)");
  steps.say(from.node + " to " + to.node, "UDP port " + std::to_string(json::num(report, "port")) +
                                              ": the pod's packet, unreadable, and 60 bytes");
  steps.say("lab-wg on " + to.node, "takes it if its source is a pod of " + from.node);
}

int through_sleeve(Steps& steps, const TracedPod& from, const TracedPod& to, const json::Value& report) {
  std::string why, via;
  for (const auto& p : json::list(report, "peers")) {
    if (json::str(p, "name") != to.node) continue;
    why = field(p, "why");
    via = field(p, "via");
  }
  steps.say("lab-sleeve on " + from.node, "the agent carries it in user space" + (why.empty() ? "" : ": " + why));
  steps.say(from.node + " to " + to.node, "UDP port 6783" + (via.empty() ? "" : ", by way of " + via));
  steps.say("lab-sleeve on " + to.node, "the agent there hands it to its kernel");
  return kDone;
}

Result<int> trace(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  LAB_TRY(auto cluster, bootstrap::open_cluster(profile, *driver));
  LAB_TRY(auto from, find_pod(*cluster, in.argument(0), in.get("namespace")));
  LAB_TRY(auto to, find_pod(*cluster, in.argument(1), in.get("namespace")));
  LAB_TRY(auto report, ask(*driver, from.node, {"lab", "net", "report", "--socket", "/run/lab/overlay.sock"}));
  LAB_TRY(auto hop, ask(*driver, from.node, {"lab", "net-probe", "hops", to.address}));
  LAB_TRY(auto last, ask(*driver, to.node, {"lab", "net-probe", "hops", to.address}));
  std::printf("%s (%s on %s) -> %s (%s on %s)\n", from.text.c_str(), from.address.c_str(), from.node.c_str(),
              to.text.c_str(), to.address.c_str(), to.node.c_str());
  Steps steps;
  if (from.host_network) {
    steps.say(from.node, from.text + " uses its node's own network");
  } else {
    steps.say("eth0 of " + from.text, "MTU " + std::to_string(json::num(report, "mtu")) +
                                          "; all that is not the pod's own goes to its gateway");
    steps.say("lab0 on " + from.node,
              "the bridge, and its pods' gateway; NetworkPolicies of " + from.text + " hold here");
  }
  if (from.node != to.node) {
    auto device = field(hop, "device"), destination = field(hop, "destination");
    bool usable = device == "lab-vxlan" || device == "lab-sleeve" || device == "lab-wg" || to.host_network;
    if (!usable)
      return steps.broken("route on " + from.node, "to " + to.address + " leads to " + device + ", not to node " +
                                                       to.node + ": see lab net status connections --node " +
                                                       from.node);
    auto gateway = field(hop, "gateway");
    steps.say("route on " + from.node, destination + (gateway.empty() ? "" : " via " + gateway) + " dev " + device);
    if (device == "lab-vxlan") {
      if (int code = through_vxlan(steps, from, to, hop, report); code != kDone) return code;
    } else if (device == "lab-wg") {
      through_wireguard(steps, from, to, report);
    } else if (device == "lab-sleeve") {
      through_sleeve(steps, from, to, report);
    }
  }
  if (to.host_network) {
    steps.say(to.node, to.text + " uses its node's own network");
    return kDone;
  }
  if (field(last, "device") != "lab0")
    return steps.broken("route on " + to.node,
                        "to " + to.address + " leads to " + field(last, "device") + ", not to lab0");
  steps.say("lab0 on " + to.node, "NetworkPolicies of " + to.text + " hold here; lab net policy explain judges them");
  steps.say("eth0 of " + to.text, "the packet has still " + from.address + " as its source");
  return kDone;
}

}  // namespace

int run_trace(const Invocation& in) {
  auto code = trace(in);
  return code ? *code : report(code.error());
}

}  // namespace lab::cli
