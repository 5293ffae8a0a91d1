// The TUN device: IP packets of the kernel, whole TCP super-packets included (IFF_VNET_HDR, TUNSETOFFLOAD).
//
// The device exists as long as the descriptor is open, and is made in the calling thread's network namespace, down and
// without address. Reads and writes are in the form of frame.h, one frame each.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::overlay {

inline constexpr const char* kSleeveDevice = "lab-sleeve";

// A non-blocking descriptor. Makes /dev/net/tun where a container's /dev lacks it.
Result<int> open_tun(const std::string& name);

}  // namespace lab::overlay
