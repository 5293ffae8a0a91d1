#include "tests/fuzz/parsers.h"

#include <cstring>

#include "overlay-net/crypto/handshake.h"
#include "overlay-net/path/probe.h"
#include "overlay-net/sleeve/frame.h"
#include "overlay-net/sleeve/reassembly.h"
#include "overlay-net/sleeve/wire.h"
#include "overlay-net/wireguard/offer.h"

namespace lab::fuzz {
namespace {

using Seeds = std::vector<std::string>;

template <class T>
std::string text(const T& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// UDP 6783.
void sleeve_datagram(Bytes input) {
  namespace wire = overlay::wire;
  auto head = wire::read(input);
  if (!head) return;
  std::uint8_t written[wire::kHead];
  wire::write(*head, written);
  hold(std::memcmp(written, input.data(), wire::kHead) == 0, "a head is written as it was read");
  auto rest = input.subspan(wire::kHead);
  (void)wire::read_probe(rest);
  auto offer = overlay::decode_offer(wire::read_note(rest));
  hold(overlay::decode_offer(overlay::encode(offer)) == offer, "an offer is written as it was read");
  static overlay::Reassembly reassembly;
  if (auto fragment = wire::read_fragment(rest)) {
    auto whole = reassembly.add(head->from, {fragment->packet, fragment->offset, fragment->total},
                                rest.subspan(wire::FragmentHead::kSize), {});
    hold(!whole || whole->size() == fragment->total, "a packet that was put together has its length");
  }
}
Seeds sleeve_datagram_seeds() {
  namespace wire = overlay::wire;
  Seeds out;
  for (auto kind : {wire::Kind::kPacket, wire::Kind::kFragment, wire::Kind::kProbe}) {
    std::string one(wire::kHead + 16, '\0');
    auto* at = reinterpret_cast<std::uint8_t*>(one.data());
    wire::write({.kind = kind, .from = {{2, 0, 0, 0, 0, 1}}, .to = {{2, 0, 0, 0, 0, 2}}, .counter = 9}, at);
    if (kind == wire::Kind::kFragment)
      wire::write(wire::FragmentHead{.packet = 1, .offset = 0, .total = 16}, at + wire::kHead);
    if (kind == wire::Kind::kProbe) wire::write(wire::Probe{.number = 1, .size = 1400}, at + wire::kHead);
    out.push_back(one);
  }
  return out;
}

// UDP 6783: the exchange of keys. One password, so that a fuzzer could find its way were there one.
void sleeve_handshake(Bytes input) {
  static const auto authenticator = overlay::authenticate_by_password("secret");
  const overlay::Parties parties{{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, 1};
  static const overlay::Initiator initiator(*authenticator, parties);
  bool ours = text_of(input) == initiator.hello();
  auto response = overlay::respond(*authenticator, parties, "n1", text_of(input));
  hold(!response || ours || text_of(input).size() == initiator.hello().size(), "only a whole hello is answered");
  hold(!initiator.finish("n2", text_of(input)), "no answer is taken that nobody gave");
}
Seeds sleeve_handshake_seeds() {
  auto authenticator = overlay::authenticate_by_password("secret");
  return {overlay::Initiator(*authenticator, {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, 1}).hello()};
}

// What pods hand to the TUN, and peers in datagrams.
void sleeve_frame(Bytes input) {
  std::vector<std::uint8_t> bytes(input.begin(), input.end()), packet = bytes;
  overlay::Coalescer coalescer;
  auto try_out = [&](std::optional<overlay::Frame> frame) {
    if (!frame) return;
    hold(frame->headers <= frame->packet.size(), "headers lie in the packet");
    if (frame->headers && frame->packet.size() > frame->headers) {
      overlay::Segmenter segmenter(*frame, frame->headers + 500);
      std::size_t sum = 0;
      std::uint8_t headers[overlay::kMaxHeaders];
      for (unsigned i = 0; i < segmenter.count(); ++i) sum += segmenter.segment(i, headers).size();
      hold(sum == frame->packet.size() - frame->headers, "segments carry all of the packet");
    }
    if (!coalescer.add(*frame)) {
      (void)coalescer.take();
      (void)coalescer.add(*frame);
    }
    if (!coalescer.empty()) (void)coalescer.take();
  };
  try_out(overlay::parse(bytes));
  try_out(overlay::parse_packet(packet, true));
}
Seeds sleeve_frame_seeds() {
  // 10.244.1.2:1000 -> 10.244.2.2:2000, TCP without options and 40 bytes, UDP with 4.
  std::string tcp(
      "\x45\0\0\x50\0\x64\x40\0\x40\6\0\0\x0a\xf4\1\2\x0a\xf4\2\2\x03\xe8\x07\xd0\0\0\x13\x88\0\0\0\1\x50\x18\2\0\0\0\0"
      "\0",
      40);
  tcp += std::string(40, 'x');
  std::string udp("\x45\0\0\x20\0\x64\x40\0\x40\x11\0\0\x0a\xf4\1\2\x0a\xf4\2\2\x03\xe8\x07\xd0\0\x0c\0\0text", 32);
  const std::string plain(10, '\0'), summed("\1\0\0\0\0\0\x14\0\x10\0", 10), large("\1\1\x28\0\x08\0\x14\0\x10\0", 10);
  return {plain + tcp, summed + tcp, large + tcp, plain + udp, tcp, udp};
}

// UDP 6785 inside of the overlay.
void heartbeat(Bytes input) {
  auto h = overlay::read_heartbeat(input);
  if (h && h->intact) hold(!input.empty(), "a heartbeat has bytes");
}
Seeds heartbeat_seeds() {
  overlay::Heartbeat h{
      .asks = *MacAddress::parse("02:00:00:00:00:01"), .asked = *MacAddress::parse("02:00:00:00:00:02"), .number = 5};
  auto question = overlay::write_heartbeat(h, 64);
  h.answer = true;
  auto answer = overlay::write_heartbeat(h, overlay::Heartbeat::kHead);
  return {text(question), text(answer)};
}

}  // namespace

std::vector<Parser> sleeve_parsers() {
  return {{"sleeve_datagram", sleeve_datagram, sleeve_datagram_seeds},
          {"sleeve_handshake", sleeve_handshake, sleeve_handshake_seeds},
          {"sleeve_frame", sleeve_frame, sleeve_frame_seeds},
          {"heartbeat", heartbeat, heartbeat_seeds}};
}

}  // namespace lab::fuzz
