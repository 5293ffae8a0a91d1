// Addresses of this machine and of ranges, for choosing and checking what a cluster is built on. IPv4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::bootstrap {

struct AddressRange {
  std::uint32_t base = 0;        // host order
  int prefix = 0;
  std::string text() const;
  std::string nth(std::uint32_t n) const;      // base + n
  std::uint64_t size() const { return 1ull << (32 - prefix); }
  bool contains(std::uint32_t address) const;
};
Result<AddressRange> parse_range(std::string_view text);            // "10.96.0.0/12"
Result<std::uint32_t> parse_address(std::string_view text);
std::string address_text(std::uint32_t address);

// The address from which this machine reaches the world, or its network neighbours where it has no default route.
struct ChosenAddress {
  std::string address;
  std::string why;               // "source address of the default route through eth0"
};
Result<ChosenAddress> choose_advertise_address();
// The address from which this machine reaches `host` (a name or an address), which is by which that host and its
// neighbours reach this machine: where the default route leads through another network (a VM's NAT), not the one above.
// Without a way to it, as choose_advertise_address().
Result<ChosenAddress> choose_address_towards(const std::string& host);
bool is_local_address(const std::string& address);
std::string host_name();         // lower case

}  // namespace lab::bootstrap
