#include "overlay-net/sleeve/frame.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace lab::overlay {
namespace {

constexpr unsigned kIpHeader = 20, kTcpHeader = 20;
constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kUrg = 32, kCwr = 128;

std::uint16_t get16(const std::uint8_t* p) {
  return static_cast<std::uint16_t>(p[0] << 8 | p[1]);
}
std::uint32_t get32(const std::uint8_t* p) {
  return static_cast<std::uint32_t>(p[0]) << 24 | static_cast<std::uint32_t>(p[1]) << 16 |
         static_cast<std::uint32_t>(p[2]) << 8 | p[3];
}
void put16(std::uint8_t* p, std::uint32_t v) {
  p[0] = static_cast<std::uint8_t>(v >> 8);
  p[1] = static_cast<std::uint8_t>(v);
}
void put32(std::uint8_t* p, std::uint32_t v) {
  put16(p, v >> 16);
  put16(p + 2, v);
}

unsigned ip_size(const std::uint8_t* p) {
  return (p[0] & 15u) * 4;
}

void set_ip_checksum(std::uint8_t* p) {
  put16(p + 10, 0);
  put16(p + 10, static_cast<std::uint16_t>(~checksum_fold(checksum_add({p, ip_size(p)}, 0))));
}

// Where a transport's checksum is, from the start of its header; 0: it has none that we leave to others.
unsigned checksum_place(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 0;
}

// What must stand in the checksum field of a packet whose checksum is left to others: the pseudo header's sum.
void set_pseudo_checksum(std::uint8_t* p, unsigned size) {
  const unsigned ip = ip_size(p);
  std::uint32_t sum = checksum_add({p + 12, 8}, p[9] + size - ip);
  put16(p + ip + checksum_place(p[9]), checksum_fold(sum));
}

bool is_fragment(const std::uint8_t* p) {
  return get16(p + 6) & 0x3fff;
}

// The IP header agrees with the packet's size, and the transport's header is there.
bool is_sound(std::span<const std::uint8_t> p) {
  if (p.size() < kIpHeader || p.size() > kMaxPacket || p[0] >> 4 != 4) return false;
  const unsigned ip = ip_size(p.data());
  return ip >= kIpHeader && ip <= p.size() && get16(p.data() + 2) == p.size();
}

// Sets `headers` when it is a whole TCP packet with payload that may be cut and joined.
void look_at_tcp(Frame& f) {
  const auto* p = f.packet.data();
  const unsigned ip = ip_size(p);
  if (p[9] != IPPROTO_TCP || is_fragment(p) || f.packet.size() < ip + kTcpHeader) return;
  const unsigned tcp = (p[ip + 12] >> 4) * 4u;
  if (tcp < kTcpHeader || ip + tcp >= f.packet.size() || !f.needs_checksum) return;
  if (p[ip + 13] & (kSyn | kRst | kUrg)) return;
  f.headers = ip + tcp;
}

}  // namespace

std::uint32_t checksum_add(std::span<const std::uint8_t> bytes, std::uint32_t sum) {
  std::uint64_t wide = sum;
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) wide += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  if (i < bytes.size()) wide += static_cast<std::uint32_t>(bytes[i] << 8);
  while (wide >> 32) wide = (wide & 0xffffffff) + (wide >> 32);
  return static_cast<std::uint32_t>(wide);
}

std::uint16_t checksum_fold(std::uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::optional<Frame> parse(std::span<std::uint8_t> bytes) {
  VirtioHead v;
  if (bytes.size() < sizeof v) return {};
  std::memcpy(&v, bytes.data(), sizeof v);
  auto packet = bytes.subspan(sizeof v);
  if (!is_sound(packet)) return {};
  const auto* p = packet.data();
  const unsigned ip = ip_size(p);
  Frame f{.packet = packet, .source = get32(p + 12), .destination = get32(p + 16)};
  if (v.flags & VirtioHead::kNeedsChecksum) {
    const std::size_t field = std::size_t(v.checksum_start) + v.checksum_offset;
    if (v.checksum_start < ip || field + 2 > packet.size()) return {};
    if (v.checksum_start == ip && v.checksum_offset != 0 && v.checksum_offset == checksum_place(p[9]) &&
        !is_fragment(p)) {
      f.needs_checksum = true;
    } else {
      // The field holds the pseudo header's sum, which is part of what is summed up.
      auto sum = checksum_fold(checksum_add(packet.subspan(v.checksum_start), 0));
      put16(packet.data() + field, sum == 0xffff ? 0xffff : static_cast<std::uint16_t>(~sum));
    }
  }
  look_at_tcp(f);
  const unsigned type = v.gso_type & ~unsigned(VirtioHead::kEcn);
  if (type == VirtioHead::kNone) return f;
  if (type != VirtioHead::kTcp4 || !f.headers || v.gso_size == 0) return {};
  f.segment = v.gso_size;
  return f;
}

std::optional<Frame> parse_packet(std::span<std::uint8_t> packet, bool needs_checksum) {
  if (!is_sound(packet)) return {};
  const auto* p = packet.data();
  Frame f{.packet = packet, .source = get32(p + 12), .destination = get32(p + 16), .needs_checksum = needs_checksum};
  if (needs_checksum) {
    const unsigned place = checksum_place(p[9]);
    if (place == 0 || is_fragment(p) || ip_size(p) + place + 2 > packet.size()) return {};
  }
  look_at_tcp(f);
  return f;
}

std::optional<Whole> parse_whole(std::span<std::uint8_t> first, std::size_t size, std::uint16_t segment) {
  auto* p = first.data();
  if (first.size() < kIpHeader + kTcpHeader || first.size() > size || size > kMaxPacket || segment == 0) return {};
  const unsigned ip = ip_size(p);
  if (p[0] >> 4 != 4 || ip < kIpHeader || get16(p + 2) != size || p[9] != IPPROTO_TCP || is_fragment(p)) return {};
  if (ip + kTcpHeader > first.size()) return {};
  const unsigned headers = ip + (p[ip + 12] >> 4) * 4u;
  if (headers < ip + kTcpHeader || headers > first.size() || headers >= size) return {};
  if (p[ip + 13] & (kSyn | kRst | kUrg)) return {};
  set_pseudo_checksum(p, static_cast<unsigned>(size));
  Whole out{.source = get32(p + 12), .destination = get32(p + 16)};
  out.head = {.flags = VirtioHead::kNeedsChecksum,
              .gso_type = VirtioHead::kNone,
              .header_size = static_cast<std::uint16_t>(headers),
              .checksum_start = static_cast<std::uint16_t>(ip),
              .checksum_offset = static_cast<std::uint16_t>(checksum_place(IPPROTO_TCP))};
  if (size - headers <= segment) return out;
  out.head.gso_type = VirtioHead::kTcp4;
  if (p[ip + 13] & kCwr) out.head.gso_type |= VirtioHead::kEcn;
  out.head.gso_size = segment;
  return out;
}

Segmenter::Segmenter(const Frame& frame, unsigned room) : frame_(frame) {
  const auto whole = static_cast<unsigned>(frame.packet.size()) - frame.headers;
  payload_ = std::min(frame.segment ? frame.segment : whole, room - frame.headers);
  count_ = (whole + payload_ - 1) / payload_;
}

std::span<std::uint8_t> Segmenter::segment(unsigned i, std::uint8_t* headers) const {
  const unsigned offset = i * payload_;
  auto payload = frame_.packet.subspan(frame_.headers + offset);
  if (payload.size() > payload_) payload = payload.first(payload_);
  const auto* p = frame_.packet.data();
  std::memcpy(headers, p, frame_.headers);
  const unsigned ip = ip_size(p);
  put16(headers + 2, static_cast<unsigned>(frame_.headers + payload.size()));
  put16(headers + 4, get16(p + 4) + i);  // identification: each packet its own
  set_ip_checksum(headers);
  put32(headers + ip + 4, get32(p + ip + 4) + offset);
  // Push and end belong to the last, "window reduced" to the first.
  if (i + 1 < count_) headers[ip + 13] &= static_cast<std::uint8_t>(~(kFin | kPsh));
  if (i > 0) headers[ip + 13] &= static_cast<std::uint8_t>(~kCwr);
  return payload;
}

// The same stream, the same options and acknowledgement, right behind it, and no larger than its first.
bool Coalescer::continues(const Frame& f) const {
  if (closed_ || !first_.headers || f.headers != first_.headers) return false;
  const auto *a = first_.packet.data(), *b = f.packet.data();
  const unsigned ip = ip_size(a), size = static_cast<unsigned>(f.packet.size()) - f.headers;
  if (size > head_.gso_size || total_ + size > kMaxPacket) return false;
  if (ip_size(b) != ip || get32(b + ip + 4) != next_sequence_) return false;
  constexpr std::uint8_t kMayDiffer = kFin | kPsh;
  return std::memcmp(a, b, 2) == 0 &&                                              // version, length, type of service
         std::memcmp(a + 6, b + 6, 4) == 0 &&                                      // fragment bits, hops, protocol
         std::memcmp(a + 12, b + 12, ip - 12 + 4) == 0 &&                          // addresses, options, ports
         std::memcmp(a + ip + 8, b + ip + 8, 5) == 0 &&                            // acknowledgement, offset
         !((a[ip + 13] ^ b[ip + 13]) & static_cast<std::uint8_t>(~kMayDiffer)) &&  // flags
         !(b[ip + 13] & kCwr) && std::memcmp(a + ip + 14, b + ip + 14, 2) == 0 &&  // window
         std::memcmp(a + ip + 18, b + ip + 18, f.headers - ip - 18) == 0;          // urgent, options
}

bool Coalescer::add(const Frame& f) {
  if (taken_) {
    parts_.clear();
    taken_ = false;
  }
  const unsigned payload = f.headers ? static_cast<unsigned>(f.packet.size()) - f.headers : 0;
  if (parts_.empty()) {
    first_ = f;
    head_ = {};
    head_.gso_size = static_cast<std::uint16_t>(payload);
    parts_.push_back({&head_, sizeof head_});
    parts_.push_back({f.packet.data(), f.packet.size()});
    total_ = static_cast<unsigned>(f.packet.size());
    closed_ = false;
  } else {
    if (!continues(f)) return false;
    parts_.push_back({f.packet.data() + f.headers, payload});
    total_ += payload;
  }
  if (f.headers) {
    const unsigned ip = ip_size(f.packet.data());
    const std::uint8_t flags = f.packet[ip + 13];
    next_sequence_ = get32(f.packet.data() + ip + 4) + payload;
    first_.packet[ip + 13] |= flags & (kFin | kPsh);
    closed_ = payload < head_.gso_size || flags & (kFin | kPsh);
  }
  return true;
}

std::span<iovec> Coalescer::take() {
  taken_ = true;
  auto* p = first_.packet.data();
  const unsigned ip = ip_size(p);
  if (parts_.size() > 2) {
    head_.gso_type = VirtioHead::kTcp4;
    if (p[ip + 13] & kCwr) head_.gso_type |= VirtioHead::kEcn;
    head_.header_size = static_cast<std::uint16_t>(first_.headers);
    put16(p + 2, total_);
    set_ip_checksum(p);
  } else {
    head_.gso_size = 0;
  }
  if (first_.needs_checksum) {
    head_.flags = VirtioHead::kNeedsChecksum;
    head_.checksum_start = static_cast<std::uint16_t>(ip);
    head_.checksum_offset = static_cast<std::uint16_t>(checksum_place(p[9]));
    set_pseudo_checksum(p, total_);
  }
  return parts_;
}

}  // namespace lab::overlay
