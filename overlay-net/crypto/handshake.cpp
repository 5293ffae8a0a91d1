#include "overlay-net/crypto/handshake.h"

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"

namespace lab::overlay {
namespace {

constexpr std::string_view kProtocol = "lab overlay sleeve 1";

class PasswordAuthenticator final : public Authenticator {
 public:
  explicit PasswordAuthenticator(std::string_view password) {
    const std::string key = crypto::key_from_password(password, kProtocol);
    proof_key_ = crypto::hkdf_sha256(key, "", "proof", 32);
    shared_ = crypto::hkdf_sha256(key, "", "shared", 32);
  }
  std::string prove(std::string_view transcript) const override { return crypto::hmac_sha256(proof_key_, transcript); }
  Result<void> check(const std::string& peer, std::string_view transcript, std::string_view proof) const override {
    if (crypto::equal_constant_time(prove(transcript), proof)) return {};
    return fail(Code::kUnauthorized, "peer " + peer + " has another password",
                "give every node the same --password-file");
  }
  std::string shared_secret() const override { return shared_; }

 private:
  std::string proof_key_, shared_;
};

std::string text_of(const PeerName& name) {
  return std::string(name.bytes.begin(), name.bytes.end());
}

// Every field has a fixed length or is the last: no two exchanges have the same transcript.
std::string transcript(std::string_view role, const Parties& p, std::string_view keys) {
  return std::string(kProtocol) + static_cast<char>(role.size()) + std::string(role) + text_of(p.initiator) +
         text_of(p.responder) + static_cast<char>(p.key_id) + std::string(keys);
}

// Both keys in the order initiator, responder.
Result<SessionKeys> derive(const Authenticator& a, std::string_view secret, std::string_view theirs,
                           const std::string& whole) {
  LAB_TRY(auto shared, crypto::x25519_shared(secret, theirs));
  auto bytes = crypto::hkdf_sha256(shared, a.shared_secret(), whole, 2 * crypto::kAesKeyBytes);
  return SessionKeys{bytes.substr(0, crypto::kAesKeyBytes), bytes.substr(crypto::kAesKeyBytes)};
}

Result<std::pair<std::string_view, std::string_view>> split(std::string_view message) {
  if (message.size() <= crypto::kX25519Bytes || message.size() > kMaxHandshake) {
    return fail(Code::kInvalid, "a handshake message of " + std::to_string(message.size()) + " bytes");
  }
  return std::pair{message.substr(0, crypto::kX25519Bytes), message.substr(crypto::kX25519Bytes)};
}

}  // namespace

std::unique_ptr<Authenticator> authenticate_by_password(std::string_view password) {
  return std::make_unique<PasswordAuthenticator>(password);
}

Initiator::Initiator(const Authenticator& authenticator, Parties parties)
    : authenticator_(authenticator), parties_(parties), pair_(crypto::x25519_generate()) {
  hello_ = pair_.open + authenticator_.prove(transcript("hello", parties_, pair_.open));
}

Result<SessionKeys> Initiator::finish(const std::string& peer, std::string_view answer) const {
  LAB_TRY(auto parts, split(answer));
  const auto whole = transcript("answer", parties_, pair_.open + std::string(parts.first));
  LAB_CHECK(authenticator_.check(peer, whole, parts.second));
  return derive(authenticator_, pair_.secret, parts.first, whole);
}

Result<Response> respond(const Authenticator& authenticator, const Parties& parties, const std::string& peer,
                         std::string_view hello) {
  LAB_TRY(auto parts, split(hello));
  LAB_CHECK(authenticator.check(peer, transcript("hello", parties, parts.first), parts.second));
  const auto pair = crypto::x25519_generate();
  const auto whole = transcript("answer", parties, std::string(parts.first) + pair.open);
  LAB_TRY(auto keys, derive(authenticator, pair.secret, parts.first, whole));
  std::swap(keys.seal, keys.open);
  return Response{pair.open + authenticator.prove(whole), std::move(keys)};
}

}  // namespace lab::overlay
