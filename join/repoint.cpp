#include "join/repoint.h"

#include "base/fs.h"
#include "base/yaml/yaml.h"

namespace lab::join {

namespace {

constexpr int kAgentPort = 10250;

std::string address_of(const json::Value& node) {
  for (const auto& a : json::list(node, "status", "addresses"))
    if (json::str(a, "type") == "InternalIP") return std::string(json::str(a, "address"));
  return {};
}

int agent_port_of(const json::Value& node) {
  const auto port = json::num(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port");
  return port > 0 ? static_cast<int>(port) : kAgentPort;
}

Result<void> tell(const client::RestConfig& agent, const std::string& server) {
  auto connection = bootstrap::Cluster::connect(agent);
  http::Request request;
  request.method = "PUT";
  request.target = kRepointPath;
  request.body = server;
  LAB_TRY(auto answer, connection->raw(std::move(request)));
  if (answer.status == 200) return {};
  return fail(Code::kUnavailable, "its agent answers " + std::to_string(answer.status) + ": " + answer.text());
}

}  // namespace

Result<void> repoint_kubeconfig(const std::string& path, const std::string& server) {
  LAB_TRY(auto url, http::parse_url(server));
  if (url.scheme != "https" || url.host.empty())
    return fail(Code::kInvalid, "\"" + server + "\" is no address of an API server", "as in https://10.0.0.1:6443");
  LAB_TRY(auto text, fs::read_file(path));
  LAB_TRY(auto config, yaml::parse(text));
  for (auto& entry : json::ensure(config, "clusters").as_array()) json::set(entry, server, "cluster", "server");
  return fs::write_file(path, yaml::dump(config), 0600);
}

Result<std::vector<Told>> tell_nodes(bootstrap::Cluster& cluster, const std::string& own_node,
                                     const std::string& certificate, const std::string& key,
                                     const std::string& server) {
  LAB_TRY(auto nodes, cluster.list(client::res::nodes));
  std::vector<Told> out;
  for (const auto& node : json::list(nodes, "items")) {
    Told told{.node = std::string(json::str(node, "metadata", "name")), .address = address_of(node), .outcome = {}};
    if (told.node == own_node) continue;
    if (told.address.empty()) {
      told.outcome = fail(Code::kNotFound, "it has told no address");
    } else {
      client::RestConfig agent;
      agent.server = "https://" + told.address + ":" + std::to_string(agent_port_of(node));
      agent.insecure = true;  // agents serve with certificates of their own; nothing secret is said
      agent.certificate_pem = certificate;
      agent.private_key_pem = key;
      told.outcome = tell(agent, server);
    }
    out.push_back(std::move(told));
  }
  return out;
}

}  // namespace lab::join
