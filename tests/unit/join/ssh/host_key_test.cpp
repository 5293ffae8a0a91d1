#include "join/ssh/host_key.h"

#include <gtest/gtest.h>

namespace lab::join::ssh {
namespace {

const Target kTarget{.user = "root", .host = "10.0.0.3", .port = 2222};
const HostKey kKey{.type = "ssh-ed25519", .fingerprint = "SHA256:abc"};

TEST(HostKey, IsJudgedByWhatIsKnownAndAllowed) {
  using K = KnownHost;
  using V = HostKeyVerdict;
  struct Case {
    K known;
    bool accept_new, can_ask;
    V want;
  };
  for (const auto& c : {
           Case{K::kSame, false, false, V::kAccept},
           Case{K::kSame, true, true, V::kAccept},
           Case{K::kNew, true, false, V::kRemember},
           Case{K::kNew, true, true, V::kRemember},
           Case{K::kNew, false, true, V::kAsk},
           Case{K::kNew, false, false, V::kRefuse},
           // Neither a flag nor a person's haste leads past these.
           Case{K::kChanged, true, true, V::kRefuse},
           Case{K::kChanged, false, true, V::kRefuse},
           Case{K::kOtherType, true, true, V::kRefuse},
           Case{K::kOtherType, false, false, V::kRefuse},
       })
    EXPECT_EQ(judge_host_key(c.known, c.accept_new, c.can_ask), c.want)
        << static_cast<int>(c.known) << c.accept_new << c.can_ask;
}

TEST(HostKey, RefusalsSayWhatToDo) {
  auto fresh = host_key_refusal(KnownHost::kNew, kTarget, kKey, "/root/.ssh/known_hosts");
  EXPECT_NE(fresh.message.find("SHA256:abc"), std::string::npos);
  EXPECT_NE(fresh.hint.find("--accept-new-host-keys"), std::string::npos);

  auto changed = host_key_refusal(KnownHost::kChanged, kTarget, kKey, "/root/.ssh/known_hosts");
  EXPECT_NE(changed.message.find("has changed"), std::string::npos);
  EXPECT_NE(changed.message.find("SHA256:abc"), std::string::npos);
  EXPECT_NE(changed.hint.find("ssh-keygen -f /root/.ssh/known_hosts -R '[10.0.0.3]:2222'"), std::string::npos)
      << changed.hint;
  EXPECT_EQ(changed.code, Code::kUnauthorized);

  auto plain = host_key_refusal(KnownHost::kChanged, {.user = "root", .host = "10.0.0.3", .port = 22}, kKey, "f");
  EXPECT_NE(plain.hint.find("-R '10.0.0.3'"), std::string::npos) << plain.hint;
}

}  // namespace
}  // namespace lab::join::ssh
