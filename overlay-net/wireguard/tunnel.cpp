#include "overlay-net/wireguard/tunnel.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/crypto/encoding.h"
#include "base/crypto/key_agreement.h"
#include "base/log.h"

namespace lab::overlay {

using State = WireguardOffer::State;

WireguardTunnel::WireguardTunnel(WireguardOptions options, TimePoint now)
    : options_(std::move(options)), change_(options_.key, now) {}

void WireguardTunnel::failed(const Error& e) {
  const bool absent = e.sys_errno == EOPNOTSUPP;
  const auto text = e.text();
  if (text != problem_) {
    if (absent) {
      log::info("this kernel has no WireGuard: packets are encrypted in user space");
    } else {
      log::warn("WireGuard cannot be used: packets are encrypted in user space", {{"reason", text}});
    }
  }
  problem_ = text;
  offer_ = {.state = absent ? State::kNoKernel : State::kFailed};
}

void WireguardTunnel::ensure(TimePoint now, bool safe) {
  // Each question makes the kernel look for a module.
  if (offer_.state == State::kNoKernel && now < ask_kernel_) return;
  ask_kernel_ = now + options_.ask_kernel_every;
  if (auto done = try_ensure(now, safe); !done) {
    state_ = {};
    failed(done.error());
    return;
  }
  if (!problem_.empty()) log::info("WireGuard can be used now");
  problem_.clear();
}

Result<void> WireguardTunnel::try_ensure(TimePoint now, bool safe) {
  if (!control_) {
    LAB_TRY(control_, Wireguard::open());
  }
  LAB_CHECK(control_->create(options_.device));
  LAB_TRY(state_, control_->read(options_.device));
  // A device that somebody deleted comes again with the key that peers know.
  auto key = !state_.private_key.empty() ? state_.private_key : private_key_;
  const bool anew = change_.step(now, safe);
  if (anew || key.empty()) key = crypto::x25519_generate().secret;
  if (key != state_.private_key || state_.port != options_.port) {
    LAB_CHECK(control_->set_key(options_.device, key, options_.port));
    LAB_TRY(state_, control_->read(options_.device));
    if (anew) log::info("WireGuard has a new key", {{"publicKey", crypto::base64_encode(state_.public_key)}});
  }
  private_key_ = state_.private_key;
  if (change_.draining()) {
    offer_ = {.state = State::kChanging};
  } else {
    offer_ = {.state = State::kReady, .port = options_.port, .key = state_.public_key};
  }
  return {};
}

std::map<std::string, WireguardOffer> WireguardTunnel::known(const std::vector<WireguardTarget>& peers) const {
  std::map<std::string, WireguardOffer> out;
  for (const auto& target : peers) {
    for (const auto& have : state_.peers) {
      const bool its = have.endpoint == target.underlay && !target.ranges.empty() &&
                       std::ranges::all_of(target.ranges, [&](const Cidr& r) {
                         return std::ranges::find(have.allowed_ips, r.network()) != have.allowed_ips.end();
                       });
      if (its) out[target.name] = {.state = State::kReady, .port = have.port, .key = have.public_key};
    }
  }
  return out;
}

std::vector<std::string> WireguardTunnel::set_peers(const std::vector<WireguardTarget>& targets) {
  remove_.clear();
  if (state_.public_key.empty()) return {};
  auto plan = plan_wireguard(state_, targets, options_.shared_secret);
  for (const auto& peer : plan.set) {
    // Its heartbeats will not be answered, so it stays with the sleeve.
    if (auto done = control_->set_peer(options_.device, peer); !done) plan.warnings.push_back(done.error().text());
  }
  remove_ = std::move(plan.remove);
  return std::move(plan.warnings);
}

void WireguardTunnel::prune() {
  for (const auto& key : std::exchange(remove_, {})) {
    auto done = control_->remove_peer(options_.device, key);
    if (!done) log::warn("a peer that is gone stays in the WireGuard device", {{"reason", done.error().text()}});
  }
}

}  // namespace lab::overlay
