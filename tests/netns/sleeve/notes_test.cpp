// What nodes tell each other beside the packets: how WireGuard's keys get about.
#include "tests/netns/sleeve/net.h"

namespace lab {
namespace {

using test::eventually;
using test::SleeveNet;

TEST(SleeveNotes, ReachEveryPeerSealedAndFollowChanges) {
  SleeveNet net(3);
  for (int i : {1, 2, 3}) {
    net.start(i, "secret");
    net.sleeves[i]->tell("of " + std::to_string(i));
  }
  auto knows = [&](int i, int peer, const std::string& note) {
    return eventually([&] { return net.status(i, peer).note == note; });
  };
  for (int i : {1, 2, 3}) {
    for (int k : {1, 2, 3}) EXPECT_TRUE(i == k || knows(i, k, "of " + std::to_string(k))) << i << " of " << k;
  }
  net.sleeves[2]->tell("another");
  EXPECT_TRUE(knows(1, 2, "another"));
  EXPECT_TRUE(knows(3, 2, "another"));
  EXPECT_EQ(net.status(2, 1).note, "of 1");
  // Restarted it has to say it again; until then nothing of it is believed to have changed.
  net.stop(2);
  net.start(2, "secret");
  EXPECT_TRUE(knows(1, 2, "")) << "it speaks, and says nothing";
}

TEST(SleeveNotes, AreNotSaidWhereNothingIsSealed) {
  SleeveNet net(2);
  for (int i : {1, 2}) {
    net.start(i);
    net.sleeves[i]->tell("a secret");
  }
  ASSERT_TRUE(net.established(1, 2));
  EXPECT_EQ(net.status(1, 2).note, std::nullopt);
  EXPECT_EQ(net.capture(2, overlay::wire::Kind::kProbe).find("a secret"), std::string::npos);
}

}  // namespace
}  // namespace lab
