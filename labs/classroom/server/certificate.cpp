#include "labs/classroom/server/certificate.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/file_lock.h"
#include "base/fs.h"
#include "base/io/address.h"
#include "base/log.h"
#include "pki/certificate.h"

namespace lab::classroom {

namespace {

using std::chrono::hours;

constexpr hours kAuthorityLife{10 * 365 * 24};
constexpr hours kLife{397 * 24};  // browsers refuse certificates that last much longer
constexpr hours kLeft{30 * 24};   // with less the next one is made: a class lasts hours, its page may be up for weeks
constexpr const char* kLockFile = "/run/lab/classroom-tls.lock";

bool has_all(const std::vector<std::string>& have, const std::vector<std::string>& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& w) { return std::ranges::find(have, w) != have.end(); });
}

Result<pki::Authority> authority_in(const std::string& certificate_file, const std::string& key_file) {
  if (fs::exists(certificate_file) && fs::exists(key_file)) {
    LAB_TRY(auto certificate, fs::read_file(certificate_file));
    LAB_TRY(auto key, fs::read_file(key_file));
    auto known = pki::Authority::from_pem(std::move(certificate), key);
    if (known) return known;
    return std::unexpected(std::move(known).error().with_context("the classroom's CA, " + certificate_file));
  }
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  auto made =
      pki::Authority::create(std::string("lab classroom on ") + host, kAuthorityLife, pki::KeyAlgorithm::kEcdsaP256);
  LAB_CHECK(fs::write_file(key_file, made.key_pem(), 0600));
  LAB_CHECK(fs::write_file(certificate_file, made.certificate_pem(), 0644));
  return made;
}

// The one of the last time, when it will still do.
bool still_serves(const Certificate& kept, const std::string& ca_pem, const Names& names) {
  auto said = pki::inspect(kept.chain_pem);
  auto key = pki::PrivateKey::from_pem(kept.key_pem);
  return said && key && pki::key_matches(kept.chain_pem, *key) && pki::signed_by(kept.chain_pem, ca_pem) &&
         said->not_after - std::chrono::system_clock::now() > kLeft && has_all(said->dns_names, names.dns) &&
         has_all(said->addresses, names.addresses);
}

}  // namespace

void Names::add(const std::string& host) {
  if (host.empty()) return;
  auto& list = is_ip_literal(host) ? addresses : dns;
  if (std::ranges::find(list, host) == list.end()) list.push_back(host);
}

Result<Certificate> given_certificate(const std::string& certificate_file, const std::string& key_file) {
  Certificate out;
  LAB_TRY(out.chain_pem, fs::read_file(certificate_file));
  LAB_TRY(out.key_pem, fs::read_file(key_file));
  auto said = pki::inspect(out.chain_pem);
  if (!said) return std::unexpected(std::move(said).error().with_context(certificate_file));
  auto key = pki::PrivateKey::from_pem(out.key_pem);
  if (!key) return std::unexpected(std::move(key).error().with_context(key_file));
  if (!pki::key_matches(out.chain_pem, *key))
    return fail(Code::kInvalid, key_file + " is not the key of the certificate in " + certificate_file,
                "the certificate comes first in its file, before those that vouch for it");
  if (said->not_after <= std::chrono::system_clock::now())
    return fail(Code::kInvalid, "the certificate in " + certificate_file + " has ended", "renew it");
  return out;
}

Result<Certificate> own_certificate(const std::string& directory, const Names& names) {
  LAB_TRY(auto lock, FileLock::wait_for(kLockFile));
  LAB_CHECK(fs::make_dirs(directory, 0755));
  const auto in = [&](const char* name) { return fs::join(directory, name); };
  LAB_TRY(auto authority, authority_in(in("ca.crt"), in("ca.key")));
  Certificate out{.chain_pem = fs::read_file(in("server.crt")).value_or(""),
                  .key_pem = fs::read_file(in("server.key")).value_or(""),
                  .ca_file = in("ca.crt")};
  if (still_serves(out, authority.certificate_pem(), names)) return out;
  const auto key = pki::PrivateKey::generate();
  LAB_TRY(out.chain_pem, authority.issue({.common_name = names.dns.empty() ? "lab classroom" : names.dns.front(),
                                          .dns_names = names.dns,
                                          .addresses = names.addresses,
                                          .server_auth = true,
                                          .validity = kLife},
                                         key));
  out.key_pem = key.pem();
  LAB_CHECK(fs::write_file(in("server.key"), out.key_pem, 0600));
  LAB_CHECK(fs::write_file(in("server.crt"), out.chain_pem, 0644));
  log::debug("the classroom has a new certificate", {{"directory", directory}});
  return out;
}

Result<std::string> fingerprint(const std::string& chain_pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
  const auto begin = chain_pem.find(kBegin), end = chain_pem.find(kEnd, begin == std::string::npos ? 0 : begin);
  if (begin == std::string::npos || end == std::string::npos) return fail(Code::kInvalid, "there is no certificate");
  const auto body = std::string_view(chain_pem).substr(begin + kBegin.size(), end - begin - kBegin.size());
  LAB_TRY(const auto der, crypto::base64_decode(body));
  std::string out;
  for (const char c : crypto::hex_encode(crypto::sha256(der))) {
    if (out.size() % 3 == 2) out += ':';
    out += c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

}  // namespace lab::classroom
