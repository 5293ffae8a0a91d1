#include "base/netlink/wireguard.h"

#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/time_types.h>
#include <linux/wireguard.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

#include "base/netlink/message.h"
#include "base/netlink/netlink.h"

namespace lab {
namespace {

constexpr std::size_t kAddressesPerMessage = 64;  // a message of ours has one page

nl::Message device_message(int family, int command, int flags, const std::string& device) {
  genlmsghdr header{};
  header.cmd = static_cast<std::uint8_t>(command);
  header.version = WG_GENL_VERSION;
  nl::Message out(family, flags, header);
  out.put_text(WGDEVICE_A_IFNAME, device);
  return out;
}

std::string bytes_of(const nl::Message& message) {
  const auto* header = nlmsg_hdr(message.raw());
  return {reinterpret_cast<const char*>(header), header->nlmsg_len};
}

void put_key(nl::Message& m, int attribute, const std::string& key) {
  std::string whole = key;
  whole.resize(kWireguardKeyBytes);  // all zeros: none
  m.put(attribute, whole.data(), whole.size());
}

void put_endpoint(nl::Message& m, const WireguardPeer& peer) {
  const auto address = peer.endpoint.bytes();
  if (peer.endpoint.is_v4()) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(peer.port);
    std::memcpy(&a.sin_addr, address.data(), address.size());
    m.put(WGPEER_A_ENDPOINT, &a, sizeof a);
  } else if (peer.endpoint.is_v6()) {
    sockaddr_in6 a{};
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(peer.port);
    std::memcpy(&a.sin6_addr, address.data(), address.size());
    m.put(WGPEER_A_ENDPOINT, &a, sizeof a);
  }
}

void put_allowed(nl::Message& m, std::span<const Cidr> ranges) {
  if (ranges.empty()) return;
  m.nest(WGPEER_A_ALLOWEDIPS | NLA_F_NESTED, [&] {
    for (const auto& range : ranges) {
      const auto network = range.network();
      m.nest(NLA_F_NESTED, [&] {
        m.put_u16(WGALLOWEDIP_A_FAMILY, static_cast<std::uint16_t>(network.address.family()));
        m.put_address(WGALLOWEDIP_A_IPADDR, network.address);
        m.put_u8(WGALLOWEDIP_A_CIDR_MASK, static_cast<std::uint8_t>(network.prefix));
      });
    }
  });
}

template <class F>
nl::Message peer_message(int family, const std::string& device, const std::string& key, std::uint32_t flags, F fill) {
  auto m = device_message(family, WG_CMD_SET_DEVICE, 0, device);
  m.nest(WGDEVICE_A_PEERS | NLA_F_NESTED, [&] {
    m.nest(NLA_F_NESTED, [&] {
      put_key(m, WGPEER_A_PUBLIC_KEY, key);
      m.put_u32(WGPEER_A_FLAGS, flags);
      fill(m);
    });
  });
  return m;
}

// More than one for a peer with many addresses: the first replaces, the others add.
std::vector<nl::Message> setting(int family, const std::string& device, const WireguardPeer& peer) {
  std::vector<nl::Message> out;
  std::span<const Cidr> left = peer.allowed_ips;
  auto take = [&] {
    auto some = left.first(std::min(left.size(), kAddressesPerMessage));
    left = left.subspan(some.size());
    return some;
  };
  out.push_back(peer_message(family, device, peer.public_key, WGPEER_F_REPLACE_ALLOWEDIPS, [&](nl::Message& m) {
    put_key(m, WGPEER_A_PRESHARED_KEY, peer.preshared_key);
    put_endpoint(m, peer);
    put_allowed(m, take());
  }));
  while (!left.empty()) {
    out.push_back(peer_message(family, device, peer.public_key, WGPEER_F_UPDATE_ONLY,
                               [&](nl::Message& m) { put_allowed(m, take()); }));
  }
  return out;
}

nl::Message removal(int family, const std::string& device, const std::string& key) {
  return peer_message(family, device, key, WGPEER_F_REMOVE_ME | WGPEER_F_UPDATE_ONLY, [](nl::Message&) {});
}

nl::Message keying(int family, const std::string& device, const std::string& private_key, std::uint16_t port) {
  auto m = device_message(family, WG_CMD_SET_DEVICE, 0, device);
  put_key(m, WGDEVICE_A_PRIVATE_KEY, private_key);
  m.put_u16(WGDEVICE_A_LISTEN_PORT, port);
  return m;
}

std::string raw(nlattr* a) {
  return a ? std::string(static_cast<const char*>(nla_data(a)), static_cast<std::size_t>(nla_len(a))) : std::string();
}

template <class T>
T value(nlattr* a) {
  T out{};
  if (a && static_cast<std::size_t>(nla_len(a)) >= sizeof out) std::memcpy(&out, nla_data(a), sizeof out);
  return out;
}

void read_endpoint(nlattr* a, WireguardPeer& peer) {
  const auto bytes = raw(a);
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto family = value<sa_family_t>(a);
  if (family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) {
    peer.endpoint = IpAddress::from_bytes({data + offsetof(sockaddr_in, sin_addr), 4});
  } else if (family == AF_INET6 && bytes.size() >= sizeof(sockaddr_in6)) {
    peer.endpoint = IpAddress::from_bytes({data + offsetof(sockaddr_in6, sin6_addr), 16});
  } else {
    return;
  }
  std::uint16_t port;
  std::memcpy(&port, data + offsetof(sockaddr_in, sin_port), sizeof port);
  peer.port = ntohs(port);
}

WireguardPeer read_peer(nlattr* nested) {
  nl::Attributes<WGPEER_A_MAX> a(nested);
  WireguardPeer out{.public_key = raw(a[WGPEER_A_PUBLIC_KEY]), .preshared_key = raw(a[WGPEER_A_PRESHARED_KEY])};
  if (std::ranges::all_of(out.preshared_key, [](char c) { return c == 0; })) out.preshared_key.clear();
  read_endpoint(a[WGPEER_A_ENDPOINT], out);
  out.last_handshake = value<__kernel_timespec>(a[WGPEER_A_LAST_HANDSHAKE_TIME]).tv_sec;
  out.received = value<std::uint64_t>(a[WGPEER_A_RX_BYTES]);
  out.sent = value<std::uint64_t>(a[WGPEER_A_TX_BYTES]);
  if (!a[WGPEER_A_ALLOWEDIPS]) return out;
  nlattr* one;
  int left;
  nla_for_each_nested(one, a[WGPEER_A_ALLOWEDIPS], left) {
    nl::Attributes<WGALLOWEDIP_A_MAX> ip(one);
    out.allowed_ips.push_back({ip.address(WGALLOWEDIP_A_IPADDR), ip.u8(WGALLOWEDIP_A_CIDR_MASK)});
  }
  return out;
}

void read_device(nlmsghdr* message, WireguardState& into) {
  nl::Attributes<WGDEVICE_A_MAX> a(message, sizeof(genlmsghdr));
  if (a[WGDEVICE_A_PRIVATE_KEY]) into.private_key = raw(a[WGDEVICE_A_PRIVATE_KEY]);
  if (a[WGDEVICE_A_PUBLIC_KEY]) into.public_key = raw(a[WGDEVICE_A_PUBLIC_KEY]);
  if (a[WGDEVICE_A_LISTEN_PORT]) into.port = a.u16(WGDEVICE_A_LISTEN_PORT);
  if (!a[WGDEVICE_A_PEERS]) return;
  nlattr* one;
  int left;
  nla_for_each_nested(one, a[WGDEVICE_A_PEERS], left) {
    auto peer = read_peer(one);
    // A peer whose addresses do not go into one message comes again in the next.
    if (!into.peers.empty() && into.peers.back().public_key == peer.public_key) {
      auto& ips = into.peers.back().allowed_ips;
      ips.insert(ips.end(), peer.allowed_ips.begin(), peer.allowed_ips.end());
    } else {
      into.peers.push_back(std::move(peer));
    }
  }
}

}  // namespace

namespace wireguard_message {

std::vector<std::string> set_peer(int family, const std::string& device, const WireguardPeer& peer) {
  std::vector<std::string> out;
  for (const auto& m : setting(family, device, peer)) out.push_back(bytes_of(m));
  return out;
}

std::string remove_peer(int family, const std::string& device, const std::string& public_key) {
  return bytes_of(removal(family, device, public_key));
}

std::string set_key(int family, const std::string& device, const std::string& private_key, std::uint16_t port) {
  return bytes_of(keying(family, device, private_key, port));
}

void read(std::string_view message, WireguardState& into) {
  // Aligned, and with a length that is not believed.
  std::vector<std::max_align_t> copy(message.size() / sizeof(std::max_align_t) + 1);
  std::memcpy(copy.data(), message.data(), message.size());
  auto* header = reinterpret_cast<nlmsghdr*>(copy.data());
  if (message.size() < NLMSG_HDRLEN + GENL_HDRLEN || header->nlmsg_len > message.size()) return;
  if (header->nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN) return;
  read_device(header, into);
}

}  // namespace wireguard_message

struct Wireguard::Sockets {
  nl::RequestSocket links, generic;
  int family = 0;  // once it is known

  // The number of WireGuard's netlink family; there once the module is.
  Result<int> number() {
    if (family) return family;
    genlmsghdr header{};
    header.cmd = CTRL_CMD_GETFAMILY;
    header.version = 1;
    nl::Message message(GENL_ID_CTRL, 0, header);
    message.put_text(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
    LAB_CHECK(generic.request(message, "look up the kernel's WireGuard", [&](nlmsghdr* answer) {
      if (!answer) return;
      nl::Attributes<CTRL_ATTR_MAX> a(answer, sizeof(genlmsghdr));
      family = a.u16(CTRL_ATTR_FAMILY_ID);
    }));
    if (!family) return fail(Code::kUnavailable, "the kernel does not say how its WireGuard is reached");
    return family;
  }
};

Wireguard::Wireguard(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
Wireguard::Wireguard(Wireguard&&) noexcept = default;
Wireguard& Wireguard::operator=(Wireguard&&) noexcept = default;
Wireguard::~Wireguard() = default;

Result<Wireguard> Wireguard::open() {
  LAB_TRY(auto links, nl::RequestSocket::open(NETLINK_ROUTE));
  LAB_TRY(auto generic, nl::RequestSocket::open(NETLINK_GENERIC));
  return Wireguard(std::make_unique<Sockets>(Sockets{std::move(links), std::move(generic)}));
}

Result<void> Wireguard::create(const std::string& device) {
  if (device.empty() || device.size() > kMaxLinkName) return fail(Code::kBadRequest, "'" + device + "' is no name");
  nl::Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  message.put_text(IFLA_IFNAME, device);
  message.nest(IFLA_LINKINFO | NLA_F_NESTED, [&] { message.put_text(IFLA_INFO_KIND, "wireguard"); });
  auto done = sockets_->links.request(message, "make WireGuard device " + device);
  if (!done && done.error().sys_errno == EEXIST) return {};
  return done;
}

Result<WireguardState> Wireguard::read(const std::string& device) {
  LAB_TRY(auto family, sockets_->number());
  WireguardState out;
  auto message = device_message(family, WG_CMD_GET_DEVICE, NLM_F_DUMP, device);
  LAB_CHECK(sockets_->generic.request(message, "read WireGuard device " + device, [&](nlmsghdr* answer) {
    if (answer) return read_device(answer, out);
    out = {};
  }));
  return out;
}

Result<void> Wireguard::set_key(const std::string& device, const std::string& private_key, std::uint16_t port) {
  if (private_key.size() != kWireguardKeyBytes) return fail(Code::kInvalid, "a WireGuard key has 32 bytes");
  LAB_TRY(auto family, sockets_->number());
  return sockets_->generic.request(keying(family, device, private_key, port),
                                   "give WireGuard device " + device + " its key and UDP port " + std::to_string(port));
}

Result<void> Wireguard::set_peer(const std::string& device, const WireguardPeer& peer) {
  if (peer.public_key.size() != kWireguardKeyBytes) return fail(Code::kInvalid, "a WireGuard key has 32 bytes");
  LAB_TRY(auto family, sockets_->number());
  for (const auto& message : setting(family, device, peer)) {
    LAB_CHECK(sockets_->generic.request(message, "set a peer of WireGuard device " + device));
  }
  return {};
}

Result<void> Wireguard::remove_peer(const std::string& device, const std::string& public_key) {
  LAB_TRY(auto family, sockets_->number());
  return sockets_->generic.request(removal(family, device, public_key), "remove a peer of WireGuard device " + device);
}

}  // namespace lab
