#include "orchestrator/api/base64.h"

#include <array>
#include <cstdint>

namespace lab::api {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> kValues = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  return table;
}();

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    const std::size_t have = bytes.size() - i;
    out += kAlphabet[group >> 18];
    out += kAlphabet[group >> 12 & 63];
    out += have > 1 ? kAlphabet[group >> 6 & 63] : '=';
    out += have > 2 ? kAlphabet[group & 63] : '=';
  }
  return out;
}

Result<std::string> base64_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  int digits = 0, padding = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' || c == '\n') continue;
    const int value = kValues[static_cast<unsigned char>(c)];
    const bool pad = c == '=' && digits >= 2;
    if ((value < 0 && !pad) || (padding && !pad) || padding + digits == 4)
      return fail(Code::kBadRequest, "illegal base64 data at input byte " + std::to_string(i));
    if (pad) {
      ++padding;
    } else {
      group = group << 6 | static_cast<std::uint32_t>(value);
      ++digits;
    }
    if (digits == 4) {
      out += {static_cast<char>(group >> 16), static_cast<char>(group >> 8), static_cast<char>(group)};
      group = 0;
      digits = 0;
    }
  }
  if (digits + padding != 4 && digits + padding != 0)
    return fail(Code::kBadRequest, "illegal base64 data at input byte " + std::to_string(text.size()));
  if (digits == 2) out += static_cast<char>(group >> 4);
  if (digits == 3) out += {static_cast<char>(group >> 10), static_cast<char>(group >> 2)};
  return out;
}

}  // namespace lab::api
