#include "cli/node_facts.h"

namespace lab::cli {

namespace {

bool is_ready(const json::Value& node) {
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready") return json::str(c, "status") == "True";
  return false;
}

// A node that is away would be waited for at length: its condition tells it sooner.
Result<json::Value> ask(bootstrap::Cluster& cluster, const json::Value& node, bool poke) {
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready" && json::str(c, "status") == "Unknown")
      return fail(Code::kUnavailable, "its agent does not answer");
  http::Request request;
  request.method = poke ? "POST" : "GET";
  request.target = "/api/v1/nodes/" + std::string(json::str(node, "metadata", "name")) + "/proxy/lab/node";
  auto answer = cluster.raw(std::move(request));
  if (!answer) return fail(Code::kUnavailable, "its agent does not answer: " + answer.error().message);
  if (answer->status == 404)
    return fail(Code::kNotFound, "its agent is of an earlier version: upgrade that node first");
  if (answer->status != 200)
    return fail(Code::kUnavailable, is_ready(node) ? "its agent answers " + std::to_string(answer->status)
                                                   : "it is not Ready, and its agent does not answer");
  return json::parse(answer->text());
}

}  // namespace

Result<std::vector<NodeFacts>> ask_nodes(bootstrap::Cluster& cluster, bool poke) {
  LAB_TRY(auto nodes, cluster.list(client::res::nodes));
  std::vector<NodeFacts> out;
  for (const auto& node : json::list(nodes, "items"))
    out.push_back({.name = std::string(json::str(node, "metadata", "name")),
                   .master = json::has(node, "metadata", "labels", "node-role.kubernetes.io/control-plane"),
                   .said = ask(cluster, node, poke)});
  return out;
}

}  // namespace lab::cli
