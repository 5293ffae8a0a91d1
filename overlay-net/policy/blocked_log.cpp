#include "overlay-net/policy/blocked_log.h"

namespace lab::overlay::policy {

std::optional<BlockedPacket> blocked_packet(const LoggedPacket& packet) {
  BlockedPacket out;
  if (packet.prefix == text(Direction::kIngress)) {
    out.direction = Direction::kIngress;
  } else if (packet.prefix == text(Direction::kEgress)) {
    out.direction = Direction::kEgress;
  } else {
    return std::nullopt;
  }
  // RFC 791: version and header length, protocol at 9, addresses at 12 and 16. All protocols with ports begin with
  // them.
  const auto& b = packet.payload;
  if (b.size() < 20 || b[0] >> 4 != 4) return std::nullopt;
  std::size_t header = static_cast<std::size_t>(b[0] & 0xf) * 4;
  if (header < 20) return std::nullopt;
  out.protocol = b[9];
  out.source = IpAddress::from_bytes({b.data() + 12, 4});
  out.destination = IpAddress::from_bytes({b.data() + 16, 4});
  bool ports = out.protocol == IPPROTO_TCP || out.protocol == IPPROTO_UDP || out.protocol == IPPROTO_SCTP;
  if (ports && b.size() >= header + 4) out.port = static_cast<std::uint16_t>(b[header + 2] << 8 | b[header + 3]);
  return out;
}

std::vector<std::string> BlockedLog::take(const Model& model, const BlockedPacket& packet, TimePoint now) {
  std::vector<std::string> out;
  ++packets_;
  if (now - window_ >= kWindow) {
    if (left_out_ > 0)
      out.push_back("policy: " + std::to_string(left_out_) + " more blocked connections were not listed");
    window_ = now;
    lines_ = left_out_ = 0;
  }
  if (told_.size() >= kRemembered) std::erase_if(told_, [&](const auto& t) { return now - t.second.at >= kAgain; });
  if (told_.size() >= kRemembered) told_.clear();
  auto [at, fresh] = told_.try_emplace(packet, Told{now, 0});
  auto& told = at->second;
  if (!fresh && now - told.at < kAgain) {
    ++told.since;
    return out;
  }
  if (lines_ >= kBurst) {
    ++left_out_;
    if (fresh) told_.erase(at);
    return out;
  }
  ++lines_;
  Flow flow{.source = {packet.source, model.pod_at(packet.source)},
            .destination = {packet.destination, model.pod_at(packet.destination)},
            .protocol = packet.protocol,
            .port = packet.port};
  auto line = blocked_text(model, packet.direction, flow);
  if (!fresh && told.since > 0) line += " (" + std::to_string(told.since) + " more packets since it was last told)";
  told = {now, 0};
  out.push_back(std::move(line));
  return out;
}

}  // namespace lab::overlay::policy
