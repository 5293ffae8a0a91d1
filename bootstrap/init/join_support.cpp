// Phases upload-config, bootstrap-token and show-join-command: what joining nodes will look for.
#include <algorithm>
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/etcd/member.h"
#include "bootstrap/config/defaults.h"
#include "bootstrap/init/init.h"
#include "bootstrap/init/tokens.h"
#include "base/yaml/yaml.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap {

namespace res = client::res;

namespace {

json::Value rule(json::Array groups, json::Array resources, json::Array names, json::Array verbs) {
  json::Object r{{"apiGroups", std::move(groups)}, {"resources", std::move(resources)}, {"verbs", std::move(verbs)}};
  if (!names.empty()) r["resourceNames"] = std::move(names);
  return r;
}

json::Value role(std::string_view kind, std::string_view ns, std::string_view name, json::Value one_rule) {
  json::Object metadata{{"name", name}};
  if (!ns.empty()) metadata["namespace"] = ns;
  return json::Object{{"apiVersion", "rbac.authorization.k8s.io/v1"}, {"kind", kind}, {"metadata", metadata},
                      {"rules", json::Array{std::move(one_rule)}}};
}

json::Value binding(std::string_view kind, std::string_view ns, std::string_view name, std::string_view role_kind,
                    std::string_view role_name, std::string_view subject_kind, std::string_view subject) {
  json::Object metadata{{"name", name}};
  if (!ns.empty()) metadata["namespace"] = ns;
  return json::Object{
      {"apiVersion", "rbac.authorization.k8s.io/v1"},
      {"kind", kind},
      {"metadata", metadata},
      {"roleRef", json::Object{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", role_kind}, {"name", role_name}}},
      {"subjects", json::Array{json::Object{
                       {"apiGroup", "rbac.authorization.k8s.io"}, {"kind", subject_kind}, {"name", subject}}}}};
}

json::Value config_map(std::string_view ns, std::string_view name, json::Object data) {
  return json::Object{{"apiVersion", "v1"}, {"kind", "ConfigMap"},
                      {"metadata", json::Object{{"name", name}, {"namespace", ns}}}, {"data", std::move(data)}};
}

// Joining nodes read both ConfigMaps, before they are nodes.
Result<void> let_nodes_read(Cluster& cluster, std::string_view config_map_name, const std::string& role_name) {
  LAB_CHECK(cluster.apply(res::roles, role("Role", "kube-system", role_name,
                                           rule({""}, {"configmaps"}, {config_map_name}, {"get"}))));
  auto b = binding("RoleBinding", "kube-system", role_name, "Role", role_name, "Group", kNodeTokenGroup);
  b.at("subjects").as_array().push_back(
      json::Object{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Group"}, {"name", "system:nodes"}});
  LAB_CHECK(cluster.apply(res::rolebindings, b));
  return {};
}

}  // namespace

json::Value cluster_configuration(const InitContext& c) {
  const auto& o = c.options;
  auto hours = [](std::chrono::hours h) { return std::to_string(h.count()) + "h0m0s"; };
  json::Object v{{"apiVersion", "kubeadm.k8s.io/v1beta4"},
                 {"kind", "ClusterConfiguration"},
                 {"caCertificateValidityPeriod", hours(o.ca_validity)},
                 {"certificateValidityPeriod", hours(o.certificate_validity)},
                 {"certificatesDir", o.cert_dir},
                 {"clusterName", o.cluster_name},
                 {"controlPlaneEndpoint", o.control_plane_endpoint},
                 {"encryptionAlgorithm", o.key_algorithm == pki::KeyAlgorithm::kRsa2048 ? "RSA-2048" : "ECDSA-P256"},
                 {"kubernetesVersion", config::kKubernetesVersion},
                 {"networking", json::Object{{"dnsDomain", o.service_dns_domain},
                                             {"podSubnet", o.pod_network_cidr},
                                             {"serviceSubnet", o.service_cidr}}}};
  if (!o.extra_sans.empty()) {
    json::Array names;
    for (const auto& name : o.extra_sans) names.emplace_back(name);
    v["apiServer"] = json::Object{{"certSANs", std::move(names)}};
  }
  if (o.store == "etcd") v["etcd"] = json::Object{{"local", json::Object{{"dataDir", etcd::kDataDirectory}}}};
  if (o.store.starts_with("etcd=")) {
    json::Array endpoints;
    for (std::size_t at = 5; at < o.store.size();) {
      const auto comma = std::min(o.store.find(',', at), o.store.size());
      endpoints.emplace_back(o.store.substr(at, comma - at));
      at = comma + 1;
    }
    v["etcd"] = json::Object{{"external", json::Object{{"endpoints", std::move(endpoints)}}}};
  }
  return v;
}

json::Value kubelet_configuration(const InitContext& c) {
  json::Value out = json::Object{{"apiVersion", "kubelet.config.k8s.io/v1beta1"},
                                 {"kind", "KubeletConfiguration"},
                                 {"rotateCertificates", true},
                                 {"staticPodPath", "/etc/kubernetes/manifests"}};
  out = with_fields(std::move(out), c.options.kubelet);
  return with_fields(std::move(out), json::Object{{"clusterDNS", json::Array{c.dns_address}},
                                                  {"clusterDomain", c.options.service_dns_domain},
                                                  {"nodeLeaseDurationSeconds", c.options.node_grace.count()}});
}

Result<void> upload_kubeadm_config_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  auto data = overlay_choice(c.options).encode();
  data["ClusterConfiguration"] = yaml::dump(cluster_configuration(c));
  data[kOverlayKey] = overlay_is_service(c.options) ? "service" : "manifest";
  LAB_CHECK(cluster->apply(res::configmaps, config_map("kube-system", "kubeadm-config", std::move(data))));
  return let_nodes_read(*cluster, "kubeadm-config", "kubeadm:nodes-kubeadm-config");
}

Result<void> upload_kubelet_config_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  LAB_CHECK(cluster->apply(res::configmaps, config_map("kube-system", "kubelet-config",
                                                       {{"kubelet", yaml::dump(kubelet_configuration(c))}})));
  return let_nodes_read(*cluster, "kubelet-config", "kubeadm:kubelet-config");
}

Result<void> bootstrap_token_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  LAB_TRY(auto tokens, list_tokens(*cluster));
  // Run again, init offers the token that is still good, unless one was asked for.
  auto requests = c.options.tokens;
  if (requests.empty()) {
    if (c.options.token.empty())
      for (const auto& t : tokens)
        if (t.default_node_token && !t.expired) c.token = t.token;
    requests.push_back({.token = c.token,
                        .ttl = c.options.token_ttl,
                        .description = "The default bootstrap token generated by 'lab init'."});
  }
  for (const auto& request : requests) LAB_CHECK(create_token(*cluster, request));

  const std::string csr_group = "system:certificates.k8s.io:certificatesigningrequests:";
  struct Row {
    const char* name;
    std::string role, group;
  };
  for (const auto& row : {Row{"kubeadm:kubelet-bootstrap", "system:node-bootstrapper", kNodeTokenGroup},
                          Row{"kubeadm:node-autoapprove-bootstrap", csr_group + "nodeclient", kNodeTokenGroup},
                          Row{"kubeadm:node-autoapprove-certificate-rotation", csr_group + "selfnodeclient", "system:nodes"}})
    LAB_CHECK(cluster->apply(res::clusterrolebindings,
                             binding("ClusterRoleBinding", "", row.name, "ClusterRole", row.role, "Group", row.group)));
  LAB_CHECK(cluster->apply(res::clusterroles, role("ClusterRole", "", "kubeadm:get-nodes",
                                                   rule({""}, {"nodes"}, {}, {"get"}))));
  LAB_CHECK(cluster->apply(res::clusterrolebindings, binding("ClusterRoleBinding", "", "kubeadm:get-nodes", "ClusterRole",
                                                             "kubeadm:get-nodes", "Group", kNodeTokenGroup)));
  // cluster-info can be read by anyone: it is what a node knows the cluster by before it trusts it.
  LAB_TRY(auto ca, fs::read_file(fs::join(c.cert_dir(), "ca.crt")));
  const std::string info = pki::kubeconfig_text({.server = c.server_url(), .ca_pem = ca});
  json::Object data{{"kubeconfig", info}};
  for (const auto& r : requests)
    if (std::find(r.usages.begin(), r.usages.end(), "signing") != r.usages.end())
      data["jws-kubeconfig-" + r.token.id] = pki::sign_cluster_info(info, r.token);
  LAB_CHECK(cluster->apply(res::configmaps, config_map("kube-public", "cluster-info", std::move(data))));
  LAB_CHECK(cluster->apply(res::roles, role("Role", "kube-public", "kubeadm:bootstrap-signer-clusterinfo",
                                            rule({""}, {"configmaps"}, {"cluster-info"}, {"get"}))));
  LAB_CHECK(cluster->apply(res::rolebindings,
                           binding("RoleBinding", "kube-public", "kubeadm:bootstrap-signer-clusterinfo", "Role",
                                   "kubeadm:bootstrap-signer-clusterinfo", "User", "system:anonymous")));
  return {};
}

Result<std::string> join_command(const std::string& endpoint, const std::string& ca_pem, const pki::BootstrapToken& token) {
  LAB_TRY(auto pin, pki::pin(ca_pem));
  return "kubeadm join " + endpoint + " --token " + token.text() + " \\\n\t--discovery-token-ca-cert-hash " + pin;
}

Result<void> join_command_phase(InitContext& c) {
  LAB_TRY(auto ca, fs::read_file(fs::join(c.cert_dir(), "ca.crt")));
  LAB_TRY(auto command, join_command(c.endpoint(), ca, c.token));
  if (!c.options.show_token)
    command.replace(command.find(c.token.text()), c.token.text().size(), "<value withheld>");
  c.progress.done();
  std::printf(
      "\nYour Kubernetes control-plane has initialized successfully!\n\n"
      "To start using your cluster, you need to run the following as a regular user:\n\n"
      "  mkdir -p $HOME/.kube\n"
      "  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config\n"
      "  sudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n"
      "Alternatively, if you are the root user, you can run:\n\n"
      "  export KUBECONFIG=/etc/kubernetes/admin.conf\n\n"
      "%s\n"
      "  kubectl apply -f /etc/kubernetes/addons/overlay-net.yaml\n\n"
      "Then you can join any number of worker nodes by running the following on each as root:\n\n"
      "%s\n",
      overlay_is_service(c.options) ? "The pod network of lab is running. Its manifest, for looking at it or applying it again:"
                                    : "You should now deploy a pod network to the cluster; until then its nodes are NotReady. That of lab:",
      command.c_str());
  return {};
}

}  // namespace lab::bootstrap
