// Certificates made on the spot for tests, with OpenSSL: a CA, and leaves it signs.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lab::test {

struct CertOptions {
  std::string cn = "leaf";
  std::vector<std::string> organizations;
  std::string names = "DNS:localhost,IP:127.0.0.1";  // subjectAltName; "" for none
  bool client = false;                               // extended key usage
  long from_seconds = -3600, to_seconds = 3600;      // validity, from now
};

struct Pem {
  std::string certificate, key;
};

class TestCa {
 public:
  explicit TestCa(std::string cn = "test-ca") {
    key_ = EVP_EC_gen("P-256");
    certificate_ = make(key_, {.cn = std::move(cn), .names = ""}, nullptr, nullptr, true);
  }
  ~TestCa() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  TestCa(const TestCa&) = delete;
  TestCa& operator=(const TestCa&) = delete;

  std::string pem() const {
    return text([this](BIO* b) { PEM_write_bio_X509(b, certificate_); });
  }

  Pem issue(const CertOptions& options) const {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = make(key, options, certificate_, key_, false);
    Pem out{text([&](BIO* b) { PEM_write_bio_X509(b, certificate); }),
            text([&](BIO* b) { PEM_write_bio_PrivateKey(b, key, nullptr, nullptr, 0, nullptr, nullptr); })};
    X509_free(certificate);
    EVP_PKEY_free(key);
    return out;
  }

 private:
  template <class F>
  static std::string text(F write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return out;
  }

  static void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    X509_add_ext(certificate, e, -1);
    X509_EXTENSION_free(e);
  }

  static X509* make(EVP_PKEY* key, const CertOptions& o, X509* issuer, EVP_PKEY* issuer_key, bool ca) {
    static long serial = 1;
    X509* c = X509_new();
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), o.from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(c), o.to_seconds);
    X509_set_pubkey(c, key);
    X509_NAME* name = X509_get_subject_name(c);
    auto entry = [name](const char* field, const std::string& value) {
      X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.c_str()), -1,
                                 -1, 0);
    };
    for (const auto& org : o.organizations) entry("O", org);
    entry("CN", o.cn);
    X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer) : name);
    add_extension(c, issuer ? issuer : c, NID_basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (ca) {
      add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
      add_extension(c, issuer, NID_ext_key_usage, o.client ? "clientAuth" : "serverAuth");
    }
    if (!o.names.empty()) add_extension(c, issuer ? issuer : c, NID_subject_alt_name, o.names);
    X509_sign(c, issuer_key ? issuer_key : key, EVP_sha256());
    return c;
  }

  EVP_PKEY* key_ = nullptr;
  X509* certificate_ = nullptr;
};

}  // namespace lab::test
