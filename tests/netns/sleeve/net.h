// Nodes as network namespaces on one bridge, each with a Sleeve of its own and one "pod" address on its loopback.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "overlay-net/sleeve/sleeve.h"
#include "tests/netns/support/sandbox.h"

namespace lab::test {

class SleeveNet {
 public:
  explicit SleeveNet(int nodes);

  static std::string node(int i) { return "n" + std::to_string(i); }
  static IpAddress underlay(int i) { return *IpAddress::parse("192.168.78." + std::to_string(i)); }
  static Cidr range(int i) { return *Cidr::parse("10.244." + std::to_string(i) + ".0/24"); }
  static std::string pod(int i) { return "10.244." + std::to_string(i) + ".2"; }
  static overlay::PeerName id(int i) { return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(i)}}; }

  // No password, no encryption.
  void start(int i, const std::string& password = "", std::chrono::milliseconds rekey_after = std::chrono::hours(1));
  void route(int i);  // the other nodes' pods, through the sleeve's device
  void stop(int i) { sleeves.erase(i); }
  overlay::SleevePeerStatus status(int i, int peer);
  bool established(int i, int peer);  // waits for it
  bool ping(int from, int to, int size = 56);
  bool unreachable(int from, int to);  // within a second
  // Sends so many bytes by TCP; true when they came as they were sent.
  bool transfer(int from, int to, std::size_t bytes, int seconds = 60);
  void nft(int i, const std::string& rules);  // the content of a chain at prerouting
  void no_nft(int i);
  // The device hands single datagrams to the wire, as a card's driver would see them.
  void without_segmentation_offload(int i);
  // A datagram as it came to node i for its sleeve, the next one of this kind (the second half-byte).
  std::string capture(int i, overlay::wire::Kind kind, int seconds = 20);
  void send_raw(int from, int to, const std::string& datagram);

  int nodes;
  Sandbox box;
  std::map<int, std::unique_ptr<overlay::Sleeve>> sleeves;
};

}  // namespace lab::test
