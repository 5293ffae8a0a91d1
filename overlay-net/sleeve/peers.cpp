#include "overlay-net/sleeve/peers.h"

#include <algorithm>

#include "base/crypto/digest.h"

namespace lab::overlay {
namespace {

const PeerName& id_of(const std::unique_ptr<PeerState>& p) {
  return p->peer.id;
}

}  // namespace

void PeerTable::assign(std::vector<SleevePeer> peers, const SleeveOptions& options) {
  std::vector<std::unique_ptr<PeerState>> next;
  for (auto& p : peers) {
    if (p.id == options.self || !p.underlay.is_v4()) continue;
    auto known = std::ranges::find_if(
        peers_, [&](const auto& k) { return k && k->peer.id == p.id && k->peer.underlay == p.underlay; });
    if (known != peers_.end()) {
      (*known)->peer = std::move(p);
      next.push_back(std::move(*known));
      continue;
    }
    next.push_back(std::make_unique<PeerState>(std::move(p), options.port, options.underlay_mtu - wire::kIpUdp,
                                               KeyRing::Limits{.age = options.rekey_after}));
    // Any beginning serves; a random one is not in use at a peer that remembers us from before a restart.
    next.back()->last_key = static_cast<std::uint8_t>(crypto::random_bytes(1)[0]);
  }
  std::ranges::sort(next, {}, id_of);
  const auto twins = std::ranges::unique(next, {}, id_of);  // two of one name: the mesh tells people
  next.erase(twins.begin(), twins.end());
  peers_ = std::move(next);
  index();
}

void PeerTable::index() {
  ranges_.clear();
  underlays_.clear();
  for (const auto& p : peers_) {
    underlays_.insert(p->address.sin_addr.s_addr);
    for (const auto& range : p->peer.ranges) {
      if (!range.address.is_v4()) continue;
      const auto first = range.network().address.v4_value();
      ranges_.push_back({first, static_cast<std::uint32_t>(first + range.size() - 1), p.get()});
    }
  }
  std::ranges::sort(ranges_, {}, &Range::first);
  set_next_hops(std::move(via_));
}

void PeerTable::set_next_hops(std::map<PeerName, PeerName> via) {
  via_ = std::move(via);
  for (const auto& p : peers_) {
    auto hop = via_.find(p->peer.id);
    auto* next = hop == via_.end() ? nullptr : find(hop->second);
    if (next == p.get()) next = nullptr;
    // Another way may carry more or less.
    if (next != p->via) p->pmtu.begin_anew();
    p->via = next;
  }
}

PeerState* PeerTable::find(const PeerName& id) const {
  auto at = std::ranges::lower_bound(peers_, id, {}, id_of);
  return at != peers_.end() && (*at)->peer.id == id ? at->get() : nullptr;
}

PeerState* PeerTable::responsible(std::uint32_t address) const {
  auto at = std::ranges::upper_bound(ranges_, address, {}, &Range::first);
  if (at == ranges_.begin()) return nullptr;
  --at;
  return address <= at->last ? at->peer : nullptr;
}

}  // namespace lab::overlay
