// Whether an address answers, asked by a packet: what `lab net test` does. Blocking; works in the network namespace of
// the calling thread. Needs root.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace lab::overlay {

// ICMP echo (RFC 792) in an IP packet of `bytes` that may not be cut on its way; three attempts within the limit.
// kTooLarge when this host's own device does not take a packet of that size, kTimeout when no answer came.
Result<std::chrono::microseconds> ping(const std::string& address, unsigned bytes, std::chrono::milliseconds limit);
// How long a TCP connection takes to be made.
Result<std::chrono::microseconds> tcp_connect(const std::string& address, std::uint16_t port,
                                              std::chrono::milliseconds limit);

}  // namespace lab::overlay
