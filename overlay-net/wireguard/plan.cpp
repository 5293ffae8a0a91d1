#include "overlay-net/wireguard/plan.h"

#include <algorithm>
#include <map>

#include "base/crypto/key_agreement.h"

namespace lab::overlay {
namespace {

std::vector<Cidr> in_order(std::vector<Cidr> ranges) {
  for (auto& r : ranges) r = r.network();
  std::ranges::sort(ranges);
  ranges.erase(std::ranges::unique(ranges).begin(), ranges.end());
  return ranges;
}

const WireguardPeer* find(const WireguardState& state, const std::string& key) {
  auto at = std::ranges::find(state.peers, key, &WireguardPeer::public_key);
  return at == state.peers.end() ? nullptr : &*at;
}

bool same(const WireguardPeer& a, const WireguardPeer& b) {
  return a.preshared_key == b.preshared_key && a.endpoint == b.endpoint && a.port == b.port &&
         in_order(a.allowed_ips) == in_order(b.allowed_ips);
}

// Those that have their ranges in the device already come first: a newcomer cannot take them away.
std::vector<WireguardTarget> incumbents_first(const WireguardState& now, const std::vector<WireguardTarget>& targets) {
  std::vector<WireguardTarget> out, newcomers;
  for (const auto& t : targets) {
    const auto* have = find(now, t.key);
    const bool incumbent = have && std::ranges::any_of(t.ranges, [&](const Cidr& r) {
                             return std::ranges::find(have->allowed_ips, r.network()) != have->allowed_ips.end();
                           });
    (incumbent ? out : newcomers).push_back(t);
  }
  out.insert(out.end(), newcomers.begin(), newcomers.end());
  return out;
}

}  // namespace

std::string preshared_key(const std::string& shared_secret, const std::string& one_key, const std::string& other_key) {
  if (shared_secret.empty()) return {};
  const auto& [low, high] = std::minmax(one_key, other_key);
  return crypto::hkdf_sha256(shared_secret, "", "lab overlay wireguard 1" + low + high, kWireguardKeyBytes);
}

WireguardPlan plan_wireguard(const WireguardState& now, const std::vector<WireguardTarget>& wanted,
                             const std::string& shared_secret) {
  WireguardPlan out;
  std::map<std::string, std::string> owner;  // of a key; "": more than one
  for (const auto& t : wanted) {
    auto [at, fresh] = owner.emplace(t.key, t.name);
    if (!fresh) at->second.clear();
  }
  std::vector<std::pair<Cidr, std::string>> taken;
  std::vector<std::string> kept;
  for (const auto& t : incumbents_first(now, wanted)) {
    std::string why;
    if (t.key.size() != kWireguardKeyBytes || t.key == now.public_key || owner[t.key].empty()) {
      why = "its WireGuard key is another node's";
    }
    for (const auto& r : t.ranges) {
      for (const auto& [other, whose] : taken) {
        if (why.empty() && r.overlaps(other))
          why = "its range " + r.text() + " overlaps " + other.text() + " of " + whose;
      }
    }
    if (!why.empty()) {
      out.warnings.push_back("peer " + t.name + " is not reached through WireGuard: " + why);
      continue;
    }
    for (const auto& r : t.ranges) taken.emplace_back(r, t.name);
    WireguardPeer peer{.public_key = t.key,
                       .preshared_key = preshared_key(shared_secret, now.public_key, t.key),
                       .endpoint = t.underlay,
                       .port = t.port,
                       .allowed_ips = in_order(t.ranges)};
    kept.push_back(t.key);
    const auto* have = find(now, t.key);
    if (!have || !same(*have, peer)) out.set.push_back(std::move(peer));
  }
  for (const auto& p : now.peers) {
    if (std::ranges::find(kept, p.public_key) == kept.end()) out.remove.push_back(p.public_key);
  }
  return out;
}

}  // namespace lab::overlay
