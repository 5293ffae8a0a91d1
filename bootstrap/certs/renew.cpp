#include <algorithm>

#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/certs/certs.h"
#include "bootstrap/certs/files.h"
#include "orchestrator/client/client.h"
#include "pki/certificate_set.h"

namespace lab::bootstrap::certs {

namespace {

struct Pair {
  std::string certificate, key;
};

// Subject, names and uses of the certificate that is there.
Result<pki::CertificateSpec> spec_of(const std::string& pem, const Renewal& how) {
  LAB_TRY(auto info, pki::inspect(pem));
  pki::CertificateSpec spec{.common_name = info.common_name,
                            .organizations = info.organizations,
                            .dns_names = info.dns_names,
                            .addresses = info.addresses,
                            .server_auth = info.server_auth,
                            .client_auth = info.client_auth,
                            .validity = how.validity};
  auto& addresses = spec.addresses;
  if (how.new_address.empty() || std::find(addresses.begin(), addresses.end(), how.old_address) == addresses.end())
    return spec;
  std::erase(addresses, how.new_address);
  std::replace(addresses.begin(), addresses.end(), how.old_address, how.new_address);
  return spec;
}

Result<Pair> issue(const Row& row, const std::string& old_pem, const std::string& old_key, const Renewal& how) {
  auto authority = pki::load_authority(how.places.pki, row.ca);
  if (!authority)
    return std::unexpected(
        std::move(authority).error().with_context("renew " + row.name + ": its CA's key must be here"));
  LAB_TRY(auto spec, spec_of(old_pem, how));
  auto algorithm = pki::KeyAlgorithm::kEcdsaP256;
  if (auto key = pki::PrivateKey::from_pem(old_key)) algorithm = key->algorithm();
  auto key = pki::PrivateKey::generate(algorithm);
  LAB_TRY(auto pem, authority->issue(spec, key));
  if (!row.kubeconfig && row.ca == "ca") pem += chain_behind(how.places, authority->certificate_pem());
  return Pair{pem, key.pem()};
}

Result<void> renew_pair(const Row& row, const Renewal& how) {
  const std::string path = fs::join(how.places.pki, row.path);
  LAB_TRY(auto old_pem, fs::read_file(path + ".crt"));
  LAB_TRY(auto old_key, fs::read_file(path + ".key"));
  LAB_TRY(auto pair, issue(row, old_pem, old_key, how));
  LAB_CHECK(replace_file(path + ".key", pair.key, 0600));
  return replace_file(path + ".crt", pair.certificate, 0644);
}

// Everything else in the file stays as it is, but the server where the address changed.
Result<void> renew_kubeconfig(const Row& row, const Renewal& how) {
  const std::string path = fs::join(how.places.kubernetes, row.path);
  LAB_TRY(auto now, client::load_kubeconfig(path));
  LAB_TRY(auto pair, issue(row, now.certificate_pem, now.private_key_pem, how));
  LAB_TRY(auto text, fs::read_file(path));
  LAB_TRY(auto config, yaml::parse(text));
  std::string user;
  for (const auto& context : json::list(config, "contexts"))
    if (json::str(context, "name") == json::str(config, "current-context"))
      user = json::str(context, "context", "user");
  for (auto& entry : json::ensure(config, "users").as_array()) {
    if (json::str(entry, "name") != user) continue;
    for (const char* by_path : {"client-certificate", "client-key"}) json::erase(entry, "user", by_path);
    json::set(entry, crypto::base64_encode(pair.certificate), "user", "client-certificate-data");
    json::set(entry, crypto::base64_encode(pair.key), "user", "client-key-data");
  }
  if (!how.new_address.empty())
    for (auto& entry : json::ensure(config, "clusters").as_array()) {
      std::string server(json::str(entry, "cluster", "server"));
      const std::string old_host = "//" + how.old_address + ":";
      if (auto at = server.find(old_host); at != std::string::npos)
        json::set(entry, server.replace(at, old_host.size(), "//" + how.new_address + ":"), "cluster", "server");
    }
  return replace_file(path, yaml::dump(config), 0600);
}

}  // namespace

Result<bool> renew(const Row& row, const Renewal& how) {
  const std::string path =
      row.kubeconfig ? fs::join(how.places.kubernetes, row.path) : fs::join(how.places.pki, row.path + ".crt");
  if (!fs::exists(path)) {
    if (row.optional) return false;
    return fail(Code::kNotFound, "MISSING! " + row.what + ": " + path + " is not there",
                row.kubeconfig ? "make it: lab init phase kubeconfig " + row.path.substr(0, row.path.find('.'))
                               : "make it: lab init phase certs " + row.name);
  }
  LAB_CHECK(row.kubeconfig ? renew_kubeconfig(row, how) : renew_pair(row, how));
  return true;
}

}  // namespace lab::bootstrap::certs
