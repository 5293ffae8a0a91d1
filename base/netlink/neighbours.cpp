// Neighbours (address to MAC) and forwarding entries of vxlan devices (MAC to tunnel endpoint).
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>

#include "base/netlink/socket.h"

namespace lab {
namespace {

ndmsg entry_header(int family, int link) {
  ndmsg header{};
  header.ndm_family = static_cast<std::uint8_t>(family);
  header.ndm_ifindex = link;
  return header;
}

nl::Message neighbour_message(int type, int flags, const Neighbour& n) {
  auto header = entry_header(n.address.family(), n.link);
  header.ndm_state = NUD_PERMANENT;
  nl::Message message(type, flags, header);
  message.put_address(NDA_DST, n.address);
  if (type == RTM_NEWNEIGH) message.put_mac(NDA_LLADDR, n.mac);
  return message;
}

nl::Message fdb_message(int type, int flags, const FdbEntry& e) {
  auto header = entry_header(AF_BRIDGE, e.link);
  header.ndm_state = NUD_PERMANENT | NUD_NOARP;
  header.ndm_flags = NTF_SELF;
  nl::Message message(type, flags, header);
  message.put_mac(NDA_LLADDR, e.mac);
  message.put_address(NDA_DST, e.remote);
  return message;
}

}  // namespace

Result<std::vector<Neighbour>> Netlink::neighbours(int link) {
  nl::Message message(RTM_GETNEIGH, NLM_F_DUMP, entry_header(AF_UNSPEC, 0));
  return socket_->collect<Neighbour>(message, "list neighbours", [link](nlmsghdr* h) -> std::optional<Neighbour> {
    auto* header = static_cast<ndmsg*>(nlmsg_data(h));
    if (h->nlmsg_type != RTM_NEWNEIGH || header->ndm_family == AF_BRIDGE) return std::nullopt;
    if (header->ndm_ifindex != link || (header->ndm_state & NUD_NOARP)) return std::nullopt;
    nl::Attributes<NDA_MAX> a(h, sizeof *header);
    return Neighbour{link, a.address(NDA_DST), a.mac(NDA_LLADDR), (header->ndm_state & NUD_PERMANENT) != 0};
  });
}

Result<void> Netlink::replace_neighbour(const Neighbour& n) {
  return socket_->request(neighbour_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n),
                          "set neighbour " + n.address.text());
}

Result<void> Netlink::delete_neighbour(const Neighbour& n) {
  auto done = socket_->request(neighbour_message(RTM_DELNEIGH, 0, n), "remove neighbour " + n.address.text());
  if (!done && done.error().sys_errno == ENOENT) return {};
  return done;
}

Result<std::vector<FdbEntry>> Netlink::fdb(int link) {
  // Forwarding entries are dumped with a link header; IFLA_MASTER absent means "not those of a bridge".
  ifinfomsg request{};
  request.ifi_family = AF_BRIDGE;
  request.ifi_index = link;
  nl::Message message(RTM_GETNEIGH, NLM_F_DUMP, request);
  return socket_->collect<FdbEntry>(message, "list forwarding entries", [link](nlmsghdr* h) -> std::optional<FdbEntry> {
    auto* header = static_cast<ndmsg*>(nlmsg_data(h));
    if (h->nlmsg_type != RTM_NEWNEIGH || header->ndm_ifindex != link) return std::nullopt;
    nl::Attributes<NDA_MAX> a(h, sizeof *header);
    FdbEntry entry{link, a.mac(NDA_LLADDR), a.address(NDA_DST)};
    if (entry.remote.empty()) return std::nullopt;
    return entry;
  });
}

Result<void> Netlink::replace_fdb(const FdbEntry& entry) {
  return socket_->request(fdb_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry),
                          "set forwarding entry " + entry.mac.text());
}

Result<void> Netlink::delete_fdb(const FdbEntry& entry) {
  auto done = socket_->request(fdb_message(RTM_DELNEIGH, 0, entry), "remove forwarding entry " + entry.mac.text());
  if (!done && done.error().sys_errno == ENOENT) return {};
  return done;
}

// ---------------------------------------------------------------------------------------------------------------------

Result<std::vector<std::string>> describe_network(Netlink& netlink) {
  std::vector<std::string> out;
  LAB_TRY(auto links, netlink.links());
  auto name_of = [&](int index) {
    auto at = std::ranges::find(links, index, &Link::index);
    return at == links.end() ? std::string("-") : at->name;
  };
  for (const auto& l : links) {
    out.push_back("link " + l.name + " " + l.kind + (l.up ? " up" : " down") + " mtu " + std::to_string(l.mtu) +
                  " master " + name_of(l.master));
    LAB_TRY(auto neighbours, netlink.neighbours(l.index));
    for (const auto& n : neighbours) {
      if (n.permanent) out.push_back("neighbour " + l.name + " " + n.address.text() + " " + n.mac.text());
    }
    LAB_TRY(auto entries, netlink.fdb(l.index));
    for (const auto& e : entries) out.push_back("fdb " + l.name + " " + e.mac.text() + " " + e.remote.text());
  }
  LAB_TRY(auto addresses, netlink.addresses());
  for (const auto& a : addresses) out.push_back("address " + name_of(a.link) + " " + a.address.text());
  LAB_TRY(auto routes, netlink.routes());
  for (const auto& r : routes) {
    out.push_back("route " + r.destination.text() + " via " + r.gateway.text() + " dev " + name_of(r.link));
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace lab
