#include "tests/fuzz/parsers.h"

#include "overlay-net/mesh/handshake.h"
#include "overlay-net/mesh/topology.h"
#include "overlay-net/ring/merge.h"
#include "overlay-net/ring/state.h"

namespace lab::fuzz {
namespace {

using Seeds = std::vector<std::string>;

// TCP 6783 before anybody has shown who it is.
void mesh_hello(Bytes input) {
  auto hello = overlay::decode_hello(text_of(input));
  if (hello) hold(overlay::encode_hello(*hello) == text_of(input), "a hello is written as it was read");
}
Seeds mesh_hello_seeds() {
  return {overlay::encode_hello({.key = std::string(32, 'k')}),
          overlay::encode_hello({.certificates = true, .key = std::string(32, '\xff')})};
}

// TCP 6783, from peers: who is connected to whom.
void mesh_records(Bytes input) {
  auto records = overlay::decode_records(text_of(input));
  (void)overlay::decode_digest(text_of(input));
  if (!records) return;
  overlay::Topology topology({{{1, 2, 3, 4, 5, 6}}, 1, "self", {}});
  if (!topology.merge(*records)) return;
  auto again = topology.merge(*records);
  hold(again && again->empty(), "what was taken in is no news the second time");
  hold(overlay::decode_digest(overlay::encode_digest(topology)).has_value(), "our digest can be read");
}
Seeds mesh_records_seeds() {
  overlay::PeerRecord a{.id = {{{2, 0, 0, 0, 0, 1}}, 7, "a", {"10.0.0.1:6783"}}, .version = 3, .info = "x"}, b = a;
  b.id = {{{2, 0, 0, 0, 0, 2}}, 8, "b", {"10.0.0.2:6783"}};
  a.links[b.id.name] = true;
  b.links[a.id.name] = false;
  return {overlay::encode_records({&a}), overlay::encode_records({&a, &b})};
}

Seeds ring_seeds();

// TCP 6783, from peers: how the pod range is split.
void ring(Bytes input) {
  auto state = overlay::ring::decode(text_of(input));
  if (!state) return;
  hold(overlay::ring::encode(*state) == text_of(input), "a ring is written as it was read");
  const overlay::ring::MemberId me{{{2, 0, 0, 0, 0, 1}}, 0};
  if (auto merged = overlay::ring::merge(*state, *state, me)) {
    hold(merged->state == *state, "a ring merged with itself is itself");
  }
  static const auto mine = overlay::ring::decode(ring_seeds().back()).value();
  if (auto merged = overlay::ring::merge(mine, *state, me)) {
    hold(overlay::ring::decode(overlay::ring::encode(merged->state)).has_value(), "what was merged can be told on");
  }
}
Seeds ring_seeds() {
  const std::vector<overlay::PeerName> founders{{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, {{2, 0, 0, 0, 0, 3}}};
  auto empty = overlay::ring::make_state(*Cidr::parse("10.99.0.0/24"), founders), whole = empty;
  overlay::ring::make_ring(whole, 7);
  return {overlay::ring::encode(empty), overlay::ring::encode(whole)};
}

}  // namespace

std::vector<Parser> mesh_parsers() {
  return {{"mesh_hello", mesh_hello, mesh_hello_seeds},
          {"mesh_records", mesh_records, mesh_records_seeds},
          {"ring", ring, ring_seeds}};
}

}  // namespace lab::fuzz
