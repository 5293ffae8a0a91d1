// The sleeve's network device: a TAP device (Documentation/networking/tuntap.rst) with IFF_VNET_HDR, checksums and
// TCP's segmentation left to its reader. A TAP rather than a TUN, so that its packets have an Ethernet header and the
// flow cache can lead them as it does those of the VXLAN; nobody answers ARP on it, and what the header says means
// nothing.
//
// Frames go in and out here as frame.h has them: a virtio_net_hdr and the packet, without Ethernet. Works on the
// network namespace of the calling thread.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "overlay-net/sleeve/frame.h"

namespace lab::overlay {

// The descriptor, nonblocking; the device is there as long as it is open, and down at first.
Result<int> open_tap(const std::string& name);

// The next frame; its size, or 0 when none is there. `into` has room for kMaxFrame bytes.
std::size_t read_frame(int tap, std::span<std::uint8_t> into);

// One frame, whose packet lies in these parts. False when the kernel does not take it.
bool write_frame(int tap, VirtioHead head, std::span<const iovec> packet);

}  // namespace lab::overlay
