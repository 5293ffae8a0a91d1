#include "overlay-net/sleeve/tap.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lab::overlay {
namespace {

constexpr const char* kClone = "/dev/net/tun";
constexpr unsigned kMajor = 10, kMinor = 200;  // Documentation/admin-guide/devices.txt
constexpr int kQueue = 1000;                   // frames; each may be 64 KiB

int open_clone() {
  int fd = ::open(kClone, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0 || errno != ENOENT) return fd;
  (void)::mkdir("/dev/net", 0755);
  if (::mknod(kClone, S_IFCHR | 0666, makedev(kMajor, kMinor)) != 0 && errno != EEXIST) return -1;
  return ::open(kClone, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

// Of every such device: it never leaves the node.
constexpr std::array<std::uint8_t, ETH_ALEN> kOwn{0x02, 'l', 'a', 'b', 0, 1}, kOther{0x02, 'l', 'a', 'b', 0, 2};
constexpr std::size_t kEthernet = ETH_HLEN;

// Nobody is asked for an address. A longer queue than the default's 500: bursts of several streams at once; as it comes
// is good enough, too.
Result<void> set_up(ifreq request) {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail_errno("cannot make a socket");
  request.ifr_qlen = kQueue;
  (void)::ioctl(fd, SIOCSIFTXQLEN, &request);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::copy(kOwn.begin(), kOwn.end(), request.ifr_hwaddr.sa_data);
  const bool named = ::ioctl(fd, SIOCSIFHWADDR, &request) == 0 && ::ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_NOARP);
  const bool done = named && ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  const int why = errno;
  ::close(fd);
  if (!done) return fail_errno(why, std::string("cannot set up device ") + request.ifr_name);
  return {};
}

}  // namespace

Result<int> open_tap(const std::string& name) {
  int fd = open_clone();
  if (fd < 0) {
    return fail_errno(std::string("cannot open ") + kClone,
                      "load the module tun, or let this process use the device (character device 10:200)");
  }
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  int head = 10;
  if (::ioctl(fd, TUNSETIFF, &request) != 0 || ::ioctl(fd, TUNSETVNETHDRSZ, &head) != 0 ||
      ::ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN) != 0) {
    int why = errno;
    ::close(fd);
    return fail_errno(why, "cannot make TAP device " + name,
                      why == EBUSY ? "another process holds it: is a second overlay running on this node?" : "");
  }
  if (auto done = set_up(request); !done) {
    ::close(fd);
    return std::unexpected(std::move(done).error());
  }
  return fd;
}

std::size_t read_frame(int tap, std::span<std::uint8_t> into) {
  VirtioHead head;
  std::array<std::uint8_t, kEthernet> ethernet;
  const iovec parts[] = {
      {&head, sizeof head}, {ethernet.data(), ethernet.size()}, {into.data() + sizeof head, into.size() - sizeof head}};
  const auto n = ::readv(tap, parts, 3);
  if (n < static_cast<ssize_t>(sizeof head + kEthernet)) return 0;
  if (head.flags & VirtioHead::kNeedsChecksum) head.checksum_start -= kEthernet;
  if (head.gso_type != VirtioHead::kNone) head.header_size -= kEthernet;
  std::memcpy(into.data(), &head, sizeof head);
  return static_cast<std::size_t>(n) - kEthernet;
}

bool write_frame(int tap, VirtioHead head, std::span<const iovec> packet) {
  static constexpr auto kHeader = [] {
    std::array<std::uint8_t, kEthernet> out{};
    std::ranges::copy(kOwn, out.begin());
    std::ranges::copy(kOther, out.begin() + ETH_ALEN);
    out[12] = ETH_P_IP >> 8, out[13] = ETH_P_IP & 255;
    return out;
  }();
  static thread_local std::vector<iovec> parts;
  if (head.flags & VirtioHead::kNeedsChecksum) head.checksum_start += kEthernet;
  if (head.gso_type != VirtioHead::kNone) head.header_size += kEthernet;
  parts.assign({{&head, sizeof head}, {const_cast<std::uint8_t*>(kHeader.data()), kHeader.size()}});
  parts.insert(parts.end(), packet.begin(), packet.end());
  return ::writev(tap, parts.data(), static_cast<int>(parts.size())) >= 0;
}

}  // namespace lab::overlay
