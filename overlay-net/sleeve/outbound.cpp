// From the TAP device to the peers.
#include <algorithm>
#include <array>
#include <cstring>

#include "overlay-net/sleeve/loop.h"

namespace lab::overlay {

using wire::Head;
using wire::Kind;

// Reads until the frame buffer is full or nothing is left. True when anything came.
bool Sleeve::Loop::pump_tap() {
  std::size_t used = 0;
  for (int i = 0; i < 128 && used + kMaxFrame <= kFrameBytes; ++i) {
    const auto n = read_frame(tap_, {&frames_[used], kMaxFrame});
    if (n == 0) break;
    Bytes bytes(&frames_[used], n);
    used += (bytes.size() + 63) / 64 * 64;
    if (auto frame = parse(bytes)) {
      send_frame(*frame);
    } else {
      ++counters_.unreadable;
    }
  }
  flush_out();
  return used > 0;
}

void Sleeve::Loop::send_frame(const Frame& frame) {
  auto* peer = peers_.responsible(frame.destination);
  if (!peer) {
    ++counters_.unreadable;
    return;
  }
  auto* session = peer->keys.sending();
  if (encrypts() && !session) {
    ++counters_.no_session;
    return;
  }
  ++peer->packets_sent;
  peer->bytes_sent += frame.packet.size();
  const auto room = peer->pmtu.size() - static_cast<unsigned>(overhead());
  Head head{.kind = Kind::kPacket,
            .flags = frame.needs_checksum ? wire::kNeedsChecksum : std::uint8_t(0),
            .from = options.self,
            .to = peer->peer.id};
  const bool fits = frame.packet.size() <= room;
  if (fits && (!frame.segment || frame.packet.size() - frame.headers <= frame.segment)) {
    return emit(*peer, session, head, {}, frame.packet);
  }
  if (!frame.headers) return send_fragments(*peer, frame, room);
  if (peer->trains && frame.segment) return send_train(*peer, session, frame);
  Segmenter cut(frame, room);
  std::array<std::uint8_t, kMaxHeaders> headers;
  for (unsigned i = 0; i < cut.count(); ++i) {
    auto payload = cut.segment(i, headers.data());
    emit(*peer, session, head, {headers.data(), frame.headers}, payload);
  }
}

// What is no TCP stream cannot be cut by its own rules.
void Sleeve::Loop::send_fragments(PeerState& peer, const Frame& frame, unsigned room) {
  const std::size_t piece = room - wire::FragmentHead::kSize;
  const auto total = static_cast<std::uint16_t>(frame.packet.size());
  const auto number = ++peer.fragmented;
  Head head{.kind = Kind::kFragment,
            .flags = frame.needs_checksum ? wire::kNeedsChecksum : std::uint8_t(0),
            .from = options.self,
            .to = peer.peer.id};
  for (std::size_t at = 0; at < total; at += piece) {
    std::array<std::uint8_t, wire::FragmentHead::kSize> f;
    write(wire::FragmentHead{number, static_cast<std::uint16_t>(at), total}, f.data());
    emit(peer, peer.keys.sending(), head, f, frame.packet.subspan(at, std::min(piece, total - at)));
  }
}

// One datagram of a and b. What is not sealed goes out from where it is; `a` is always copied.
void Sleeve::Loop::emit(PeerState& peer, Session* session, Head head, ConstBytes a, Bytes b) {
  const std::size_t copied = wire::kHead + a.size() + (session ? b.size() + wire::kTag : 0);
  if (made_used_ + copied > kMadeBytes) flush_out();
  auto* p = &made_[made_used_];
  made_used_ += (copied + 15) / 16 * 16;
  if (!session) {
    if (!a.empty()) std::memcpy(p + wire::kHead, a.data(), a.size());
    write(head, p);
    return out_->add(peer.next_hop(), {p, wire::kHead + a.size()}, {b.data(), b.size()});
  }
  head.flags |= wire::kSealed;
  head.key = session->id();
  head.counter = session->next_counter();
  const auto hops = std::exchange(head.hops, 0);
  write(head, p);
  auto* text = p + wire::kHead;
  auto* tag = text + a.size() + b.size();
  std::array<Session::Part, 2> parts{{{a.data(), text, a.size()}, {b.data(), text + a.size(), b.size()}}};
  auto wanted = std::span<const Session::Part>(parts);
  if (b.empty()) wanted = wanted.first(1);
  if (a.empty()) wanted = wanted.subspan(1);
  session->seal(head.counter, {p, wire::kHead}, wanted, tag);
  p[2] = hops;
  out_->add(peer.next_hop(), {p, copied});
}

void Sleeve::Loop::flush_out() {
  out_->flush();
  made_used_ = 0;
}

}  // namespace lab::overlay
