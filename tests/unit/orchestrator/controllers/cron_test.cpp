#include "orchestrator/controllers/cron.h"

#include <gtest/gtest.h>

#include "orchestrator/api/time.h"
#include "orchestrator/controllers/cronjob.h"

namespace lab::controllers {
namespace {

std::string next(const char* schedule, const char* after) {
  auto parsed = CronSchedule::parse(schedule);
  if (!parsed) return parsed.error().text();
  auto at = parsed->next(*api::parse_time(after));
  return at ? api::format_time(*at) : "never";
}

TEST(Cron, FindsTheNextTime) {
  EXPECT_EQ(next("*/15 * * * *", "2026-03-01T10:07:30Z"), "2026-03-01T10:15:00Z");
  EXPECT_EQ(next("*/15 * * * *", "2026-03-01T10:15:00Z"), "2026-03-01T10:30:00Z");
  EXPECT_EQ(next("0 9-17/4 * * mon-fri", "2026-03-06T13:30:00Z"), "2026-03-06T17:00:00Z");
  EXPECT_EQ(next("0 9-17/4 * * mon-fri", "2026-03-06T17:00:00Z"), "2026-03-09T09:00:00Z");
  EXPECT_EQ(next("30 4 29 2 *", "2026-01-01T00:00:00Z"), "2028-02-29T04:30:00Z");
  EXPECT_EQ(next("@monthly", "2026-12-31T23:59:59Z"), "2027-01-01T00:00:00Z");
  EXPECT_EQ(next("0 0 30 feb *", "2026-01-01T00:00:00Z"), "never");
  EXPECT_EQ(next("@every 90s", "2026-01-01T00:00:00Z"), "2026-01-01T00:01:30Z");
}

TEST(Cron, EitherDayFieldMatchesWhenBothAreRestricted) {
  EXPECT_EQ(next("0 0 13 * fri", "2026-03-01T00:00:00Z"), "2026-03-06T00:00:00Z");
  EXPECT_EQ(next("0 0 13 * *", "2026-03-01T00:00:00Z"), "2026-03-13T00:00:00Z");
}

TEST(Cron, RefusesWhatItCannotRead) {
  for (const char* bad :
       {"", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "a * * * *", "@never"})
    EXPECT_FALSE(CronSchedule::parse(bad)) << bad;
}

TEST(Cron, AfterALongPauseOnlyTheLastTimeCounts) {
  auto every_minute = CronSchedule::parse("* * * * *");
  int missed = 0;
  auto due = last_due(*every_minute, *api::parse_time("2026-01-01T00:00:00Z"), *api::parse_time("2026-03-01T00:00:30Z"),
                      missed);
  ASSERT_TRUE(due);
  EXPECT_EQ(api::format_time(*due), "2026-03-01T00:00:00Z");
  EXPECT_GT(missed, 100);
  EXPECT_FALSE(last_due(*every_minute, *api::parse_time("2026-01-01T00:00:00Z"),
                        *api::parse_time("2026-01-01T00:00:59Z"), missed));
}

}  // namespace
}  // namespace lab::controllers
