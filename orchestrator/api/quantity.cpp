#include "orchestrator/api/quantity.h"

#include <charconv>
#include <limits>

namespace lab::api {
namespace {

using Wide = __int128;
constexpr Wide kNano = 1'000'000'000;
// Larger values are held at this limit; 2^63 - 1 whole units is where Kubernetes stops too.
constexpr Wide kLimit = Wide(std::numeric_limits<std::int64_t>::max()) * kNano;

constexpr Wide kKept = Wide(1'000'000'000) * 1'000'000'000;

Wide clamp(Wide v) {
  return v > kLimit ? kLimit : v < -kLimit ? -kLimit : v;
}

// Rounds away from zero, as Quantity does when precision is lost.
Wide div_up(Wide v, Wide by) {
  Wide q = v / by;
  if (v % by != 0) q += v > 0 ? 1 : -1;
  return q;
}

std::int64_t narrow(Wide v) {
  constexpr Wide max = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(v > max ? max : v < -max ? -max : v);
}

std::string text_of(Wide v) {
  return std::to_string(static_cast<std::int64_t>(v));
}

struct Suffix {
  std::string_view name;
  int power;  // of 10, or of 1024 for binary ones
};
constexpr Suffix kDecimal[] = {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
                               {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18}};
constexpr Suffix kBinary[] = {{"Ki", 1}, {"Mi", 2}, {"Gi", 3}, {"Ti", 4}, {"Pi", 5}, {"Ei", 6}};

Failure malformed() {
  return fail(Code::kInvalid,
              "quantities must match the regular expression "
              "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

// Digits as an integer and how many of them stand after the point.
struct Mantissa {
  Wide digits = 0;
  int fraction = 0;
  bool rest = false;  // non-zero digits too fine to keep
};

Wide scale(Mantissa m, Wide unit, int power10) {
  // value = digits * 10^(power10 - fraction) * unit, in nano.
  int exponent = 9 + power10 - m.fraction;
  Wide v = m.digits * unit;  // below 10^19 * 2^60: no overflow
  bool lost = m.rest;
  for (; exponent > 0 && v != 0; --exponent) {
    if (v > kLimit) return kLimit;
    v *= 10;
  }
  for (; exponent < 0 && v != 0; ++exponent) {
    lost = lost || v % 10 != 0;
    v /= 10;
  }
  return clamp(lost ? v + 1 : v);
}

}  // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
  std::size_t i = 0;
  bool negative = false;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) negative = text[i++] == '-';
  Mantissa m;
  bool any = false, point = false;
  for (; i < text.size() && ((text[i] >= '0' && text[i] <= '9') || text[i] == '.'); ++i) {
    if (text[i] == '.') {
      if (point) return malformed();
      point = true;
      continue;
    }
    any = true;
    int digit = text[i] - '0';
    if (m.digits >= kKept) {  // 19 digits are kept; later ones only matter by their place
      if (!point) m.fraction--;
      m.rest = m.rest || digit != 0;
      continue;
    }
    m.digits = m.digits * 10 + digit;
    if (point) m.fraction++;
  }
  if (!any) return malformed();

  std::string_view suffix = text.substr(i);
  Quantity q;
  Wide unit = 1;
  int power = 0;
  bool known = false;
  for (const auto& s : kDecimal)
    if (s.name == suffix) {
      known = true;
      power = s.power;
    }
  for (const auto& s : kBinary)
    if (s.name == suffix) {
      known = true;
      q.format_ = kBinarySI;
      unit = Wide(1) << (10 * s.power);
    }
  if (!known && suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    std::string_view digits = suffix.substr(suffix[1] == '+' ? 2 : 1);
    auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), power);
    if (ec != std::errc() || end != digits.data() + digits.size() || power > 1000 || power < -1000)
      return fail(Code::kInvalid, "unable to parse quantity's suffix");
    q.format_ = kDecimalExponent;
    known = true;
  }
  if (!known)
    return suffix.find_first_not_of("eEinumkKMGTP+-0123456789") == std::string_view::npos
               ? fail(Code::kInvalid, "unable to parse quantity's suffix")
               : malformed();
  q.nano_ = scale(m, unit, power);
  if (negative) q.nano_ = -q.nano_;
  return q;
}

Quantity Quantity::from_milli(std::int64_t milli, bool binary) {
  Quantity q;
  q.nano_ = clamp(Wide(milli) * 1'000'000);
  q.format_ = binary ? kBinarySI : kDecimalSI;
  return q;
}

std::int64_t Quantity::milli() const {
  return narrow(div_up(nano_, 1'000'000));
}
std::int64_t Quantity::value() const {
  return narrow(div_up(nano_, kNano));
}

std::string Quantity::canonical() const {
  if (nano_ == 0) return "0";
  Format format = format_;
  // Small or fractional amounts read better, and stay exact, in decimal.
  if (format == kBinarySI && ((nano_ > -1024 * kNano && nano_ < 1024 * kNano) || nano_ % kNano != 0))
    format = kDecimalSI;
  if (format == kBinarySI) {
    Wide v = nano_ / kNano;
    int power = 0;
    while (v % 1024 == 0 && power < 6) {
      v /= 1024;
      ++power;
    }
    return text_of(v) + (power == 0 ? "" : std::string(kBinary[power - 1].name));
  }
  Wide v = nano_;
  int exponent = -9;
  while (v % 1000 == 0 && exponent < 18) {
    v /= 1000;
    exponent += 3;
  }
  if (format == kDecimalExponent) return text_of(v) + (exponent == 0 ? "" : "e" + std::to_string(exponent));
  return text_of(v) + std::string(kDecimal[(exponent + 9) / 3].name);
}

Quantity Quantity::operator+(const Quantity& other) const {
  Quantity q;
  q.nano_ = clamp(nano_ + other.nano_);
  q.format_ = is_zero() ? other.format_ : format_;  // 0 + 1Gi is 1Gi
  return q;
}

Quantity Quantity::operator-(const Quantity& other) const {
  Quantity q;
  q.nano_ = clamp(nano_ - other.nano_);
  q.format_ = is_zero() ? other.format_ : format_;
  return q;
}

}  // namespace lab::api
