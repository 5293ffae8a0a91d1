#include <gtest/gtest.h>

#include <random>
#include <set>

#include "overlay-net/crypto/replay_window.h"
#include "overlay-net/crypto/session.h"

namespace lab::overlay {
namespace {

TEST(ReplayWindow, TakesEachCounterOnce) {
  ReplayWindow w;
  EXPECT_FALSE(w.accept(0));
  EXPECT_TRUE(w.accept(1));
  EXPECT_FALSE(w.accept(1));
  EXPECT_TRUE(w.accept(100));
  EXPECT_TRUE(w.accept(99));
  EXPECT_FALSE(w.accept(99));
  EXPECT_TRUE(w.accept(100 + ReplayWindow::kSpan));
  EXPECT_FALSE(w.accept(98)) << "too far behind";
  EXPECT_TRUE(w.accept(UINT64_MAX));
  EXPECT_FALSE(w.accept(UINT64_MAX));
}

// Against the plain definition: seen in a set, or behind the window.
TEST(ReplayWindow, EqualsItsDefinitionOnRandomSequences) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    ReplayWindow w;
    std::set<std::uint64_t> seen;
    std::uint64_t newest = 0;
    for (int i = 0; i < 5000; ++i) {
      std::uint64_t c = newest;
      switch (random() % 8) {
        case 0:
          c += 1 + random() % 3;
          break;
        case 1:
          c += random() % (3 * ReplayWindow::kSpan);
          break;
        case 2:
          c -= std::min(c, random() % (2 * ReplayWindow::kSpan));
          break;
        case 3:
          c -= std::min(c, ReplayWindow::kSpan - random() % 3);
          break;
        default:
          c -= std::min(c, random() % 200);
      }
      bool expected = c != 0 && c + ReplayWindow::kSpan > newest && !seen.contains(c);
      ASSERT_EQ(w.is_new(c), expected) << "seed " << seed << " counter " << c << " newest " << newest;
      ASSERT_EQ(w.accept(c), expected);
      if (expected) {
        seen.insert(c);
        newest = std::max(newest, c);
      }
    }
  }
}

TEST(Session, RefusesWhatWasChangedAndLeavesTheCounterFree) {
  SessionKeys keys{std::string(32, 'a'), std::string(32, 'b')}, crossed{keys.open, keys.seal};
  auto a = *Session::make(1, keys), b = *Session::make(1, crossed);
  std::vector<std::uint8_t> head{1, 2, 3}, text(100, 5), tag(16);
  const auto plain = text;
  auto c = a->next_counter();
  a->seal(c, head, text, tag.data());
  EXPECT_NE(text, plain);
  auto attempt = [&](std::uint64_t counter, std::vector<std::uint8_t> h, std::vector<std::uint8_t> t,
                     std::vector<std::uint8_t> g) { return b->open(counter, h, t, g.data()); };
  auto bad_head = head, bad_text = text, bad_tag = tag;
  bad_head[0] ^= 1, bad_text[50] ^= 1, bad_tag[15] ^= 1;
  EXPECT_EQ(attempt(c, bad_head, text, tag), Session::Opened::kForged);
  EXPECT_EQ(attempt(c, head, bad_text, tag), Session::Opened::kForged);
  EXPECT_EQ(attempt(c, head, text, bad_tag), Session::Opened::kForged);
  EXPECT_EQ(attempt(c + 1, head, text, tag), Session::Opened::kForged);
  EXPECT_EQ(attempt(c, head, text, tag), Session::Opened::kGood) << "a forgery must not use up the counter";
  EXPECT_EQ(attempt(c, head, text, tag), Session::Opened::kReplayed);
  EXPECT_FALSE(Session::make(1, {keys.seal, keys.seal}));
  EXPECT_FALSE(Session::make(1, {"short", keys.open}));
}

}  // namespace
}  // namespace lab::overlay
