// Internal to this folder: what the loop knows of each peer, and who is responsible for which address.
#pragma once

#include <memory>
#include <optional>
#include <unordered_set>

#include "overlay-net/crypto/handshake.h"
#include "overlay-net/sleeve/pmtu.h"
#include "overlay-net/sleeve/sleeve.h"
#include "overlay-net/sleeve/udp.h"

namespace lab::overlay {

using TimePoint = std::chrono::steady_clock::time_point;

struct PeerState {
  static constexpr std::chrono::seconds kTrainsPause{10}, kLongestPause{600};
  PeerState(SleevePeer p, std::uint16_t port, unsigned most, KeyRing::Limits limits)
      : peer(std::move(p)), address(socket_address(peer.underlay, port)), keys(limits), pmtu(most) {}

  SleevePeer peer;
  sockaddr_in address;
  PeerState* via = nullptr;  // who gets its datagrams; null: itself
  KeyRing keys;
  std::optional<Initiator> initiator;  // of the exchange that is going on
  std::uint8_t last_key = 0;
  int hellos = 0;  // of this exchange
  TimePoint next_hello{}, next_hint{}, next_answer{};
  PmtuSearch pmtu;
  TimePoint next_probe{}, heard{};  // heard: the last answer to a probe
  bool was_heard = false;
  std::uint64_t probes = 0;
  std::uint32_t fragmented = 0;
  // Super-packets go to it whole: it takes them, and lost none for a while.
  bool trains = false, trains_told = false;
  std::uint16_t trains_lost = 0;  // as it said last
  TimePoint trains_from{};
  std::chrono::seconds trains_pause{kTrainsPause};
  std::uint64_t train_number = 0;   // where they are not sealed
  std::string problem;              // of the handshake
  std::optional<std::string> note;  // what it told last
  std::uint64_t packets_sent = 0, packets_received = 0, bytes_sent = 0, bytes_received = 0;

  const sockaddr_in& next_hop() const { return via ? via->address : address; }
};

class PeerTable {
 public:
  // Keeps the state of peers that are where they were.
  void assign(std::vector<SleevePeer> peers, const SleeveOptions& options);
  void set_next_hops(std::map<PeerName, PeerName> via);

  PeerState* find(const PeerName& id) const;
  PeerState* responsible(std::uint32_t address) const;  // whose pod range holds it
  bool is_underlay(std::uint32_t network_order) const { return underlays_.contains(network_order); }
  const std::vector<std::unique_ptr<PeerState>>& all() const { return peers_; }

 private:
  struct Range {
    std::uint32_t first, last;  // host order
    PeerState* peer;
  };
  void index();

  std::vector<std::unique_ptr<PeerState>> peers_;  // by id
  std::vector<Range> ranges_;                      // by first
  std::unordered_set<std::uint32_t> underlays_;
  std::map<PeerName, PeerName> via_;
};

}  // namespace lab::overlay
