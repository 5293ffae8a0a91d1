#include "orchestrator/controllers/cidr_set.h"

#include <arpa/inet.h>

#include <charconv>

namespace lab::controllers {

namespace {
int width(const Cidr& c) {
  return c.ipv6 ? 128 : 32;
}
}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  auto bad = [&] { return fail(Code::kInvalid, "\"" + std::string(text) + "\" is no network such as 10.244.0.0/16"); };
  auto slash = text.find('/');
  if (slash == text.npos) return bad();
  std::string address(text.substr(0, slash));
  Cidr out;
  out.ipv6 = address.find(':') != std::string::npos;
  unsigned char bytes[16] = {};
  if (inet_pton(out.ipv6 ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1) return bad();
  for (int i = 0; i < (out.ipv6 ? 16 : 4); ++i) out.base = out.base << 8 | bytes[i];
  auto tail = text.substr(slash + 1);
  auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), out.bits);
  if (error != std::errc() || end != tail.data() + tail.size() || out.bits < 0 || out.bits > width(out)) return bad();
  int host = width(out) - out.bits;
  out.base = host >= 128 ? 0 : out.base >> host << host;
  return out;
}

std::string Cidr::text() const {
  unsigned char bytes[16] = {};
  int n = ipv6 ? 16 : 4;
  for (int i = 0; i < n; ++i) bytes[i] = static_cast<unsigned char>(base >> (8 * (n - 1 - i)));
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(ipv6 ? AF_INET6 : AF_INET, bytes, buffer, sizeof buffer);
  return std::string(buffer) + "/" + std::to_string(bits);
}

Result<CidrSet> CidrSet::make(const std::string& network, int node_bits) {
  CidrSet set;
  LAB_TRY(set.network_, Cidr::parse(network));
  if (node_bits < set.network_.bits || node_bits > width(set.network_) || node_bits - set.network_.bits > 16)
    return fail(Code::kInvalid,
                "subnets of /" + std::to_string(node_bits) + " cannot be cut out of the pod network " + network,
                "the node mask must be 0 to 16 bits longer than the network's");
  set.node_bits_ = node_bits;
  set.count_ = 1u << (node_bits - set.network_.bits);
  return set;
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> CidrSet::range_of(std::string_view text) const {
  auto cidr = Cidr::parse(text);
  if (!cidr || cidr->ipv6 != network_.ipv6) return std::nullopt;
  int total = width(network_), shift = total - node_bits_;
  auto prefix_of = [&](unsigned __int128 base, int bits) { return bits == 0 ? 0 : base >> (total - bits); };
  if (cidr->bits < network_.bits) {
    // Larger than the whole: either it covers all or nothing.
    if (prefix_of(network_.base, cidr->bits) != prefix_of(cidr->base, cidr->bits)) return std::nullopt;
    return std::pair{0u, count_ - 1};
  }
  if (prefix_of(cidr->base, network_.bits) != prefix_of(network_.base, network_.bits)) return std::nullopt;
  auto first = static_cast<std::uint32_t>((cidr->base - network_.base) >> shift);
  std::uint32_t covered = cidr->bits >= node_bits_ ? 1u : 1u << (node_bits_ - cidr->bits);
  return std::pair{first, first + covered - 1};
}

std::optional<std::string> CidrSet::allocate() {
  std::uint32_t index = 0;
  for (auto used : used_) {
    if (used != index) break;
    ++index;
  }
  if (index >= count_) return std::nullopt;
  used_.insert(index);
  Cidr out = network_;
  out.bits = node_bits_;
  out.base += static_cast<unsigned __int128>(index) << (width(network_) - node_bits_);
  return out.text();
}

void CidrSet::occupy(std::string_view cidr) {
  if (auto range = range_of(cidr))
    for (std::uint32_t i = range->first; i <= range->second; ++i) used_.insert(i);
}

void CidrSet::release(std::string_view cidr) {
  if (auto range = range_of(cidr))
    for (std::uint32_t i = range->first; i <= range->second; ++i) used_.erase(i);
}

}  // namespace lab::controllers
