// Sleeve: the user-space path between nodes, for peers that the kernel's VXLAN does not reach, and for encryption where
// the kernel has none. Named after Weave's.
//
//   TAP device - cut - [seal] - UDP 6783 - [other peers on the way] - [open] - join - TAP device
//
// Packets that the kernel routes to the TAP device go to the peer whose pod range holds their destination. A TCP
// super-packet is cut into what the path really carries and joined again on the other side (where hardly anything is
// lost it goes whole, in pieces that make sense together alone), so a path that carries less
// than the pods' MTU is no harm to them. Peers that cannot be reached directly are reached through another one
// (set_next_hops); packets stay sealed from end to end. With an authenticator every datagram is sealed and nothing else
// is accepted; without one nothing is.
//
// One thread of its own does all of it, between start() and the end of the object. start() works in the calling
// thread's network namespace. The other calls come from any thread and take effect at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"
#include "overlay-net/crypto/handshake.h"
#include "overlay-net/mesh/gossip.h"
#include "overlay-net/sleeve/wire.h"

namespace lab::overlay {

inline constexpr const char* kSleeveDevice = "lab-sleeve";

struct SleeveOptions {
  PeerName self;
  IpAddress underlay;  // where the port is opened
  std::uint16_t port = wire::kPort;
  std::string device = kSleeveDevice;
  unsigned underlay_mtu = 1500;                        // of the device with the address: the most that is tried
  std::shared_ptr<const Authenticator> authenticator;  // null: not encrypted. Used on the sleeve's thread
  std::chrono::milliseconds heartbeat{1000};
  std::chrono::milliseconds rekey_after{std::chrono::minutes(10)};
};

struct SleevePeer {
  PeerName id;
  std::string name;  // for people
  IpAddress underlay;
  std::vector<Cidr> ranges;  // of its pods
  bool operator==(const SleevePeer&) const = default;
};

struct SleevePeerStatus {
  PeerName id;
  std::string name;
  bool established = false;                       // it answers, over this path
  std::chrono::steady_clock::time_point heard{};  // its last answer
  bool encrypted = false;
  unsigned mtu = 0;                 // largest IP packet that goes in one datagram; larger ones are cut
  std::string via;                  // the peer that forwards; "" when directly
  std::string problem;              // why it is not established, as far as known
  std::optional<std::string> note;  // what it told last, with tell(); none: nothing was heard from it yet
  std::uint64_t packets_sent = 0, packets_received = 0, bytes_sent = 0, bytes_received = 0;
};

// Since the start. What was not delivered has a reason each.
struct SleeveCounters {
  std::uint64_t forwarded = 0;                         // for other peers
  std::uint64_t rekeyed = 0;                           // keys changed
  std::uint64_t trains_sent = 0, trains_received = 0;  // TCP super-packets that went whole
  std::uint64_t malformed = 0;                         // no datagrams of ours, or cut short
  std::uint64_t unknown = 0;                           // from or to nobody we know
  std::uint64_t refused = 0;                           // forged, or not sealed though it had to be
  std::uint64_t replayed = 0;                          // came already
  std::uint64_t foreign = 0;                           // packets whose source is not in the sender's range
  std::uint64_t no_session = 0;                        // to send before keys were agreed upon
  std::uint64_t expired = 0;                           // too many hops
  std::uint64_t unreadable = 0;                        // from the TAP: no IPv4, or for nobody
  std::uint64_t undelivered = 0;                       // the kernel did not take them
};

class Sleeve {
 public:
  // Fails when the TAP device or the port cannot be had.
  static Result<std::unique_ptr<Sleeve>> start(SleeveOptions options);
  ~Sleeve();

  // Everyone there is but oneself. Peers that stay keep their keys and what is known of them.
  void set_peers(std::vector<SleevePeer> peers);
  // Peers that are reached through another one. A peer that is not in it is reached directly.
  void set_next_hops(std::map<PeerName, PeerName> via);
  // Told to every peer, now and in each heartbeat; at most wire::kMaxNote bytes. Only where packets are sealed.
  void tell(std::string note);

  std::vector<SleevePeerStatus> status() const;  // in the order of names
  SleeveCounters counters() const;
  const SleeveOptions& options() const;

 private:
  class Loop;
  explicit Sleeve(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace lab::overlay
