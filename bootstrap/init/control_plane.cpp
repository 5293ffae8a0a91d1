// Phases control-plane, wait-control-plane, images, kubelet-start and mark-control-plane.
#include "base/fs.h"
#include "bootstrap/common/images.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/etcd/member.h"
#include "bootstrap/init/init.h"

namespace lab::bootstrap {

Unit server_unit(const InitContext& c) {
  const auto& o = c.options;
  Unit unit{.name = "lab-server",
          .description = "Kubernetes control plane of lab",
          .argv = {fs::self_exe(), "server", "--advertise-address", o.advertise_address, "--secure-port",
                   std::to_string(o.bind_port), "--cert-dir", o.cert_dir, "--data-dir",
                   fs::join(kDataDirectory, "server"), "--service-cluster-ip-range", o.service_cidr, "--cluster-cidr",
                   o.pod_network_cidr, "--cluster-domain", o.service_dns_domain, "--node-monitor-grace-period",
                   std::to_string(o.node_grace.count()) + "s", "--default-toleration-seconds",
                   std::to_string(o.pod_toleration.count())}};
  if (o.signing_duration.count() > 0)
    for (const auto& word : {std::string("--cluster-signing-duration"), std::to_string(o.signing_duration.count()) + "s"})
      unit.argv.push_back(word);
  if (o.store != "embedded") {
    auto flags = etcd::server_flags(o.cert_dir);
    if (o.store != "etcd") flags[1] = o.store;
    unit.argv.insert(unit.argv.end(), flags.begin(), flags.end());
    if (o.store == "etcd") unit.after.push_back(etcd::kService);
  }
  return unit;
}

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
  LAB_CHECK(wait_until(c.options.control_plane_timeout, "a ready API server at " + c.server_url(),
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

Result<void> images_phase(InitContext& c) {
  LAB_TRY(auto runtime, start_runtime(*c.services, c.options.cri_socket, c.options.ask_runtime));
  return import_bundled_images(c.options.cri_socket, runtime);
}

NodeServices node_services(const InitContext& c) {
  const auto& o = c.options;
  return {.node_name = o.node_name,
          .node_ip = o.node_ip.empty() ? o.advertise_address : o.node_ip,
          .cri_socket = o.cri_socket,
          .dns_address = c.dns_address,
          .dns_domain = o.service_dns_domain,
          .service_cidr = o.service_cidr,
          .pod_cidr = o.pod_network_cidr,
          .lease_seconds = static_cast<int>(o.node_grace.count()),
          .taints = c.node_taints(),
          .overlay = overlay_is_service(c.options),
          .overlay_choice = overlay_choice(c.options),
          .kubelet = kubelet_configuration(c)};
}

Result<void> kubelet_start_phase(InitContext& c) {
  auto node = node_services(c);
  LAB_CHECK(write_overlay_manifest(c));
  LAB_TRY(node.runtime, start_runtime(*c.services, c.options.cri_socket, c.options.ask_runtime));
  return start_node_services(*c.services, node);
}

namespace {

// "key=value:Effect" as the API has it.
json::Object taint_of(const std::string& text) {
  const auto colon = text.rfind(':');
  const std::string key = text.substr(0, colon);
  const auto equals = key.find('=');
  json::Object taint{{"key", key.substr(0, equals)}, {"effect", text.substr(colon + 1)}};
  if (equals != std::string::npos) taint["value"] = key.substr(equals + 1);
  return taint;
}

}  // namespace

Result<void> mark_control_plane_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  const std::string& name = c.options.node_name;
  LAB_CHECK(wait_until(c.options.kubelet_timeout, "node \"" + name + "\" in the API", "see the agent's log: " + c.services->log_hint("lab-agent"),
                       [&]() -> Result<void> {
                         LAB_CHECK(cluster->get(client::res::nodes, "", name));
                         return {};
                       },
                       [&](const std::string& s) { c.progress.state(s); }));
  json::Value patch = json::Object();
  json::set(patch, "", "metadata", "labels", kControlPlaneTaint);
  json::set(patch, "", "metadata", "labels", "node.kubernetes.io/exclude-from-external-load-balancers");
  if (const auto wanted = c.node_taints(); !wanted.empty()) {
    // The list is replaced as a whole, so what others set (not-ready, for one) goes with it into the patch.
    LAB_TRY(auto node, cluster->get(client::res::nodes, "", name));
    json::Array taints = json::list(node, "spec", "taints");
    for (const auto& text : wanted) {
      auto taint = taint_of(text);
      bool there = false;
      for (const auto& t : taints)
        there = there || (json::str(t, "key") == json::as_str(taint["key"]) && json::str(t, "effect") == json::as_str(taint["effect"]));
      if (!there) taints.push_back(std::move(taint));
    }
    json::set(patch, std::move(taints), "spec", "taints");
  }
  LAB_CHECK(cluster->patch(client::res::nodes, "", name, client::PatchType::kStrategic, patch));
  return {};
}

}  // namespace lab::bootstrap
