#include "base/netlink/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace lab {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[64];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = 0;
  std::uint8_t raw[16];
  if (inet_pton(AF_INET, buffer, raw) == 1) return from_bytes({raw, 4});
  if (inet_pton(AF_INET6, buffer, raw) == 1) return from_bytes({raw, 16});
  return std::nullopt;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  std::uint8_t raw[4] = {std::uint8_t(host_order >> 24), std::uint8_t(host_order >> 16), std::uint8_t(host_order >> 8),
                         std::uint8_t(host_order)};
  return from_bytes(raw);
}

IpAddress IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  IpAddress out;
  if (bytes.size() != 4 && bytes.size() != 16) return out;
  out.length_ = static_cast<std::uint8_t>(bytes.size());
  std::ranges::copy(bytes, out.bytes_.begin());
  return out;
}

std::uint32_t IpAddress::v4_value() const {
  if (!is_v4()) return 0;
  return std::uint32_t(bytes_[0]) << 24 | std::uint32_t(bytes_[1]) << 16 | std::uint32_t(bytes_[2]) << 8 | bytes_[3];
}

int IpAddress::family() const {
  return is_v4() ? AF_INET : is_v6() ? AF_INET6 : AF_UNSPEC;
}

std::string IpAddress::text() const {
  char buffer[INET6_ADDRSTRLEN];
  if (empty() || !inet_ntop(family(), bytes_.data(), buffer, sizeof buffer)) return {};
  return buffer;
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  auto digits = text.substr(slash + 1);
  int prefix = -1;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (error != std::errc{} || end != digits.data() + digits.size() || prefix < 0 || prefix > address->bits()) {
    return std::nullopt;
  }
  return Cidr{*address, prefix};
}

Cidr Cidr::network() const {
  std::array<std::uint8_t, 16> raw{};
  auto bytes = address.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    int keep = std::clamp(prefix - int(i) * 8, 0, 8);
    raw[i] = bytes[i] & static_cast<std::uint8_t>(0xff00 >> keep);
  }
  return {IpAddress::from_bytes({raw.data(), bytes.size()}), prefix};
}

bool Cidr::contains(const IpAddress& other) const {
  if (empty() || other.bits() != address.bits()) return false;
  return Cidr{other, prefix}.network() == network();
}

bool Cidr::overlaps(const Cidr& other) const {
  if (empty() || other.empty()) return false;
  return prefix <= other.prefix ? contains(other.address) : other.contains(address);
}

IpAddress Cidr::at(std::uint32_t offset) const {
  return IpAddress::v4(network().address.v4_value() + offset);
}

std::uint64_t Cidr::size() const {
  return address.is_v4() ? std::uint64_t{1} << (32 - prefix) : 0;
}

std::string Cidr::text() const {
  return address.text() + "/" + std::to_string(prefix);
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  MacAddress out;
  if (text.size() != 17) return std::nullopt;
  for (int i = 0; i < 6; ++i) {
    const char* at = text.data() + i * 3;
    auto [end, error] = std::from_chars(at, at + 2, out.bytes[i], 16);
    if (error != std::errc{} || end != at + 2 || (i < 5 && at[2] != ':')) return std::nullopt;
  }
  return out;
}

MacAddress MacAddress::from_seed(std::string_view seed) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (unsigned char c : seed) hash = (hash ^ c) * 1099511628211u;
  // FNV leaves the high bits alike for similar seeds: mix (MurmurHash3's finaliser).
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdu;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53u;
  hash ^= hash >> 33;
  MacAddress out;
  for (int i = 0; i < 6; ++i) out.bytes[i] = static_cast<std::uint8_t>(hash >> (8 * i));
  out.bytes[0] = (out.bytes[0] & 0xfc) | 0x02;
  return out;
}

std::string MacAddress::text() const {
  char buffer[18];
  std::snprintf(buffer, sizeof buffer, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3],
                bytes[4], bytes[5]);
  return buffer;
}

}  // namespace lab
