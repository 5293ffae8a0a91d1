// Links: reading, making, changing and removing network devices.
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/netlink/socket.h"

namespace lab {
namespace {

ifinfomsg link_header(int index = 0) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  return header;
}

Result<void> check_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxLinkName || name.find('/') != std::string::npos) {
    return fail(Code::kBadRequest, "'" + name + "' is no name for a network device",
                "1 to 15 characters without a slash");
  }
  return {};
}

VxlanConfig parse_vxlan(nlattr* data) {
  nl::Attributes<IFLA_VXLAN_MAX> a(data);
  VxlanConfig out;
  out.vni = a.u32(IFLA_VXLAN_ID);
  out.port = ntohs(a.u16(IFLA_VXLAN_PORT));
  out.local = a[IFLA_VXLAN_LOCAL6] ? a.address(IFLA_VXLAN_LOCAL6) : a.address(IFLA_VXLAN_LOCAL);
  out.learning = a.u8(IFLA_VXLAN_LEARNING) != 0;
  return out;
}

std::optional<Link> parse_link(nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK) return std::nullopt;
  auto* header = static_cast<ifinfomsg*>(nlmsg_data(message));
  nl::Attributes<IFLA_MAX> a(message, sizeof *header);
  nl::Attributes<IFLA_INFO_MAX> info(a[IFLA_LINKINFO]);
  Link out;
  out.index = header->ifi_index;
  out.name = a.text(IFLA_IFNAME);
  out.kind = info.text(IFLA_INFO_KIND);
  out.up = header->ifi_flags & IFF_UP;
  out.running = header->ifi_flags & IFF_RUNNING;
  out.mtu = a.u32(IFLA_MTU);
  out.master = static_cast<int>(a.u32(IFLA_MASTER));
  out.mac = a.mac(IFLA_ADDRESS);
  if (out.kind == "veth") out.peer = static_cast<int>(a.u32(IFLA_LINK));
  if (out.kind == "vxlan") out.vxlan = parse_vxlan(info[IFLA_INFO_DATA]);
  return out;
}

void put_common(nl::Message& message, const LinkSpec& spec) {
  message.put_text(IFLA_IFNAME, spec.name);
  if (spec.mtu) message.put_u32(IFLA_MTU, spec.mtu);
  if (!spec.mac.empty()) message.put_mac(IFLA_ADDRESS, spec.mac);
}

// A message that makes a link of this kind; fill_data adds what is particular to the kind.
template <class F>
Result<nl::Message> creation(const LinkSpec& spec, const std::string& kind, F fill_data) {
  LAB_CHECK(check_name(spec.name));
  auto header = link_header();
  if (spec.up) header.ifi_flags = header.ifi_change = IFF_UP;
  nl::Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  put_common(message, spec);
  if (spec.master) message.put_u32(IFLA_MASTER, static_cast<std::uint32_t>(spec.master));
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, kind);
    message.nest(IFLA_INFO_DATA, [&] { fill_data(message); });
  });
  return message;
}

}  // namespace

Netlink::Netlink(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}
Netlink::Netlink(Netlink&&) noexcept = default;
Netlink& Netlink::operator=(Netlink&&) noexcept = default;
Netlink::~Netlink() = default;

Result<Netlink> Netlink::open() {
  LAB_TRY(auto socket, nl::RequestSocket::open(NETLINK_ROUTE));
  return Netlink(std::make_unique<Socket>(std::move(socket)));
}

Result<Netlink> Netlink::open_in(const NetNs& ns) {
  return in_netns(ns, [] { return open(); });
}

Result<std::vector<Link>> Netlink::links() {
  nl::Message message(RTM_GETLINK, NLM_F_DUMP, link_header());
  return socket_->collect<Link>(message, "list network devices", parse_link);
}

Result<std::optional<Link>> Netlink::find_link(const std::string& name) {
  nl::Message message(RTM_GETLINK, 0, link_header());
  message.put_text(IFLA_IFNAME, name);
  auto found = socket_->collect<Link>(message, "look up network device " + name, parse_link);
  if (!found) {
    if (found.error().sys_errno == ENODEV) return std::nullopt;
    return std::unexpected(std::move(found).error());
  }
  if (found->empty()) return std::nullopt;
  return std::move(found->front());
}

Result<Link> Netlink::link(const std::string& name) {
  LAB_TRY(auto found, find_link(name));
  if (!found) return fail(Code::kNotFound, "there is no network device " + name);
  return std::move(*found);
}

Result<Link> Netlink::link(int index) {
  nl::Message message(RTM_GETLINK, 0, link_header(index));
  auto found = socket_->collect<Link>(message, "look up network device " + std::to_string(index), parse_link);
  if (found && !found->empty()) return std::move(found->front());
  if (found || found.error().sys_errno == ENODEV) {
    return fail(Code::kNotFound, "there is no network device with index " + std::to_string(index));
  }
  return std::unexpected(std::move(found).error());
}

Result<void> Netlink::create_bridge(const LinkSpec& spec) {
  LAB_TRY(auto message, creation(spec, "bridge", [](nl::Message&) {}));
  return socket_->request(message, "make bridge " + spec.name);
}

Result<void> Netlink::create_vxlan(const LinkSpec& spec, const VxlanConfig& config) {
  LAB_TRY(auto message, creation(spec, "vxlan", [&](nl::Message& m) {
            m.put_u32(IFLA_VXLAN_ID, config.vni);
            m.put_u16(IFLA_VXLAN_PORT, htons(config.port));
            m.put_u8(IFLA_VXLAN_LEARNING, config.learning);
            // RFC 7348, 5: none in the outer header. What is inside has its own, and devices compute one of the two
            // better.
            m.put_u8(IFLA_VXLAN_UDP_CSUM, 0);
            if (!config.local.empty()) {
              m.put_address(config.local.is_v6() ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, config.local);
            }
          }));
  return socket_->request(message, "make vxlan device " + spec.name);
}

Result<void> Netlink::create_veth(const VethSpec& spec) {
  LAB_CHECK(check_name(spec.peer.name));
  LAB_TRY(auto message, creation(spec.here, "veth", [&](nl::Message& m) {
            m.nest(VETH_INFO_PEER, [&] {
              m.append(link_header());
              put_common(m, spec.peer);
              if (spec.peer_ns) m.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.peer_ns->fd()));
            });
          }));
  return socket_->request(message, "make device pair " + spec.here.name + " and " + spec.peer.name);
}

Result<void> Netlink::change_link(int index, const LinkChange& change) {
  auto header = link_header(index);
  if (change.up) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = *change.up ? IFF_UP : 0;
  }
  nl::Message message(RTM_NEWLINK, 0, header);
  if (change.mtu) message.put_u32(IFLA_MTU, *change.mtu);
  if (change.master) message.put_u32(IFLA_MASTER, static_cast<std::uint32_t>(*change.master));
  if (change.mac) message.put_mac(IFLA_ADDRESS, *change.mac);
  if (change.netns) message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(change.netns->fd()));
  if (change.name) {
    LAB_CHECK(check_name(*change.name));
    message.put_text(IFLA_IFNAME, *change.name);
  }
  return socket_->request(message, "change network device " + std::to_string(index));
}

Result<void> Netlink::wait_running(int index, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    LAB_TRY(auto device, link(index));
    if (device.running) return {};
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(Code::kTimeout, "network device " + device.name + " has no carrier",
                  "see with ip link whether it and its other end are up");
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(50));
  }
}

Result<void> Netlink::set_hairpin(int index, bool on) {
  auto header = link_header(index);
  header.ifi_family = AF_BRIDGE;
  nl::Message message(RTM_SETLINK, 0, header);
  message.nest(IFLA_PROTINFO | NLA_F_NESTED, [&] { message.put_u8(IFLA_BRPORT_MODE, on); });
  return socket_->request(message, "set hairpin mode on bridge port " + std::to_string(index));
}

Result<void> Netlink::delete_link(int index) {
  nl::Message message(RTM_DELLINK, 0, link_header(index));
  auto done = socket_->request(message, "remove network device " + std::to_string(index));
  if (!done && done.error().sys_errno == ENODEV) return {};
  return done;
}

Result<void> Netlink::delete_link(const std::string& name) {
  LAB_TRY(auto found, find_link(name));
  return found ? delete_link(found->index) : Result<void>{};
}

}  // namespace lab
