// Agreeing on session keys: two messages, X25519 with fresh keys on both sides (forward secrecy), each message proven
// by what the cluster's nodes alone have.
//
//   initiator -> responder   hello:  E_i, proof over (roles, ids, key id, E_i)
//   responder -> initiator   answer: E_r, proof over (roles, ids, key id, E_i, E_r)
//   keys = HKDF-SHA256(X25519(e, E), salt = shared secret, info = the answer's transcript), one for each direction
//
// The initiator is always the peer with the lower name, so that two never race. A repeated hello does no harm: without
// e_i nobody can use the answer, and no side sends under keys that the other has not proven to have (session.h).
// Pure: no clock, no sockets. Messages are at most kMaxHandshake bytes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/crypto/key_agreement.h"
#include "overlay-net/crypto/session.h"
#include "overlay-net/mesh/gossip.h"

namespace lab::overlay {

inline constexpr std::size_t kMaxHandshake = 1200;

// What makes a peer one of the cluster's. Used from one thread.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  virtual std::string prove(std::string_view transcript) const = 0;
  // The error says why the peer is not accepted, for people.
  virtual Result<void> check(const std::string& peer, std::string_view transcript, std::string_view proof) const = 0;
  virtual std::string shared_secret() const = 0;  // mixed into the keys; "" where there is none
};

// Everybody knows one password; the proof is a MAC. Takes the time and memory of crypto::key_from_password().
std::unique_ptr<Authenticator> authenticate_by_password(std::string_view password);

// Each node shows its client certificate ("system:node:NAME" of group "system:nodes") and signs the transcript; NAME
// must be the peer's. Asked for each proof and check, since certificates are renewed and CAs rotated; blocks for a file
// or two.
struct NodeCertificate {
  std::string ca_pem, certificate_pem, private_key_pem;
};
std::unique_ptr<Authenticator> authenticate_by_certificate(std::function<Result<NodeCertificate>()> source);

struct Parties {
  PeerName initiator, responder;
  std::uint8_t key_id = 0;
};

class Initiator {
 public:
  Initiator(const Authenticator& authenticator, Parties parties);
  const std::string& hello() const { return hello_; }
  std::uint8_t key_id() const { return parties_.key_id; }
  // The initiator's keys. kInvalid or kUnauthorized when the answer is not of this exchange or of no peer of ours; a
  // better one may still come.
  Result<SessionKeys> finish(const std::string& peer, std::string_view answer) const;

 private:
  const Authenticator& authenticator_;
  Parties parties_;
  crypto::X25519Pair pair_;
  std::string hello_;
};

struct Response {
  std::string answer;
  SessionKeys keys;  // the responder's
};
Result<Response> respond(const Authenticator& authenticator, const Parties& parties, const std::string& peer,
                         std::string_view hello);

}  // namespace lab::overlay
