#include "overlay-net/sleeve/reassembly.h"

#include <algorithm>

namespace lab::overlay {

void Reassembly::give_up_oldest() {
  ++lost_[packets_.front().from];
  packets_.pop_front();
}

void Reassembly::forget(TimePoint now) {
  while (!packets_.empty() && now - packets_.front().since > limits_.patience) give_up_oldest();
}

std::uint32_t Reassembly::lost(const PeerName& from) const {
  auto at = lost_.find(from);
  return at == lost_.end() ? 0 : at->second;
}

std::optional<std::span<std::uint8_t>> Reassembly::add(const PeerName& from, const Piece& piece,
                                                       std::span<const std::uint8_t> bytes, TimePoint now) {
  if (bytes.empty() || piece.offset + bytes.size() > piece.total) return {};
  forget(now);
  auto at = std::ranges::find_if(packets_, [&](const Packet& p) { return p.number == piece.packet && p.from == from; });
  if (at == packets_.end()) {
    if (packets_.size() >= limits_.packets) give_up_oldest();
    packets_.push_back({from, piece.packet, now, std::vector<std::uint8_t>(piece.total), {}, 0});
    at = packets_.end() - 1;
  }
  if (at->bytes.size() != piece.total || std::ranges::find(at->offsets, piece.offset) != at->offsets.end()) return {};
  std::ranges::copy(bytes, at->bytes.begin() + static_cast<std::ptrdiff_t>(piece.offset));
  at->offsets.push_back(piece.offset);
  at->have += bytes.size();
  if (at->have < piece.total) return {};
  whole_ = std::move(at->bytes);
  packets_.erase(at);
  return std::span(whole_);
}

}  // namespace lab::overlay
