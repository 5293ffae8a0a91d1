#include "overlay-net/sleeve/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

// A longer queue than the default's 500: bursts of several streams at once. As it comes is good enough, too.
void lengthen_queue(ifreq request) {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  request.ifr_qlen = kQueue;
  if (fd >= 0) (void)::ioctl(fd, SIOCSIFTXQLEN, &request);
  if (fd >= 0) ::close(fd);
}

}  // namespace

Result<int> open_tun(const std::string& name) {
  int fd = open_clone();
  if (fd < 0) {
    return fail_errno(std::string("cannot open ") + kClone,
                      "load the module tun, or let this process use the device (character device 10:200)");
  }
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  int head = 10;
  if (::ioctl(fd, TUNSETIFF, &request) != 0 || ::ioctl(fd, TUNSETVNETHDRSZ, &head) != 0 ||
      ::ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN) != 0) {
    int why = errno;
    ::close(fd);
    return fail_errno(why, "cannot make TUN device " + name,
                      why == EBUSY ? "another process holds it: is a second overlay running on this node?" : "");
  }
  lengthen_queue(request);
  return fd;
}

}  // namespace lab::overlay
