#include "base/netlink/message.h"

#include <sys/socket.h>

#include <cerrno>

namespace lab::nl {
namespace {

// The kernel's own explanation of a refusal, where it gave one (NETLINK_EXT_ACK).
std::string kernel_words(nlmsghdr* header) {
  if (!(header->nlmsg_flags & NLM_F_ACK_TLVS)) return {};
  auto* error = static_cast<nlmsgerr*>(nlmsg_data(header));
  std::size_t skip = sizeof(nlmsgerr);
  if (!(header->nlmsg_flags & NLM_F_CAPPED)) skip += error->msg.nlmsg_len - sizeof(nlmsghdr);
  auto* start = reinterpret_cast<nlattr*>(static_cast<char*>(nlmsg_data(header)) + NLMSG_ALIGN(skip));
  int left = static_cast<int>(header->nlmsg_len) - NLMSG_HDRLEN - static_cast<int>(NLMSG_ALIGN(skip));
  nlattr* table[NLMSGERR_ATTR_MAX + 1] = {};
  if (left <= 0 || nla_parse(table, NLMSGERR_ATTR_MAX, start, left, nullptr) < 0 || !table[NLMSGERR_ATTR_MSG])
    return {};
  return ": " + std::string(nla_get_string(table[NLMSGERR_ATTR_MSG]));
}

}  // namespace

Result<RequestSocket> RequestSocket::open(int family) {
  RequestSocket out(nl_socket_alloc());
  if (!out.socket_) return fail(Code::kInternal, "no memory for a netlink socket");
  nl_socket_disable_auto_ack(out.socket_.get());
  if (int err = nl_connect(out.socket_.get(), family); err < 0) {
    return fail_errno("cannot open a netlink socket of family " + std::to_string(family));
  }
  nl_socket_enable_msg_peek(out.socket_.get());
  int on = 1, off = 0, big = 1 << 20;
  int fd = nl_socket_get_fd(out.socket_.get());
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &off, sizeof off);
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
  return out;
}

Result<void> RequestSocket::request(const Message& message, const std::string& what,
                                    const std::function<void(nlmsghdr*)>& each) {
  constexpr int kAttempts = 10;  // interrupted dumps are rare; this many in a row means constant change
  auto* header = nlmsg_hdr(message.raw());
  if ((header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) header->nlmsg_flags |= NLM_F_ACK;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    header->nlmsg_seq = NL_AUTO_SEQ;
    header->nlmsg_pid = NL_AUTO_PORT;
    if (nl_send_auto(socket_.get(), message.raw()) < 0) return fail_errno("cannot send a netlink request to " + what);
    LAB_TRY(bool whole, receive(header->nlmsg_seq, what, each));
    if (whole) return {};
    if (each) each(nullptr);
  }
  return fail(Code::kUnavailable, what + ": the network configuration keeps changing while it is read");
}

// False: the answer was interrupted by a change and is not to be trusted.
Result<bool> RequestSocket::receive(unsigned sequence, const std::string& what,
                                    const std::function<void(nlmsghdr*)>& each) {
  bool whole = true;
  while (true) {
    sockaddr_nl from{};
    unsigned char* buffer = nullptr;
    int size = nl_recv(socket_.get(), &from, &buffer, nullptr);
    if (size <= 0) return fail_errno(size == 0 ? EPIPE : errno, "cannot read the kernel's answer to: " + what);
    std::unique_ptr<unsigned char, decltype(&::free)> owner(buffer, &::free);
    int left = size;
    for (auto* h = reinterpret_cast<nlmsghdr*>(buffer); nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
      if (h->nlmsg_seq != sequence) continue;
      if (h->nlmsg_flags & NLM_F_DUMP_INTR) whole = false;
      if (h->nlmsg_type == NLMSG_DONE) return whole;
      if (h->nlmsg_type == NLMSG_ERROR) {
        int err = -static_cast<nlmsgerr*>(nlmsg_data(h))->error;
        if (err == 0) return whole;
        return fail_errno(err, "cannot " + what + kernel_words(h));
      }
      if (each && whole) each(h);
    }
  }
}

}  // namespace lab::nl
