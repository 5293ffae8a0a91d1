#include "bootstrap/init/plan.h"

#include "base/fs.h"
#include "base/yaml/yaml.h"

namespace lab::bootstrap {

namespace {

std::string indented(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    auto end = text.find('\n', i);
    if (end == std::string::npos) end = text.size();
    out += "\n\t" + text.substr(i, end - i);
    i = end + 1;
  }
  return out;
}

std::string file_line(const std::string& path) {
  return fs::exists(path) ? "use the existing file \"" + path + "\" if it is still good, and replace it otherwise"
                          : "write the file \"" + path + "\"";
}

Plan config_map_plan(const char* name, const char* role, const json::Value& content) {
  return {"store the ConfigMap \"" + std::string(name) +
              "\" in the namespace \"kube-system\" with:" + indented(yaml::dump(content)),
          "create the Role and RoleBinding \"" + std::string(role) + "\" in the namespace \"kube-system\""};
}

}  // namespace

Plan certificate_plan(InitContext& c, const std::string& name) {
  Plan out{file_line(fs::join(c.cert_dir(), name + ".key")),
           file_line(fs::join(c.cert_dir(), name + (name == "sa" ? ".pub" : ".crt")))};
  if (name != "apiserver") return out;
  std::string names;
  for (const auto& row : pki::certificate_table()) {
    if (row.name != name) continue;
    const auto spec = row.spec(c.certificate_options());
    for (const auto& list : {spec.dns_names, spec.addresses})
      for (const auto& n : list) names += " " + n;
  }
  out.push_back("name in the API server's certificate:" + names);
  return out;
}

Plan kubeconfig_plan(InitContext&, const std::string& name) {
  return {file_line(fs::join(kKubernetesDirectory, name + ".conf"))};
}

Plan plan_control_plane(InitContext& c) {
  return {"create the directory \"" + fs::join(kDataDirectory, "server") + "\"",
          "start the service lab-server:" + indented(command_line(server_unit(c)))};
}

Plan plan_images(InitContext& c) {
  return {"start the container runtime behind " + c.options.cri_socket + " if it does not answer",
          "import the bundled images into it, those that it lacks"};
}

Plan plan_kubelet_start(InitContext& c) {
  return node_services_plan(node_services(c));
}

Plan plan_wait(InitContext& c) {
  return {"wait up to " + std::to_string(c.options.control_plane_timeout.count()) + " s for a healthy API server at " +
              c.server_url(),
          "create the ClusterRoleBinding \"kubeadm:cluster-admins\""};
}

Plan plan_kubeadm_config(InitContext& c) {
  return config_map_plan("kubeadm-config", "kubeadm:nodes-kubeadm-config", cluster_configuration(c));
}

Plan plan_kubelet_config(InitContext& c) {
  return config_map_plan("kubelet-config", "kubeadm:kubelet-config", kubelet_configuration(c));
}

Plan plan_mark(InitContext& c) {
  Plan out{"label the node \"" + c.options.node_name + "\": " + kControlPlaneTaint +
           " node.kubernetes.io/exclude-from-external-load-balancers"};
  for (const auto& taint : c.node_taints()) out.push_back("taint the node \"" + c.options.node_name + "\": " + taint);
  return out;
}

Plan plan_tokens(InitContext& c) {
  Plan out;
  if (c.options.tokens.empty()) out.push_back("create the bootstrap token \"" + c.token.id + "\"");
  for (const auto& t : c.options.tokens) out.push_back("create the bootstrap token \"" + t.token.id + "\"");
  out.push_back("let bearers of a token ask for certificates of nodes, and approve these requests by themselves");
  out.push_back("store the ConfigMap \"cluster-info\" in the namespace \"kube-public\", readable by anyone");
  return out;
}

Plan plan_overlay(InitContext&) {
  return {file_line(fs::join(kKubernetesDirectory, "addons/overlay-net.yaml"))};
}

Plan plan_dns(InitContext& c) {
  return {"create the ServiceAccount \"coredns\" and the Service \"kube-dns\" at " + c.dns_address +
          " in the namespace \"kube-system\""};
}

Plan plan_proxy(InitContext&) {
  return {"create the ServiceAccount \"kube-proxy\" in the namespace \"kube-system\""};
}

Plan plan_storage(InitContext&) {
  return {"create the StorageClass \"standard\", the default, unless there is one"};
}

}  // namespace lab::bootstrap
