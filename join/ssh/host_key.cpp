#include "join/ssh/host_key.h"

namespace lab::join::ssh {

namespace {

// As known_hosts names the host: brackets where the port is another than 22.
std::string entry_name(const Target& t) {
  return t.port == 0 || t.port == 22 ? t.host : "[" + t.host + "]:" + std::to_string(t.port);
}

}  // namespace

HostKeyVerdict judge_host_key(KnownHost known, bool accept_new, bool can_ask) {
  switch (known) {
    case KnownHost::kSame:
      return HostKeyVerdict::kAccept;
    case KnownHost::kNew:
      return accept_new ? HostKeyVerdict::kRemember : can_ask ? HostKeyVerdict::kAsk : HostKeyVerdict::kRefuse;
    case KnownHost::kChanged:
    case KnownHost::kOtherType:
      break;
  }
  // No flag and no question leads past a key that is not the known one: the entry has to be taken out by hand.
  return HostKeyVerdict::kRefuse;
}

Error host_key_refusal(KnownHost known, const Target& target, const HostKey& key, const std::string& file) {
  const std::string met = key.type + " " + key.fingerprint;
  if (known == KnownHost::kNew)
    return {.code = Code::kUnauthorized,
            .message = "its host key is not known yet (" + met + ")",
            .hint =
                "compare the fingerprint with the host's own (there: ssh-keygen -lf "
                "/etc/ssh/ssh_host_ed25519_key.pub), then "
                "join again with --accept-new-host-keys, or from a terminal, where it is asked"};
  const std::string what =
      known == KnownHost::kChanged ? "the host key has changed" : "the host key is of another type than the known one";
  return {.code = Code::kUnauthorized,
          .message = what + ": met " + met + ", which is not what " + file +
                     " holds; the host was installed anew, or another machine answers at this address",
          .hint = "only if you know that it was installed anew, forget the old key: ssh-keygen -f " + file + " -R '" +
                  entry_name(target) + "', then join again with --accept-new-host-keys"};
}

std::string host_key_question(const Target& target, const HostKey& key) {
  return "The host " + target.text() + " is not known yet. Its key is " + key.type + " " + key.fingerprint +
         ". Connect and remember it?";
}

}  // namespace lab::join::ssh
