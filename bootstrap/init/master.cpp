#include "bootstrap/init/master.h"

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/etcd/member.h"
#include "bootstrap/init/certificate_upload.h"

namespace lab::bootstrap {

namespace res = client::res;

namespace {

Result<json::Value> stored(Cluster& cluster, const char* map, const char* entry) {
  LAB_TRY(auto object, cluster.get(res::configmaps, "kube-system", map));
  return yaml::parse(json::str(object, "data", entry));
}

etcd::Local local_member(const InitContext& c) {
  return {.name = c.options.node_name, .address = c.options.advertise_address, .cert_dir = c.cert_dir()};
}

// Every master has a member, and tells its address in the endpoints of Service default/kubernetes.
Result<std::vector<std::string>> etcd_endpoints(Cluster& cluster) {
  LAB_TRY(auto endpoints, cluster.get(res::endpoints, "default", "kubernetes"));
  std::vector<std::string> out;
  for (const auto& subset : json::list(endpoints, "subsets"))
    for (const auto& a : json::list(subset, "addresses"))
      out.push_back("https://" + std::string(json::str(a, "ip")) + ":2379");
  return out;
}

}  // namespace

bool uses_etcd(const InitContext& c) {
  return c.options.store == "etcd";
}

Result<void> etcd_phase(InitContext& c) {
  return etcd::start_first(*c.services, local_member(c));
}

Result<void> upload_certs_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  if (c.options.certificate_key.empty()) c.options.certificate_key = new_certificate_key();
  LAB_CHECK(upload_certificates(*cluster, c.cert_dir(), c.options.certificate_key));
  c.progress.note(
      "[upload-certs] Storing the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace");
  c.progress.note("[upload-certs] Using certificate key:\n" + c.options.certificate_key);
  return {};
}

Result<InitOptions> master_settings(Cluster& cluster, const MasterOptions& options) {
  LAB_TRY(auto config, stored(cluster, "kubeadm-config", "ClusterConfiguration"));
  LAB_TRY(auto kubelet, stored(cluster, "kubelet-config", "kubelet"));
  if (json::at(config, "etcd", "local").is_null())
    return fail(Code::kInvalid, "this cluster keeps its data in the embedded store of its one master",
                "several masters need an etcd: begin the cluster with lab init --store etcd --upload-certs");
  InitOptions o;
  o.store = "etcd";
  o.node_name = options.node_name;
  o.advertise_address = options.advertise_address;
  o.bind_port = options.bind_port;
  o.cri_socket = options.cri_socket;
  o.certificate_key = options.certificate_key;
  o.taint_master = options.taint;
  o.cert_dir = json::str(config, "certificatesDir");
  o.cluster_name = json::str(config, "clusterName");
  o.control_plane_endpoint = json::str(config, "controlPlaneEndpoint");
  o.service_cidr = json::str(config, "networking", "serviceSubnet");
  o.pod_network_cidr = json::str(config, "networking", "podSubnet");
  o.service_dns_domain = json::str(config, "networking", "dnsDomain");
  for (const auto& san : json::list(config, "apiServer", "certSANs")) o.extra_sans.emplace_back(json::as_str(san));
  if (json::str(config, "encryptionAlgorithm") == "RSA-2048") o.key_algorithm = pki::KeyAlgorithm::kRsa2048;
  if (auto seconds = json::num(kubelet, "nodeLeaseDurationSeconds")) o.node_grace = std::chrono::seconds(seconds);
  for (const auto& arg : json::list(config, "apiServer", "extraArgs"))
    if (json::str(arg, "name") == "default-not-ready-toleration-seconds")
      o.pod_toleration = std::chrono::seconds(std::atoi(std::string(json::str(arg, "value")).c_str()));
  return o;
}

Result<void> prepare_master(InitContext& c, Cluster& cluster, const std::string& certificate_key) {
  LAB_CHECK(download_certificates(cluster, c.cert_dir(), certificate_key));
  for (const auto* table : {&pki::certificate_table(), &pki::etcd_certificate_table()})
    for (const auto& row : *table)
      if (!row.ca.empty()) LAB_CHECK(certificate_phase(c, row.name));
  for (const char* name : {"admin", "controller-manager", "scheduler"}) LAB_CHECK(kubeconfig_phase(c, name));
  return {};
}

Result<void> start_master(InitContext& c) {
  LAB_TRY(auto config, client::load_kubeconfig(fs::join(kKubernetesDirectory, "admin.conf")));
  auto others = Cluster::connect(config);
  LAB_TRY(auto endpoints, etcd_endpoints(*others));
  LAB_CHECK(etcd::join(*c.services, local_member(c), endpoints));
  // From here on this master's own server is asked.
  config.server = "https://" + c.options.advertise_address + ":" + std::to_string(c.options.bind_port);
  c.admin = Cluster::connect(std::move(config));
  LAB_CHECK(control_plane_phase(c));
  LAB_CHECK(wait_control_plane_phase(c));
  return mark_control_plane_phase(c);
}

}  // namespace lab::bootstrap
