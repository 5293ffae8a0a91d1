// From the peers to the TAP device, and on to other peers.
#include <algorithm>
#include <array>

#include "overlay-net/sleeve/loop.h"

namespace lab::overlay {

using wire::Head;
using wire::Kind;

bool Sleeve::Loop::pump_udp() {
  bool any = in_->receive([this](const sockaddr_in& from, Bytes datagram) { take_datagram(from, datagram); });
  // The buffers are used again after this.
  park_train();
  write_joined();
  on_->flush();
  flush_out();
  return any;
}

void Sleeve::Loop::take_datagram(const sockaddr_in& from, Bytes datagram) {
  if (train_.peer && continues_train(from, datagram)) return;
  auto head = wire::read(datagram);
  if (!head) {
    ++counters_.malformed;
    return;
  }
  auto* peer = peers_.find(head->from);
  if (!peer || !peers_.is_underlay(from.sin_addr.s_addr)) {
    ++counters_.unknown;
    return;
  }
  if (head->to != options.self) return forward(*head, datagram);
  if (head->kind == Kind::kTrain) return take_piece(*peer, from, *head, datagram);
  if (head->flags & wire::kSealed) {
    Bytes text;
    if (open_sealed(*peer, *head, datagram, text)) take_text(*peer, *head, text);
    return;
  }
  auto text = datagram.subspan(wire::kHead);
  switch (head->kind) {
    case Kind::kHello:
    case Kind::kHelloAnswer:
    case Kind::kNoSession:
      return take_handshake(*peer, *head, text);
    default:
      if (!encrypts()) return take_text(*peer, *head, text);
      ++counters_.refused;
  }
}

void Sleeve::Loop::forward(const Head& head, Bytes datagram) {
  auto* to = peers_.find(head.to);
  if (!to) {
    ++counters_.unknown;
  } else if (head.hops <= 1) {
    ++counters_.expired;
  } else {
    ++counters_.forwarded;
    datagram[2] = static_cast<std::uint8_t>(head.hops - 1);
    on_->add(to->next_hop(), {datagram.data(), datagram.size()});
  }
}

// The session that a sealed datagram is of; null when it is not to be read.
Session* Sleeve::Loop::session_of(PeerState& peer, const Head& head) {
  if (!encrypts()) {
    ++counters_.refused;
    return nullptr;
  }
  auto* session = peer.keys.receiving(head.key);
  if (session) return session;
  ++counters_.no_session;
  const auto now = std::chrono::steady_clock::now();
  if (now >= peer.next_hint) {
    peer.next_hint = now + std::chrono::seconds(1);
    send_control(peer, nullptr, Kind::kNoSession, {});
  }
  return nullptr;
}

bool Sleeve::Loop::open_sealed(PeerState& peer, const Head& head, Bytes datagram, Bytes& text) {
  auto* session = session_of(peer, head);
  if (!session) return false;
  text = datagram.subspan(wire::kHead, datagram.size() - wire::kHead - wire::kTag);
  std::array<std::uint8_t, wire::kHead> authenticated;
  std::copy_n(datagram.begin(), wire::kHead, authenticated.begin());
  authenticated[2] = 0;
  return accepted(peer, head,
                  session->open(head.counter, authenticated, text, datagram.data() + datagram.size() - wire::kTag));
}

bool Sleeve::Loop::accepted(PeerState& peer, const Head& head, Session::Opened how) {
  switch (how) {
    case Session::Opened::kForged:
      ++counters_.refused;
      return false;
    case Session::Opened::kReplayed:
      ++counters_.replayed;
      return false;
    case Session::Opened::kGood:
      break;
  }
  if (peer.keys.pending() && peer.keys.confirmed(head.key, std::chrono::steady_clock::now())) {
    ++counters_.rekeyed;
    set_problem(peer, "");
  }
  return true;
}

void Sleeve::Loop::take_text(PeerState& peer, const Head& head, Bytes text) {
  const bool needs_checksum = head.flags & wire::kNeedsChecksum;
  switch (head.kind) {
    case Kind::kPacket:
      return take_packet(peer, needs_checksum, text);
    case Kind::kFragment: {
      auto f = wire::read_fragment(text);
      if (!f) {
        ++counters_.malformed;
        return;
      }
      auto whole = fragments_.add(peer.peer.id, {f->packet, f->offset, f->total},
                                  text.subspan(wire::FragmentHead::kSize), std::chrono::steady_clock::now());
      if (!whole) return;
      take_packet(peer, needs_checksum, *whole);
      return write_joined();  // the buffer is the next packet's
    }
    case Kind::kProbe: {
      auto probe = wire::read_probe(text);
      if (!probe) {
        ++counters_.malformed;
        return;
      }
      note_trains(peer, probe->trains, std::chrono::steady_clock::now());
      if (encrypts()) peer.note = wire::read_note(text);
      auto* session = encrypts() ? peer.keys.sending() : nullptr;
      if (encrypts() && !session) return;
      return send_control(peer, session, Kind::kProbeAnswer, text.first(wire::Probe::kSize));
    }
    case Kind::kProbeAnswer: {
      auto probe = wire::read_probe(text);
      if (!probe || probe->number > peer.probes) {
        ++counters_.malformed;
        return;
      }
      peer.pmtu.answered(probe->size);
      peer.heard = std::chrono::steady_clock::now();
      peer.was_heard = true;
      return;
    }
    default:
      ++counters_.malformed;
  }
}

void Sleeve::Loop::take_packet(PeerState& peer, bool needs_checksum, Bytes packet) {
  auto frame = parse_packet(packet, needs_checksum);
  if (!frame) {
    ++counters_.malformed;
    return;
  }
  if (peers_.responsible(frame->source) != &peer) {
    ++counters_.foreign;
    return;
  }
  ++peer.packets_received;
  peer.bytes_received += packet.size();
  if (joined_.add(*frame)) return;
  write_joined();
  joined_.add(*frame);
}

void Sleeve::Loop::write_joined() {
  if (joined_.empty()) return;
  const auto parts = joined_.take();
  const auto& head = *static_cast<const VirtioHead*>(parts[0].iov_base);
  if (!write_frame(tap_, head, parts.subspan(1))) ++counters_.undelivered;
}

}  // namespace lab::overlay
