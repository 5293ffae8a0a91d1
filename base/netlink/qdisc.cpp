#include "base/netlink/qdisc.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cerrno>

#include "base/netlink/message.h"

namespace lab {

Result<void> ensure_clsact(int device) {
  LAB_TRY(auto socket, nl::RequestSocket::open(NETLINK_ROUTE));
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = device;
  header.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  header.tcm_parent = TC_H_CLSACT;
  nl::Message message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, header);
  message.put_text(TCA_KIND, "clsact");
  auto done = socket.request(message, "make clsact on network device " + std::to_string(device));
  if (!done && done.error().sys_errno == EEXIST) return {};
  return done;
}

}  // namespace lab
