#include "labs/terminal/ring.h"

#include <gtest/gtest.h>

#include <random>

namespace lab::terminal {
namespace {

TEST(Ring, HoldsTheLastBytesUnderTheirPlaces) {
  Ring ring(8);
  EXPECT_EQ(ring.begin(), 0u);
  EXPECT_EQ(ring.end(), 0u);
  ring.append("abc");
  EXPECT_EQ(ring.read(0, 100), "abc");
  EXPECT_EQ(ring.read(1, 1), "b");
  ring.append("defghij");
  EXPECT_EQ(ring.begin(), 2u);
  EXPECT_EQ(ring.end(), 10u);
  EXPECT_EQ(ring.read(2, 100), "cdefghij");
  EXPECT_EQ(ring.read(9, 100), "j");
  EXPECT_EQ(ring.read(10, 100), "");
  ring.append("0123456789ABCDEF");  // more than it holds, at once
  EXPECT_EQ(ring.end(), 26u);
  EXPECT_EQ(ring.read(ring.begin(), 100), "89ABCDEF");
}

TEST(Ring, IsWhatAPlainRowOfBytesIs) {
  std::mt19937 random(7);
  for (std::size_t capacity : {1u, 2u, 7u, 64u, 1000u}) {
    Ring ring(capacity);
    std::string all;
    for (int i = 0; i < 300; ++i) {
      std::string piece(random() % (capacity * 2 + 3), ' ');
      for (auto& c : piece) c = static_cast<char>(random());
      ring.append(piece);
      all += piece;
      ASSERT_EQ(ring.end(), all.size());
      ASSERT_EQ(ring.begin(), all.size() - std::min(capacity, all.size()));
      const std::uint64_t from = ring.begin() + random() % (ring.end() - ring.begin() + 1);
      const std::size_t most = random() % (capacity + 2);
      ASSERT_EQ(ring.read(from, most), all.substr(from, most)) << capacity << " bytes, after " << i;
    }
  }
}

TEST(Ring, WhoMissedSomethingGoesOnAtALine) {
  Ring ring(16);
  ring.append("0123456789\nsecond\nthird");
  ASSERT_EQ(ring.begin(), 7u);
  EXPECT_EQ(ring.resume(3), 11u);
  EXPECT_EQ(ring.read(ring.resume(3), 6), "second");
  EXPECT_EQ(ring.resume(9), 9u) << "that is still there";
  EXPECT_EQ(ring.resume(1000), ring.end()) << "of another terminal's life";
  Ring no_lines(16);
  no_lines.append(std::string(40, 'x'));
  EXPECT_EQ(no_lines.resume(0), no_lines.begin());
}

}  // namespace
}  // namespace lab::terminal
