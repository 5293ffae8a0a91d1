// BlockedLog: which of the blocked packets become a line in the log.
//
// A client that is blocked tries again, and a scanner tries everything: so one connection (source, destination,
// protocol, port, direction) is told at most once a minute, with how often it was tried since the line before, and at
// most `kBurst` lines come in `kWindow`; those left out are counted, and told as one line. One thread; bounded memory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "base/netlink/nflog.h"
#include "overlay-net/policy/explain.h"

namespace lab::overlay::policy {

// The connection that a logged packet belongs to; nothing when it is no IPv4 packet, or not from our table.
struct BlockedPacket {
  Direction direction = Direction::kIngress;
  IpAddress source, destination;
  Protocol protocol = 0;
  std::uint16_t port = 0;
  auto operator<=>(const BlockedPacket&) const = default;
};
std::optional<BlockedPacket> blocked_packet(const LoggedPacket& packet);

class BlockedLog {
 public:
  static constexpr auto kAgain = std::chrono::seconds(60);
  static constexpr auto kWindow = std::chrono::seconds(10);
  static constexpr int kBurst = 20;
  static constexpr std::size_t kRemembered = 2048;

  // The lines to write for this packet, usually one or none.
  std::vector<std::string> take(const Model& model, const BlockedPacket& packet, TimePoint now);
  std::uint64_t packets() const { return packets_; }

 private:
  struct Told {
    TimePoint at;
    int since = 0;  // packets since the line
  };
  std::map<BlockedPacket, Told> told_;
  TimePoint window_{};
  int lines_ = 0, left_out_ = 0;
  std::uint64_t packets_ = 0;
};

}  // namespace lab::overlay::policy
