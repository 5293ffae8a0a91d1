// lab net: what the pod network knows about itself.
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "overlay-net/cni/agent_call.h"
#include "overlay-net/cni/protocol.h"
#include "overlay-net/status/dns_probe.h"
#include "overlay-net/status/render.h"

namespace lab::cli {

namespace {

// On a node itself the agent's socket is at hand.
bool is_here(const Invocation& in) {
  return in.has("socket") || (!in.has("profile") && !in.has("node") && fs::exists(overlay::kAgentSocket));
}

// Runs the same command on a node of a lab and shows what it says.
Result<void> on_node(const Invocation& in, std::vector<std::string> words) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  auto nodes = in.all("node");
  if (nodes.empty() && !profile.nodes.empty()) nodes = {profile.nodes[0].name};
  words.insert(words.begin(), "lab");
  words.insert(words.end(), {"--socket", overlay::kAgentSocket});
  for (const auto& node : nodes) {
    LAB_TRY(auto done, driver->exec(node, {.argv = words, .timeout_seconds = 30}));
    if (nodes.size() > 1) std::printf("%s:\n", node.c_str());
    std::fputs(done.out.c_str(), stdout);
    if (done.exit_code == 0) continue;
    if (done.err.starts_with("error: ")) done.err.erase(0, 7);
    while (done.err.ends_with('\n')) done.err.pop_back();
    return fail(Code::kUnavailable, "node " + node + ": " + done.err);
  }
  return {};
}

Result<json::Value> fetch(const Invocation& in) {
  auto socket = in.has("socket") ? in.get("socket") : std::string(overlay::kAgentSocket);
  return overlay::call_agent(socket, "GET", "/v1/net", "");
}

Result<void> show_dns() {
  LAB_TRY(auto node, bootstrap::read_node_record());
  const auto name = "kubernetes.default.svc." + node.dns_domain;
  std::printf("Name server %s, domain %s\n", node.dns_address.c_str(), node.dns_domain.c_str());
  LAB_TRY(auto answer, overlay::ask_dns(node.dns_address, name, std::chrono::seconds(4)));
  if (answer.addresses.empty())
    return fail(Code::kNotFound, name + " is not known to the name server " + node.dns_address,
                "it learns of Services from the API server: see that it is reached, in lab logs lab-agent");
  std::printf("%s is %s (%.1f ms)\n", name.c_str(), answer.addresses[0].c_str(),
              static_cast<double>(answer.took.count()) / 1000);
  auto resolv = fs::read_file("/etc/resolv.conf");
  for (std::size_t at = 0; resolv && at < resolv->size();) {
    auto end = std::min(resolv->find('\n', at), resolv->size());
    auto text = resolv->substr(at, end - at);
    if (text.starts_with("nameserver ")) std::printf("Other names are asked of %s\n", text.substr(11).c_str());
    at = end + 1;
  }
  return {};
}

Result<void> status(const Invocation& in) {
  auto what = in.argument(0, "summary");
  if (!is_here(in)) {
    return on_node(in, what == "summary" ? std::vector<std::string>{"net", "status"}
                                         : std::vector<std::string>{"net", "status", what});
  }
  if (what == "dns") return show_dns();
  std::string (*render)(const json::Value&) = nullptr;
  if (what == "summary") render = overlay::render_summary;
  if (what == "connections") render = overlay::render_connections;
  if (what == "peers") render = overlay::render_peers;
  if (what == "ipam") render = overlay::render_ipam;
  if (what == "targets") render = overlay::render_targets;
  if (!render)
    return fail(Code::kBadRequest, "there is no status of \"" + what + "\"",
                "connections, peers, ipam, dns or targets");
  LAB_TRY(auto report, fetch(in));
  std::fputs(render(report).c_str(), stdout);
  return {};
}

Result<void> full_report(const Invocation& in) {
  if (!is_here(in)) return on_node(in, {"net", "report"});
  LAB_TRY(auto report, fetch(in));
  std::printf("%s\n", json::dump_pretty(report, 2).c_str());
  return {};
}

Result<void> change_key(const Invocation& in) {
  if (!is_here(in)) return on_node(in, {"net", "rekey"});
  auto socket = in.has("socket") ? in.get("socket") : std::string(overlay::kAgentSocket);
  LAB_TRY(auto answer, overlay::call_agent(socket, "POST", "/v1/net/wireguard-key", "{}"));
  std::printf("This node gets a new WireGuard key in some seconds; user space encrypts meanwhile.\n");
  return {};
}

const std::vector<Option> kWhere{
    {.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"},
    {.name = "node", .value = "NODE", .help = "As which nodes see it; default: the master", .repeated = true},
    {.name = "socket", .value = "FILE", .help = "Ask the agent behind this socket"}};

}  // namespace

Commands net_commands() {
  Commands out{
      {.path = "net", .summary = "Look into the pod network"},
      {.path = "net status",
       .summary = "Show the state of the pod network as a node sees it",
       .details =
           "Without an argument a summary. connections: the mesh's, and why others failed. peers: who is connected to "
           "whom. ipam: "
           "each node's addresses. dns: what the cluster's name server answers. targets: addresses to be dialled.\n\n"
           "As in: lab net status connections --node node2",
       .arguments = {{"WHAT", "connections, peers, ipam, dns or targets", false}},
       .options = kWhere,
       .run = [](const Invocation& in) { return finish(status(in)); }},
      {.path = "net report",
       .summary = "Print all that a node knows of the pod network, as JSON",
       .options = kWhere,
       .run = [](const Invocation& in) { return finish(full_report(in)); }},
      {.path = "net rekey",
       .summary = "Give a node a new WireGuard key now",
       .details =
           "For clusters that encrypt, on nodes whose kernel has WireGuard; by itself the key changes once a day. No packet is "
           "lost. Session keys are others and change every two minutes.\n\nAs in: lab net rekey --node node2",
       .options = kWhere,
       .run = [](const Invocation& in) { return finish(change_key(in)); }}};
  for (auto& command : net_test_commands()) out.push_back(std::move(command));
  return out;
}

}  // namespace lab::cli
