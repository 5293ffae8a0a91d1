// Network addresses as values: IP (both families), prefix (CIDR) and MAC.
//
// Plain, comparable, cheap to copy. Text forms are those of RFC 5952 and RFC 4632; parse() gives nullopt on anything
// else, including IPv4 with leading zeros. Conversions never allocate except into the returned text.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lab {

class IpAddress {
 public:
  IpAddress() = default;  // no address: empty() is true
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress from_bytes(std::span<const std::uint8_t> bytes);  // 4 or 16 bytes in network order, else empty

  bool empty() const { return length_ == 0; }
  bool is_v4() const { return length_ == 4; }
  bool is_v6() const { return length_ == 16; }
  std::uint32_t v4_value() const;  // host order; 0 when it is not IPv4
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), length_}; }
  int bits() const { return length_ * 8; }
  int family() const;        // AF_INET, AF_INET6 or AF_UNSPEC
  std::string text() const;  // "" when empty
  auto operator<=>(const IpAddress&) const = default;

 private:
  std::uint8_t length_ = 0;
  std::array<std::uint8_t, 16> bytes_{};
};

// An address with a prefix length. network() clears the host bits.
struct Cidr {
  IpAddress address;
  int prefix = 0;

  static std::optional<Cidr> parse(std::string_view text);
  static Cidr host(IpAddress address) { return {address, address.bits()}; }
  bool empty() const { return address.empty(); }
  Cidr network() const;
  bool contains(const IpAddress& other) const;
  bool overlaps(const Cidr& other) const;
  IpAddress at(std::uint32_t offset) const;  // the offset-th IPv4 address of the network
  std::uint64_t size() const;                // number of IPv4 addresses
  std::string text() const;                  // "10.244.1.0/24"
  auto operator<=>(const Cidr&) const = default;
};

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  static std::optional<MacAddress> parse(std::string_view text);
  // A locally administered unicast address that depends on `seed` alone: a device made anew keeps its address.
  static MacAddress from_seed(std::string_view seed);
  bool empty() const { return *this == MacAddress{}; }
  std::string text() const;  // "02:1f:..."
  auto operator<=>(const MacAddress&) const = default;
};

}  // namespace lab
