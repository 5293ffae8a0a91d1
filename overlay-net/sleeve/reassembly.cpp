#include "overlay-net/sleeve/reassembly.h"

#include <algorithm>

namespace lab::overlay {

std::optional<std::span<std::uint8_t>> Reassembly::add(const PeerName& from, const wire::FragmentHead& head,
                                                       std::span<const std::uint8_t> bytes, TimePoint now) {
  if (bytes.empty() || head.offset + bytes.size() > head.total) return {};
  while (!packets_.empty() && now - packets_.front().since > kPatience) packets_.pop_front();
  auto at = std::ranges::find_if(packets_, [&](const Packet& p) { return p.number == head.packet && p.from == from; });
  if (at == packets_.end()) {
    if (packets_.size() >= kPackets) packets_.pop_front();
    packets_.push_back({from, head.packet, now, std::vector<std::uint8_t>(head.total), {}, 0});
    at = packets_.end() - 1;
  }
  if (at->bytes.size() != head.total || std::ranges::find(at->offsets, head.offset) != at->offsets.end()) return {};
  std::ranges::copy(bytes, at->bytes.begin() + head.offset);
  at->offsets.push_back(head.offset);
  at->have += bytes.size();
  if (at->have < head.total) return {};
  whole_ = std::move(at->bytes);
  packets_.erase(at);
  return std::span(whole_);
}

}  // namespace lab::overlay
