// Frames, targets and what is told once.
#include "overlay-net/mesh/frames.h"

#include <gtest/gtest.h>

#include <random>

#include "overlay-net/mesh/targets.h"

namespace lab::overlay {
namespace {

using namespace std::chrono_literals;

struct Frames : testing::Test {
  FrameSealer sealer{*crypto::PacketCipher::sealing(std::string(32, 'k'))};
  FrameOpener opener{*crypto::PacketCipher::opening(std::string(32, 'k'))};
  std::string sealed(std::string_view text) {
    std::string out;
    sealer.seal(text, out);
    return out;
  }
};

TEST_F(Frames, ComeOutAsTheyWentInHoweverTheyArrive) {
  std::string wire = sealed("one") + sealed("") + sealed(std::string(100000, 'x'));
  std::vector<std::string> got;
  std::string buffer;
  for (char c : wire) {
    buffer += c;
    auto frame = opener.next(buffer);
    ASSERT_TRUE(frame) << frame.error().text();
    if (*frame) got.push_back(**frame);
  }
  EXPECT_EQ(got, (std::vector<std::string>{"one", "", std::string(100000, 'x')}));
  EXPECT_TRUE(buffer.empty());
}

TEST_F(Frames, ARepeatedOneDoesNotOpen) {
  auto first = sealed("pay");
  std::string buffer = first + first;
  ASSERT_TRUE(**opener.next(buffer) == "pay");
  auto again = opener.next(buffer);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kUnauthorized);
  EXPECT_NE(again.error().message.find("sent again"), std::string::npos);
}

TEST_F(Frames, OneLeftOutOrSwappedDoesNotOpen) {
  (void)sealed("first");
  auto second = sealed("second");
  EXPECT_FALSE(opener.next(second));
}

TEST_F(Frames, AnyChangedBitIsNoticed) {
  const auto good = sealed("a short message");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    auto r = opener.next(bad, 1000);
    // A longer length waits for more, which does not come; everything else is an error.
    if (r) EXPECT_FALSE(*r) << bit;
  }
  auto copy = good;
  EXPECT_TRUE(opener.next(copy));
}

TEST_F(Frames, SizesAreBounded) {
  auto large = sealed(std::string(5000, 'x'));
  EXPECT_FALSE(opener.next(large, 4999));
  std::string tiny("\0\0\0\x0f", 4), huge("\x7f\xff\xff\xff", 4);
  EXPECT_FALSE(opener.next(tiny));
  EXPECT_FALSE(opener.next(huge));
  EXPECT_FALSE(*opener.next(large = "", 10));
}

TEST(BackOffPauses, DoubleUpToTheMostAndAreSpread) {
  std::mt19937_64 random(1);
  BackOff rules{.first = 1s, .most = 30s};
  for (int n = 1; n < 40; ++n) {
    auto whole = std::min<Duration>(30s, n < 6 ? 1s * (1 << (n - 1)) : Duration(30s));
    Duration least = 1h, most{};
    for (int i = 0; i < 200; ++i) {
      auto p = pause_after(n, rules, random);
      least = std::min(least, p);
      most = std::max(most, p);
    }
    EXPECT_GE(least, whole / 2) << n;
    EXPECT_LE(most, whole) << n;
    EXPECT_GT(most - least, whole / 4) << n;
  }
}

struct TargetsTest : testing::Test {
  TimePoint now{1000s};
  Targets t{{.first = 1s, .most = 8s, .held = 5s}, 3};
};

TEST_F(TargetsTest, AreDialledOnceAndAgainAfterAPause) {
  t.set("flag", {{"a:1", {}}}, now);
  EXPECT_EQ(t.take_due(now), std::vector<std::string>{"a:1"});
  EXPECT_TRUE(t.take_due(now).empty());
  EXPECT_EQ(t.next_due(), TimePoint::max());
  for (int i = 0; i < 6; ++i) {
    t.failed("a:1", "refused", now);
    EXPECT_TRUE(t.take_due(now).empty());
    EXPECT_GT(t.next_due(), now);
    EXPECT_LE(t.next_due(), now + 8s);
    now = t.next_due();
    EXPECT_EQ(t.take_due(now).size(), 1u);
  }
  EXPECT_EQ(t.all().at("a:1").failures, 6);
  EXPECT_EQ(t.all().at("a:1").error, "refused");
}

TEST_F(TargetsTest, AConnectionThatHeldStartsOver) {
  t.set("flag", {{"a:1", {}}}, now);
  (void)t.take_due(now);
  for (int i = 0; i < 5; ++i) t.failed("a:1", "refused", now);
  t.connected("a:1", now);
  t.lost("a:1", 60s, "cut", now + 60s);
  EXPECT_EQ(t.all().at("a:1").failures, 1);
  t.lost("a:1", 1s, "cut", now + 61s);
  EXPECT_EQ(t.all().at("a:1").failures, 2);
}

TEST_F(TargetsTest, StayWhileAnySourceNamesThem) {
  t.set("flag", {{"a:1", {}}}, now);
  t.set("api", {{"a:1", {}}, {"b:1", {}}}, now);
  t.set("api", {}, now);
  EXPECT_TRUE(t.all().contains("a:1"));
  EXPECT_FALSE(t.all().contains("b:1"));
  t.never("a:1");
  (void)t.take_due(now);
  t.failed("a:1", "itself", now);
  EXPECT_TRUE(t.all().empty());
  t.set("flag", {{"a:1", {}}}, now);
  EXPECT_TRUE(t.all().empty());
}

TEST_F(TargetsTest, ThoseThatAreReachedOtherwiseAreLeftAlone) {
  t.set("peer", {{"a:1", 2s}}, now);
  EXPECT_TRUE(t.take_due(now + 1s).empty());
  t.set_connected({"a:1"}, now + 1s);
  EXPECT_TRUE(t.take_due(now + 100s).empty());
  t.set_connected({}, now + 100s);
  EXPECT_EQ(t.take_due(now + 102s).size(), 1u);
}

TEST_F(TargetsTest, TheEndOfAConnectionFromTheOtherSideIsExplained) {
  t.set("peer", {{"a:1", 2s}}, now);
  t.set_connected({"a:1"}, now);
  t.explain("a:1", "nothing was heard for 11 s");
  t.set_connected({}, now + 1s);
  EXPECT_EQ(t.all().at("a:1").error, "nothing was heard for 11 s");
  t.set_connected({"a:1"}, now + 2s);
  EXPECT_EQ(t.all().at("a:1").error, "");
  t.explain("b:1", "nobody");
  EXPECT_EQ(t.all().size(), 1u);
}

TEST(ToldOnceTest, TellsOnceAndCountsTheRest) {
  ToldOnce told(1min);
  TimePoint now{1000s};
  EXPECT_TRUE(told.tell("a", now));
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(told.tell("a", now + 1s));
  EXPECT_TRUE(told.tell("b", now));
  std::uint64_t left_out = 0;
  EXPECT_TRUE(told.tell("a", now + 61s, &left_out));
  EXPECT_EQ(left_out, 7u);
  told.settled("a");
  EXPECT_TRUE(told.tell("a", now + 62s));
  int tells = 0;
  for (int i = 0; i < 100000; ++i) tells += told.tell(std::to_string(i), now + 62s + std::chrono::milliseconds(i));
  EXPECT_EQ(tells, 100000);  // bounded memory; the oldest are forgotten
}

}  // namespace
}  // namespace lab::overlay
