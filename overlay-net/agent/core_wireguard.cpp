// WireGuard's part of AgentCore: the device between what peers tell (path) and the routes (datapath).
#include "base/crypto/encoding.h"
#include "overlay-net/agent/core.h"

namespace lab::overlay {
namespace {

std::vector<WireguardTarget> targets_of(const std::vector<Peer>& peers) {
  std::vector<WireguardTarget> out;
  for (const auto& p : peers) {
    if (!p.underlay.is_v4() || !p.pod_cidr.address.is_v4()) continue;
    WireguardTarget t{.name = p.name, .underlay = p.underlay, .ranges = p.ranges};
    t.ranges.push_back(p.pod_cidr);
    out.push_back(std::move(t));
  }
  return out;
}

}  // namespace

// Before the datapath moves routes: who shall be reached through the device is in it by then.
void AgentCore::prepare_wireguard(const std::vector<Peer>& peers) {
  if (!paths_ || !paths_->encrypts()) return;
  const auto now = std::chrono::steady_clock::now();
  const bool first = !wireguard_;
  if (first) {
    wireguard_.emplace(WireguardOptions{.port = options_.port, .shared_secret = paths_->shared_secret()}, now);
  }
  wireguard_->ensure(now, paths_->may_leave_wireguard());
  auto targets = targets_of(peers);
  if (first) paths_->adopt(wireguard_->known(targets));
  paths_->offer_wireguard(wireguard_->offer(), wireguard_->problem());
  auto offers = paths_->wireguard_offers();
  std::erase_if(targets, [&](WireguardTarget& t) {
    auto& offer = offers[t.name];
    t.key = offer.key;
    t.port = offer.port;
    return offer.state != WireguardOffer::State::kReady;
  });
  wireguard_warnings_ = wireguard_->set_peers(targets);
  datapath_->use_wireguard(paths_->by_wireguard());
}

bool AgentCore::changes_key() const {
  std::lock_guard lock(mutex_);
  return wireguard_ && wireguard_->draining();
}

Result<void> AgentCore::change_key() {
  std::lock_guard lock(mutex_);
  if (wireguard_ && wireguard_->offer().state == WireguardOffer::State::kReady) {
    wireguard_->change_key();
    return {};
  }
  if (!paths_ || !paths_->encrypts()) return fail(Code::kConflict, "this node does not encrypt pods' packets");
  return fail(Code::kConflict,
              "this node has no WireGuard key" +
                  (wireguard_ ? ": " + obstacle(wireguard_->offer(), {}, wireguard_->problem()) : ""),
              "the keys of the way through user space change by themselves, every ten minutes");
}

json::Value AgentCore::wireguard_status() const {
  const auto& offer = wireguard_->offer();
  json::Object out{{"device", kWireguardDevice}, {"port", options_.port}};
  if (offer.state == WireguardOffer::State::kReady) {
    out["publicKey"] = crypto::base64_encode(offer.key);
  } else {
    out["why"] = obstacle(offer, {}, wireguard_->problem());
  }
  return out;
}

}  // namespace lab::overlay
