// Phases addon/*: what runs in every cluster beside the control plane.
#include <algorithm>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
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
  const auto file = fs::join(kAddonDirectory, "overlay-net.yaml");
  return fs::write_file(file, overlay_manifest(*manifest, c.options, fs::self_exe(), fs::read_file(file).value_or("")),
                        0600);
}

OverlayChoice overlay_choice(const InitOptions& options) {
  OverlayChoice out{.encrypt = options.encrypt, .ipam = options.ipam};
  if (out.ipam == "ring") out.founders = {options.node_name};
  return out;
}

// Init run again must not give the pods that run already another password than those that come.
std::string overlay_manifest(std::string text, const InitOptions& options, const std::string& binary,
                             const std::string& before) {
  constexpr std::string_view kLine = "\n  password: \"";
  std::string password;
  if (auto at = before.find(kLine); at != std::string::npos) {
    at += kLine.size();
    if (auto end = before.find('"', at); end != std::string::npos) password = before.substr(at, end - at);
  }
  if (password.size() < 32 || password.find('\n') != std::string::npos)
    password = crypto::hex_encode(crypto::random_bytes(32));
  std::string flags;
  for (const auto& word : overlay_choice(options).flags()) flags += ", \"" + word + "\"";
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"@LAB_BINARY@", binary},
                                    {"@LAB_DIRECTORY@", binary.substr(0, binary.rfind('/'))},
                                    {"@POD_CIDR@", options.pod_network_cidr},
                                    {"@MORE_FLAGS@", flags},
                                    {"@PASSWORD@", password}})
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name)) text.replace(at, name.size(), value);
  return text;
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

// Claims that name no class get a directory on the node of their first pod. Whoever changed or removed the class, or
// has another default, keeps that: init run again only makes what was never there.
Result<void> addon_storage_phase(InitContext& c) {
  constexpr client::Resource kClasses{"storage.k8s.io", "v1", "storageclasses", "StorageClass", false};
  LAB_TRY(auto* cluster, c.cluster());
  LAB_TRY(auto classes, cluster->list(kClasses));
  if (!json::list(classes, "items").empty()) return {};
  json::Value standard = json::Object{{"apiVersion", "storage.k8s.io/v1"},
                                      {"kind", "StorageClass"},
                                      {"provisioner", "lab.local/directory"},
                                      {"reclaimPolicy", "Retain"},
                                      {"volumeBindingMode", "WaitForFirstConsumer"}};
  json::set(standard, "standard", "metadata", "name");
  json::set(standard, "true", "metadata", "annotations", "storageclass.kubernetes.io/is-default-class");
  auto made = cluster->create(kClasses, "", std::move(standard));
  if (!made && made.error().code != Code::kAlreadyExists) return std::unexpected(std::move(made).error());
  return {};
}

}  // namespace lab::bootstrap
