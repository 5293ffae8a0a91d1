#include <gtest/gtest.h>

#include <random>

#include "overlay-net/path/chooser.h"
#include "overlay-net/path/probe.h"

namespace lab::overlay {
namespace {

void rounds(PathChooser& c, int n, Heartbeats seen) {
  for (int i = 0; i < n; ++i) c.round(seen);
}

const Heartbeats kWell{.full = true, .sleeve = true}, kBlocked{.sleeve = true}, kAway{};

TEST(PathChooser, LeavesTheKernelsPathAfterSomeMissesAndComesBack) {
  PathChooser c({.misses = 5, .passes = 3});
  rounds(c, 10, kWell);
  EXPECT_EQ(c.path(), Path::kFastdp);
  EXPECT_EQ(c.why(), "");
  EXPECT_FALSE(c.restless());
  rounds(c, 4, kBlocked);
  EXPECT_EQ(c.path(), Path::kFastdp);
  EXPECT_TRUE(c.restless());
  EXPECT_TRUE(c.round(kBlocked));
  EXPECT_EQ(c.path(), Path::kSleeve);
  EXPECT_NE(c.why().find("blocked"), std::string::npos);
  EXPECT_FALSE(c.restless());
  rounds(c, 2, kWell);
  EXPECT_EQ(c.path(), Path::kSleeve) << "not at the first sign";
  EXPECT_TRUE(c.restless());
  EXPECT_TRUE(c.round(kWell));
  EXPECT_EQ(c.path(), Path::kFastdp);
  EXPECT_EQ(c.why(), "");
}

TEST(PathChooser, APeerWhoseAgentIsAwayKeepsItsPath) {
  PathChooser c;
  rounds(c, 10, kWell);
  rounds(c, 1000, kAway);
  EXPECT_EQ(c.path(), Path::kFastdp);
  EXPECT_NE(c.why(), "");
  rounds(c, 1, kWell);
  EXPECT_EQ(c.why(), "");
  PathChooser d;
  rounds(d, 10, kBlocked);
  rounds(d, 1000, kAway);
  EXPECT_EQ(d.path(), Path::kSleeve);
}

// Encrypted, the kernel's path has to show that it works before anything goes there.
TEST(PathChooser, BeginsWithTheSleeveWhereItIsToldSo) {
  PathChooser c({.misses = 5, .passes = 3}, Path::kWireguard, Path::kSleeve);
  rounds(c, 100, kBlocked);
  EXPECT_EQ(c.path(), Path::kSleeve);
  EXPECT_NE(c.why().find("WireGuard port"), std::string::npos) << c.why();
  rounds(c, 2, kWell);
  EXPECT_EQ(c.path(), Path::kSleeve);
  rounds(c, 1, kWell);
  EXPECT_EQ(c.path(), Path::kWireguard);
  EXPECT_EQ(c.why(), "");
  rounds(c, 1000, kAway);
  EXPECT_EQ(c.path(), Path::kWireguard) << "its agent is away";
  rounds(c, 5, kBlocked);
  EXPECT_EQ(c.path(), Path::kSleeve);
}

TEST(PathChooser, SaysWhy) {
  auto why = [](Heartbeats seen) {
    PathChooser c;
    seen.sleeve = true;
    rounds(c, 10, seen);
    return c.why();
  };
  EXPECT_NE(why({.small = true, .unsummed = true}).find("MTU"), std::string::npos);
  EXPECT_NE(why({.unsummed = true}).find("tx off"), std::string::npos);
  EXPECT_NE(why({.small = true, .corrupted = true}).find("other bytes"), std::string::npos);
  EXPECT_NE(why({}).find("blocked"), std::string::npos);
}

TEST(PathChooser, TenPercentLossDoesNotMoveIt) {
  std::mt19937 random(1);
  PathChooser c;
  int moves = 0;
  for (int i = 0; i < 3600; ++i) {
    auto before = c.path();
    c.round({.full = random() % 100 >= 19, .sleeve = true});
    moves += c.path() != before;
  }
  EXPECT_LE(moves, 6);
}

TEST(Heartbeat, ComesBackAndShowsCorruption) {
  Heartbeat h{
      .sort = Sort::kUnsummed, .asks = MacAddress::from_seed("a"), .asked = MacAddress::from_seed("b"), .number = 7};
  for (std::size_t size : {std::size_t(0), Heartbeat::kHead, std::size_t(64), std::size_t(1422)}) {
    auto bytes = write_heartbeat(h, size);
    EXPECT_EQ(bytes.size(), std::max(size, Heartbeat::kHead));
    EXPECT_EQ(read_heartbeat(bytes), h);
    for (std::size_t i = Heartbeat::kHead; i < bytes.size(); i += 97) {
      auto bad = bytes;
      bad[i] ^= 4;
      EXPECT_FALSE(read_heartbeat(bad)->intact);
    }
    for (std::size_t n = 0; n < Heartbeat::kHead; ++n) EXPECT_FALSE(read_heartbeat(std::span(bytes).first(n)));
  }
  for (unsigned seed = 0; seed < 5000; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::uint8_t> bytes(random() % 80);
    for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
    if (bytes.size() > 5) bytes[0] = 'l', bytes[1] = 'a', bytes[2] = 'b', bytes[3] = 'H', bytes[4] &= 1, bytes[5] &= 3;
    bytes.shrink_to_fit();
    (void)read_heartbeat(bytes);
  }
}

}  // namespace
}  // namespace lab::overlay
