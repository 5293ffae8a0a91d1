#include "bootstrap/init/from_config.h"

#include <algorithm>
#include <map>

#include "bootstrap/config/defaults.h"
#include "orchestrator/api/time.h"

namespace lab::bootstrap {

namespace {

using config::extra_arg;
using config::seconds_of;
using std::chrono::seconds;

void take(const json::Value& field, std::string& out) {
  if (field.is_string()) out = json::as_str(field);
}

void take(const json::Value& field, std::vector<std::string>& out) {
  if (!field.is_array()) return;
  out.clear();
  for (const auto& item : field.get_array()) out.emplace_back(json::as_str(item));
}

// Flags of the command line that may stand beside a file come on top of it.
void add(const json::Value& field, std::vector<std::string>& out) {
  for (const auto& item : json::as_array(field)) out.emplace_back(json::as_str(item));
}

Result<TokenRequest> token_of(const json::Value& v) {
  LAB_TRY(auto token, pki::BootstrapToken::parse(json::str(v, "token")));
  TokenRequest out{.token = std::move(token), .description = std::string(json::str(v, "description"))};
  take(json::at(v, "usages"), out.usages);
  take(json::at(v, "groups"), out.groups);
  out.ttl = seconds_of(json::at(v, "ttl"), out.ttl);
  if (!json::has(v, "expires")) return out;
  if (json::has(v, "ttl"))
    return fail(Code::kInvalid, "the token " + out.token.id + " has both ttl and expires", "keep one of them");
  auto at = api::parse_time(json::str(v, "expires"));
  if (!at)
    return fail(Code::kInvalid, "expires of the token " + out.token.id + " is no time", "as in 2030-01-01T00:00:00Z");
  out.ttl = std::chrono::duration_cast<seconds>(*at - std::chrono::system_clock::now());
  if (out.ttl.count() <= 0) return fail(Code::kInvalid, "the token " + out.token.id + " has expired before its start");
  return out;
}

Result<void> take_hours(const json::Value& document, std::string_view field, std::chrono::hours& out) {
  const auto given = seconds_of(json::at(document, field), out);
  if (given < std::chrono::hours(1))
    return fail(Code::kInvalid, std::string(field) + " is shorter than an hour", "as in 8760h0m0s");
  out = std::chrono::duration_cast<std::chrono::hours>(given);
  return {};
}

Result<void> take_seconds(const json::Value& args, std::string_view name, seconds& out) {
  const auto text = extra_arg(args, name);
  if (text.empty()) return {};
  if (text.find_first_not_of("0123456789") == std::string::npos && text.size() < 10) {
    out = seconds(std::stol(text));
    return {};
  }
  auto d = api::parse_duration(text);
  if (!d) return fail(Code::kInvalid, "the flag " + std::string(name) + " is no duration: " + text, "as in 40s");
  out = std::chrono::duration_cast<seconds>(*d);
  return {};
}

Result<void> apply_init(const json::Value& v, InitOptions& o, std::vector<std::string>& warnings) {
  for (const auto& token : json::list(v, "bootstrapTokens")) {
    LAB_TRY(auto request, token_of(token));
    o.tokens.push_back(std::move(request));
  }
  o.run.dry_run = o.run.dry_run || json::flag(v, "dryRun");
  if (o.run.skip.empty()) take(json::at(v, "skipPhases"), o.run.skip);
  const auto& node = json::at(v, "nodeRegistration");
  if (o.node_name.empty()) take(json::at(node, "name"), o.node_name);
  take(json::at(node, "criSocket"), o.cri_socket);
  if (json::at(node, "taints").is_array()) o.taints = taints_of(json::at(node, "taints"));
  add(json::at(node, "ignorePreflightErrors"), o.ignore_preflight);
  const auto& args = json::at(node, "kubeletExtraArgs");
  if (auto ip = extra_arg(args, "node-ip"); !ip.empty()) o.node_ip = ip;
  if (auto name = extra_arg(args, "hostname-override"); !name.empty() && o.node_name.empty()) o.node_name = name;
  take(json::at(v, "localAPIEndpoint", "advertiseAddress"), o.advertise_address);
  if (json::has(v, "localAPIEndpoint", "bindPort"))
    o.bind_port = static_cast<int>(json::num(v, "localAPIEndpoint", "bindPort"));
  if (o.bind_port < 1 || o.bind_port > 65535)
    return fail(Code::kInvalid, "localAPIEndpoint.bindPort " + std::to_string(o.bind_port) + " is no port");
  take(json::at(v, "certificateKey"), o.certificate_key);
  if (json::has(v, "certificateKey") && !o.upload_certs) warnings.push_back("certificateKey has no effect without --upload-certs");
  o.control_plane_timeout =
      seconds_of(json::at(v, "timeouts", "controlPlaneComponentHealthCheck"), o.control_plane_timeout);
  o.kubelet_timeout = seconds_of(json::at(v, "timeouts", "kubeletHealthCheck"), o.kubelet_timeout);
  return {};
}

Result<void> apply_algorithm(const std::string& name, InitOptions& o) {
  static const std::map<std::string, pki::KeyAlgorithm> known{{"RSA-2048", pki::KeyAlgorithm::kRsa2048},
                                                              {"ECDSA-P256", pki::KeyAlgorithm::kEcdsaP256}};
  if (name.empty()) return {};
  auto it = known.find(name);
  if (it == known.end())
    return fail(Code::kInvalid, "encryptionAlgorithm \"" + name + "\" is not offered", "choose ECDSA-P256 or RSA-2048");
  o.key_algorithm = it->second;
  return {};
}

// An etcd that runs elsewhere. Its certificates are looked for where kubeadm's own would be.
void apply_etcd(const json::Value& external, InitOptions& o, std::vector<std::string>& warnings) {
  std::string endpoints;
  for (const auto& e : json::list(external, "endpoints")) {
    std::string url(json::as_str(e));
    if (url.find("://") == std::string::npos) url = "https://" + url;
    endpoints += (endpoints.empty() ? "" : ",") + url;
  }
  if (endpoints.empty()) return;
  o.store = "etcd=" + endpoints;
  const std::string dir = o.cert_dir.empty() ? "/etc/kubernetes/pki" : o.cert_dir;
  for (const auto& [field, file] : {std::pair{"caFile", "/etcd/ca.crt"}, {"certFile", "/apiserver-etcd-client.crt"}, {"keyFile", "/apiserver-etcd-client.key"}})
    if (auto given = json::str(external, field); !given.empty() && given != dir + file)
      warnings.push_back(std::string("etcd.external.") + field + " has no effect: it is read from " + dir + file + "; copy it there");
}

Result<void> apply_cluster(const json::Value& v, InitOptions& o, std::vector<std::string>& warnings) {
  const auto& networking = json::at(v, "networking");
  take(json::at(networking, "serviceSubnet"), o.service_cidr);
  take(json::at(networking, "podSubnet"), o.pod_network_cidr);
  take(json::at(networking, "dnsDomain"), o.service_dns_domain);
  take(json::at(v, "controlPlaneEndpoint"), o.control_plane_endpoint);
  take(json::at(v, "certificatesDir"), o.cert_dir);
  take(json::at(v, "clusterName"), o.cluster_name);
  take(json::at(v, "apiServer", "certSANs"), o.extra_sans);
  LAB_CHECK(apply_algorithm(std::string(json::str(v, "encryptionAlgorithm")), o));
  LAB_CHECK(take_hours(v, "certificateValidityPeriod", o.certificate_validity));
  LAB_CHECK(take_hours(v, "caCertificateValidityPeriod", o.ca_validity));
  LAB_CHECK(
      take_seconds(json::at(v, "apiServer", "extraArgs"), "default-not-ready-toleration-seconds", o.pod_toleration));
  LAB_CHECK(take_seconds(json::at(v, "controllerManager", "extraArgs"), "node-monitor-grace-period", o.node_grace));
  LAB_CHECK(
      take_seconds(json::at(v, "controllerManager", "extraArgs"), "cluster-signing-duration", o.signing_duration));
  if (json::flag(v, "dns", "disabled")) o.run.skip.push_back("addon/dns");
  if (json::flag(v, "proxy", "disabled")) o.run.skip.push_back("addon/proxy");
  std::string version(json::str(v, "kubernetesVersion"));
  if (!version.empty() && !version.starts_with('v')) version = "v" + version;
  if (!version.empty() && version != config::kKubernetesVersion)
    warnings.push_back("kubernetesVersion " + version + " has no effect: this program brings " +
                       config::kKubernetesVersion);
  if (!json::list(v, "etcd", "external", "endpoints").empty() && json::has(v, "etcd", "local"))
    return fail(Code::kInvalid, "etcd.local and etcd.external are both given", "keep one of them");
  apply_etcd(json::at(v, "etcd", "external"), o, warnings);
  return {};
}

// The domain is the cluster's, of which the name server and the API server must know, too.
Result<void> apply_kubelet(const config::File& file, InitOptions& o) {
  o.kubelet = file.document("KubeletConfiguration");
  const auto& dns = json::list(o.kubelet, "clusterDNS");
  if (!dns.empty()) o.dns_address = json::as_str(dns[0]);
  const std::string domain(json::str(o.kubelet, "clusterDomain"));
  const auto asked = json::str(file.document("ClusterConfiguration"), "networking", "dnsDomain");
  if (!domain.empty() && !asked.empty() && domain != asked)
    return fail(Code::kInvalid,
                "clusterDomain of KubeletConfiguration is \"" + domain + "\", networking.dnsDomain of "
                "ClusterConfiguration is \"" + std::string(asked) + "\"",
                "leave one of them out");
  if (!domain.empty()) o.service_dns_domain = domain;
  return {};
}

}  // namespace

std::vector<std::string> taints_of(const json::Value& list) {
  std::vector<std::string> out;
  for (const auto& t : json::as_array(list)) {
    const std::string value(json::str(t, "value"));
    out.push_back(std::string(json::str(t, "key")) + (value.empty() ? "" : "=" + value) + ":" +
                  std::string(json::str(t, "effect")));
  }
  return out;
}

Result<void> apply_config(config::File& file, InitOptions& options) {
  if (!file.document("JoinConfiguration").is_null() && file.document("InitConfiguration").is_null() &&
      file.document("ClusterConfiguration").is_null())
    return fail(Code::kInvalid, "the file holds no InitConfiguration or ClusterConfiguration",
                "a JoinConfiguration is for lab join");
  LAB_CHECK(apply_init(file.document("InitConfiguration"), options, file.warnings));
  LAB_CHECK(apply_cluster(file.document("ClusterConfiguration"), options, file.warnings));
  return apply_kubelet(file, options);
}

Result<void> apply_config(config::File& file, ResetOptions& o) {
  const auto& v = file.document("ResetConfiguration");
  if (v.is_null())
    return fail(Code::kInvalid, "the file holds no ResetConfiguration", "lab config print reset-defaults shows one");
  o.cleanup_tmp = o.cleanup_tmp || json::flag(v, "cleanupTmpDir");
  take(json::at(v, "certificatesDir"), o.cert_dir);
  take(json::at(v, "criSocket"), o.cri_socket);
  o.force = o.force || json::flag(v, "force");
  o.run.dry_run = o.run.dry_run || json::flag(v, "dryRun");
  add(json::at(v, "ignorePreflightErrors"), o.ignore_preflight);
  if (o.run.skip.empty()) take(json::at(v, "skipPhases"), o.run.skip);
  take(json::at(v, "unmountFlags"), o.unmount_flags);
  return {};
}

}  // namespace lab::bootstrap
