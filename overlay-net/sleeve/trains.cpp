// TCP super-packets that go whole: out of the TAP, sealed once, in pieces over the wire, and into the other TAP as they
// were. What comes in one go is opened straight from the receive buffers.
#include <algorithm>
#include <array>
#include <cstring>

#include "overlay-net/sleeve/loop.h"

namespace lab::overlay {

using wire::Head;
using wire::Kind;
using wire::TrainHead;

void Sleeve::Loop::send_train(PeerState& peer, Session* session, const Frame& frame) {
  constexpr std::size_t kHeads = wire::kHead + TrainHead::kSize;
  const std::size_t size = frame.packet.size(), stream = size + (session ? wire::kTag : 0);
  const std::size_t piece = (peer.pmtu.size() - kHeads) / TrainHead::kUnit * TrainHead::kUnit;
  const std::size_t count = (stream + piece - 1) / piece, copied = session ? stream + count * kHeads : count * kHeads;
  if (made_used_ + copied > kMadeBytes) flush_out();
  auto* made = &made_[made_used_];
  made_used_ += (copied + 15) / 16 * 16;

  Head head{.kind = Kind::kTrain, .flags = wire::kNeedsChecksum, .from = options.self, .to = peer.peer.id};
  head.counter = session ? session->next_counter() : ++peer.train_number;
  if (session) head.flags |= wire::kSealed, head.key = session->id();
  TrainHead shape{.segment = static_cast<std::uint16_t>(frame.segment), .size = static_cast<std::uint16_t>(size)};
  const std::size_t stride = kHeads + (session ? piece : 0);
  parts_.clear();
  for (std::size_t i = 0, at = 0; i < count; ++i, at += piece) {
    auto* p = made + i * stride;
    shape.offset = static_cast<std::uint32_t>(at);
    write(head, p);
    write(shape, p + wire::kHead);
    if (session && at < size) parts_.push_back({&frame.packet[at], p + kHeads, std::min(piece, size - at)});
  }
  if (session) {
    std::array<std::uint8_t, TrainHead::kAuthenticated> bytes;
    std::copy_n(made, bytes.size(), bytes.begin());
    bytes[2] = 0;
    std::array<std::uint8_t, wire::kTag> tag;
    session->seal(head.counter, bytes, parts_, tag.data());
    for (std::size_t i = 0; i < tag.size(); ++i) {
      const std::size_t at = size + i;
      made[at / piece * stride + kHeads + at % piece] = tag[i];
    }
  }
  for (std::size_t i = 0, at = 0; i < count; ++i, at += piece) {
    const std::size_t n = std::min(piece, stream - at);
    if (session) {
      out_->add(peer.next_hop(), {made + i * stride, kHeads + n});
    } else {
      out_->add(peer.next_hop(), {made + i * stride, kHeads}, {&frame.packet[at], n});
    }
  }
  ++counters_.trains_sent;
}

// The usual case: the next piece of the train that is coming in. Its head is the same but for the hops, which another
// peer on the way has counted down as often.
bool Sleeve::Loop::continues_train(const sockaddr_in& from, Bytes d) {
  auto& t = train_;
  if (d.size() <= wire::kHead + TrainHead::kSize || from.sin_addr.s_addr != t.from.sin_addr.s_addr ||
      std::memcmp(d.data(), t.bytes.data(), 2) != 0 ||
      std::memcmp(d.data() + 3, t.bytes.data() + 3, TrainHead::kAuthenticated - 3) != 0) {
    return false;
  }
  const std::size_t tag = t.head.flags & wire::kSealed ? wire::kTag : 0;
  const auto shape = wire::read_train(d.subspan(wire::kHead), tag);
  if (!shape || shape->offset != t.have) return false;
  t.pieces.push_back(d.subspan(wire::kHead + TrainHead::kSize));
  t.have += t.pieces.back().size();
  if (t.have == t.shape.size + tag) {
    auto* peer = std::exchange(t.peer, nullptr);
    finish_train(*peer, t.head, t.shape, t.bytes, t.pieces);
  }
  return true;
}

void Sleeve::Loop::take_piece(PeerState& peer, const sockaddr_in& from, const Head& head, Bytes datagram) {
  const bool sealed = head.flags & wire::kSealed;
  if (sealed != encrypts()) {
    ++counters_.refused;
    return;
  }
  const auto shape = wire::read_train(datagram.subspan(wire::kHead), sealed ? wire::kTag : 0);
  if (!shape || !(head.flags & wire::kNeedsChecksum)) {
    ++counters_.malformed;
    return;
  }
  if (sealed) {
    auto* session = session_of(peer, head);
    if (!session) return;
    if (!session->is_new(head.counter)) {
      ++counters_.replayed;
      return;
    }
  }
  auto& t = train_;
  std::array<std::uint8_t, TrainHead::kAuthenticated> bytes;
  std::copy_n(datagram.begin(), bytes.size(), bytes.begin());
  bytes[2] = 0;
  const auto piece = datagram.subspan(wire::kHead + TrainHead::kSize);
  if (shape->offset != 0) return keep_piece(peer, head, *shape, bytes, piece);
  park_train();
  t = {.peer = &peer, .from = from, .head = head, .shape = *shape, .bytes = bytes, .pieces = std::move(t.pieces)};
  t.pieces.assign(1, piece);
  t.have = piece.size();
  if (t.have < shape->size + (sealed ? wire::kTag : 0)) return;
  t.peer = nullptr;
  finish_train(peer, head, *shape, bytes, t.pieces);
}

// The rest of it comes with the next datagrams, if it comes.
void Sleeve::Loop::park_train() {
  auto* peer = std::exchange(train_.peer, nullptr);
  if (!peer) return;
  auto shape = train_.shape;
  shape.offset = 0;
  for (const auto& piece : train_.pieces) {
    keep_piece(*peer, train_.head, shape, train_.bytes, piece);
    shape.offset += static_cast<std::uint32_t>(piece.size());
  }
}

void Sleeve::Loop::keep_piece(PeerState& peer, const Head& head, const TrainHead& shape, ConstBytes head_bytes,
                              ConstBytes piece) {
  const std::size_t total = shape.size + (head.flags & wire::kSealed ? wire::kTag : 0);
  const auto number = head.counter ^ static_cast<std::uint64_t>(head.key) << 56;
  auto whole = trains_.add(peer.peer.id, {number, shape.offset, total}, piece, std::chrono::steady_clock::now());
  if (whole) finish_train(peer, head, shape, head_bytes, std::span(&*whole, 1));
}

void Sleeve::Loop::finish_train(PeerState& peer, const Head& head, const TrainHead& shape, ConstBytes head_bytes,
                                std::span<const Bytes> pieces) {
  if (!(head.flags & wire::kSealed)) return deliver_whole(peer, shape, pieces);
  auto* session = session_of(peer, head);
  if (!session) return;
  std::array<std::uint8_t, wire::kTag> tag;
  std::size_t at = 0;
  parts_.clear();
  for (const auto& piece : pieces) {
    const std::size_t text = at < shape.size ? std::min(piece.size(), shape.size - at) : 0;
    if (text) parts_.push_back({piece.data(), &opened_[at], text});
    for (std::size_t i = text; i < piece.size(); ++i) tag[at + i - shape.size] = piece[i];
    at += piece.size();
  }
  if (!accepted(peer, head, session->open(head.counter, head_bytes, parts_, tag.data()))) return;
  const Bytes packet(opened_.get(), shape.size);
  deliver_whole(peer, shape, std::span(&packet, 1));
}

void Sleeve::Loop::deliver_whole(PeerState& peer, const TrainHead& shape, std::span<const Bytes> pieces) {
  auto whole = parse_whole(pieces.front(), shape.size, shape.segment);
  if (!whole) {
    ++counters_.malformed;
    return;
  }
  if (peers_.responsible(whole->source) != &peer) {
    ++counters_.foreign;
    return;
  }
  ++peer.packets_received;
  ++counters_.trains_received;
  peer.bytes_received += shape.size;
  write_joined();  // what came before goes before
  vectors_.clear();
  for (const auto& piece : pieces) vectors_.push_back({piece.data(), piece.size()});
  if (!write_frame(tap_, whole->head, vectors_)) ++counters_.undelivered;
}

// Where a datagram is lost now and then, whole trains would be lost with it: then packets go one by one for a while,
// longer each time.
void Sleeve::Loop::note_trains(PeerState& peer, std::uint16_t told, TimePoint now) {
  const std::uint16_t lost = told & static_cast<std::uint16_t>(~wire::Probe::kTakesTrains);
  if (peer.trains_told && lost != peer.trains_lost) {
    peer.trains_from = now + peer.trains_pause;
    peer.trains_pause = std::min(peer.trains_pause * 2, PeerState::kLongestPause);
  } else if (now > peer.trains_from + peer.trains_pause) {
    peer.trains_pause = PeerState::kTrainsPause;
  }
  peer.trains_told = true;
  peer.trains_lost = lost;
  peer.trains = told & wire::Probe::kTakesTrains && now >= peer.trains_from;
}

std::uint16_t Sleeve::Loop::trains_word(const PeerState& peer) const {
  return static_cast<std::uint16_t>(wire::Probe::kTakesTrains |
                                    (trains_.lost(peer.peer.id) & (wire::Probe::kTakesTrains - 1)));
}

}  // namespace lab::overlay
