#include "bootstrap/common/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstdlib>

namespace lab::bootstrap {

std::string address_text(std::uint32_t address) {
  in_addr a{.s_addr = htonl(address)};
  char text[INET_ADDRSTRLEN];
  ::inet_ntop(AF_INET, &a, text, sizeof text);
  return text;
}

Result<std::uint32_t> parse_address(std::string_view text) {
  in_addr a;
  if (::inet_pton(AF_INET, std::string(text).c_str(), &a) != 1)
    return fail(Code::kInvalid, "\"" + std::string(text) + "\" is no IPv4 address");
  return ntohl(a.s_addr);
}

Result<AddressRange> parse_range(std::string_view text) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return fail(Code::kInvalid, "\"" + std::string(text) + "\" is no address range", "write it as 10.96.0.0/12");
  LAB_TRY(auto base, parse_address(text.substr(0, slash)));
  const std::string bits(text.substr(slash + 1));
  char* end = nullptr;
  long prefix = std::strtol(bits.c_str(), &end, 10);
  if (bits.empty() || *end || prefix < 0 || prefix > 32)
    return fail(Code::kInvalid, "\"" + std::string(text) + "\" has no prefix length between 0 and 32");
  std::uint32_t mask = prefix == 0 ? 0 : ~0u << (32 - prefix);
  return AddressRange{base & mask, static_cast<int>(prefix)};
}

std::string AddressRange::text() const { return address_text(base) + "/" + std::to_string(prefix); }
std::string AddressRange::nth(std::uint32_t n) const { return address_text(base + n); }
bool AddressRange::contains(std::uint32_t address) const {
  std::uint32_t mask = prefix == 0 ? 0 : ~0u << (32 - prefix);
  return (address & mask) == base;
}

namespace {

// A connected UDP socket sends nothing; the kernel tells which source address it would use.
std::string source_towards(const char* target) {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  ::inet_pton(AF_INET, target, &to.sin_addr);
  sockaddr_in from{};
  socklen_t size = sizeof from;
  std::string out;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&from), &size) == 0)
    out = address_text(ntohl(from.sin_addr.s_addr));
  ::close(fd);
  return out;
}

template <class F>
void each_address(F f) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return;
  for (auto* i = all; i; i = i->ifa_next)
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
      f(std::string(i->ifa_name), i->ifa_flags,
        address_text(ntohl(reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr)));
  ::freeifaddrs(all);
}

// Interfaces by which other machines may reach this one: those of containers and of pods are none.
bool leads_outside(const std::string& name, unsigned flags) {
  const bool ours = name.starts_with("lab") || name.starts_with("docker") || name.starts_with("cni") ||
                    name.starts_with("virbr") || name.starts_with("veth");
  return !ours && (flags & IFF_UP) && !(flags & IFF_LOOPBACK);
}

// "; this machine also has 192.168.56.10 (eth1): ..." where a person may have meant another one.
std::string others_beside(const std::string& chosen) {
  std::string list;
  each_address([&](const std::string& name, unsigned flags, const std::string& a) {
    if (leads_outside(name, flags) && a != chosen) list += (list.empty() ? "" : ", ") + a + " (" + name + ")";
  });
  return list.empty() ? "" : "; this machine also has " + list + ": --apiserver-advertise-address chooses";
}

std::string first_ipv4(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  const std::string out = address_text(ntohl(reinterpret_cast<sockaddr_in*>(found->ai_addr)->sin_addr.s_addr));
  ::freeaddrinfo(found);
  return out;
}

}  // namespace

Result<ChosenAddress> choose_address_towards(const std::string& host) {
  const std::string target = host.empty() ? std::string() : first_ipv4(host);
  const std::string address = target.empty() ? std::string() : source_towards(target.c_str());
  if (!address.empty() && !address.starts_with("127."))
    return ChosenAddress{address, "source address of the route to " + host};
  return choose_advertise_address();
}

Result<ChosenAddress> choose_advertise_address() {
  // A documentation address (RFC 5737) that no route but the default one covers.
  std::string address = source_towards("192.0.2.1");
  if (!address.empty() && !address.starts_with("127."))
    return ChosenAddress{address, "source address of the default route" + others_beside(address)};
  ChosenAddress chosen;
  each_address([&](const std::string& name, unsigned flags, const std::string& a) {
    if (chosen.address.empty() && leads_outside(name, flags))
      chosen = {a, "first address of interface " + name + ", as there is no default route"};
  });
  if (!chosen.address.empty()) {
    chosen.why += others_beside(chosen.address);
    return chosen;
  }
  return fail(Code::kNotFound, "this machine has no address but loopback",
              "give one with --apiserver-advertise-address, or bring an interface up");
}

bool is_local_address(const std::string& address) {
  bool found = false;
  each_address([&](const std::string&, unsigned, const std::string& a) { found = found || a == address; });
  return found;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = "";
  ::gethostname(name, sizeof name - 1);
  std::string out = name;
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

}  // namespace lab::bootstrap
