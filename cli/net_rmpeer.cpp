// lab net rmpeer and leave: a node that is gone for good, or is about to go, gives its pod addresses to the others.
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "overlay-net/cni/agent_call.h"
#include "overlay-net/cni/protocol.h"

namespace lab::cli {

namespace {

// Names come from people and become a part of a path.
bool is_peer_name(const std::string& s) {
  return !s.empty() && s.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:#") == std::string::npos;
}

std::string path_of(const std::string& peer) {
  std::string out = "/v1/net/peers/";
  for (char c : peer) out += c == '#' ? std::string("%23") : std::string(1, c);
  return out;
}

Result<void> remove_on(const Invocation& in, const std::string& peer) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  auto node = in.get("node");
  for (const auto& n : profile.nodes) {
    if (node.empty() && n.name != peer) node = n.name;
  }
  LAB_TRY(auto done, driver->exec(node, {.argv = {"lab", "net", "rmpeer", peer, "--socket", overlay::kAgentSocket}, .timeout_seconds = 30}));
  std::fputs(done.out.c_str(), stdout);
  if (done.exit_code == 0) return {};
  if (done.err.starts_with("error: ")) done.err.erase(0, 7);
  while (done.err.ends_with('\n')) done.err.pop_back();
  return fail(Code::kUnavailable, "node " + node + ": " + done.err);
}

Result<void> remove_peer(const Invocation& in) {
  auto peer = in.argument(0);
  if (!is_peer_name(peer)) return fail(Code::kBadRequest, "\"" + peer + "\" is no name of a peer", "'lab net status ipam' shows them");
  bool here = in.has("socket") || (!in.has("profile") && !in.has("node") && fs::exists(overlay::kAgentSocket));
  if (!here) return remove_on(in, peer);
  auto socket = in.has("socket") ? in.get("socket") : std::string(overlay::kAgentSocket);
  LAB_TRY(auto answer, overlay::call_agent(socket, "DELETE", path_of(peer), ""));
  std::printf("%s is removed. Its addresses come to this node when all others know of it: lab net status ipam\n", peer.c_str());
  return {};
}

Result<void> leave(const Invocation& in) {
  auto socket = in.has("socket") ? in.get("socket") : std::string(overlay::kAgentSocket);
  LAB_TRY(auto answer, overlay::call_agent(socket, "POST", "/v1/net/leave", "{}"));
  std::printf("This node's pod addresses are handed over. It gives none any more: lab reset\n");
  return {};
}

}  // namespace

Commands net_ring_commands() {
  return {{.path = "net rmpeer",
           .summary = "Take over the pod addresses of a node that is gone for good",
           .details = "For networks whose addresses come out of the ring (lab overlay --ipam ring). The node must be dead: one that can "
                      "be reached is refused, since its pods use the addresses. Deleting a Node does the same by itself.\n\n"
                      "As in: lab net rmpeer node3",
           .arguments = {{"PEER", "A node's name, or a peer's as lab net status ipam shows it"}},
           .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"},
                       {.name = "node", .value = "NODE", .help = "The node that becomes heir; default: another one"},
                       {.name = "socket", .value = "FILE", .help = "Ask the agent behind this socket"}},
           .run = [](const Invocation& in) { return finish(remove_peer(in)); }},
          {.path = "net leave",
           .summary = "Hand this node's pod addresses to another before it goes for good",
           .details = "On the node itself, drained, before lab reset. For networks whose addresses come out of the ring. Who goes without "
                      "it is removed by lab net rmpeer.",
           .options = {{.name = "socket", .value = "FILE", .help = "Ask the agent behind this socket"}},
           .run = [](const Invocation& in) { return finish(leave(in)); }}};
}

}  // namespace lab::cli
