// FlowCache: packets of established TCP connections between pods pass from device to device without routing, connection
// tracking and firewall chains, by two small programs in the kernel (tc BPF). After ONCache (NSDI 2025).
//
//   pod's device  --lead-->  tunnel         and the other way round         tunnel  --lead-->  pod's device
//         \--- bridge - routes - chains - learn --/
//
// A connection's packets first go the long way. A rule of the firewall (firewall.h) marks those that are tracked as
// established, are not translated and came past every chain that could drop them; `learn`, where they leave by a
// tunnel (the VXLAN's device, the sleeve's) or a pod's device, notes their addresses, ports, Ethernet header and
// device, and `lead`, where the next ones come in, sends them straight there. Each note holds a quarter of a second, so
// that tracking sees some packets of each connection, and a route that changed is followed; packets with SYN, FIN or
// RST always go the long way. Services' packets are translated, and so never noted on the node that translates them.
//
// The programs stay on their devices when this process ends, and work on. Opening again puts new ones in their place,
// with an empty cache. Works on the network namespace of the thread that opened it; used from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/netlink/netlink.h"
#include "base/result.h"

namespace lab::overlay {

class FlowCache {
 public:
  // Loads the programs. kUnavailable where the kernel is too old (5.11 is needed) or does not let this
  // process load programs, as in a user namespace.
  static Result<FlowCache> open();
  FlowCache(FlowCache&&) noexcept;
  FlowCache& operator=(FlowCache&&) noexcept;
  ~FlowCache();

  // Makes tracking put up with sequence numbers that it did not see come about (nf_conntrack_tcp_be_liberal), and puts
  // the programs onto the tunnels' devices and the bridge's ports of kind veth that have none of ours yet. Absent
  // devices are fine.
  Result<void> attach(const std::vector<std::string>& tunnels, const std::string& bridge);

  // Takes them off again.
  static Result<void> detach(const std::vector<std::string>& tunnels, const std::string& bridge);

 private:
  struct Programs;
  FlowCache(std::unique_ptr<Programs> programs, Netlink netlink);
  Result<void> set_tracking();
  std::unique_ptr<Programs> programs_;
  Netlink netlink_;
  bool tracking_set_ = false;
  std::set<int> attached_;  // devices; the kernel never uses an index again
};

}  // namespace lab::overlay
