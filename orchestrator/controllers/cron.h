// Cron schedules as CronJobs write them: five fields, names, lists, ranges, steps, and @hourly and its like (UTC).
#pragma once

#include <bitset>
#include <optional>
#include <string_view>

#include "base/io/loop.h"
#include "base/result.h"

namespace lab::controllers {

class CronSchedule {
 public:
  // Invalid names the field that cannot be read.
  static Result<CronSchedule> parse(std::string_view text);
  // The first time after `t` (whole minutes); nullopt when there is none within eight years (30 February).
  std::optional<WallTime> next(WallTime t) const;

 private:
  bool day_matches(int month_day, int week_day) const;
  std::bitset<64> minutes_, hours_, days_, months_, week_days_;
  bool any_day_ = false, any_week_day_ = false;  // the field begins with *
  Duration every_{};                             // of "@every 90s"; zero otherwise
};

}  // namespace lab::controllers
