// Handshake: two peers agree on keys and show each other that they belong to the same mesh.
//
//   dialler -> hello            magic, versions spoken, kind of proof, X25519 public key made for this connection
//   dialler <- hello
//              keys of both directions = HKDF(X25519 secret, salt: password key or none, info: hash of both hellos)
//   dialler -> proof            first sealed frame: identity and, with certificates, chain and signature of the hellos
//   dialler <- proof            once the listener has admitted the dialler
//
// With a password a proof that opens shows that its sender knows it: the password is part of the key. It is stretched
// by scrypt, so one guess by somebody who was party to a handshake costs some 50 ms; `lab` generates a long one.
// With certificates (the node's client certificate, "system:node:NAME" of group "system:nodes", issued by the cluster's
// CA) the signature over both hellos and the role shows who speaks, as in SIGMA (Krawczyk, 2003); NAME is the nickname.
// A recorded handshake is worth nothing later: each side's key is part of what is hashed and signed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/io/stream.h"
#include "overlay-net/mesh/frames.h"
#include "overlay-net/mesh/identity.h"

namespace lab::overlay {

inline constexpr std::uint8_t kMeshVersionMin = 1, kMeshVersionMax = 1;

// How a peer proves that it belongs: a password, or the cluster's certificates.
struct MeshCredentials {
  std::string password_key;  // mesh_password_key(); empty: certificates
  std::string ca_pem, certificate_pem, private_key_pem;
};
std::string mesh_password_key(std::string_view password);  // takes some 50 ms

// What is said in the clear, 44 bytes.
struct Hello {
  std::uint8_t min_version = kMeshVersionMin, max_version = kMeshVersionMax;
  bool certificates = false;
  std::string key;
};
inline constexpr std::size_t kHelloBytes = 44;
std::string encode_hello(const Hello& v);
Result<Hello> decode_hello(std::string_view bytes);

// Why a peer was turned away: one byte on the wire, known by both sides.
enum class Refusal : std::uint8_t {
  kPassword = 1,
  kVersion,
  kProofKind,
  kClash,
  kDuplicate,
  kSelf,
  kFull,
  kCertificate
};
Error error_of(Refusal why, const std::string& who);

struct MeshSession {
  PeerIdentity remote;
  FrameSealer out;
  FrameOpener in;
  std::string unread;  // came behind the handshake
};

// Runs it on a new connection. `admit` is asked once the other side has proved itself and decides whether it may stay;
// it is asked on the listening side before that side's own proof is sent. Errors: kUnauthorized (proof), kInvalid
// (garbage), kConflict and kAlreadyExists (as admit says, or as the other side does), kUnavailable (cut).
Task<Result<MeshSession>> shake_hands(Stream& stream, bool dialler, PeerIdentity self,
                                      std::shared_ptr<const MeshCredentials> credentials, std::string address,
                                      std::function<Result<void>(const PeerIdentity&)> admit);

}  // namespace lab::overlay
