// Whether a host's key is accepted: what known_hosts (ssh(1), sshd(8)) says of it, and what the person allows.
#pragma once

#include <string>

#include "base/result.h"
#include "join/ssh/target.h"

namespace lab::join::ssh {

enum class KnownHost {
  kSame,       // the file has this very key
  kNew,        // the file does not know the host
  kChanged,    // the file has another key of the same type
  kOtherType,  // the file has keys of other types only: for an attacker the way around a known key
};

struct HostKey {
  std::string type;         // "ssh-ed25519"
  std::string fingerprint;  // "SHA256:..."
};

enum class HostKeyVerdict { kAccept, kRemember, kAsk, kRefuse };
HostKeyVerdict judge_host_key(KnownHost known, bool accept_new, bool can_ask);

// What refusing means, with what to do next. `file` is the known_hosts that was read.
Error host_key_refusal(KnownHost known, const Target& target, const HostKey& key, const std::string& file);
std::string host_key_question(const Target& target, const HostKey& key);

}  // namespace lab::join::ssh
