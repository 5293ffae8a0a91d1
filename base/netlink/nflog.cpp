#include "base/netlink/nflog.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/netlink/message.h"

namespace lab {
namespace {

constexpr int kMessage = NFNL_SUBSYS_ULOG << 8;
constexpr int kBuffer = 64 << 10;

nl::Message config(std::uint16_t group, std::uint8_t family = AF_UNSPEC) {
  nfgenmsg header{};
  header.nfgen_family = family;
  header.version = NFNETLINK_V0;
  header.res_id = htons(group);
  return nl::Message(kMessage | NFULNL_MSG_CONFIG, NLM_F_ACK, header);
}

// Sends one request and waits for its acknowledgement.
Result<void> ask(int fd, const nl::Message& message, const std::string& what) {
  auto* out = nlmsg_hdr(message.raw());
  if (::send(fd, out, out->nlmsg_len, 0) < 0) return fail_errno(what);
  char buffer[4096];
  while (true) {
    auto got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(what);
    auto left = static_cast<int>(got);
    for (auto* m = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(m, static_cast<unsigned>(left));
         m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type != NLMSG_ERROR) continue;  // a packet that came first
      int error = -static_cast<nlmsgerr*>(NLMSG_DATA(m))->error;
      if (error == 0) return {};
      if (error == EBUSY || error == EPERM) {
        return fail(Code::kConflict, what + ": another program reads this group, or the right CAP_NET_ADMIN is missing");
      }
      if (error == EINVAL || error == EOPNOTSUPP) {
        return fail(Code::kUnavailable, what + ": the kernel lacks nfnetlink_log", "run 'modprobe nfnetlink_log'");
      }
      return fail_errno(error, what);
    }
  }
}

}  // namespace

NflogReader::NflogReader(NflogReader&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

NflogReader& NflogReader::operator=(NflogReader&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

NflogReader::~NflogReader() {
  if (fd_ >= 0) ::close(fd_);
}

Result<NflogReader> NflogReader::open(std::uint16_t group, std::uint32_t copy) {
  int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return fail_errno("open a netlink socket for logged packets");
  NflogReader out(fd);
  LAB_CHECK(out.configure(group, copy));
  return out;
}

Result<void> NflogReader::configure(std::uint16_t group, std::uint32_t copy) {
  timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string what = "read the packets of log group " + std::to_string(group);
  auto bind = config(group);
  nfulnl_msg_config_cmd command{NFULNL_CFG_CMD_BIND};
  bind.put(NFULA_CFG_CMD, &command, sizeof command);
  LAB_CHECK(ask(fd_, bind, what));
  auto parameters = config(group);
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(copy);
  mode.copy_mode = NFULNL_COPY_PACKET;
  parameters.put(NFULA_CFG_MODE, &mode, sizeof mode);
  parameters.put_u32(NFULA_CFG_QTHRESH, htonl(1));  // each at once
  return ask(fd_, parameters, what);
}

Result<std::vector<LoggedPacket>> NflogReader::next(std::chrono::milliseconds limit) {
  std::vector<LoggedPacket> out;
  pollfd p{fd_, POLLIN, 0};
  int ready = ::poll(&p, 1, static_cast<int>(limit.count()));
  if (ready < 0 && errno != EINTR) return fail_errno("wait for logged packets");
  if (ready <= 0) return out;
  std::vector<char> buffer(kBuffer);
  auto got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0) {
    // ENOBUFS: more came than the socket holds.
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return out;
    return fail_errno("read logged packets");
  }
  auto left = static_cast<int>(got);
  for (auto* m = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(m, static_cast<unsigned>(left));
       m = NLMSG_NEXT(m, left)) {
    if (m->nlmsg_type != (kMessage | NFULNL_MSG_PACKET)) continue;
    nl::Attributes<NFULA_MAX> a(m, sizeof(nfgenmsg));
    LoggedPacket packet{.prefix = a.text(NFULA_PREFIX)};
    if (auto* payload = a[NFULA_PAYLOAD]) {
      const auto* data = static_cast<const std::uint8_t*>(nla_data(payload));
      packet.payload.assign(data, data + nla_len(payload));
    }
    out.push_back(std::move(packet));
  }
  return out;
}

}  // namespace lab
