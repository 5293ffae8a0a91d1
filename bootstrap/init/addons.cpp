// Phases addon/*: what runs in every cluster beside the control plane.
#include <algorithm>

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/init/init.h"

namespace lab::bootstrap {

namespace res = client::res;

namespace {

constexpr const char* kAddonDirectory = "/etc/kubernetes/addons";

json::Value service_account(std::string_view name) {
  return json::Object{{"apiVersion", "v1"},
                      {"kind", "ServiceAccount"},
                      {"metadata", json::Object{{"name", name}, {"namespace", "kube-system"}}}};
}

// The cluster's name server answers on every node by itself (the agent holds the address), so the Service has no
// selector; it is there for its fixed address and for those who look it up.
json::Value dns_service(const std::string& address) {
  auto port = [](std::string_view name, std::string_view protocol) {
    return json::Object{{"name", name}, {"port", 53}, {"protocol", protocol}, {"targetPort", 53}};
  };
  return json::Object{{"apiVersion", "v1"},
                      {"kind", "Service"},
                      {"metadata", json::Object{{"name", "kube-dns"},
                                                {"namespace", "kube-system"},
                                                {"labels", json::Object{{"k8s-app", "kube-dns"},
                                                                        {"kubernetes.io/cluster-service", "true"},
                                                                        {"kubernetes.io/name", "CoreDNS"}}}}},
                      {"spec", json::Object{{"clusterIP", address},
                                            {"ports", json::Array{port("dns", "UDP"), port("dns-tcp", "TCP")}}}}};
}

}  // namespace

bool overlay_is_service(const InitOptions& options) {
  return std::ranges::none_of(options.run.skip,
                              [](const std::string& s) { return s == "addon" || s == "addon/overlay-net"; });
}

// The daemon itself was started with the node's services.
Result<void> addon_overlay_phase(InitContext& c) {
  return write_overlay_manifest(c);
}

Result<void> write_overlay_manifest(InitContext& c) {
  LAB_CHECK(fs::make_dirs(kAddonDirectory));
  auto manifest = fs::read_file(fs::join(bundle_directory(), "addons/overlay-net.yaml"));
  if (!manifest)
    return std::unexpected(std::move(manifest).error().with_context("the bundled manifest of the pod network"));
  const std::string self = fs::self_exe();
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"@LAB_BINARY@", self},
                                    {"@LAB_DIRECTORY@", self.substr(0, self.rfind('/'))},
                                    {"@POD_CIDR@", c.options.pod_network_cidr}})
    for (auto at = manifest->find(name); at != std::string::npos; at = manifest->find(name))
      manifest->replace(at, name.size(), value);
  return fs::write_file(fs::join(kAddonDirectory, "overlay-net.yaml"), *manifest);
}

Result<void> addon_dns_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  LAB_CHECK(cluster->apply(res::serviceaccounts, service_account("coredns")));
  LAB_CHECK(cluster->apply(res::services, dns_service(c.dns_address)));
  return {};
}

Result<void> addon_proxy_phase(InitContext& c) {
  LAB_TRY(auto* cluster, c.cluster());
  LAB_CHECK(cluster->apply(res::serviceaccounts, service_account("kube-proxy")));
  return {};
}

}  // namespace lab::bootstrap
