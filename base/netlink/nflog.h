// NflogReader: packets that nftables rules hand to user space (`log group N`), read from the kernel's nfnetlink_log.
//
// Belongs to the network namespace of the thread that opened it. One reader per group and namespace at a time: a second
// one gets kConflict. next() may be used from any one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab {

struct LoggedPacket {
  std::string prefix;                 // the rule's
  std::vector<std::uint8_t> payload;  // from the IP header on, as far as it was copied
};

class NflogReader {
 public:
  // `copy`: bytes of each packet. kUnavailable when the kernel lacks nfnetlink_log.
  static Result<NflogReader> open(std::uint16_t group, std::uint32_t copy = 128);
  NflogReader(NflogReader&& other) noexcept;
  NflogReader& operator=(NflogReader&& other) noexcept;
  ~NflogReader();

  // The packets that have come, after waiting for the first one at most `limit`; empty when none has. Packets that the
  // kernel could not deliver are lost.
  Result<std::vector<LoggedPacket>> next(std::chrono::milliseconds limit);

 private:
  explicit NflogReader(int fd) : fd_(fd) {}
  Result<void> configure(std::uint16_t group, std::uint32_t copy);
  int fd_ = -1;
};

}  // namespace lab
