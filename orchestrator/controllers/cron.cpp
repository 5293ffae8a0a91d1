#include "orchestrator/controllers/cron.h"

#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "orchestrator/api/time.h"

namespace lab::controllers {

namespace {

struct FieldRange {
  const char* name;
  int first, last;
  std::vector<std::string_view> names;  // for first, first + 1, ...
};

const FieldRange kMinutes{"minute", 0, 59, {}}, kHours{"hour", 0, 23, {}}, kDays{"day of month", 1, 31, {}},
    kMonths{"month", 1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
    kWeekDays{"day of week", 0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

Result<int> value_of(std::string_view text, const FieldRange& range) {
  std::string folded = lower(text);
  for (std::size_t i = 0; i < range.names.size(); ++i)
    if (folded == range.names[i]) return range.first + static_cast<int>(i);
  int out = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < range.first || out > range.last)
    return fail(Code::kInvalid, std::string("schedule: \"") + std::string(text) + "\" is no " + range.name);
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    auto at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == text.npos) return out;
    text.remove_prefix(at + 1);
  }
}

Result<void> add_part(std::string_view part, const FieldRange& range, std::bitset<64>& out) {
  int step = 1, first = range.first, last = range.last;
  auto slash = part.find('/');
  auto body = part.substr(0, slash);
  if (slash != part.npos) {
    auto text = part.substr(slash + 1);
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
    if (error != std::errc() || end != text.data() + text.size() || step < 1)
      return fail(Code::kInvalid, std::string("schedule: bad step in ") + range.name);
  }
  if (body != "*" && body != "?") {
    auto dash = body.find('-');
    LAB_TRY(first, value_of(body.substr(0, dash), range));
    if (dash != body.npos) {
      LAB_TRY(last, value_of(body.substr(dash + 1), range));
    } else if (slash == part.npos) {
      last = first;
    }
    if (first > last) return fail(Code::kInvalid, std::string("schedule: range runs backwards in ") + range.name);
  }
  for (int i = first; i <= last; i += step) out.set(static_cast<std::size_t>(i));
  return {};
}

Result<std::bitset<64>> parse_field(std::string_view text, const FieldRange& range) {
  std::bitset<64> out;
  for (auto part : split(text, ',')) LAB_CHECK(add_part(part, range, out));
  return out;
}

}  // namespace

Result<CronSchedule> CronSchedule::parse(std::string_view text) {
  CronSchedule out;
  if (text.starts_with("@every ")) {
    auto every = api::parse_duration(text.substr(7));
    if (!every || *every < std::chrono::seconds(1)) return fail(Code::kInvalid, "schedule: bad duration after @every");
    out.every_ = std::chrono::duration_cast<Duration>(*every);
    return out;
  }
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kShort{{
      {"@yearly", "0 0 1 1 *"},
      {"@annually", "0 0 1 1 *"},
      {"@monthly", "0 0 1 * *"},
      {"@weekly", "0 0 * * 0"},
      {"@daily", "0 0 * * *"},
      {"@midnight", "0 0 * * *"},
      {"@hourly", "0 * * * *"},
  }};
  for (auto [name, meaning] : kShort)
    if (text == name) text = meaning;
  std::vector<std::string_view> fields;
  for (auto field : split(text, ' '))
    if (!field.empty()) fields.push_back(field);
  if (fields.size() != 5)
    return fail(Code::kInvalid, "schedule: five fields are wanted, " + std::to_string(fields.size()) + " given",
                "minute hour day-of-month month day-of-week");
  LAB_TRY(out.minutes_, parse_field(fields[0], kMinutes));
  LAB_TRY(out.hours_, parse_field(fields[1], kHours));
  LAB_TRY(out.days_, parse_field(fields[2], kDays));
  LAB_TRY(out.months_, parse_field(fields[3], kMonths));
  LAB_TRY(out.week_days_, parse_field(fields[4], kWeekDays));
  auto any = [](std::string_view field) { return field.starts_with('*') || field.starts_with('?'); };
  out.any_day_ = any(fields[2]);
  out.any_week_day_ = any(fields[4]);
  return out;
}

// When both day fields are restricted either may match, as cron has always done.
bool CronSchedule::day_matches(int month_day, int week_day) const {
  bool day = days_.test(static_cast<std::size_t>(month_day)),
       week = week_days_.test(static_cast<std::size_t>(week_day));
  return any_day_ || any_week_day_ ? day && week : day || week;
}

std::optional<WallTime> CronSchedule::next(WallTime t) const {
  using namespace std::chrono;
  if (every_ > Duration::zero()) return floor<seconds>(t) + duration_cast<seconds>(every_);
  auto at = floor<minutes>(t) + minutes(1);
  const auto limit = at + days(8 * 366);
  while (at < limit) {
    auto day = floor<days>(at);
    year_month_day date{day};
    if (!months_.test(unsigned(date.month()))) {
      at = sys_days(year_month_day_last{date.year(), month_day_last{date.month()}}) + days(1);
      continue;
    }
    if (!day_matches(static_cast<int>(unsigned(date.day())), static_cast<int>(weekday(day).c_encoding()))) {
      at = day + days(1);
      continue;
    }
    auto hour = duration_cast<hours>(at - day).count();
    if (!hours_.test(static_cast<std::size_t>(hour))) {
      at = day + hours(hour + 1);
      continue;
    }
    auto minute = duration_cast<minutes>(at - day - hours(hour)).count();
    if (minutes_.test(static_cast<std::size_t>(minute))) return at;
    at += minutes(1);
  }
  return std::nullopt;
}

}  // namespace lab::controllers
