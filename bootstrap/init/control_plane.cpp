// Phases control-plane, wait-control-plane, kubelet-start and mark-control-plane.
#include "base/fs.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/init/init.h"

namespace lab::bootstrap {

namespace {

constexpr auto kReadyLimit = std::chrono::seconds(60);

Unit server_unit(const InitContext& c) {
  const auto& o = c.options;
  return {.name = "lab-server",
          .description = "Kubernetes control plane of lab",
          .argv = {fs::self_exe(), "server", "--advertise-address", o.advertise_address, "--secure-port",
                   std::to_string(o.bind_port), "--cert-dir", o.cert_dir, "--data-dir",
                   fs::join(kDataDirectory, "server"), "--service-cluster-ip-range", o.service_cidr, "--cluster-cidr",
                   o.pod_network_cidr, "--cluster-domain", o.service_dns_domain, "--node-monitor-grace-period",
                   std::to_string(o.node_grace.count()) + "s", "--default-toleration-seconds",
                   std::to_string(o.pod_toleration.count())}};
}

}  // namespace

Result<void> control_plane_phase(InitContext& c) {
  LAB_CHECK(fs::make_dirs(fs::join(kDataDirectory, "server"), 0700));
  return c.services->ensure_running(server_unit(c));
}

Result<void> wait_control_plane_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  auto probe = [&]() -> Result<void> {
    LAB_TRY(auto response, cluster->raw({.target = "/readyz"}));
    if (response.status == 200) return {};
    return fail(Code::kUnavailable, "/readyz answers " + std::to_string(response.status) + " " + response.text());
  };
  LAB_CHECK(wait_until(kReadyLimit, "a ready API server at " + c.server_url(),
                       "see its log: " + c.services->log_hint("lab-server"), probe,
                       [&](const std::string& s) { c.progress.state(s); }));
  // admin.conf has its rights by this binding, so that they can be taken away again; super-admin.conf has them by itself.
  json::Value binding = json::Object{
      {"apiVersion", "rbac.authorization.k8s.io/v1"},
      {"kind", "ClusterRoleBinding"},
      {"metadata", json::Object{{"name", "kubeadm:cluster-admins"}}},
      {"roleRef", json::Object{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", "cluster-admin"}}},
      {"subjects", json::Array{json::Object{
                       {"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Group"}, {"name", "kubeadm:cluster-admins"}}}}};
  LAB_CHECK(cluster->apply(client::res::clusterrolebindings, std::move(binding)));
  return {};
}

Result<void> kubelet_start_phase(InitContext& c) {
  NodeServices node{.node_name = c.options.node_name,
                    .node_ip = c.options.advertise_address,
                    .cri_socket = c.options.cri_socket,
                    .dns_address = c.dns_address,
                    .dns_domain = c.options.service_dns_domain,
                    .service_cidr = c.options.service_cidr,
                    .pod_cidr = c.options.pod_network_cidr,
                    .lease_seconds = static_cast<int>(c.options.node_grace.count())};
  if (c.options.taint_master) node.taints.push_back(std::string(kControlPlaneTaint) + ":NoSchedule");
  return start_node_services(*c.services, node);
}

Result<void> mark_control_plane_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  const std::string& name = c.options.node_name;
  LAB_CHECK(wait_until(kReadyLimit, "node \"" + name + "\" in the API", "see the agent's log: " + c.services->log_hint("lab-agent"),
                       [&]() -> Result<void> {
                         LAB_CHECK(cluster->get(client::res::nodes, "", name));
                         return {};
                       },
                       [&](const std::string& s) { c.progress.state(s); }));
  json::Value patch = json::Object();
  json::set(patch, "", "metadata", "labels", kControlPlaneTaint);
  json::set(patch, "", "metadata", "labels", "node.kubernetes.io/exclude-from-external-load-balancers");
  if (c.options.taint_master) {
    // The list is replaced as a whole, so what others set (not-ready, for one) goes with it into the patch.
    LAB_TRY(auto node, cluster->get(client::res::nodes, "", name));
    json::Array taints = json::list(node, "spec", "taints");
    bool there = false;
    for (const auto& t : taints) there = there || json::str(t, "key") == kControlPlaneTaint;
    if (!there) taints.push_back(json::Object{{"key", kControlPlaneTaint}, {"effect", "NoSchedule"}});
    json::set(patch, std::move(taints), "spec", "taints");
  }
  LAB_CHECK(cluster->patch(client::res::nodes, "", name, client::PatchType::kStrategic, patch));
  return {};
}

}  // namespace lab::bootstrap
