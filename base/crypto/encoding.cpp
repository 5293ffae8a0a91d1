#include "base/crypto/encoding.h"

#include <array>
#include <cstdint>

namespace lab::crypto {

namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encode(std::string_view bytes, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  std::size_t i = 0;
  while (i < bytes.size()) {
    std::uint32_t group = 0;
    int count = 0;
    for (; count < 3 && i < bytes.size(); ++count, ++i) group = (group << 8) | static_cast<unsigned char>(bytes[i]);
    group <<= 8 * (3 - count);
    for (int k = 0; k <= count; ++k) out += alphabet[(group >> (18 - 6 * k)) & 63];
    if (pad) out.append(static_cast<std::size_t>(3 - count), '=');
  }
  return out;
}

Result<std::string> decode(std::string_view text, std::string_view alphabet) {
  std::array<std::int8_t, 256> value;
  value.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    value[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int have = 0;
  std::size_t digits = 0, padding = 0;
  for (char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    int v = value[static_cast<unsigned char>(c)];
    if (v < 0 || padding > 0) return fail(Code::kBadRequest, "invalid base64 text");
    ++digits;
    bits = (bits << 6) | static_cast<std::uint32_t>(v);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out += static_cast<char>((bits >> have) & 0xff);
    }
  }
  if (digits % 4 == 1 || padding > 2) return fail(Code::kBadRequest, "invalid base64 text: wrong length");
  return out;
}

}  // namespace

std::string base64_encode(std::string_view bytes) { return encode(bytes, kStandard, true); }
Result<std::string> base64_decode(std::string_view text) { return decode(text, kStandard); }
std::string base64url_encode(std::string_view bytes) { return encode(bytes, kUrlSafe, false); }
Result<std::string> base64url_decode(std::string_view text) { return decode(text, kUrlSafe); }

std::string hex_encode(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

}  // namespace lab::crypto
