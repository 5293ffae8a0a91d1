// SSH keys made here: the host key that a machine is given before it exists, so that it is known from its first moment,
// and the key by which it lets us in.
#pragma once

#include <string>
#include <string_view>

namespace lab::join::vm {

struct SshKey {
  std::string private_text;  // an OpenSSH private key file, without a passphrase
  std::string public_line;   // "ssh-ed25519 AAAA... COMMENT"
};

// A new Ed25519 key. Formats: PROTOCOL.key of OpenSSH, RFC 8709.
SshKey make_ssh_key(const std::string& comment);
// The same of a given seed of 32 bytes; `check` is the number that is in the file twice.
SshKey ssh_key_of(std::string_view seed, unsigned check, const std::string& comment);

}  // namespace lab::join::vm
