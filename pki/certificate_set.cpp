#include "pki/certificate_set.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>

#include "base/fs.h"

namespace lab::pki {

namespace {

// The address as certificates give it back ("2001:DB8:0::1" is "2001:db8::1" there); "" when it is none.
std::string canonical_address(const std::string& text) {
  unsigned char bytes[16];
  char out[INET6_ADDRSTRLEN];
  for (int family : {AF_INET, AF_INET6})
    if (::inet_pton(family, text.c_str(), bytes) == 1) return ::inet_ntop(family, bytes, out, sizeof out);
  return {};
}

void add_name(CertificateSpec& spec, const std::string& given) {
  if (given.empty()) return;
  const std::string address = canonical_address(given);
  const std::string& name = address.empty() ? given : address;
  auto& list = address.empty() ? spec.dns_names : spec.addresses;
  for (const auto& have : list)
    if (have == name) return;
  list.push_back(name);
}

CertificateSpec apiserver(const CertificateSetOptions& o) {
  CertificateSpec s{.common_name = "kube-apiserver", .server_auth = true, .validity = o.validity};
  for (const std::string& name :
       {std::string("kubernetes"), std::string("kubernetes.default"), std::string("kubernetes.default.svc"),
        "kubernetes.default.svc." + o.service_dns_domain, std::string("localhost"), o.node_name, o.service_address,
        o.advertise_address, std::string("127.0.0.1"), o.control_plane_endpoint})
    add_name(s, name);
  for (const auto& san : o.extra_sans) add_name(s, san);
  return s;
}

CertificateSpec kubelet_client(const CertificateSetOptions& o) {
  return {.common_name = "kube-apiserver-kubelet-client",
          .organizations = {"kubeadm:cluster-admins"},
          .client_auth = true,
          .validity = o.validity};
}

CertificateSpec front_proxy_client(const CertificateSetOptions& o) {
  return {.common_name = "front-proxy-client", .client_auth = true, .validity = o.validity};
}

CertificateSpec kubernetes_ca(const CertificateSetOptions& o) {
  return {.common_name = "kubernetes", .validity = o.ca_validity};
}

CertificateSpec front_proxy_ca(const CertificateSetOptions& o) {
  return {.common_name = "front-proxy-ca", .validity = o.ca_validity};
}

CertificateSpec etcd_ca(const CertificateSetOptions& o) {
  return {.common_name = "etcd-ca", .validity = o.ca_validity};
}

// Members speak to each other with what they serve with, so both uses stand in both.
CertificateSpec etcd_member(const CertificateSetOptions& o) {
  CertificateSpec s{.common_name = o.node_name, .server_auth = true, .client_auth = true, .validity = o.validity};
  for (const std::string& name : {o.node_name, std::string("localhost"), o.advertise_address, std::string("127.0.0.1"),
                                  std::string("::1")})
    add_name(s, name);
  return s;
}

CertificateSpec etcd_health_client(const CertificateSetOptions& o) {
  return {.common_name = "kube-etcd-healthcheck-client", .client_auth = true, .validity = o.validity};
}

CertificateSpec apiserver_etcd_client(const CertificateSetOptions& o) {
  return {.common_name = "kube-apiserver-etcd-client", .client_auth = true, .validity = o.validity};
}

struct Files {
  std::string certificate, key;
};
Files files_of(const CertificateSetOptions& o, const std::string& name) {
  return {fs::join(o.directory, name + ".crt"), fs::join(o.directory, name + ".key")};
}

// Whether what stands on disk serves: it parses, fits its key, its issuer signed it, has time left, and names every
// name that is asked for.
bool still_good(const CertificateSpec& want, const std::string& cert, const std::string& key, const Authority* issuer) {
  auto info = inspect(cert);
  auto parsed = PrivateKey::from_pem(key);
  if (!info || !parsed || !key_matches(cert, *parsed)) return false;
  if (issuer && !signed_by(cert, issuer->certificate_pem())) return false;
  if (info->not_after < std::chrono::system_clock::now() + std::chrono::hours(24)) return false;
  if (info->common_name != want.common_name || info->organizations != want.organizations) return false;
  auto covers = [](const std::vector<std::string>& have, const std::vector<std::string>& need) {
    for (const auto& n : need)
      if (std::find(have.begin(), have.end(), n) == have.end()) return false;
    return true;
  };
  return covers(info->dns_names, want.dns_names) && covers(info->addresses, want.addresses);
}

// Nothing when the file is absent. One that cannot be read is an error: it must not be taken for absent and replaced.
Result<std::optional<std::string>> read_if_there(const std::string& path) {
  auto text = fs::read_file(path);
  if (text) return std::optional(std::move(*text));
  if (text.error().code == Code::kNotFound) return std::nullopt;
  return std::unexpected(std::move(text).error());
}

Result<void> write_pair(const Files& files, const std::string& cert, const std::string& key) {
  // The key first: a certificate without its key would look finished to the next run.
  LAB_CHECK(fs::write_file(files.key, key, 0600));
  return fs::write_file(files.certificate, cert, 0644);
}

}  // namespace

const std::vector<CertificateRow>& certificate_table() {
  static const std::vector<CertificateRow> rows{
      {"ca", "", kubernetes_ca},
      {"apiserver", "ca", apiserver},
      {"apiserver-kubelet-client", "ca", kubelet_client},
      {"front-proxy-ca", "", front_proxy_ca},
      {"front-proxy-client", "front-proxy-ca", front_proxy_client},
  };
  return rows;
}

const std::vector<CertificateRow>& etcd_certificate_table() {
  static const std::vector<CertificateRow> rows{
      {"etcd/ca", "", etcd_ca},
      {"etcd/server", "etcd/ca", etcd_member},
      {"etcd/peer", "etcd/ca", etcd_member},
      {"etcd/healthcheck-client", "etcd/ca", etcd_health_client},
      {"apiserver-etcd-client", "etcd/ca", apiserver_etcd_client},
  };
  return rows;
}

const CertificateRow* find_certificate(const std::string& name) {
  for (const auto* table : {&certificate_table(), &etcd_certificate_table()})
    for (const auto& row : *table)
      if (row.name == name) return &row;
  return nullptr;
}

Result<Authority> load_authority(const std::string& directory, const std::string& name) {
  LAB_TRY(auto cert, fs::read_file(fs::join(directory, name + ".crt")));
  LAB_TRY(auto key, fs::read_file(fs::join(directory, name + ".key")));
  return Authority::from_pem(std::move(cert), key);
}

Result<Outcome> ensure_certificate(const CertificateRow& row, const CertificateSetOptions& options) {
  const Files files = files_of(options, row.name);
  LAB_CHECK(fs::make_dirs(files.key.substr(0, files.key.rfind('/'))));
  const CertificateSpec spec = row.spec(options);
  LAB_TRY(auto cert, read_if_there(files.certificate));
  LAB_TRY(auto key, read_if_there(files.key));

  if (row.ca.empty()) {
    if (cert && key) {
      auto existing = Authority::from_pem(*cert, *key);
      if (!existing)
        return std::unexpected(std::move(existing).error().with_context("use the CA in " + files.certificate));
      return Outcome::kKept;
    }
    if (cert)
      return fail(Code::kInvalid, "the CA certificate " + files.certificate + " has no key beside it",
                  "put " + files.key + " there, or remove both to make a new CA (every node must then join again)");
    // A key that stands alone is that of a run that was ended between the two files: it is completed, never replaced.
    auto made = PrivateKey::generate(options.algorithm);
    if (key) {
      auto kept = PrivateKey::from_pem(*key);
      if (!kept) return std::unexpected(std::move(kept).error().with_context("use the CA key in " + files.key));
      made = std::move(*kept);
    }
    auto authority = Authority::create(spec.common_name, spec.validity, std::move(made));
    LAB_CHECK(write_pair(files, authority.certificate_pem(), authority.key_pem()));
    return Outcome::kCreated;
  }

  LAB_TRY(auto issuer, load_authority(options.directory, row.ca));
  if (cert && key && still_good(spec, *cert, *key, &issuer)) return Outcome::kKept;
  auto fresh = PrivateKey::generate(options.algorithm);
  LAB_TRY(auto pem, issuer.issue(spec, fresh));
  LAB_CHECK(write_pair(files, pem, fresh.pem()));
  return Outcome::kCreated;
}

Result<Outcome> ensure_service_account_keys(const CertificateSetOptions& options) {
  LAB_CHECK(fs::make_dirs(options.directory));
  const std::string key_path = fs::join(options.directory, "sa.key"),
                    public_path = fs::join(options.directory, "sa.pub");
  LAB_TRY(auto have, read_if_there(key_path));
  if (have) {
    auto key = PrivateKey::from_pem(*have);
    if (!key) return std::unexpected(std::move(key).error().with_context("use the service account key in " + key_path));
    if (!fs::exists(public_path)) LAB_CHECK(fs::write_file(public_path, key->public_pem(), 0644));
    return Outcome::kKept;
  }
  auto key = PrivateKey::generate(options.algorithm);
  LAB_CHECK(fs::write_file(key_path, key.pem(), 0600));
  LAB_CHECK(fs::write_file(public_path, key.public_pem(), 0644));
  return Outcome::kCreated;
}

Result<void> ensure_certificates(const CertificateSetOptions& options) {
  for (const auto& row : certificate_table()) LAB_CHECK(ensure_certificate(row, options));
  LAB_CHECK(ensure_service_account_keys(options));
  return {};
}

}  // namespace lab::pki
