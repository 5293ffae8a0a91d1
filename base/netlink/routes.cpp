// Addresses and routes.
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>

#include "base/netlink/socket.h"

namespace lab {
namespace {

std::optional<InterfaceAddress> parse_address(nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWADDR) return std::nullopt;
  auto* header = static_cast<ifaddrmsg*>(nlmsg_data(message));
  nl::Attributes<IFA_MAX> a(message, sizeof *header);
  InterfaceAddress out;
  out.link = static_cast<int>(header->ifa_index);
  out.address = {a[IFA_LOCAL] ? a.address(IFA_LOCAL) : a.address(IFA_ADDRESS), header->ifa_prefixlen};
  return out;
}

nl::Message address_message(int type, int flags, const InterfaceAddress& address) {
  ifaddrmsg header{};
  header.ifa_family = static_cast<unsigned char>(address.address.address.family());
  header.ifa_prefixlen = static_cast<unsigned char>(address.address.prefix);
  header.ifa_index = static_cast<unsigned>(address.link);
  nl::Message message(type, flags, header);
  message.put_address(IFA_LOCAL, address.address.address);
  message.put_address(IFA_ADDRESS, address.address.address);
  return message;
}

std::optional<Route> parse_route(nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWROUTE) return std::nullopt;
  auto* header = static_cast<rtmsg*>(nlmsg_data(message));
  if (header->rtm_flags & RTM_F_CLONED) return std::nullopt;
  nl::Attributes<RTA_MAX> a(message, sizeof *header);
  Route out;
  out.destination = {a.address(RTA_DST), header->rtm_dst_len};
  if (out.destination.empty()) {
    std::uint8_t zero[16] = {};
    out.destination.address = IpAddress::from_bytes({zero, header->rtm_family == AF_INET6 ? 16u : 4u});
  }
  out.gateway = a.address(RTA_GATEWAY);
  out.source = a.address(RTA_PREFSRC);
  out.link = static_cast<int>(a.u32(RTA_OIF));
  out.onlink = header->rtm_flags & RTNH_F_ONLINK;
  out.protocol = header->rtm_protocol;
  out.table = a[RTA_TABLE] ? a.u32(RTA_TABLE) : header->rtm_table;
  return out;
}

nl::Message route_message(int type, int flags, const Route& route) {
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(route.destination.address.family());
  header.rtm_dst_len = static_cast<unsigned char>(route.destination.prefix);
  header.rtm_table = RT_TABLE_UNSPEC;
  header.rtm_protocol = route.protocol ? route.protocol : RTPROT_STATIC;
  header.rtm_scope = route.gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  if (type == RTM_DELROUTE) {
    header.rtm_protocol = route.protocol;
    header.rtm_scope = RT_SCOPE_NOWHERE;  // any
  }
  if (route.onlink) header.rtm_flags |= RTNH_F_ONLINK;
  nl::Message message(type, flags, header);
  if (route.destination.prefix) message.put_address(RTA_DST, route.destination.network().address);
  if (!route.gateway.empty()) message.put_address(RTA_GATEWAY, route.gateway);
  if (!route.source.empty()) message.put_address(RTA_PREFSRC, route.source);
  if (route.link) message.put_u32(RTA_OIF, static_cast<std::uint32_t>(route.link));
  message.put_u32(RTA_TABLE, route.table ? route.table : RT_TABLE_MAIN);
  return message;
}

}  // namespace

Result<std::vector<InterfaceAddress>> Netlink::addresses(int link) {
  ifaddrmsg header{};
  nl::Message message(RTM_GETADDR, NLM_F_DUMP, header);
  LAB_TRY(auto all, socket_->collect<InterfaceAddress>(message, "list addresses", parse_address));
  if (link) std::erase_if(all, [&](const auto& a) { return a.link != link; });
  return all;
}

Result<void> Netlink::replace_address(const InterfaceAddress& address) {
  auto message = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address);
  return socket_->request(message, "set address " + address.address.text());
}

Result<void> Netlink::delete_address(const InterfaceAddress& address) {
  auto done = socket_->request(address_message(RTM_DELADDR, 0, address), "remove address " + address.address.text());
  if (!done && (done.error().sys_errno == EADDRNOTAVAIL || done.error().sys_errno == ENODEV)) return {};
  return done;
}

Result<std::vector<Route>> Netlink::routes(int link, std::uint32_t table) {
  rtmsg header{};
  nl::Message message(RTM_GETROUTE, NLM_F_DUMP, header);
  LAB_TRY(auto all, socket_->collect<Route>(message, "list routes", parse_route));
  std::uint32_t wanted = table ? table : RT_TABLE_MAIN;
  std::erase_if(all, [&](const Route& r) { return r.table != wanted || (link && r.link != link); });
  for (auto& r : all) r.table = table;
  return all;
}

Result<void> Netlink::replace_route(const Route& route) {
  auto message = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
  return socket_->request(message, "set route to " + route.destination.text());
}

Result<void> Netlink::delete_route(const Route& route) {
  auto done = socket_->request(route_message(RTM_DELROUTE, 0, route), "remove route to " + route.destination.text());
  if (!done && done.error().sys_errno == ESRCH) return {};
  return done;
}

Result<Route> Netlink::route_to(const IpAddress& to) {
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(to.family());
  header.rtm_dst_len = static_cast<unsigned char>(to.bits());
  nl::Message message(RTM_GETROUTE, 0, header);
  message.put_address(RTA_DST, to);
  LAB_TRY(auto found, socket_->collect<Route>(message, "find the route to " + to.text(), [](nlmsghdr* h) {
    static_cast<rtmsg*>(nlmsg_data(h))->rtm_flags &= ~static_cast<unsigned>(RTM_F_CLONED);
    return parse_route(h);
  }));
  if (found.empty()) return fail(Code::kNotFound, "there is no route to " + to.text());
  return found.front();
}

}  // namespace lab
