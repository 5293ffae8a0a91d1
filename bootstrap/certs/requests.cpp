#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/certs/certs.h"
#include "pki/csr.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap::certs {

namespace {

Result<void> write_new(const std::string& path, const std::string& content, unsigned mode) {
  if (fs::exists(path))
    return fail(Code::kAlreadyExists, path + " is there already",
                "remove it, or name other directories with --cert-dir and --kubeconfig-dir");
  return fs::write_file(path, content, mode);
}

Result<void> write_request(const Row& row, const RequestOptions& o) {
  const auto spec = o.spec_of(row, o.spec_context);
  const auto key = pki::PrivateKey::generate();
  const std::string csr = pki::make_csr(key, spec);
  const std::string path = fs::join(row.kubeconfig ? o.places.kubernetes : o.places.pki, row.path);
  LAB_CHECK(fs::make_dirs(path.substr(0, path.rfind('/'))));
  if (!row.kubeconfig) {
    LAB_CHECK(write_new(path + ".key", key.pem(), 0600));
    return write_new(path + ".csr", csr, 0600);
  }
  // Without a certificate yet: whoever gets one puts it in.
  auto config = pki::make_kubeconfig({.user = spec.common_name,
                                      .server = o.server,
                                      .ca_pem = fs::read_file(fs::join(o.places.pki, "ca.crt")).value_or("")});
  json::set(config.at("users").at(0), crypto::base64_encode(key.pem()), "user", "client-key-data");
  LAB_CHECK(write_new(path, yaml::dump(config), 0600));
  return write_new(path + ".csr", csr, 0600);
}

}  // namespace

Result<std::vector<std::string>> generate_requests(const RequestOptions& options) {
  std::vector<std::string> made;
  for (const auto& row : rows()) {
    if (row.optional) continue;
    LAB_CHECK(write_request(row, options));
    made.push_back(row.name);
  }
  return made;
}

}  // namespace lab::bootstrap::certs
