#include "join/vm/ssh_key.h"

#include "base/crypto/digest.h"
#include "base/crypto/ed25519.h"
#include "base/crypto/encoding.h"

namespace lab::join::vm {

namespace {

constexpr std::string_view kType = "ssh-ed25519";
constexpr std::size_t kLine = 70, kBlock = 8;

// RFC 4251 5: uint32 and string.
std::string u32(std::size_t v) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((v >> shift) & 0xff);
  return out;
}
std::string text(std::string_view s) {
  return u32(s.size()) + std::string(s);
}

}  // namespace

SshKey ssh_key_of(std::string_view seed, unsigned check, const std::string& comment) {
  const std::string key = crypto::ed25519_public(seed);
  const std::string public_blob = text(kType) + text(key);
  std::string secret = u32(check) + u32(check) + public_blob + text(std::string(seed) + key) + text(comment);
  for (char pad = 1; secret.size() % kBlock != 0; ++pad) secret += pad;
  const std::string whole = std::string("openssh-key-v1\0", 15) + text("none") + text("none") + text("") + u32(1) +
                            text(public_blob) + text(secret);

  SshKey out;
  const std::string armoured = crypto::base64_encode(whole);
  out.private_text = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  for (std::size_t at = 0; at < armoured.size(); at += kLine) out.private_text += armoured.substr(at, kLine) + "\n";
  out.private_text += "-----END OPENSSH PRIVATE KEY-----\n";
  out.public_line = std::string(kType) + " " + crypto::base64_encode(public_blob) + " " + comment;
  return out;
}

SshKey make_ssh_key(const std::string& comment) {
  const std::string check = crypto::random_bytes(4);
  unsigned number = 0;
  for (unsigned char c : check) number = number << 8 | c;
  return ssh_key_of(crypto::random_bytes(crypto::kEd25519Bytes), number, comment);
}

}  // namespace lab::join::vm
