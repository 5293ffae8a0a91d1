#include "base/io/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

namespace lab {

namespace {

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> memory_bio(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// A password prompt on a server's terminal helps nobody: an encrypted key is an error.
int no_password(char*, int, int, void*) {
  return -1;
}

std::vector<Owned<X509>> read_certificates(const std::string& pem) {
  std::vector<Owned<X509>> out;
  auto bio = memory_bio(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) out.emplace_back(one);
  ERR_clear_error();
  return out;
}

std::string name_text(const X509_NAME* name) {
  Owned<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

int pick_alpn(SSL*, const unsigned char** out, unsigned char* out_len, const unsigned char* in, unsigned in_len,
              void* arg) {
  const auto& ours = static_cast<const TlsContext*>(arg)->alpn_wire();
  int rc = SSL_select_next_proto(const_cast<unsigned char**>(out), out_len,
                                 reinterpret_cast<const unsigned char*>(ours.data()),
                                 static_cast<unsigned>(ours.size()), in, in_len);
  return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

std::string alpn_wire_of(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& n : names) {
    out += static_cast<char>(n.size());
    out += n;
  }
  return out;
}

}  // namespace

std::string tls_error_text() {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : "error " + std::to_string(code);
}

TlsContext::~TlsContext() {
  SSL_CTX_free(ctx_);
}

Result<void> TlsContext::load_certificate(const std::string& chain_pem, const std::string& key_pem) {
  auto chain = read_certificates(chain_pem);
  if (chain.empty()) return fail(Code::kBadRequest, "the certificate is not PEM text with a CERTIFICATE block");
  auto bio = memory_bio(key_pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) return fail(Code::kBadRequest, "the private key cannot be read: " + tls_error_text());
  if (SSL_CTX_use_certificate(ctx_, chain[0].get()) != 1) {
    return fail(Code::kBadRequest, "the certificate cannot be used: " + tls_error_text());
  }
  for (std::size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(ctx_, chain[i].get());
  if (SSL_CTX_use_PrivateKey(ctx_, key.get()) != 1 || SSL_CTX_check_private_key(ctx_) != 1) {
    return fail(Code::kBadRequest, "the private key does not belong to the certificate of " +
                                       name_text(X509_get_subject_name(chain[0].get())) + ": " + tls_error_text());
  }
  return {};
}

Result<void> TlsContext::load_roots(const std::string& pem) {
  auto roots = read_certificates(pem);
  if (roots.empty()) return fail(Code::kBadRequest, "the CA is not PEM text with a CERTIFICATE block");
  X509_STORE* store = SSL_CTX_get_cert_store(ctx_);
  // Any certificate that is given as a root is trusted, self-signed or not, as Go does.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  for (const auto& root : roots) {
    X509_STORE_add_cert(store, root.get());
    ca_names_.push_back(name_text(X509_get_subject_name(root.get())));
  }
  ERR_clear_error();
  return {};
}

static void common_options(SSL_CTX* ctx) {
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  // A peer that leaves without close_notify: HTTP's own framing notices what is missing.
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF |
                               SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS |
                            SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(ctx, 1);
}

Result<std::shared_ptr<TlsContext>> TlsContext::server(TlsServerConfig config) {
  std::shared_ptr<TlsContext> out(new TlsContext());
  out->ctx_ = SSL_CTX_new(TLS_server_method());
  common_options(out->ctx_);
  SSL_CTX_set_num_tickets(out->ctx_, 0);
  LAB_CHECK(out->load_certificate(config.certificate_chain_pem, config.private_key_pem));
  out->require_ = config.require_client_certificate;
  if (!config.client_ca_pem.empty()) {
    out->verify_ = true;
    LAB_CHECK(out->load_roots(config.client_ca_pem));
    for (const auto& root : read_certificates(config.client_ca_pem)) SSL_CTX_add_client_CA(out->ctx_, root.get());
  } else if (out->require_) {
    return fail(Code::kBadRequest, "client certificates are required, but no CA to verify them against is given");
  }
  out->alpn_wire_ = alpn_wire_of(config.alpn);
  if (!config.alpn.empty()) SSL_CTX_set_alpn_select_cb(out->ctx_, pick_alpn, out.get());
  return out;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(TlsClientConfig config) {
  std::shared_ptr<TlsContext> out(new TlsContext());
  out->ctx_ = SSL_CTX_new(TLS_client_method());
  common_options(out->ctx_);
  out->verify_ = !config.insecure;
  out->server_name_ = config.server_name;
  if (out->verify_) {
    if (config.ca_pem.empty()) return fail(Code::kBadRequest, "no CA is given to verify the server against");
    LAB_CHECK(out->load_roots(config.ca_pem));
  }
  if (!config.certificate_pem.empty()) {
    LAB_CHECK(out->load_certificate(config.certificate_pem, config.private_key_pem));
  }
  out->alpn_wire_ = alpn_wire_of(config.alpn);
  return out;
}

}  // namespace lab
