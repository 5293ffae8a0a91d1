// Frames as a TAP device with IFF_VNET_HDR hands them over: a virtio_net_hdr (VIRTIO 1.2, 5.1.6), then one IPv4 packet,
// which for TCP may be as large as 64 KiB with its segmentation and checksum left to us.
//
// parse() checks every length and offset: what comes from pods is not to be trusted. Segmenter cuts a large TCP packet
// into packets that fit; Coalescer joins those of one stream again, so that the receiving kernel handles them as one.
// Pure, no allocation but in the Coalescer's list. Only IPv4.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace lab::overlay {

// virtio_net_hdr as it lies in memory, little-endian as on every machine this runs on.
struct VirtioHead {
  static constexpr std::uint8_t kNeedsChecksum = 1;                 // flags
  static constexpr std::uint8_t kNone = 0, kTcp4 = 1, kEcn = 0x80;  // gso_type
  std::uint8_t flags = 0, gso_type = 0;
  std::uint16_t header_size = 0, gso_size = 0, checksum_start = 0, checksum_offset = 0;
};
static_assert(sizeof(VirtioHead) == 10);

inline constexpr std::size_t kMaxPacket = 65535, kMaxFrame = sizeof(VirtioHead) + kMaxPacket;
inline constexpr std::size_t kMaxHeaders = 120;  // IPv4 and TCP with all their options

struct Frame {
  std::span<std::uint8_t> packet;             // with its IP header
  std::uint32_t source = 0, destination = 0;  // host order
  unsigned headers = 0;                       // of IP and TCP; 0 when it is not a TCP packet that may be cut
  unsigned segment = 0;                       // TCP payload bytes per packet that the kernel wants; 0: as it is
  bool needs_checksum = false;                // of TCP or UDP, at its usual place
};

// Empty when it is no IPv4 packet, or lengths and offsets do not agree. A checksum that is wanted at another place than
// TCP's or UDP's is computed here, in place.
std::optional<Frame> parse(std::span<std::uint8_t> bytes);

// The same for what a peer sent: the packet alone. `needs_checksum` is the peer's word.
std::optional<Frame> parse_packet(std::span<std::uint8_t> packet, bool needs_checksum);

// A TCP packet that came uncut, in one piece or several, of `size` bytes in all: `first` is its beginning, which holds
// its headers. What the TAP wants before it, and in `first` the sum that stands for the checksum. Empty when it is no
// such packet.
struct Whole {
  VirtioHead head;
  std::uint32_t source = 0, destination = 0;  // host order
};
std::optional<Whole> parse_whole(std::span<std::uint8_t> first, std::size_t size, std::uint16_t segment);

class Segmenter {
 public:
  // Packets of at most `room` bytes. Only for a frame whose headers is not 0, and room > headers.
  Segmenter(const Frame& frame, unsigned room);
  unsigned count() const { return count_; }
  unsigned payload() const { return payload_; }  // of each but the last
  // Writes the headers of the i-th packet (frame.headers bytes) and returns its payload, which stays where it is.
  std::span<std::uint8_t> segment(unsigned i, std::uint8_t* headers) const;

 private:
  const Frame& frame_;
  unsigned payload_, count_;
};

// Collects packets for one write to the TAP. They stay where they are, and must, until take() has been written.
class Coalescer {
 public:
  // False: it does not continue what is there; take() first.
  bool add(const Frame& frame);
  bool empty() const { return parts_.empty() || taken_; }
  // The frame as the TAP wants it: the virtio head first. Valid until the next add(). The headers of the first packet
  // are changed in place to speak for all.
  std::span<iovec> take();

 private:
  bool continues(const Frame& frame) const;

  VirtioHead head_;
  std::vector<iovec> parts_;  // [0] is head_
  Frame first_;
  unsigned total_ = 0, next_sequence_ = 0;
  bool closed_ = false, taken_ = false;
};

// One's complement sum, not inverted (RFC 1071); `sum` is carried in.
std::uint32_t checksum_add(std::span<const std::uint8_t> bytes, std::uint32_t sum);
std::uint16_t checksum_fold(std::uint32_t sum);

}  // namespace lab::overlay
