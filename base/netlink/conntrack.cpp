#include "base/netlink/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <cerrno>
#include <optional>

#include "base/netlink/message.h"

namespace lab {
namespace {

constexpr int message_type(int type) {
  return NFNL_SUBSYS_CTNETLINK << 8 | type;
}

nfgenmsg family_header() {
  nfgenmsg header{};
  header.nfgen_family = AF_INET;
  header.version = NFNETLINK_V0;
  return header;
}

struct Tuple {
  IpAddress source, destination;
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0, destination_port = 0;
};

Tuple parse_tuple(nlattr* nested) {
  nl::Attributes<CTA_TUPLE_MAX> tuple(nested);
  nl::Attributes<CTA_IP_MAX> ip(tuple[CTA_TUPLE_IP]);
  nl::Attributes<CTA_PROTO_MAX> proto(tuple[CTA_TUPLE_PROTO]);
  return {ip.address(CTA_IP_V4_SRC), ip.address(CTA_IP_V4_DST), proto.u8(CTA_PROTO_NUM),
          ntohs(proto.u16(CTA_PROTO_SRC_PORT)), ntohs(proto.u16(CTA_PROTO_DST_PORT))};
}

nl::Message deletion(const ConntrackFlow& flow) {
  nl::Message message(message_type(IPCTNL_MSG_CT_DELETE), 0, family_header());
  message.nest(CTA_TUPLE_ORIG | NLA_F_NESTED, [&] {
    message.nest(CTA_TUPLE_IP | NLA_F_NESTED, [&] {
      message.put_address(CTA_IP_V4_SRC, flow.source);
      message.put_address(CTA_IP_V4_DST, flow.destination);
    });
    message.nest(CTA_TUPLE_PROTO | NLA_F_NESTED, [&] {
      message.put_u8(CTA_PROTO_NUM, flow.protocol);
      message.put_u16(CTA_PROTO_SRC_PORT, htons(flow.source_port));
      message.put_u16(CTA_PROTO_DST_PORT, htons(flow.destination_port));
    });
  });
  return message;
}

Result<std::vector<ConntrackFlow>> dump(nl::RequestSocket& socket, std::uint8_t protocol) {
  std::vector<ConntrackFlow> out;
  nl::Message message(message_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, family_header());
  LAB_CHECK(socket.request(message, "list tracked connections", [&](nlmsghdr* header) {
    if (!header) return out.clear();
    nl::Attributes<CTA_MAX> a(header, sizeof(nfgenmsg));
    auto original = parse_tuple(a[CTA_TUPLE_ORIG]);
    if (original.protocol != protocol) return;
    auto reply = parse_tuple(a[CTA_TUPLE_REPLY]);
    out.push_back({protocol, original.source, original.destination, original.source_port, original.destination_port,
                   reply.source, reply.source_port});
  }));
  return out;
}

}  // namespace

Result<std::vector<ConntrackFlow>> conntrack_flows(std::uint8_t protocol) {
  LAB_TRY(auto socket, nl::RequestSocket::open(NETLINK_NETFILTER));
  return dump(socket, protocol);
}

Result<int> conntrack_remove(std::uint8_t protocol, const std::function<bool(const ConntrackFlow&)>& match) {
  LAB_TRY(auto socket, nl::RequestSocket::open(NETLINK_NETFILTER));
  LAB_TRY(auto flows, dump(socket, protocol));
  int removed = 0;
  for (const auto& flow : flows) {
    if (!match(flow)) continue;
    auto done = socket.request(deletion(flow), "remove a tracked connection to " + flow.destination.text());
    if (!done && done.error().sys_errno != ENOENT) return std::unexpected(std::move(done).error());
    removed += done.has_value();
  }
  return removed;
}

}  // namespace lab
