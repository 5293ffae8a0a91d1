#include "bootstrap/init/certificate_upload.h"

#include <algorithm>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "bootstrap/init/init.h"
#include "bootstrap/init/tokens.h"

namespace lab::bootstrap {

namespace res = client::res;

namespace {

constexpr const char* kSecret = "kubeadm-certs";
constexpr const char* kRole = "kubeadm:kubeadm-certs";
constexpr std::chrono::hours kLife{2};

struct SharedFile {
  std::string path;  // below the certificate directory
  int mode;
  bool required;
  std::string entry() const {
    std::string out = path;
    std::ranges::replace(out, '/', '-');
    return out;
  }
};

const std::vector<SharedFile>& shared_files() {
  static const std::vector<SharedFile> files{
      {"ca.crt", 0644, true},
      {"ca.key", 0600, true},
      {"front-proxy-ca.crt", 0644, true},
      {"front-proxy-ca.key", 0600, true},
      {"sa.pub", 0644, true},
      {"sa.key", 0600, true},
      {"etcd/ca.crt", 0644, false},
      {"etcd/ca.key", 0600, false},
  };
  return files;
}

// Whoever joins with a node token may read the Secret; what it holds opens with the certificate key alone.
Result<void> allow_reading(Cluster& cluster) {
  json::Value role = json::Object{{"apiVersion", "rbac.authorization.k8s.io/v1"},
                                  {"kind", "Role"},
                                  {"metadata", json::Object{{"name", kRole}, {"namespace", "kube-system"}}},
                                  {"rules", json::Array{json::Object{{"apiGroups", json::Array{""}},
                                                                     {"resources", json::Array{"secrets"}},
                                                                     {"resourceNames", json::Array{kSecret}},
                                                                     {"verbs", json::Array{"get"}}}}}};
  LAB_CHECK(cluster.apply(res::roles, std::move(role)));
  json::Value binding = json::Object{
      {"apiVersion", "rbac.authorization.k8s.io/v1"},
      {"kind", "RoleBinding"},
      {"metadata", json::Object{{"name", kRole}, {"namespace", "kube-system"}}},
      {"roleRef", json::Object{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Role"}, {"name", kRole}}},
      {"subjects", json::Array{json::Object{
                       {"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "Group"}, {"name", kNodeTokenGroup}}}}};
  LAB_CHECK(cluster.apply(res::rolebindings, std::move(binding)));
  return {};
}

// The token whose end is the Secret's end.
Result<json::Value> make_owner(Cluster& cluster) {
  TokenRequest request{.token = pki::BootstrapToken::generate(),
                       .ttl = kLife,
                       .description = "Proxy for managing TTL for the kubeadm-certs secret",
                       .usages = {},
                       .groups = {}};
  LAB_CHECK(create_token(cluster, request));
  const std::string name = "bootstrap-token-" + request.token.id;
  LAB_TRY(auto secret, cluster.get(res::secrets, "kube-system", name));
  return json::Value(json::Object{{"apiVersion", "v1"},
                                  {"kind", "Secret"},
                                  {"name", name},
                                  {"uid", json::str(secret, "metadata", "uid")},
                                  {"controller", true},
                                  {"blockOwnerDeletion", true}});
}

}  // namespace

std::string new_certificate_key() {
  return crypto::hex_encode(crypto::random_bytes(crypto::kAesKeyBytes));
}

Result<std::string> parse_certificate_key(const std::string& text) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  if (text.size() != 2 * crypto::kAesKeyBytes || text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    return fail(
        Code::kInvalid, "the certificate key has not 64 hexadecimal digits",
        "take the one that lab init --upload-certs printed, or print a new one there: lab init phase upload-certs "
        "--upload-certs");
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) out += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  return out;
}

Result<void> upload_certificates(Cluster& cluster, const std::string& cert_dir, const std::string& key) {
  LAB_TRY(auto raw, parse_certificate_key(key));
  json::Object data;
  for (const auto& file : shared_files()) {
    const std::string path = fs::join(cert_dir, file.path);
    if (!file.required && !fs::exists(path)) continue;
    LAB_TRY(auto text, fs::read_file(path));
    LAB_TRY(auto sealed, crypto::aes_gcm_seal(raw, text));
    data[file.entry()] = crypto::base64_encode(sealed);
  }
  LAB_TRY(auto owner, make_owner(cluster));
  json::Value secret = json::Object{{"apiVersion", "v1"},
                                    {"kind", "Secret"},
                                    {"metadata", json::Object{{"name", kSecret},
                                                              {"namespace", "kube-system"},
                                                              {"ownerReferences", json::Array{std::move(owner)}}}},
                                    {"data", std::move(data)}};
  LAB_CHECK(cluster.apply(res::secrets, std::move(secret)));
  return allow_reading(cluster);
}

Result<void> download_certificates(Cluster& cluster, const std::string& cert_dir, const std::string& key) {
  LAB_TRY(auto raw, parse_certificate_key(key));
  auto secret = cluster.get(res::secrets, "kube-system", kSecret);
  if (!secret && secret.error().code == Code::kNotFound)
    return fail(Code::kNotFound,
                "the masters' certificates are not in the cluster: Secret kube-system/kubeadm-certs is absent",
                "they are kept there for two hours; on a master: lab init phase upload-certs --upload-certs");
  if (!secret) return std::unexpected(std::move(secret).error().with_context("download the masters' certificates"));
  for (const auto& file : shared_files()) {
    const auto entry = json::str(*secret, "data", file.entry());
    if (entry.empty()) {
      if (!file.required) continue;
      return fail(Code::kInvalid, "Secret kube-system/kubeadm-certs has no " + file.entry(),
                  "upload the certificates anew on a master: lab init phase upload-certs --upload-certs");
    }
    LAB_TRY(auto sealed, crypto::base64_decode(entry));
    auto text = crypto::aes_gcm_open(raw, sealed);
    if (!text)
      return std::unexpected(
          std::move(text).error().with_context("decrypt " + file.entry() + " with the certificate key"));
    const std::string path = fs::join(cert_dir, file.path);
    if (auto there = fs::read_file(path); there && *there != *text)
      return fail(Code::kAlreadyExists, path + " is there already, and another one than the cluster's",
                  "reset this machine first: lab reset");
    LAB_CHECK(fs::make_dirs(path.substr(0, path.rfind('/'))));
    LAB_CHECK(fs::write_file(path, *text, file.mode));
  }
  return {};
}

}  // namespace lab::bootstrap
