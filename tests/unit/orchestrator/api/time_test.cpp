#include "orchestrator/api/time.h"

#include <gtest/gtest.h>

namespace lab::api {
namespace {

using namespace std::chrono_literals;

TEST(Time, RoundTrips) {
  auto t = parse_time("2026-11-22T00:10:00Z");
  ASSERT_TRUE(t);
  EXPECT_EQ(format_time(*t), "2026-11-22T00:10:00Z");
  auto micro = parse_time("2026-02-28T23:59:59.123456Z");
  ASSERT_TRUE(micro);
  EXPECT_EQ(format_micro_time(*micro), "2026-02-28T23:59:59.123456Z");
  EXPECT_EQ(format_time(*micro), "2026-02-28T23:59:59Z");
  EXPECT_EQ(*parse_time("2026-11-22T02:10:00+02:00"), *t);
  EXPECT_EQ(*parse_time("2026-11-21T19:10:00.0-05:00"), *t);
  EXPECT_EQ(format_time(WallTime(-1s)), "1969-12-31T23:59:59Z");
  EXPECT_TRUE(parse_time("2024-02-29T00:00:00Z"));
}

TEST(Time, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "now", "2026-11-22", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-11-22T24:00:00Z",
        "2026-11-22T00:00:00", "2026-11-22T00:00:00Zx", "2026-11-22T00:00:00.Z", "2026-1-2T00:00:00Z"})
    EXPECT_FALSE(parse_time(bad)) << bad;
}

TEST(Duration, GoForms) {
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("100ms"), 100ms);
  EXPECT_EQ(parse_duration("-2m"), -2min);
  EXPECT_EQ(parse_duration("0"), 0ns);
  EXPECT_EQ(parse_duration("2us"), 2us);
  for (const char* bad : {"", "1", "h", "1x", "1h 2m", "1.s.", "99999999h"}) EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Duration, AsKubectlShowsAges) {
  struct Row {
    std::chrono::seconds d;
    const char* text;
  };
  for (auto [d, text] :
       {Row{-5s, "<invalid>"}, Row{0s, "0s"}, Row{119s, "119s"}, Row{120s, "2m"}, Row{183s, "3m3s"}, Row{599s, "9m59s"},
        Row{600s, "10m"}, Row{179min, "179m"}, Row{3h, "3h"}, Row{3h + 5min, "3h5m"}, Row{8h + 5min, "8h"},
        Row{47h, "47h"}, Row{48h, "2d"}, Row{51h, "2d3h"}, Row{24h * 8, "8d"}, Row{24h * 400, "400d"},
        Row{24h * 365 * 3 + 48h, "3y2d"}, Row{24h * 365 * 9, "9y"}})
    EXPECT_EQ(human_duration(d), text);
}

}  // namespace
}  // namespace lab::api
