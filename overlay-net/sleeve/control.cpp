// Heartbeats, which measure the path, and the agreement on keys.
#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "overlay-net/sleeve/loop.h"

namespace lab::overlay {

using std::chrono::milliseconds;
using wire::Head;
using wire::Kind;

namespace {

std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

TimePoint Sleeve::Loop::tick(TimePoint now) {
  auto next = now + std::chrono::seconds(60);
  trains_.forget(now);
  for (const auto& p : peers_.all()) {
    if (encrypts() && options.self < p->peer.id && (p->initiator || p->keys.due(now)) && now >= p->next_hello) {
      say_hello(*p, now);
    }
    if (now >= p->next_probe) probe(*p, now);
    next = std::min(next, p->next_probe);
    if (encrypts() && options.self < p->peer.id && (p->initiator || p->keys.due(now))) {
      next = std::min(next, p->next_hello);
    }
  }
  flush_out();
  return std::max(next, now + milliseconds(5));
}

void Sleeve::Loop::probe(PeerState& peer, TimePoint now) {
  const bool alive = hears(peer, now);
  // A search goes on fast as long as the peer answers; one that is silent is not pestered.
  peer.next_probe =
      now + (alive && !peer.pmtu.settled() ? std::min(options.heartbeat, milliseconds(250)) : options.heartbeat);
  // The initiator makes itself heard under new keys; the responder waits for that.
  const bool under_new = peer.keys.pending() && options.self < peer.peer.id;
  auto* session = under_new ? peer.keys.pending() : peer.keys.sending();
  if (encrypts() && !session) return;
  static std::uint8_t zeros[kMaxPacket];
  for (unsigned size : peer.pmtu.round()) {
    std::uint8_t text[wire::Probe::kSize + 1 + wire::kMaxNote];
    write(wire::Probe{++peer.probes, static_cast<std::uint16_t>(size), trains_word(peer)}, text);
    const std::size_t used = wire::Probe::kSize + (encrypts() ? wire::write_note(note_, text + wire::Probe::kSize) : 0);
    Head head{.kind = Kind::kProbe, .from = options.self, .to = peer.peer.id};
    const std::size_t fill = size - overhead() - used;
    emit(peer, session, head, ConstBytes(text, used), Bytes(zeros, fill));
    flush_out();  // each alone: one that is too large must not take another with it
  }
}

void Sleeve::Loop::send_control(PeerState& peer, Session* session, Kind kind, ConstBytes text, std::uint8_t key) {
  emit(peer, session, {.kind = kind, .key = key, .from = options.self, .to = peer.peer.id}, text, {});
}

void Sleeve::Loop::say_hello(PeerState& peer, TimePoint now) {
  // New keys for each try but the first few: an answer that was lost on the way back is made again.
  if (!peer.initiator || peer.hellos >= 5) {
    do ++peer.last_key;
    while (peer.keys.uses(peer.last_key));
    peer.initiator.emplace(*options.authenticator,
                           Parties{.initiator = options.self, .responder = peer.peer.id, .key_id = peer.last_key});
    peer.hellos = 0;
  }
  ++peer.hellos;
  peer.next_hello = now + (peer.problem.empty() ? milliseconds(500) : milliseconds(5000));
  send_control(peer, nullptr, Kind::kHello, bytes_of(peer.initiator->hello()), peer.initiator->key_id());
}

// Told once, until it is another one or none.
void Sleeve::Loop::set_problem(PeerState& peer, std::string problem) {
  if (problem == peer.problem) return;
  peer.problem = std::move(problem);
  if (peer.problem.empty()) {
    log::info("peer speaks encrypted", {{"peer", peer.peer.name}});
  } else {
    log::warn("peer is refused", {{"peer", peer.peer.name}, {"reason", peer.problem}});
  }
}

void Sleeve::Loop::take_handshake(PeerState& peer, const Head& head, ConstBytes text) {
  const auto now = std::chrono::steady_clock::now();
  if (!encrypts()) {
    if (head.kind == Kind::kHello) set_problem(peer, "it wants encryption, and this node is told of none");
    ++counters_.refused;
    return;
  }
  const bool initiates = options.self < peer.peer.id;
  if (head.kind == Kind::kNoSession) {
    // Anybody may have sent it: it brings a new agreement about, and touches nothing that works.
    if (initiates && !peer.initiator && now >= peer.next_hello) say_hello(peer, now);
    return;
  }
  if (head.kind == Kind::kHelloAnswer) {
    if (!initiates || !peer.initiator || peer.initiator->key_id() != head.key) return;
    auto keys = peer.initiator->finish(peer.peer.name, text_of(text));
    if (!keys) {
      ++counters_.refused;
      return set_problem(peer, keys.error().text());
    }
    auto session = Session::make(head.key, *keys);
    if (!session) return;
    peer.keys.install(std::move(*session), now);
    peer.initiator.reset();
    peer.next_hello = now + milliseconds(2000);
    // Its answer under the new keys makes them the ones to use.
    return probe(peer, now);
  }
  // The same exchange once more is fine, as the answer may have been lost; a key that is in use is not made anew.
  const bool again = peer.keys.pending() && peer.keys.pending()->id() == head.key;
  if (initiates || now < peer.next_answer || (peer.keys.uses(head.key) && !again)) return;
  auto response =
      respond(*options.authenticator, {.initiator = peer.peer.id, .responder = options.self, .key_id = head.key},
              peer.peer.name, text_of(text));
  if (!response) {
    ++counters_.refused;
    return set_problem(peer, response.error().text());
  }
  auto session = Session::make(head.key, response->keys);
  if (!session) return;
  peer.next_answer = now + milliseconds(50);
  peer.keys.install(std::move(*session), now);
  send_control(peer, nullptr, Kind::kHelloAnswer, bytes_of(response->answer), head.key);
}

}  // namespace lab::overlay
