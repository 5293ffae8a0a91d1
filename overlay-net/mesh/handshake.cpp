#include "overlay-net/mesh/handshake.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/crypto/digest.h"
#include "base/crypto/key_agreement.h"
#include "pki/certificate.h"

namespace lab::overlay {
namespace {

constexpr std::string_view kMagic = "LAB-MESH\n";
constexpr std::size_t kMaxPem = 12 * 1024;
// A refusal is a frame whose length is 0xffffffRR, in the clear: a side that has no common key can say no more.
constexpr std::uint32_t kRefusalMark = 0xffffff00;

std::string refusal_bytes(Refusal why) {
  return Writer().u32(kRefusalMark | static_cast<std::uint8_t>(why)).take();
}

std::optional<Refusal> refusal_in(std::string_view bytes) {
  if (bytes.size() < 4) return std::nullopt;
  auto mark = Reader(bytes).u32();
  auto why = mark & 0xff;
  if ((mark & 0xffffff00) != kRefusalMark || why == 0 || why > static_cast<unsigned>(Refusal::kCertificate)) {
    return std::nullopt;
  }
  return static_cast<Refusal>(why);
}

Refusal refusal_of(const Error& e) {
  if (e.code == Code::kConflict) return Refusal::kClash;
  if (e.code == Code::kTooManyRequests) return Refusal::kFull;
  return Refusal::kDuplicate;
}

Failure garbage(const std::string& who) {
  return fail(Code::kInvalid, who + " does not speak the mesh's protocol",
              "something else uses port 6783 there, or connects to it here");
}

// What both sides said in the clear, in the order of the connection.
struct Transcript {
  std::string hash;
  Transcript(std::string_view dialler_hello, std::string_view listener_hello)
      : hash(crypto::sha256(std::string(dialler_hello) + std::string(listener_hello))) {}
  std::string signed_by(bool dialler, std::string_view identity) const {
    return std::string(dialler ? "lab mesh dialler" : "lab mesh listener") + hash + crypto::sha256(identity);
  }
};

struct Keys {
  std::string of_dialler, of_listener;
};

Keys derive(std::string_view shared, std::string_view password_key, const Transcript& t) {
  auto bytes = crypto::hkdf_sha256(shared, password_key, "lab mesh 1" + t.hash, 64);
  return {bytes.substr(0, 32), bytes.substr(32)};
}

Result<std::string> make_proof(bool dialler, const PeerIdentity& self, const MeshCredentials& c, const Transcript& t) {
  Writer identity;
  encode(identity, self);
  auto id = identity.take();
  Writer out;
  out.text(id);
  if (c.password_key.empty()) {
    LAB_TRY(auto key, pki::PrivateKey::from_pem(c.private_key_pem));
    if (c.certificate_pem.size() > kMaxPem)
      return fail(Code::kInvalid, "the chain of certificates is larger than 12 KiB");
    out.text(c.certificate_pem).text(key.sign_jose(t.signed_by(dialler, id)));
  }
  return out.take();
}

Result<void> check_certificate(const std::string& pem, const std::string& ca_pem, const PeerIdentity& peer) {
  LAB_TRY(auto info, pki::inspect(pem));
  const auto now = std::chrono::system_clock::now();
  bool issued = false;
  for (const auto& ca : pki::split_bundle(ca_pem)) issued = issued || pki::signed_by(pem, ca);
  if (!issued) return fail(Code::kUnauthorized, "its certificate was not issued by this cluster's CA");
  if (now > info.not_after || now < info.not_before) {
    return fail(Code::kUnauthorized, "its certificate is not valid at this time",
                "compare the clocks of the two nodes");
  }
  bool of_nodes = std::ranges::find(info.organizations, "system:nodes") != info.organizations.end();
  if (!of_nodes || info.common_name != "system:node:" + peer.nickname) {
    return fail(Code::kUnauthorized, "its certificate is of " + info.common_name + ", not of node " + peer.nickname);
  }
  if (peer.name != peer_name_of(peer.nickname)) {
    return fail(Code::kUnauthorized,
                "node " + peer.nickname + " calls itself " + text(peer.name) + ", which is not its name");
  }
  return {};
}

Result<PeerIdentity> check_proof(bool from_dialler, std::string_view proof, const MeshCredentials& c,
                                 const Transcript& t) {
  Reader in(proof);
  auto id = in.text(kMaxHandshakeFrame);
  Reader identity_in(id);
  LAB_TRY(auto identity, decode_identity(identity_in));
  if (!identity_in.done()) return fail(Code::kInvalid, "the description of a peer is followed by something else");
  if (c.password_key.empty()) {
    std::string pem(in.text(kMaxPem)), signature(in.text(1024));
    if (!in.done()) return fail(Code::kInvalid, "the proof of a peer is malformed");
    LAB_CHECK(check_certificate(pem, c.ca_pem, identity));
    LAB_TRY(auto key, pki::PublicKey::from_pem(pem));
    if (!key.verify_jose(t.signed_by(from_dialler, id), signature)) {
      return fail(Code::kUnauthorized, "its signature is not that of its certificate's key");
    }
  } else if (!in.done()) {
    return fail(Code::kInvalid, "the proof of a peer is malformed");
  }
  return identity;
}

Task<Result<void>> read_some(Stream& stream, std::string& buffer) {
  std::array<char, 4096> piece;
  LAB_CO_TRY(auto n, co_await stream.read(piece));
  if (n == 0) co_return fail(Code::kUnavailable, "the connection was closed");
  buffer.append(piece.data(), n);
  co_return Result<void>{};
}

Task<Result<Hello>> read_hello(Stream& stream, std::string& buffer, std::string who) {
  while (true) {
    auto have = std::min(buffer.size(), kMagic.size());
    if (auto why = refusal_in(buffer)) co_return std::unexpected(error_of(*why, who));
    // Somebody else is turned away with the first byte that is not ours.
    if (buffer.substr(0, have) != kMagic.substr(0, have) && static_cast<unsigned char>(buffer[0]) != 0xff) {
      co_return garbage(who);
    }
    if (buffer.size() >= kHelloBytes) break;
    LAB_CO_CHECK(co_await read_some(stream, buffer));
  }
  auto hello = decode_hello(std::string_view(buffer).substr(0, kHelloBytes));
  if (!hello) co_return garbage(who);
  buffer.erase(0, kHelloBytes);
  co_return hello;
}

Task<Result<std::string>> read_proof(Stream& stream, std::string& buffer, FrameOpener& opener, bool with_password,
                                     std::string who) {
  while (true) {
    if (auto why = refusal_in(buffer)) co_return std::unexpected(error_of(*why, who));
    auto frame = opener.next(buffer, kMaxHandshakeFrame);
    if (!frame && frame.error().code == Code::kUnauthorized) {
      co_return std::unexpected(error_of(with_password ? Refusal::kPassword : Refusal::kCertificate, who));
    }
    if (!frame) co_return garbage(who);
    if (*frame) co_return std::move(**frame);
    LAB_CO_CHECK(co_await read_some(stream, buffer));
  }
}

// The refusal is sent in the hope that it arrives; the error is what counts.
Task<Error> refuse(Stream& stream, Refusal why, Error error) {
  (void)co_await stream.write(refusal_bytes(why));
  co_return error;
}

}  // namespace

std::string mesh_password_key(std::string_view password) {
  return crypto::key_from_password(password, "lab mesh password");
}

std::string encode_hello(const Hello& v) {
  return Writer().raw(kMagic).u8(v.min_version).u8(v.max_version).u8(v.certificates ? 2 : 1).raw(v.key).take();
}

Result<Hello> decode_hello(std::string_view bytes) {
  if (bytes.size() != kHelloBytes || !bytes.starts_with(kMagic)) return fail(Code::kInvalid, "no hello of a mesh");
  Reader in(bytes.substr(kMagic.size()));
  Hello out;
  out.min_version = in.u8();
  out.max_version = in.u8();
  auto kind = in.u8();
  out.key = in.rest();
  if (kind < 1 || kind > 2 || out.min_version > out.max_version) return fail(Code::kInvalid, "no hello of a mesh");
  out.certificates = kind == 2;
  return out;
}

Error error_of(Refusal why, const std::string& who) {
  auto make = [](Code code, std::string message, std::string hint = {}) {
    return Error{code, std::move(message), std::move(hint)};
  };
  switch (why) {
    case Refusal::kPassword:
      return make(Code::kUnauthorized, "wrong password: " + who + " has another one than this peer",
                  "give every peer the same --password-file");
    case Refusal::kVersion:
      return make(Code::kInvalid, who + " speaks another version of the mesh's protocol",
                  "run the same lab on all nodes");
    case Refusal::kProofKind:
      return make(Code::kUnauthorized, who + " and this peer do not prove themselves in the same way",
                  "give all peers a password (--password-file), or none of them");
    case Refusal::kClash:
      return make(Code::kConflict, who + " says that another peer has the name of this node",
                  "two nodes have the same name: rename one of them");
    case Refusal::kDuplicate:
      return make(Code::kAlreadyExists, who + " is connected already");
    case Refusal::kSelf:
      return make(Code::kGone, "this address leads back to this peer itself");
    case Refusal::kFull:
      return make(Code::kTooManyRequests, who + " has as many connections as it takes");
    case Refusal::kCertificate:
      return make(Code::kUnauthorized, "the certificates of " + who + " and of this peer do not fit together",
                  "both nodes must be of one cluster; a node that was reset must join again");
  }
  return make(Code::kInternal, "refused by " + who);
}

Task<Result<MeshSession>> shake_hands(Stream& stream, bool dialler, PeerIdentity self,
                                      std::shared_ptr<const MeshCredentials> credentials, std::string address,
                                      std::function<Result<void>(const PeerIdentity&)> admit) {
  const bool with_password = !credentials->password_key.empty();
  auto pair = crypto::x25519_generate();
  const auto mine = encode_hello({.certificates = !with_password, .key = pair.open});
  std::string buffer;
  // A listener says nothing until somebody has spoken the protocol to it.
  if (dialler) LAB_CO_CHECK(co_await stream.write(mine));
  LAB_CO_TRY(auto hello, co_await read_hello(stream, buffer, address));
  const auto theirs = encode_hello(hello);
  std::optional<Refusal> misfit;
  if (hello.min_version > kMeshVersionMax || hello.max_version < kMeshVersionMin) misfit = Refusal::kVersion;
  if (!misfit && hello.certificates == with_password) misfit = Refusal::kProofKind;
  if (misfit) co_return std::unexpected(co_await refuse(stream, *misfit, error_of(*misfit, address)));
  if (!dialler) LAB_CO_CHECK(co_await stream.write(mine));
  auto shared = crypto::x25519_shared(pair.secret, hello.key);
  if (!shared) co_return garbage(address);
  Transcript transcript(dialler ? mine : theirs, dialler ? theirs : mine);
  auto keys = derive(*shared, credentials->password_key, transcript);
  LAB_CO_TRY(auto sealing, crypto::PacketCipher::sealing(dialler ? keys.of_dialler : keys.of_listener));
  LAB_CO_TRY(auto opening, crypto::PacketCipher::opening(dialler ? keys.of_listener : keys.of_dialler));
  FrameSealer out(std::move(sealing));
  FrameOpener in(std::move(opening));
  std::string proof_frame;
  LAB_CO_TRY(auto my_proof, make_proof(dialler, self, *credentials, transcript));
  out.seal(my_proof, proof_frame);
  if (dialler) LAB_CO_CHECK(co_await stream.write(proof_frame));
  auto their_proof = co_await read_proof(stream, buffer, in, with_password, address);
  if (!their_proof) {
    if (dialler || their_proof.error().code != Code::kUnauthorized)
      co_return std::unexpected(std::move(their_proof).error());
    auto why = with_password ? Refusal::kPassword : Refusal::kCertificate;
    co_return std::unexpected(co_await refuse(stream, why, std::move(their_proof).error()));
  }
  auto remote = check_proof(!dialler, *their_proof, *credentials, transcript);
  if (!remote) {
    auto error = std::move(remote).error().with_context(address);
    co_return std::unexpected(co_await refuse(stream, Refusal::kCertificate, std::move(error)));
  }
  if (auto admitted = admit(*remote); !admitted) {
    auto why = remote->uid == self.uid ? Refusal::kSelf : refusal_of(admitted.error());
    co_return std::unexpected(co_await refuse(stream, why, std::move(admitted).error()));
  }
  if (!dialler) LAB_CO_CHECK(co_await stream.write(proof_frame));
  co_return MeshSession{std::move(*remote), std::move(out), std::move(in), std::move(buffer)};
}

}  // namespace lab::overlay
