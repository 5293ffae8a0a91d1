#include "tests/netns/sleeve/net.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/netlink/sysctl.h"

namespace lab::test {
namespace {

struct Fd {
  int fd = -1;
  explicit Fd(int f) : fd(f) {}
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  Fd(const Fd&) = delete;
};

int socket_in(const NetNs& ns, int family, int type, int protocol = 0) {
  int fd = -1;
  must(run_in_netns(ns, [&] { fd = ::socket(family, type | SOCK_CLOEXEC, protocol); }));
  return fd;
}

sockaddr_in address_of(const std::string& ip, std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  ::inet_pton(AF_INET, ip.c_str(), &a.sin_addr);
  return a;
}

void limit(int fd, int seconds) {
  timeval t{seconds, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

// One for each password, since they are dear to make.
std::shared_ptr<const overlay::Authenticator> authenticator(const std::string& password) {
  static std::map<std::string, std::shared_ptr<const overlay::Authenticator>> known;
  if (password.empty()) return nullptr;
  auto& a = known[password];
  if (!a) a = overlay::authenticate_by_password(password);
  return a;
}

char pattern(std::size_t i) {
  return static_cast<char>(i * 2654435761u >> 24);
}

}  // namespace

SleeveNet::SleeveNet(int n) : nodes(n) {
  box.add("wire");
  auto wire = must(Netlink::open_in(box.ns("wire")));
  must(wire.create_bridge({.name = "br0", .mtu = 1500, .up = true}));
  for (int i = 1; i <= nodes; ++i) {
    box.add(node(i));
    box.plug(node(i), "eth0", underlay(i).text() + "/24", "wire", "br0");
    auto netlink = must(Netlink::open_in(box.ns(node(i))));
    must(netlink.replace_address({must(netlink.link("lo")).index, *Cidr::parse(pod(i) + "/32")}));
  }
}

void SleeveNet::start(int i, const std::string& password, std::chrono::milliseconds rekey_after) {
  sleeves[i] = must(in_netns(box.ns(node(i)), [&] {
    return overlay::Sleeve::start({.self = id(i),
                                   .underlay = underlay(i),
                                   .authenticator = authenticator(password),
                                   .heartbeat = std::chrono::milliseconds(100),
                                   .rekey_after = rekey_after});
  }));
  route(i);
  std::vector<overlay::SleevePeer> peers;
  for (int k = 1; k <= nodes; ++k) {
    if (k != i) peers.push_back({id(k), node(k), underlay(k), {range(k)}});
  }
  sleeves[i]->set_peers(std::move(peers));
}

void SleeveNet::route(int i) {
  auto netlink = must(Netlink::open_in(box.ns(node(i))));
  auto tun = must(netlink.link(overlay::kSleeveDevice));
  must(netlink.change_link(tun.index, {.up = true, .mtu = 1450}));
  must(in_netns(box.ns(node(i)), [&] {
    return set_sysctl(std::string("net/ipv4/conf/") + overlay::kSleeveDevice + "/rp_filter", "2");
  }));
  for (int k = 1; k <= nodes; ++k) {
    if (k == i) continue;
    must(netlink.replace_route({.destination = range(k), .source = *IpAddress::parse(pod(i)), .link = tun.index}));
  }
}

overlay::SleevePeerStatus SleeveNet::status(int i, int peer) {
  for (auto& s : sleeves.at(i)->status()) {
    if (s.id == id(peer)) return s;
  }
  return {};
}

bool SleeveNet::established(int i, int peer) {
  return eventually([&] { return status(i, peer).established; });
}

bool SleeveNet::ping(int from, int to, int size) {
  return box.run(node(from), {"busybox", "ping", "-c1", "-W3", "-s", std::to_string(size), pod(to)}).ok();
}

bool SleeveNet::unreachable(int from, int to) {
  return !box.run(node(from), {"busybox", "ping", "-c1", "-W1", pod(to)}).ok();
}

bool SleeveNet::transfer(int from, int to, std::size_t bytes, int seconds) {
  Fd listener(socket_in(box.ns(node(to)), AF_INET, SOCK_STREAM)),
      out(socket_in(box.ns(node(from)), AF_INET, SOCK_STREAM));
  auto any = address_of(pod(to), 0);
  socklen_t size = sizeof any;
  if (::bind(listener.fd, reinterpret_cast<sockaddr*>(&any), size) != 0 || ::listen(listener.fd, 1) != 0 ||
      ::getsockname(listener.fd, reinterpret_cast<sockaddr*>(&any), &size) != 0) {
    return false;
  }
  limit(listener.fd, seconds);
  limit(out.fd, seconds);
  std::thread sender([&] {
    if (::connect(out.fd, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) return;
    std::string chunk(1 << 16, '\0');
    for (std::size_t sent = 0; sent < bytes;) {
      const auto want = std::min(chunk.size(), bytes - sent);
      for (std::size_t i = 0; i < want; ++i) chunk[i] = pattern(sent + i);
      const auto n = ::send(out.fd, chunk.data(), want, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
    }
    ::shutdown(out.fd, SHUT_WR);
  });
  bool same = true;
  std::size_t got = 0;
  {
    Fd in(::accept(listener.fd, nullptr, nullptr));
    limit(in.fd, seconds);
    std::string chunk(1 << 16, '\0');
    for (ssize_t n; (n = ::recv(in.fd, chunk.data(), chunk.size(), 0)) > 0; got += static_cast<std::size_t>(n)) {
      for (ssize_t i = 0; i < n; ++i)
        same &= chunk[static_cast<std::size_t>(i)] == pattern(got + static_cast<std::size_t>(i));
    }
  }
  sender.join();
  return same && got == bytes;
}

void SleeveNet::nft(int i, const std::string& rules) {
  auto out = box.sh(node(i),
                    "nft -f - <<'END'\nadd table ip t\nflush table ip t\ntable ip t {\nchain c {\n"
                    "type filter hook prerouting priority -400\n" +
                        rules + "\n}\n}\nEND\n");
  if (!out.ok()) throw std::runtime_error(rules + ": " + out.out);
}

void SleeveNet::no_nft(int i) {
  box.sh(node(i), "nft delete table ip t");
}

void SleeveNet::without_segmentation_offload(int i) {
  auto out = box.sh(node(i), "ip link set eth0 gso_max_segs 1");
  if (!out.ok()) throw std::runtime_error("cannot switch off segmentation offload: " + out.out);
}

std::string SleeveNet::capture(int i, overlay::wire::Kind kind, int seconds) {
  Fd s(socket_in(box.ns(node(i)), AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
  limit(s.fd, 1);
  std::string out;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < end) {
    std::string packet(65536, '\0');
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const auto n = ::recvfrom(s.fd, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 28 + 24 || from.sll_pkttype != PACKET_HOST) continue;
    packet.resize(static_cast<std::size_t>(n));
    const auto port = static_cast<unsigned char>(packet[22]) << 8 | static_cast<unsigned char>(packet[23]);
    if (packet[9] == IPPROTO_UDP && port == overlay::wire::kPort && (packet[28] & 15) == static_cast<int>(kind)) {
      return packet.substr(28);
    }
  }
  return {};
}

void SleeveNet::send_raw(int from, int to, const std::string& datagram) {
  Fd s(socket_in(box.ns(node(from)), AF_INET, SOCK_DGRAM));
  auto a = address_of(underlay(to).text(), overlay::wire::kPort);
  ::sendto(s.fd, datagram.data(), datagram.size(), 0, reinterpret_cast<sockaddr*>(&a), sizeof a);
}

}  // namespace lab::test
