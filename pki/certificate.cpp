#include "pki/certificate.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "pki/csr.h"
#include "pki/names.h"
#include "pki/openssl.h"

namespace lab::pki {

namespace {

constexpr auto kBackdate = std::chrono::hours(1);

X509Ptr read_certificate(std::string_view pem) {
  auto bio = bio_of(pem);
  return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

std::string write_certificate(X509* cert) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), cert);
  return text_of(bio.get());
}

WallTime time_of(const ASN1_TIME* t) {
  std::tm tm{};
  ASN1_TIME_to_tm(t, &tm);
  return std::chrono::system_clock::from_time_t(::timegm(&tm));
}

void set_validity(X509* cert, std::chrono::seconds validity) {
  auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  ASN1_TIME_set(X509_getm_notBefore(cert), now - std::chrono::duration_cast<std::chrono::seconds>(kBackdate).count());
  ASN1_TIME_set(X509_getm_notAfter(cert), now + validity.count());
}

void set_serial(X509* cert) {
  std::string bytes = crypto::random_bytes(16);
  bytes[0] = static_cast<char>(bytes[0] & 0x7f);
  BIGNUM* bn = BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr);
  BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
  BN_free(bn);
}

void add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* ext = X509V3_EXT_conf_nid(nullptr, &ctx, nid, value.c_str());
  if (!ext) return;
  X509_add_ext(cert, ext, -1);
  X509_EXTENSION_free(ext);
}

void add_leaf_extensions(X509* cert, X509* issuer, bool server_auth, bool client_auth, GENERAL_NAMES* names) {
  add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature,keyEncipherment");
  std::string usage;
  if (server_auth) usage = "serverAuth";
  if (client_auth) usage += usage.empty() ? "clientAuth" : ",clientAuth";
  if (!usage.empty()) add_extension(cert, issuer, NID_ext_key_usage, usage);
  add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
  if (names && sk_GENERAL_NAME_num(names) > 0) X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0);
}

Result<std::string> sign(X509* cert, X509* issuer, const PrivateKey& key) {
  X509_set_issuer_name(cert, X509_get_subject_name(issuer));
  if (X509_sign(cert, key.handle().key.get(), EVP_sha256()) == 0) return openssl_failure("sign the certificate");
  return write_certificate(cert);
}

}  // namespace

Result<CertificateInfo> inspect(std::string_view pem) {
  auto cert = read_certificate(pem);
  if (!cert) return openssl_failure("no certificate could be read from this PEM text");
  CertificateInfo info;
  info.common_name = common_name_of(X509_get_subject_name(cert.get()));
  info.issuer_common_name = common_name_of(X509_get_issuer_name(cert.get()));
  info.organizations = organizations_of(X509_get_subject_name(cert.get()));
  BIGNUM* bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert.get()), nullptr);
  char* hex = BN_bn2hex(bn);
  info.serial = hex;
  OPENSSL_free(hex);
  BN_free(bn);
  NamesPtr names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert.get(), NID_subject_alt_name, nullptr, nullptr)));
  read_names(names.get(), info.dns_names, info.addresses);
  info.not_before = time_of(X509_get0_notBefore(cert.get()));
  info.not_after = time_of(X509_get0_notAfter(cert.get()));
  std::uint32_t flags = X509_get_extension_flags(cert.get());
  info.is_ca = flags & EXFLAG_CA;
  std::uint32_t uses = X509_get_extended_key_usage(cert.get());
  info.server_auth = uses != UINT32_MAX && (uses & XKU_SSL_SERVER);
  info.client_auth = uses != UINT32_MAX && (uses & XKU_SSL_CLIENT);
  return info;
}

Result<std::string> pin(std::string_view certificate_pem) {
  LAB_TRY(auto key, PublicKey::from_pem(certificate_pem));
  return "sha256:" + crypto::hex_encode(crypto::sha256(key.der()));
}

bool key_matches(std::string_view certificate_pem, const PrivateKey& key) {
  auto cert = read_certificate(certificate_pem);
  bool ok = cert && X509_check_private_key(cert.get(), key.handle().key.get()) == 1;
  ERR_clear_error();
  return ok;
}

bool signed_by(std::string_view certificate_pem, std::string_view ca_pem) {
  auto cert = read_certificate(certificate_pem);
  auto ca = read_certificate(ca_pem);
  if (!cert || !ca) return false;
  bool ok = X509_verify(cert.get(), X509_get0_pubkey(ca.get())) == 1;
  ERR_clear_error();
  return ok;
}

std::vector<std::string> split_bundle(std::string_view pem) {
  std::vector<std::string> out;
  auto bio = bio_of(pem);
  while (X509Ptr cert{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
    out.push_back(write_certificate(cert.get()));
  ERR_clear_error();
  return out;
}

Authority Authority::create(const std::string& common_name, std::chrono::hours validity, KeyAlgorithm algorithm) {
  return create(common_name, validity, PrivateKey::generate(algorithm));
}

Authority Authority::create(const std::string& common_name, std::chrono::hours validity, PrivateKey key) {
  X509Ptr cert(X509_new());
  X509_set_version(cert.get(), X509_VERSION_3);
  set_serial(cert.get());
  set_validity(cert.get(), validity);
  set_subject(X509_get_subject_name(cert.get()), common_name, {});
  X509_set_pubkey(cert.get(), key.handle().key.get());
  add_extension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(cert.get(), cert.get(), NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign");
  add_extension(cert.get(), cert.get(), NID_subject_key_identifier, "hash");
  NamesPtr names = make_names({common_name}, {});
  X509_add1_ext_i2d(cert.get(), NID_subject_alt_name, names.get(), 0, 0);
  auto pem = sign(cert.get(), cert.get(), key);
  return Authority(std::move(*pem), std::move(key));
}

Result<Authority> Authority::from_pem(std::string certificate_pem, std::string_view key_pem) {
  LAB_TRY(auto key, PrivateKey::from_pem(key_pem));
  LAB_TRY(auto info, inspect(certificate_pem));
  if (!info.is_ca)
    return fail(Code::kInvalid, "the certificate \"" + info.common_name + "\" is not a certificate authority");
  // Of a bundle, the one whose key this is signs: it comes first, as issue() and those who pin a CA expect.
  const auto all = split_bundle(certificate_pem);
  const auto own = std::ranges::find_if(all, [&](const std::string& pem) { return key_matches(pem, key); });
  if (own == all.end())
    return fail(Code::kInvalid, "the key does not belong to the CA certificate \"" + info.common_name + "\"");
  if (own == all.begin()) return Authority(std::move(certificate_pem), std::move(key));
  std::string ordered = *own;
  for (auto it = all.begin(); it != all.end(); ++it)
    if (it != own) ordered += *it;
  return Authority(std::move(ordered), std::move(key));
}

Result<std::string> Authority::cross_sign(std::string_view ca_pem) const {
  auto other = read_certificate(ca_pem);
  if (!other) return openssl_failure("no certificate could be read from this PEM text");
  auto issuer = read_certificate(certificate_pem_);
  X509Ptr cert(X509_new());
  X509_set_version(cert.get(), X509_VERSION_3);
  set_serial(cert.get());
  X509_set1_notBefore(cert.get(), X509_get0_notBefore(other.get()));
  X509_set1_notAfter(cert.get(), X509_get0_notAfter(issuer.get()));
  X509_set_subject_name(cert.get(), X509_get_subject_name(other.get()));
  X509_set_pubkey(cert.get(), X509_get0_pubkey(other.get()));
  add_extension(cert.get(), issuer.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(cert.get(), issuer.get(), NID_key_usage, "critical,digitalSignature,keyEncipherment,keyCertSign");
  add_extension(cert.get(), issuer.get(), NID_subject_key_identifier, "hash");
  add_extension(cert.get(), issuer.get(), NID_authority_key_identifier, "keyid");
  return sign(cert.get(), issuer.get(), key_);
}

Result<std::string> Authority::issue(const CertificateSpec& spec, const PrivateKey& key) const {
  auto issuer = read_certificate(certificate_pem_);
  X509Ptr cert(X509_new());
  X509_set_version(cert.get(), X509_VERSION_3);
  set_serial(cert.get());
  set_validity(cert.get(), spec.validity);
  set_subject(X509_get_subject_name(cert.get()), spec.common_name, spec.organizations);
  X509_set_pubkey(cert.get(), key.handle().key.get());
  NamesPtr names = make_names(spec.dns_names, spec.addresses);
  add_leaf_extensions(cert.get(), issuer.get(), spec.server_auth, spec.client_auth, names.get());
  return sign(cert.get(), issuer.get(), key_);
}

Result<std::string> Authority::sign_request(std::string_view csr_pem, bool server_auth, bool client_auth,
                                            std::chrono::seconds validity) const {
  auto bio = bio_of(csr_pem);
  ReqPtr req(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!req) return openssl_failure("no certificate request could be read from this PEM text");
  if (X509_REQ_verify(req.get(), X509_REQ_get0_pubkey(req.get())) != 1)
    return openssl_failure("the certificate request is not signed by its own key");
  auto issuer = read_certificate(certificate_pem_);
  X509Ptr cert(X509_new());
  X509_set_version(cert.get(), X509_VERSION_3);
  set_serial(cert.get());
  set_validity(cert.get(), validity);
  X509_set_subject_name(cert.get(), X509_REQ_get_subject_name(req.get()));
  X509_set_pubkey(cert.get(), X509_REQ_get0_pubkey(req.get()));
  NamesPtr names = names_of_request(req.get());
  add_leaf_extensions(cert.get(), issuer.get(), server_auth, client_auth, names.get());
  return sign(cert.get(), issuer.get(), key_);
}

}  // namespace lab::pki
