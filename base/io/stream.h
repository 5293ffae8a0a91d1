// Stream: a connected byte stream (TCP, TLS, unix socket, or one half of an upgraded HTTP connection).
//
// One reader and one writer at a time, all on the loop that made the stream. close() (from that loop) makes pending and
// later operations fail with kCancelled. Destroying a stream with an operation pending is a bug.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/loop.h"
#include "base/io/task.h"
#include "base/result.h"

namespace lab {

class Stream {
 public:
  virtual ~Stream() = default;
  // At least one byte; 0 at the end of the stream.
  virtual Task<Result<std::size_t>> read(std::span<char> into) = 0;
  // All of it.
  virtual Task<Result<void>> write(std::string_view bytes) = 0;
  // Sends the end of stream; reading goes on.
  virtual Task<Result<void>> shutdown_write() = 0;
  virtual void close() = 0;
  // Nothing has arrived and the peer has not closed, as far as can be told without waiting: whether an idle connection
  // may be used again.
  virtual bool quiet() const { return true; }
};

// Who is at the other end of a TLS connection, as far as the handshake told.
struct Peer {
  std::string address;                 // "10.0.0.3:51234"; empty for unix sockets
  std::string local_address;           // the address the connection came in on
  std::string certificate_subject_cn;  // verified against the client CA; empty without a client certificate
  std::vector<std::string> certificate_organizations;
  std::string certificate_pem;  // the leaf as given; without a subject above it was not accepted
  std::string alpn;             // "h2", "http/1.1" or ""
};

struct TlsServerConfig {
  std::string certificate_chain_pem;
  std::string private_key_pem;
  std::string client_ca_pem;  // empty: client certificates are not asked for
  bool require_client_certificate = false;
  std::vector<std::string> alpn{"h2", "http/1.1"};
};

struct TlsClientConfig {
  std::string ca_pem;                            // trusted roots; empty with insecure
  std::string certificate_pem, private_key_pem;  // client certificate; may be empty
  std::string server_name;                       // name or address to verify; empty: the dialled host
  bool insecure = false;                         // no verification at all: cluster discovery only
  std::vector<std::string> alpn{"http/1.1"};
};

struct Accepted {
  std::unique_ptr<Stream> stream;
  Peer peer;
};

// Dials with a timeout. Errors say which address refused, timed out, or why the certificate was not accepted.
Task<Result<std::unique_ptr<Stream>>> dial_tcp(std::string host, int port, Duration timeout);
Task<Result<std::unique_ptr<Stream>>> dial_unix(std::string path);
struct TlsDialed {
  std::unique_ptr<Stream> stream;
  std::string alpn;
  std::string peer_certificate_pem;  // the chain as the server sent it
};
Task<Result<TlsDialed>> dial_tls(std::string host, int port, TlsClientConfig config, Duration timeout);

// Two connected ends in memory, for tests and in-process use; both on one loop, of whatever kind. 64 KiB of room each
// way.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> stream_pair();

// Copies a to b and b to a until both have ended, or `stop` was requested; closes both. What an end sent before it
// failed is delivered to the other, which then has ten seconds to end by itself.
//
// kHeldBack is for a second end that speaks a protocol with an end of its own, and whose first end may drop what it has
// received but not yet used when its connection closes: it is left to close by itself.
enum class EndOfSecond { kPassedOn, kHeldBack };
Task<void> splice(std::unique_ptr<Stream> a, std::unique_ptr<Stream> b, std::stop_token stop = {},
                  EndOfSecond end = EndOfSecond::kPassedOn);

}  // namespace lab
