#include "overlay-net/wireguard/offer.h"

#include <algorithm>

#include "base/netlink/wireguard.h"

namespace lab::overlay {

using State = WireguardOffer::State;

std::string encode(const WireguardOffer& offer) {
  std::string out(1, static_cast<char>(offer.state));
  if (offer.state != State::kReady) return out;
  out += static_cast<char>(offer.port >> 8);
  out += static_cast<char>(offer.port);
  return out + offer.key;
}

WireguardOffer decode_offer(std::string_view note) {
  if (note.empty() || static_cast<std::uint8_t>(note[0]) > static_cast<std::uint8_t>(State::kChanging)) return {};
  WireguardOffer out{.state = static_cast<State>(note[0])};
  if (out.state != State::kReady) return out;
  if (note.size() != 3 + kWireguardKeyBytes) return {};
  out.port = static_cast<std::uint16_t>(static_cast<std::uint8_t>(note[1]) << 8 | static_cast<std::uint8_t>(note[2]));
  out.key = note.substr(3);
  if (out.port == 0 || std::ranges::all_of(out.key, [](char c) { return c == 0; })) return {};
  return out;
}

std::string obstacle(const WireguardOffer& own, const WireguardOffer& peers, const std::string& problem) {
  switch (own.state) {
    case State::kReady:
      break;
    case State::kSilent:
      return "WireGuard is not set up yet";
    case State::kNoKernel:
      return "this kernel has no WireGuard";
    case State::kFailed:
      return "WireGuard: " + problem;
    case State::kChanging:
      return "this node changes its WireGuard key";
  }
  switch (peers.state) {
    case State::kReady:
      break;
    case State::kSilent:
      return "it has not told a WireGuard key";
    case State::kNoKernel:
      return "its kernel has no WireGuard";
    case State::kFailed:
      return "it could not set up WireGuard, and says there why";
    case State::kChanging:
      return "it changes its WireGuard key";
  }
  return {};
}

}  // namespace lab::overlay
