// Verification of the other end's certificate, and words for why it failed.
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/io/address.h"
#include "base/io/tls_context.h"

namespace lab {

namespace {

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return out;
}

std::string name_text(const X509_NAME* name) {
  BIO* bio = BIO_new(BIO_s_mem());
  X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return bio_text(bio);
}

std::string time_text(const ASN1_TIME* time) {
  BIO* bio = BIO_new(BIO_s_mem());
  ASN1_TIME_print(bio, time);
  return bio_text(bio);
}

std::string pem_text(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  return bio_text(bio);
}

// "kubernetes.default, 10.96.0.1": what a certificate says it is for.
std::string alternative_names(X509* certificate) {
  std::string out;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* n = sk_GENERAL_NAME_value(names, i);
    std::string one;
    if (n->type == GEN_DNS) {
      one.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(n->d.dNSName)),
                 static_cast<std::size_t>(ASN1_STRING_length(n->d.dNSName)));
    } else if (n->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN] = "";
      int family = ASN1_STRING_length(n->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      inet_ntop(family, ASN1_STRING_get0_data(n->d.iPAddress), text, sizeof text);
      one = text;
    }
    if (!one.empty()) out += (out.empty() ? "" : ", ") + one;
  }
  GENERAL_NAMES_free(names);
  return out.empty() ? "no name at all" : out;
}

int failure_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int note_failure(int ok, X509_STORE_CTX* store) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* failure = static_cast<TlsVerifyFailure*>(SSL_get_ex_data(ssl, failure_index()));
  if (!ok && failure && failure->error == 0) {
    failure->error = X509_STORE_CTX_get_error(store);
    // A self-signed root at the chain's end tells less than the leaf it stands behind.
    bool root = failure->error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
    X509* certificate = root ? X509_STORE_CTX_get0_cert(store) : X509_STORE_CTX_get_current_cert(store);
    if (certificate) {
      failure->subject = name_text(X509_get_subject_name(certificate));
      failure->issuer = name_text(X509_get_issuer_name(certificate));
      failure->names = alternative_names(certificate);
      failure->not_before = time_text(X509_get0_notBefore(certificate));
      failure->not_after = time_text(X509_get0_notAfter(certificate));
    }
  }
  // An optional client certificate that does not verify leaves its mark in the verify result, nothing more.
  bool optional = SSL_is_server(ssl) && !(SSL_get_verify_mode(ssl) & SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
  return ok || optional ? 1 : 0;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& p : parts) out += (out.empty() ? "" : " or ") + p;
  return out;
}

Error verify_error(const TlsContext& context, const TlsVerifyFailure& f, const std::string& who,
                   const std::string& wanted_name) {
  Error e{.code = Code::kIo, .message = "TLS with " + who + ": "};
  switch (f.error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      e.message += "the certificate is for " + f.names + ", not for " + wanted_name + " (subject " + f.subject + ")";
      e.hint = "use one of its names, or have a certificate issued that has this one";
      break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      e.message += "the certificate of " + f.subject + " expired on " + f.not_after;
      e.hint = "renew it; if it should be valid still, check the clocks of both machines";
      break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      e.message += "the certificate of " + f.subject + " is valid only from " + f.not_before;
      e.hint = "check the clocks of both machines";
      break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: {
      std::string expected = joined(context.ca_names());
      e.message += "the certificate of " + f.subject + " was issued by " + f.issuer + ", expected was " + expected;
      if (f.issuer == expected) e.message += " with another key";
      e.hint = "the CA given here is not the one that the other end uses";
      break;
    }
    default:
      e.message += "the certificate of " + f.subject + " (issued by " + f.issuer +
                   ") is not accepted: " + X509_verify_cert_error_string(f.error);
  }
  return e;
}

std::vector<std::string> entries(X509_NAME* name, int nid) {
  std::vector<std::string> out;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    unsigned char* utf8 = nullptr;
    int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size >= 0) out.emplace_back(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(size));
    OPENSSL_free(utf8);
  }
  return out;
}

}  // namespace

Result<void> tls_prepare(SSL* ssl, const TlsContext& context, const std::string& host, bool server,
                         TlsVerifyFailure* failure) {
  SSL_set_ex_data(ssl, failure_index(), failure);
  int mode = SSL_VERIFY_NONE;
  if (context.verifies()) mode = SSL_VERIFY_PEER | (context.requires_peer() ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
  SSL_set_verify(ssl, mode, note_failure);
  if (server) {
    SSL_set_accept_state(ssl);
    return {};
  }
  SSL_set_connect_state(ssl);
  const auto& alpn = context.alpn_wire();
  SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()), static_cast<unsigned>(alpn.size()));
  bool literal = is_ip_literal(host);
  if (!literal && !host.empty() && SSL_set_tlsext_host_name(ssl, host.c_str()) != 1) {
    return fail(Code::kBadRequest, "TLS with " + host + ": not a host name");
  }
  if (!context.verifies()) return {};
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  int ok = literal ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str())
                   : X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size());
  if (ok != 1) return fail(Code::kBadRequest, "TLS with '" + host + "': not a name or address to verify");
  return {};
}

Error tls_handshake_error(const TlsContext& context, const TlsVerifyFailure& failure, const std::string& who,
                          const std::string& wanted_name, bool server) {
  unsigned long code = ERR_peek_error();
  if (failure.error != 0 && (!server || context.requires_peer())) {
    ERR_clear_error();
    return verify_error(context, failure, who, wanted_name);
  }
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
    ERR_clear_error();
    return Error{.code = Code::kIo,
                 .message = "TLS with " + who + ": the answer is not TLS",
                 .hint = server ? "" : "is it a plain HTTP port?"};
  }
  return Error{.code = Code::kIo, .message = "TLS with " + who + ": " + tls_error_text()};
}

void tls_fill_peer(SSL* ssl, Peer& peer) {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &name, &length);
  if (length > 0) peer.alpn.assign(reinterpret_cast<const char*>(name), length);
  X509* certificate = SSL_get0_peer_certificate(ssl);
  if (!certificate || !(SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER)) return;
  peer.certificate_pem = pem_text(certificate);
  if (SSL_get_verify_result(ssl) != X509_V_OK) return;  // it was given, but names nobody
  X509_NAME* subject = X509_get_subject_name(certificate);
  auto names = entries(subject, NID_commonName);
  if (!names.empty()) peer.certificate_subject_cn = names.front();
  peer.certificate_organizations = entries(subject, NID_organizationName);
}

std::string tls_peer_chain_pem(SSL* ssl) {
  std::string out;
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; chain && i < sk_X509_num(chain); ++i) out += pem_text(sk_X509_value(chain, i));
  return out;
}

}  // namespace lab
