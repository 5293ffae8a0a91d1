// Netlink: links, addresses, routes, neighbours and forwarding entries of one network namespace (rtnetlink(7)).
//
// A handle is bound for life to the namespace it was opened in and may be used from any one thread at a time. Calls
// block for microseconds, as long as the kernel holds its lock. Every change is idempotent where the kernel allows it:
// replace_* overwrite, delete_* succeed when the thing is absent. Errors carry the kernel's errno and its own words.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/netlink/netns.h"
#include "base/result.h"

namespace lab {

inline constexpr std::size_t kMaxLinkName = 15;

struct VxlanConfig {
  std::uint32_t vni = 0;
  std::uint16_t port = 0;  // UDP destination port, host order
  IpAddress local;         // source of the outer packets
  bool learning = false;   // true: forwarding entries are learnt from traffic
  bool operator==(const VxlanConfig&) const = default;
};

struct Link {
  int index = 0;
  std::string name;
  std::string kind;      // "bridge", "veth", "vxlan"; "" for hardware
  bool up = false;       // administratively
  bool running = false;  // operationally: the kernel has seen its carrier, packets pass
  unsigned mtu = 0;
  int master = 0;  // index of the bridge it is a port of; 0: none
  int peer = 0;    // veth: index of the other end, in its own namespace
  MacAddress mac;
  std::optional<VxlanConfig> vxlan;
};

struct LinkSpec {
  std::string name;
  unsigned mtu = 0;  // 0: the kernel's choice
  MacAddress mac;    // empty: the kernel's choice
  int master = 0;
  bool up = false;
};

struct VethSpec {
  LinkSpec here;
  LinkSpec peer;                 // master and up are ignored: the kernel cannot open it before the pair is whole
  std::optional<NetNs> peer_ns;  // where the peer is made; none: here too
};

// What to change; unset fields stay.
struct LinkChange {
  std::optional<bool> up;
  std::optional<unsigned> mtu;
  std::optional<int> master;  // 0 takes it out of its bridge
  std::optional<std::string> name;
  std::optional<MacAddress> mac;
  std::optional<NetNs> netns;  // moves it there
};

struct InterfaceAddress {
  int link = 0;
  Cidr address;
  bool operator==(const InterfaceAddress&) const = default;
};

struct Route {
  Cidr destination;   // 0.0.0.0/0 is the default route
  IpAddress gateway;  // empty: on the link itself
  IpAddress source;   // preferred source; empty: the kernel's choice
  int link = 0;
  bool onlink = false;        // the gateway is on the link though no address says so
  std::uint8_t protocol = 0;  // who made it (rtm_protocol); 0 becomes RTPROT_STATIC
  std::uint32_t table = 0;    // 0: main
  bool operator==(const Route&) const = default;
};

struct Neighbour {
  int link = 0;
  IpAddress address;
  MacAddress mac;
  bool permanent = false;
  bool operator==(const Neighbour&) const = default;
};

// A forwarding entry of a vxlan device (no bridge): frames for mac go to the tunnel endpoint `remote`.
struct FdbEntry {
  int link = 0;
  MacAddress mac;
  IpAddress remote;
  bool operator==(const FdbEntry&) const = default;
};

class Netlink {
 public:
  static Result<Netlink> open();  // in the calling thread's namespace
  static Result<Netlink> open_in(const NetNs& ns);
  Netlink(Netlink&&) noexcept;
  Netlink& operator=(Netlink&&) noexcept;
  ~Netlink();

  Result<std::vector<Link>> links();
  Result<std::optional<Link>> find_link(const std::string& name);
  Result<Link> link(const std::string& name);  // kNotFound when absent
  Result<Link> link(int index);
  Result<void> create_bridge(const LinkSpec& spec);
  Result<void> create_vxlan(const LinkSpec& spec, const VxlanConfig& config);
  Result<void> create_veth(const VethSpec& spec);
  Result<void> change_link(int index, const LinkChange& change);
  // Blocks until the device is running. The kernel notices a carrier in its own time, seconds later on a busy machine,
  // and drops what is sent before. kTimeout, naming the device, when it does not come.
  Result<void> wait_running(int index, std::chrono::milliseconds limit = std::chrono::seconds(20));
  Result<void> set_hairpin(int index, bool on);  // bridge port: frames may leave where they came in
  Result<void> delete_link(int index);
  Result<void> delete_link(const std::string& name);

  Result<std::vector<InterfaceAddress>> addresses(int link = 0);  // 0: of all links
  Result<void> replace_address(const InterfaceAddress& address);
  Result<void> delete_address(const InterfaceAddress& address);

  Result<std::vector<Route>> routes(int link = 0, std::uint32_t table = 0);  // IPv4 and IPv6; table 0: main
  Result<void> replace_route(const Route& route);
  Result<void> delete_route(const Route& route);
  // The link and source address that a packet to `to` would take.
  Result<Route> route_to(const IpAddress& to);

  Result<std::vector<Neighbour>> neighbours(int link);
  Result<void> replace_neighbour(const Neighbour& neighbour);  // permanent
  Result<void> delete_neighbour(const Neighbour& neighbour);

  Result<std::vector<FdbEntry>> fdb(int link);
  Result<void> replace_fdb(const FdbEntry& entry);
  Result<void> delete_fdb(const FdbEntry& entry);

 private:
  class Socket;
  explicit Netlink(std::unique_ptr<Socket> socket);
  std::unique_ptr<Socket> socket_;
};

// Everything above as sorted lines of text without indexes and counters, for comparing before and after.
Result<std::vector<std::string>> describe_network(Netlink& netlink);

}  // namespace lab
