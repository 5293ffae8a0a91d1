// Phases certs/* and kubeconfig/*.
#include "base/fs.h"
#include "bootstrap/init/init.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap {

Result<void> certificate_phase(InitContext& c, const std::string& name) {
  const auto options = c.certificate_options();
  pki::Outcome outcome;
  if (name == "sa") {
    LAB_TRY(outcome, pki::ensure_service_account_keys(options));
  } else {
    const pki::CertificateRow* row = pki::find_certificate(name);
    LAB_TRY(outcome, pki::ensure_certificate(*row, options));
  }
  if (outcome == pki::Outcome::kKept) c.progress.note("[certs] Using the existing \"" + name + "\" certificate and key");
  return {};
}

std::vector<KubeconfigUser> kubeconfig_users(const InitContext& c) {
  return {
      {"admin", "admin.conf", "kubernetes-admin", {"kubeadm:cluster-admins"}},
      {"super-admin", "super-admin.conf", "kubernetes-super-admin", {"system:masters"}},
      {"kubelet", "kubelet.conf", "system:node:" + c.options.node_name, {"system:nodes"}},
      {"controller-manager", "controller-manager.conf", "system:kube-controller-manager", {}},
      {"scheduler", "scheduler.conf", "system:kube-scheduler", {}},
  };
}

namespace {

// A kubeconfig that works is kept: its server, CA and certificate are those that would be written.
bool still_good(const std::string& path, const InitContext& c, const std::string& ca_pem) {
  auto config = client::load_kubeconfig(path);
  if (!config || config->server != c.server_url() || config->ca_pem != ca_pem) return false;
  auto info = pki::inspect(config->certificate_pem);
  return info && pki::signed_by(config->certificate_pem, ca_pem) &&
         info->not_after > std::chrono::system_clock::now() + std::chrono::hours(24);
}

}  // namespace

Result<void> kubeconfig_phase(InitContext& c, const std::string& name) {
  LAB_TRY(auto ca, pki::load_authority(c.cert_dir(), "ca"));
  for (const auto& user : kubeconfig_users(c)) {
    if (user.phase != name) continue;
    const std::string path = fs::join(kKubernetesDirectory, user.file);
    if (still_good(path, c, ca.certificate_pem())) {
      c.progress.note("[kubeconfig] Using existing kubeconfig file: \"" + path + "\"");
      return {};
    }
    auto key = pki::PrivateKey::generate(c.options.key_algorithm);
    LAB_TRY(auto certificate, ca.issue({.common_name = user.common_name,
                                        .organizations = user.organizations,
                                        .client_auth = true,
                                        .validity = c.certificate_options().validity},
                                       key));
    pki::KubeconfigSpec spec{.cluster = c.options.cluster_name, .user = user.common_name, .server = c.server_url(), .ca_pem = ca.certificate_pem(),
                             .certificate_pem = certificate, .key_pem = key.pem()};
    LAB_CHECK(fs::make_dirs(kKubernetesDirectory));
    return fs::write_file(path, pki::kubeconfig_text(spec), 0600);
  }
  return fail(Code::kInternal, "no kubeconfig is named " + name);
}

}  // namespace lab::bootstrap
