#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/overlay-net/sleeve/packets.h"

namespace lab::overlay {
namespace {

using namespace test;

// What goes through cutting, a flat copy as the network makes it, checking and joining.
std::vector<Bytes> cut(Bytes& frame, unsigned room) {
  auto f = parse(frame);
  EXPECT_TRUE(f && f->headers);
  if (!f || !f->headers) return {};
  Segmenter s(*f, room);
  std::vector<Bytes> out;
  for (unsigned i = 0; i < s.count(); ++i) {
    std::array<std::uint8_t, kMaxHeaders> headers;
    auto payload = s.segment(i, headers.data());
    Bytes b(headers.begin(), headers.begin() + f->headers);
    b.insert(b.end(), payload.begin(), payload.end());
    out.push_back(std::move(b));
  }
  return out;
}

Bytes flat(std::span<iovec> parts) {
  Bytes out;
  for (const auto& p : parts) {
    auto* b = static_cast<const std::uint8_t*>(p.iov_base);
    out.insert(out.end(), b, b + p.iov_len);
  }
  return out;
}

VirtioHead head_of(const Bytes& frame) {
  VirtioHead v;
  std::memcpy(&v, frame.data(), sizeof v);
  return v;
}

TEST(Frame, ACutStreamIsJoinedToWhatItWas) {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const std::size_t payload = 1 + random() % 60000;
    const auto packet = tcp_packet(payload, random(), i % 2 ? 0x18 : 0x10);
    auto frame = framed_tcp(packet, static_cast<std::uint16_t>(500 + random() % 900));
    const unsigned room = 600 + random() % 900;
    auto segments = cut(frame, room);
    Coalescer joined;
    std::uint32_t sequence = get(packet, 24, 4);
    for (std::size_t k = 0; k < segments.size(); ++k) {
      auto& s = segments[k];
      ASSERT_LE(s.size(), room);
      ASSERT_EQ(get(s, 2, 2), s.size());
      ASSERT_TRUE(ip_checksum_holds(s));
      ASSERT_EQ(get(s, 24, 4), sequence);
      ASSERT_EQ(get(s, 4, 2), 100 + k) << "identification";
      ASSERT_EQ(bool(s[33] & 8), i % 2 && k + 1 == segments.size()) << "push on the last alone";
      sequence += static_cast<std::uint32_t>(s.size()) - 52;
      auto f = parse_packet(s, true);
      ASSERT_TRUE(f);
      ASSERT_TRUE(joined.add(*f)) << "segment " << k << " of " << segments.size();
    }
    auto out = flat(joined.take());
    EXPECT_TRUE(joined.empty()) << "nothing is written twice";
    auto v = head_of(out);
    Bytes got(out.begin() + sizeof v, out.end());
    EXPECT_TRUE(ip_checksum_holds(got));
    EXPECT_EQ(v.flags, VirtioHead::kNeedsChecksum);
    EXPECT_EQ(v.gso_type, segments.size() > 1 ? VirtioHead::kTcp4 : VirtioHead::kNone);
    if (segments.size() > 1) EXPECT_EQ(v.gso_size, segments[0].size() - 52);
    // All but the checksum field, which now holds the pseudo header's sum.
    auto want = packet;
    EXPECT_EQ(get(got, 36, 2), checksum_fold(checksum_add({&want[12], 8}, 6 + std::uint32_t(want.size()) - 20)));
    std::fill_n(got.begin() + 36, 2, 0);
    EXPECT_EQ(got, want);
  }
}

TEST(Frame, OtherStreamsAndGapsAreNotJoined) {
  auto first = tcp_packet(1000, 1000, 0x10);
  auto joins = [&](auto change) {
    auto a = first, b = tcp_packet(1000, 2000, 0x10);
    change(b);
    Coalescer c;
    EXPECT_TRUE(c.add(*parse_packet(a, true)));
    auto f = parse_packet(b, true);
    return f && c.add(*f);
  };
  EXPECT_TRUE(joins([](Bytes&) {}));
  EXPECT_FALSE(joins([](Bytes& b) { b[27] ^= 1; })) << "sequence";
  EXPECT_FALSE(joins([](Bytes& b) { b[31] ^= 1; })) << "acknowledgement";
  EXPECT_FALSE(joins([](Bytes& b) { b[21] ^= 1; })) << "port";
  EXPECT_FALSE(joins([](Bytes& b) { b[15] ^= 1; })) << "address";
  EXPECT_FALSE(joins([](Bytes& b) { b[35] ^= 1; })) << "window";
  EXPECT_FALSE(joins([](Bytes& b) { b[45] ^= 1; })) << "option";
  EXPECT_FALSE(joins([](Bytes& b) { b[1] ^= 1; })) << "type of service";
  EXPECT_FALSE(joins([](Bytes& b) { b[33] |= 2; })) << "SYN";
  EXPECT_FALSE(joins([](Bytes& b) { b[33] |= 128; })) << "CWR";
  EXPECT_FALSE(joins([](Bytes& b) { b = tcp_packet(1001, 2000, 0x10); })) << "larger than the first";
  EXPECT_FALSE(joins([](Bytes& b) {
    b = ip_packet(IPPROTO_UDP, 8);
    put16(b, 24, 8);
  })) << "UDP";
  // A push, or a shorter one, is the last.
  Coalescer c;
  auto a = tcp_packet(1000, 1000, 0x10), b = tcp_packet(500, 2000, 0x10), d = tcp_packet(500, 2500, 0x10);
  EXPECT_TRUE(c.add(*parse_packet(a, true)));
  EXPECT_TRUE(c.add(*parse_packet(b, true)));
  EXPECT_FALSE(c.add(*parse_packet(d, true)));
  c.take();
  EXPECT_TRUE(c.add(*parse_packet(d, true)));
}

TEST(Frame, WhatDoesNotAgreeIsRefused) {
  const auto good = framed_tcp(tcp_packet(3000), 1400);
  auto accepts = [&](auto change) {
    auto f = good;
    change(f);
    return parse(f).has_value();
  };
  EXPECT_TRUE(accepts([](Bytes&) {}));
  EXPECT_FALSE(accepts([](Bytes& f) { f[10] = 0x65; })) << "version 6";
  EXPECT_FALSE(accepts([](Bytes& f) { f[10] = 0x44; })) << "IP header of 16 bytes";
  EXPECT_FALSE(accepts([](Bytes& f) { f[13] ^= 1; })) << "total length";
  EXPECT_FALSE(accepts([](Bytes& f) { f.pop_back(); })) << "cut off";
  EXPECT_FALSE(accepts([](Bytes& f) { f[10 + 32] = 4 << 4; })) << "TCP header of 16 bytes";
  EXPECT_FALSE(accepts([](Bytes& f) { f[10 + 6] |= 0x20; })) << "a fragment that is to be cut";
  EXPECT_FALSE(accepts([](Bytes& f) { f[1] = 3; })) << "UDP fragmentation offload";
  EXPECT_FALSE(accepts([](Bytes& f) { f[4] = f[5] = 0; })) << "segments of no size";
  EXPECT_FALSE(accepts([](Bytes& f) { f[0] = 0; })) << "segmentation without checksum offload";
  EXPECT_FALSE(accepts([](Bytes& f) { f[6] = 10; })) << "checksum in the IP header";
  EXPECT_FALSE(accepts([](Bytes& f) { f[8] = 0xff, f[9] = 0xff; })) << "checksum outside of the packet";
}

// A checksum at an unusual place (a tunnel inside a pod) is computed, not passed on.
TEST(Frame, UnusualChecksumsAreComputed) {
  auto packet = ip_packet(IPPROTO_UDP, 8 + 40);
  for (std::size_t i = 28; i < packet.size(); ++i) packet[i] = static_cast<std::uint8_t>(i);
  packet[60] = packet[61] = 0;
  auto frame = framed(packet, {.flags = VirtioHead::kNeedsChecksum, .checksum_start = 40, .checksum_offset = 20});
  auto f = parse(frame);
  ASSERT_TRUE(f);
  EXPECT_FALSE(f->needs_checksum);
  EXPECT_EQ(checksum_fold(checksum_add(f->packet.subspan(40), 0)), 0xffff);
}

// Random frames and frames with some bytes changed: nothing outside of the buffer is touched (each is copied to a
// buffer of its very size), and what is accepted can be cut and joined.
TEST(Frame, RandomFramesDoNoHarm) {
  int accepted = 0, with_headers = 0;
  for (unsigned seed = 1; seed <= 20000; ++seed) {
    std::mt19937 random(seed);
    Bytes bytes;
    if (seed % 4 == 0) {
      bytes.resize(random() % 200);
      for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
      if (bytes.size() > 10) bytes[10] = 0x45;
    } else {
      bytes = framed_tcp(tcp_packet(random() % 5000), static_cast<std::uint16_t>(random() % 3000));
      for (unsigned i = 0; i < seed % 4; ++i) bytes[random() % 62 % bytes.size()] = static_cast<std::uint8_t>(random());
      if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    }
    bytes.shrink_to_fit();
    auto f = parse(bytes);
    if (!f) continue;
    ++accepted;
    ASSERT_LE(f->headers, kMaxHeaders);
    ASSERT_EQ(f->packet.size(), bytes.size() - sizeof(VirtioHead)) << seed;
    if (!f->headers) continue;
    ++with_headers;
    Coalescer joined;
    std::size_t total = 0;
    for (auto& s : cut(bytes, 548)) {
      total += s.size() - f->headers;
      auto again = parse_packet(s, true);
      ASSERT_TRUE(again) << seed;
      if (!joined.add(*again)) {
        joined.take();
        ASSERT_TRUE(joined.add(*again));
      }
    }
    ASSERT_EQ(total + f->headers, f->packet.size()) << seed;
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(with_headers, 500);
}

// What a super-packet was handed over as, it is handed on as, whether it lies in one piece or its headers only are
// here.
TEST(Whole, GetsTheHeadItCameWith) {
  for (std::size_t payload : {1u, 1398u, 1399u, 60000u}) {
    auto packet = test::tcp_packet(payload);
    auto whole = parse_whole(packet, packet.size(), 1398);
    ASSERT_TRUE(whole) << payload;
    EXPECT_EQ(whole->source, 0x0af40102u);
    EXPECT_EQ(whole->destination, 0x0af40202u);
    EXPECT_EQ(whole->head.flags, VirtioHead::kNeedsChecksum);
    EXPECT_EQ(whole->head.checksum_start, 20);
    EXPECT_EQ(whole->head.checksum_offset, 16);
    EXPECT_EQ(whole->head.gso_type, payload > 1398 ? VirtioHead::kTcp4 : VirtioHead::kNone);
    EXPECT_EQ(whole->head.gso_size, payload > 1398 ? 1398 : 0);
    // The kernel finishes the sum over the whole packet from what stands in the field.
    auto frame = test::framed(packet, whole->head);
    auto parsed = parse(frame);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->segment, payload > 1398 ? 1398u : 0u);
    auto again = parse_whole(std::span(packet).first(52 + (payload > 8 ? 8 : payload)), packet.size(), 1398);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->head.header_size, 52);
  }
}

TEST(Whole, WhatIsNoSuchPacketIsRefused) {
  const auto good = test::tcp_packet(3000);
  auto refused = [&](auto change) {
    auto packet = good;
    std::size_t size = packet.size();
    std::uint16_t segment = 1398;
    change(packet, size, segment);
    return !parse_whole(packet, size, segment);
  };
  using test::Bytes;
  EXPECT_FALSE(refused([](Bytes&, std::size_t&, std::uint16_t&) {}));
  EXPECT_TRUE(refused([](Bytes&, std::size_t& size, std::uint16_t&) { --size; })) << "another size than it says";
  EXPECT_TRUE(refused([](Bytes&, std::size_t&, std::uint16_t& segment) { segment = 0; }));
  EXPECT_TRUE(refused([](Bytes& p, std::size_t&, std::uint16_t&) { p[9] = IPPROTO_UDP; }));
  EXPECT_TRUE(refused([](Bytes& p, std::size_t&, std::uint16_t&) { p[6] = 0x20; })) << "a fragment";
  EXPECT_TRUE(refused([](Bytes& p, std::size_t&, std::uint16_t&) {
    p[0] = 0x4f;
    p.resize(50);
  })) << "cut short";
  EXPECT_TRUE(refused([](Bytes& p, std::size_t&, std::uint16_t&) { p[32] = 4 << 4; })) << "short TCP header";
  EXPECT_TRUE(refused([](Bytes& p, std::size_t&, std::uint16_t&) { p[33] |= 2; })) << "a SYN";
  EXPECT_TRUE(refused([](Bytes& p, std::size_t&, std::uint16_t&) { p.resize(40); })) << "headers in two pieces";
  for (unsigned seed = 1; seed <= 20000; ++seed) {
    std::mt19937 random(seed);
    auto packet = test::tcp_packet(100);
    for (int i = 0; i < 4; ++i) packet[random() % 60] = static_cast<std::uint8_t>(random());
    packet.resize(random() % packet.size());
    packet.shrink_to_fit();
    (void)parse_whole(packet, 152, 1398);
  }
}

}  // namespace
}  // namespace lab::overlay
