// TlsContext: keys, certificates and rules for many TLS connections, made once (OpenSSL's SSL_CTX).
//
// Immutable and shared between threads. Client certificates that do not verify do not end the handshake unless they are
// required: the connection then counts as one without a certificate, and the API answers 401, as Kubernetes does.
// No session resumption: a connection's verification is never older than its context.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/io/stream.h"

struct ssl_ctx_st;
struct ssl_st;

namespace lab {

class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> server(TlsServerConfig config);
  static Result<std::shared_ptr<TlsContext>> client(TlsClientConfig config);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* native() const { return ctx_; }
  const std::string& server_name() const { return server_name_; }  // to verify; empty: the dialled host
  bool verifies() const { return verify_; }
  bool requires_peer() const { return require_; }
  const std::vector<std::string>& ca_names() const { return ca_names_; }  // subjects of the trusted roots
  const std::string& alpn_wire() const { return alpn_wire_; }             // length-prefixed, as in RFC 7301

 private:
  TlsContext() = default;
  Result<void> load_certificate(const std::string& chain_pem, const std::string& key_pem);
  Result<void> load_roots(const std::string& pem);
  ssl_ctx_st* ctx_ = nullptr;
  std::string server_name_, alpn_wire_;
  bool verify_ = false, require_ = false;
  std::vector<std::string> ca_names_;
};

// Why a peer's certificate was not accepted, noted during the handshake.
struct TlsVerifyFailure {
  int error = 0;  // X509_V_ERR_...; 0: none
  std::string subject, issuer, names, not_before, not_after;
};

// Prepares one connection: rules of the context, and where to note a failure (must outlive the handshake).
Result<void> tls_prepare(ssl_st* ssl, const TlsContext& context, const std::string& host, bool server,
                         TlsVerifyFailure* failure);
// The error of a failed handshake. `who`: the other end's name or address.
Error tls_handshake_error(const TlsContext& context, const TlsVerifyFailure& failure, const std::string& who,
                          const std::string& wanted_name, bool server);
// The verified client certificate, where there is one, and ALPN.
void tls_fill_peer(ssl_st* ssl, Peer& peer);
std::string tls_peer_chain_pem(ssl_st* ssl);
// Takes the oldest of OpenSSL's queued errors as text, and clears the queue.
std::string tls_error_text();

}  // namespace lab
