#include "pki/csr.h"

#include "pki/names.h"
#include "pki/openssl.h"

namespace lab::pki {

std::string make_csr(const PrivateKey& key, const CertificateSpec& spec) {
  ReqPtr req(X509_REQ_new());
  X509_REQ_set_version(req.get(), X509_REQ_VERSION_1);
  set_subject(X509_REQ_get_subject_name(req.get()), spec.common_name, spec.organizations);
  X509_REQ_set_pubkey(req.get(), key.handle().key.get());
  NamesPtr names = make_names(spec.dns_names, spec.addresses);
  if (sk_GENERAL_NAME_num(names.get()) > 0) {
    STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
    X509V3_add1_i2d(&extensions, NID_subject_alt_name, names.get(), 0, 0);
    X509_REQ_add_extensions(req.get(), extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
  X509_REQ_sign(req.get(), key.handle().key.get(), EVP_sha256());
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), req.get());
  return text_of(bio.get());
}

Result<CsrInfo> inspect_csr(std::string_view pem) {
  auto bio = bio_of(pem);
  ReqPtr req(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!req) return openssl_failure("no certificate request could be read from this PEM text");
  CsrInfo info;
  info.common_name = common_name_of(X509_REQ_get_subject_name(req.get()));
  info.organizations = organizations_of(X509_REQ_get_subject_name(req.get()));
  NamesPtr names = names_of_request(req.get());
  read_names(names.get(), info.dns_names, info.addresses);
  return info;
}

}  // namespace lab::pki
