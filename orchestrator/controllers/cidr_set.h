// CidrSet: hands out equal-sized subnets of a network, IPv4 or IPv6. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::controllers {

struct Cidr {
  unsigned __int128 base = 0;
  int bits = 0;  // prefix length
  bool ipv6 = false;
  static Result<Cidr> parse(std::string_view text);  // "10.244.0.0/16"; host bits are cleared
  std::string text() const;
  auto operator<=>(const Cidr&) const = default;
};

class CidrSet {
 public:
  // node_bits: prefix length of each subnet, at least the network's and at most 16 bits longer.
  static Result<CidrSet> make(const std::string& network, int node_bits);
  std::optional<std::string> allocate();  // the lowest free one; nullopt when all are taken
  void occupy(std::string_view cidr);     // also all subnets that it overlaps
  void release(std::string_view cidr);
  bool ipv6() const { return network_.ipv6; }
  std::size_t used() const { return used_.size(); }

 private:
  std::optional<std::pair<std::uint32_t, std::uint32_t>> range_of(std::string_view cidr) const;  // first, last index
  Cidr network_;
  int node_bits_ = 24;
  std::uint32_t count_ = 0;
  std::set<std::uint32_t> used_;
};

}  // namespace lab::controllers
