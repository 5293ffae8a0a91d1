#include "join/from_config.h"

namespace lab::join {

namespace {

using bootstrap::config::extra_arg;
using bootstrap::config::seconds_of;

void take(const json::Value& field, std::string& out) {
  if (field.is_string()) out = json::as_str(field);
}

std::vector<std::string> texts(const json::Value& list) {
  std::vector<std::string> out;
  for (const auto& item : json::as_array(list)) out.emplace_back(json::as_str(item));
  return out;
}

Result<void> apply_discovery(const json::Value& v, JoinOptions& o) {
  const auto& token = json::at(v, "bootstrapToken");
  const auto& file = json::at(v, "file");
  if (!token.is_null() && !file.is_null())
    return fail(Code::kInvalid, "discovery.bootstrapToken and discovery.file are both given", "keep one of them");
  if (token.is_null() && file.is_null())
    return fail(Code::kInvalid, "discovery.bootstrapToken or discovery.file must be given",
                "lab config print join-defaults shows the first");
  take(json::at(token, "token"), o.token);
  const std::string endpoint(json::str(token, "apiServerEndpoint"));
  if (!endpoint.empty() && !o.endpoint.empty() && endpoint != o.endpoint)
    return fail(Code::kInvalid,
                "the API server is " + o.endpoint + " on the command line and " + endpoint + " in the file",
                "leave one of them out");
  if (!endpoint.empty()) o.endpoint = endpoint;
  if (json::has(token, "caCertHashes")) o.ca_pins = texts(json::at(token, "caCertHashes"));
  o.unsafe_skip_ca_verification = o.unsafe_skip_ca_verification || json::flag(token, "unsafeSkipCAVerification");
  take(json::at(file, "kubeConfigPath"), o.discovery_file);
  take(json::at(v, "tlsBootstrapToken"), o.tls_token);
  // With a token, the one of discovery serves both; with a file there is only this one.
  if (o.token.empty()) o.token = o.tls_token;
  return {};
}

void apply_node(const json::Value& node, JoinOptions& o) {
  if (o.node_name.empty()) take(json::at(node, "name"), o.node_name);
  take(json::at(node, "criSocket"), o.cri_socket);
  for (const auto& t : json::list(node, "taints")) {
    const std::string value(json::str(t, "value"));
    o.taints.push_back(std::string(json::str(t, "key")) + (value.empty() ? "" : "=" + value) + ":" +
                       std::string(json::str(t, "effect")));
  }
  for (auto& check : texts(json::at(node, "ignorePreflightErrors"))) o.ignore_preflight.push_back(std::move(check));
  const auto& args = json::at(node, "kubeletExtraArgs");
  if (auto ip = extra_arg(args, "node-ip"); !ip.empty() && o.node_ip.empty()) o.node_ip = ip;
  if (auto name = extra_arg(args, "hostname-override"); !name.empty() && o.node_name.empty()) o.node_name = name;
}

}  // namespace

Result<void> apply_config(bootstrap::config::File& file, JoinOptions& o) {
  const auto& v = file.document("JoinConfiguration");
  if (v.is_null())
    return fail(Code::kInvalid, "the file holds no JoinConfiguration", "lab config print join-defaults shows one");
  LAB_CHECK(apply_discovery(json::at(v, "discovery"), o));
  apply_node(json::at(v, "nodeRegistration"), o);
  if (const auto& master = json::at(v, "controlPlane"); master.is_object()) {
    o.control_plane = true;
    take(json::at(master, "certificateKey"), o.certificate_key);
    if (o.node_ip.empty()) take(json::at(master, "localAPIEndpoint", "advertiseAddress"), o.node_ip);
    if (json::has(master, "localAPIEndpoint", "bindPort"))
      file.warnings.push_back("controlPlane.localAPIEndpoint.bindPort has no effect: masters share the first one's port");
  }
  o.kubelet = file.document("KubeletConfiguration");
  for (const char* of_cluster : {"clusterDNS", "clusterDomain"})
    if (json::has(o.kubelet, of_cluster))
      file.warnings.push_back(std::string("KubeletConfiguration's ") + of_cluster +
                              " has no effect: it is the same on all nodes, as init was told");
  o.run.dry_run = o.run.dry_run || json::flag(v, "dryRun");
  if (o.run.skip.empty()) o.run.skip = texts(json::at(v, "skipPhases"));
  o.discovery_timeout = seconds_of(json::at(v, "timeouts", "discovery"), o.discovery_timeout);
  o.tls_bootstrap_timeout = seconds_of(json::at(v, "timeouts", "tlsBootstrap"), o.tls_bootstrap_timeout);
  return {};
}

}  // namespace lab::join
