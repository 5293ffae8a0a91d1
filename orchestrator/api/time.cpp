#include "orchestrator/api/time.h"

#include <array>
#include <cstdio>

namespace lab::api {
namespace {

using namespace std::chrono;

std::string date_and_time(sys_seconds t) {
  auto day = floor<days>(t);
  year_month_day ymd(day);
  hh_mm_ss hms(t - day);
  std::array<char, 64> out{};
  std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(ymd.year()),
                static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                static_cast<int>(hms.hours().count()), static_cast<int>(hms.minutes().count()),
                static_cast<int>(hms.seconds().count()));
  return out.data();
}

// A cursor over the text; every step says whether it fitted.
struct Cursor {
  std::string_view text;
  bool digits(int count, int& value) {
    if (text.size() < static_cast<std::size_t>(count)) return false;
    value = 0;
    for (int i = 0; i < count; ++i) {
      char c = text[static_cast<std::size_t>(i)];
      if (c < '0' || c > '9') return false;
      value = value * 10 + (c - '0');
    }
    text.remove_prefix(static_cast<std::size_t>(count));
    return true;
  }
  bool one_of(std::string_view set) {
    if (text.empty() || set.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
  }
};

}  // namespace

std::string format_time(WallTime t) {
  return date_and_time(floor<seconds>(t)) + "Z";
}

std::string format_micro_time(WallTime t) {
  auto whole = floor<seconds>(t);
  auto micros = floor<microseconds>(t - whole).count();
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%06dZ", static_cast<int>(micros));
  return date_and_time(whole) + fraction.data();
}

std::optional<WallTime> parse_time(std::string_view text) {
  Cursor c{text};
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  bool head = c.digits(4, y) && c.one_of("-") && c.digits(2, mo) && c.one_of("-") && c.digits(2, d) &&
              c.one_of("Tt ") && c.digits(2, h) && c.one_of(":") && c.digits(2, mi) && c.one_of(":") && c.digits(2, s);
  year_month_day ymd{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  if (!head || !ymd.ok() || h > 23 || mi > 59 || s > 60) return std::nullopt;
  nanoseconds fraction{0};
  if (c.one_of(".")) {
    int digit = 0;
    std::int64_t scale = 100'000'000;
    if (!c.digits(1, digit)) return std::nullopt;
    do {
      fraction += nanoseconds(digit * scale);
      scale /= 10;
    } while (c.digits(1, digit));
  }
  seconds offset{0};
  if (!c.one_of("Zz")) {
    bool west = !c.text.empty() && c.text.front() == '-';
    int oh = 0, om = 0;
    if (!c.one_of("+-") || !c.digits(2, oh) || !c.one_of(":") || !c.digits(2, om) || oh > 23 || om > 59)
      return std::nullopt;
    offset = hours(oh) + minutes(om);
    if (west) offset = -offset;
  }
  if (!c.text.empty()) return std::nullopt;
  auto whole = sys_days(ymd) + hours(h) + minutes(mi) + seconds(s) - offset;
  return WallTime(whole) + duration_cast<WallTime::duration>(fraction);
}

std::optional<nanoseconds> parse_duration(std::string_view text) {
  bool negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  if (text == "0") return nanoseconds(0);
  if (text.empty()) return std::nullopt;
  long double total = 0;
  while (!text.empty()) {
    long double number = 0, scale = 1;
    bool any = false, point = false;
    while (!text.empty() && ((text[0] >= '0' && text[0] <= '9') || (text[0] == '.' && !point))) {
      if (text[0] == '.') {
        point = true;
      } else {
        any = true;
        number = number * 10 + (text[0] - '0');
        if (point) scale *= 10;
      }
      text.remove_prefix(1);
    }
    if (!any) return std::nullopt;
    struct Unit {
      std::string_view name;
      long double nanos;
    };
    // Longer names first: "ms" before "m".
    static constexpr Unit kUnits[] = {{"ns", 1},   {"us", 1e3}, {"\u00b5s", 1e3}, {"\u03bcs", 1e3},
                                      {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},      {"h", 3600e9}};
    const Unit* unit = nullptr;
    for (const auto& u : kUnits)
      if (!unit && text.starts_with(u.name)) unit = &u;
    if (!unit) return std::nullopt;
    text.remove_prefix(unit->name.size());
    total += number / scale * unit->nanos;
    if (total > 9.2e18L) return std::nullopt;
  }
  auto n = static_cast<std::int64_t>(total + 0.5L);
  return nanoseconds(negative ? -n : n);
}

std::string human_duration(seconds d) {
  std::int64_t s = d.count();
  auto two = [](std::int64_t a, const char* ua, std::int64_t b, const char* ub) {
    std::string out = std::to_string(a) + ua;
    return b == 0 ? out : out + std::to_string(b) + ub;
  };
  if (s < -1) return "<invalid>";
  if (s < 0) return "0s";
  if (s < 120) return std::to_string(s) + "s";
  std::int64_t m = s / 60, h = s / 3600;
  if (m < 10) return two(m, "m", s % 60, "s");
  if (m < 180) return std::to_string(m) + "m";
  if (h < 8) return two(h, "h", m % 60, "m");
  if (h < 48) return std::to_string(h) + "h";
  if (h < 24 * 8) return two(h / 24, "d", h % 24, "h");
  if (h < 24 * 365 * 2) return std::to_string(h / 24) + "d";
  if (h < 24 * 365 * 8) return two(h / 24 / 365, "y", h / 24 % 365, "d");
  return std::to_string(h / 24 / 365) + "y";
}

}  // namespace lab::api
