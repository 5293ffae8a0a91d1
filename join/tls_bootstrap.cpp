#include "join/tls_bootstrap.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/log.h"
#include "bootstrap/common/cluster.h"
#include "pki/certificate.h"
#include "pki/csr.h"
#include "pki/kubeconfig.h"
#include "pki/rotation.h"

namespace lab::join {

namespace res = client::res;

namespace {

constexpr const char* kSigner = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr std::size_t kKeptCertificates = 2;
constexpr auto kPoll = std::chrono::milliseconds(20);
constexpr auto kSlowPoll = std::chrono::seconds(1);
constexpr int kFastPolls = 500;

bool certificate_good(const std::string& kubeconfig) {
  auto config = client::load_kubeconfig(kubeconfig);
  if (!config || config->certificate_pem.empty()) return false;
  auto info = pki::inspect(config->certificate_pem);
  return info && info->not_after > std::chrono::system_clock::now();
}

// The key outlives a crash, so that the request made with it is found again.
Result<pki::PrivateKey> request_key(const std::string& path) {
  if (auto text = fs::read_file(path)) {
    if (auto key = pki::PrivateKey::from_pem(*text)) return key;
  }
  auto key = pki::PrivateKey::generate();
  LAB_CHECK(fs::write_file(path, key.pem(), 0600));
  return key;
}

json::Value request_object(const std::string& name, const std::string& csr) {
  return json::Object{{"apiVersion", "certificates.k8s.io/v1"},
                      {"kind", "CertificateSigningRequest"},
                      {"metadata", json::Object{{"name", name}}},
                      {"spec", json::Object{{"request", crypto::base64_encode(csr)},
                                            {"signerName", kSigner},
                                            {"usages", json::Array{"digital signature", "client auth"}}}}};
}

Result<std::string> issued_certificate(bootstrap::Cluster& cluster, const std::string& name) {
  LAB_TRY(auto csr, cluster.get(res::certificatesigningrequests, "", name));
  for (const auto& c : json::list(csr, "status", "conditions"))
    if (auto type = json::str(c, "type"); type == "Denied" || type == "Failed")
      return fail(Code::kForbidden, "the certificate request " + name + " was " + (type == "Denied" ? "denied" : "not signed") + ": " + std::string(json::str(c, "message")));
  const auto certificate = json::str(csr, "status", "certificate");
  if (certificate.empty()) return fail(Code::kUnavailable, "it is not signed yet");
  return crypto::base64_decode(certificate);
}

Result<std::string> obtain(const client::RestConfig& config, const std::string& node, const pki::PrivateKey& key) {
  auto cluster = bootstrap::Cluster::connect(config);
  const std::string csr = pki::make_csr(key, {.common_name = "system:node:" + node, .organizations = {"system:nodes"}});
  const std::string name = "node-csr-" + crypto::hex_encode(crypto::sha256(node + key.public_pem())).substr(0, 40);
  for (int i = 0;; ++i) {
    auto made = cluster->create(res::certificatesigningrequests, "", request_object(name, csr));
    if (made || made.error().code == Code::kAlreadyExists) {
      auto certificate = issued_certificate(*cluster, name);
      if (certificate || certificate.error().code == Code::kForbidden) return certificate;
      for (; i < kFastPolls && certificate.error().code == Code::kUnavailable; ++i) {
        std::this_thread::sleep_for(kPoll);
        certificate = issued_certificate(*cluster, name);
        if (certificate || certificate.error().code == Code::kForbidden) return certificate;
      }
    } else {
      if (made.error().code == Code::kUnauthorized || made.error().code == Code::kForbidden) return std::unexpected(made.error());
      log::warn("the certificate request could not be made; it will be tried again", {{"why", made.error().text()}});
    }
    std::this_thread::sleep_for(kSlowPoll);
  }
}

// A run that was killed between the two files has left a key of another certificate.
bool serving_good(const std::string& certificate, const std::string& key_pem, const std::string& node_name,
                  const std::string& address) {
  auto info = pki::inspect(certificate);
  auto key = pki::PrivateKey::from_pem(key_pem);
  if (!info || !key || !pki::key_matches(certificate, *key)) return false;
  if (std::ranges::find(info->addresses, address) == info->addresses.end()) return false;
  return std::chrono::system_clock::now() < pki::rotation_time(info->not_before, info->not_after, node_name);
}

// Those before the last are of no use to anybody; the last one may be in somebody's hands this moment.
void remove_old(const std::string& directory) {
  auto names = fs::list_dir(directory);
  if (!names) return;
  std::vector<std::string> dated;
  for (const auto& name : *names)
    if (name.starts_with("kubelet-client-") && name.ends_with(".pem") && name != "kubelet-client-current.pem") dated.push_back(name);
  for (std::size_t i = 0; i + kKeptCertificates < dated.size(); ++i) (void)fs::remove_file(fs::join(directory, dated[i]));
}

// Asks with `config`'s credentials; what comes becomes the current certificate, and the kubeconfig points to it.
Result<void> obtain_and_use(const TlsBootstrapOptions& o, const client::RestConfig& config) {
  const std::string key_path = fs::join(o.pki_directory, "kubelet-client.key.tmp");
  LAB_TRY(auto key, request_key(key_path));
  LAB_TRY(auto certificate, obtain(config, o.node_name, key));
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string dated = fs::join(o.pki_directory, "kubelet-client-" + std::to_string(now) + ".pem");
  const std::string current = fs::join(o.pki_directory, "kubelet-client-current.pem");
  LAB_CHECK(fs::write_file(dated, certificate + key.pem(), 0600));
  LAB_CHECK(fs::symlink(dated, current));
  pki::KubeconfigSpec spec{.cluster = "default-cluster", .user = "default-auth", .server = config.server, .ca_pem = config.ca_pem,
                           .certificate_file = current, .key_file = current, .context = "default-context"};
  LAB_CHECK(fs::write_file(o.kubeconfig, pki::kubeconfig_text(spec), 0600));
  remove_old(o.pki_directory);
  return fs::remove_file(key_path);
}

}  // namespace

Result<void> renew_client_certificate(const TlsBootstrapOptions& o) {
  LAB_CHECK(fs::make_dirs(o.pki_directory));
  LAB_TRY(auto config, client::load_kubeconfig(o.kubeconfig));
  return obtain_and_use(o, config);
}

Result<void> ensure_client_certificate(const TlsBootstrapOptions& o) {
  if (certificate_good(o.kubeconfig)) return {};
  LAB_CHECK(fs::make_dirs(o.pki_directory));
  bool told = false;
  while (!fs::exists(o.bootstrap_kubeconfig)) {
    if (certificate_good(o.kubeconfig)) return {};
    if (!std::exchange(told, true)) log::info("waiting for credentials", {{"file", o.bootstrap_kubeconfig}});
    std::this_thread::sleep_for(kPoll);
  }
  LAB_TRY(auto config, client::load_kubeconfig(o.bootstrap_kubeconfig));
  return obtain_and_use(o, config);
}

Result<ServingCertificate> ensure_serving_certificate(const std::string& pki_directory, const std::string& node_name,
                                                      const std::string& address) {
  LAB_CHECK(fs::make_dirs(pki_directory));
  const std::string certificate_path = fs::join(pki_directory, "kubelet.crt"), key_path = fs::join(pki_directory, "kubelet.key");
  auto certificate = fs::read_file(certificate_path);
  auto key = fs::read_file(key_path);
  if (certificate && key && serving_good(*certificate, *key, node_name, address))
    return ServingCertificate{*certificate, *key};
  auto authority = pki::Authority::create(node_name + "-ca", std::chrono::hours(24 * 3650), pki::PrivateKey::generate());
  auto fresh = pki::PrivateKey::generate();
  LAB_TRY(auto issued, authority.issue({.common_name = node_name, .dns_names = {node_name}, .addresses = {address}, .server_auth = true}, fresh));
  LAB_CHECK(fs::write_file(key_path, fresh.pem(), 0600));
  LAB_CHECK(fs::write_file(certificate_path, issued + authority.certificate_pem()));
  return ServingCertificate{issued + authority.certificate_pem(), fresh.pem()};
}

}  // namespace lab::join
