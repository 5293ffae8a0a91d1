#include <cstdlib>
#include <sstream>

#include "base/fs.h"
#include "bootstrap/common/address.h"
#include "bootstrap/preflight/checks.h"

namespace lab::bootstrap::preflight {

namespace {

constexpr int kAgentPort = 10250;

// /proc/net/route writes addresses as the hexadecimal of a little-endian number.
std::uint32_t route_word(const std::string& text) {
  return __builtin_bswap32(static_cast<std::uint32_t>(std::strtoul(text.c_str(), nullptr, 16)));
}

bool overlap(const AddressRange& a, const AddressRange& b) {
  return a.contains(b.base) || b.contains(a.base);
}

struct HostRoute {
  std::string device;
  AddressRange range;
};

std::vector<HostRoute> routes_of(const std::string& table) {
  std::vector<HostRoute> out;
  std::istringstream lines(table);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string device, destination, gateway, flags, references, use, metric, mask;
    if (!(fields >> device >> destination >> gateway >> flags >> references >> use >> metric >> mask)) continue;
    const int prefix = __builtin_popcount(route_word(mask));
    // The default route covers everything, and ours are what an earlier run made.
    if (prefix == 0 || device.starts_with("lab")) continue;
    out.push_back({device, {route_word(destination), prefix}});
  }
  return out;
}

std::vector<std::string> name_servers(const std::string& resolv_conf) {
  std::vector<std::string> out;
  std::istringstream lines(resolv_conf);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, value;
    if (words >> key >> value && key == "nameserver") out.push_back(value);
  }
  return out;
}

constexpr const char* kResolvedFile = "/run/systemd/resolve/resolv.conf";

}  // namespace

void ports(const PreflightInput& in, Findings& out) {
  std::vector<int> wanted{kAgentPort};
  if (in.control_plane) wanted.push_back(in.api_port);
  for (int port : wanted) {
    const std::string owner = port_owner(port);
    // A daemon of ours is there when init runs again: that is no conflict.
    if (owner.empty() || owner.starts_with("lab ") || owner.starts_with("lab-")) continue;
    out.push_back({"Port-" + std::to_string(port), "port " + std::to_string(port) + " is in use by " + owner,
                   port == kAgentPort ? "stop that program (an old kubelet?)"
                                      : "stop that program, or choose another port with --apiserver-bind-port"});
  }
}

void host_routes(const PreflightInput& in, Findings& out) {
  const auto routes = routes_of(text_of(in, "/proc/net/route"));
  for (const auto& text : in.ranges) {
    auto range = parse_range(text);
    if (!range) continue;  // said where the option is read
    for (const auto& route : routes)
      if (overlap(*range, route.range))
        out.push_back(
            {"HostRoutes",
             "the cluster's range " + text + " overlaps this machine's route to " + route.range.text() + " through " +
                 route.device + ": one of the two would not be reached",
             "choose other ranges when the cluster is made (--pod-network-cidr, --service-cidr), or remove the route "
             "(ip route del " +
                 route.range.text() + ")"});
  }
}

void resolver(const PreflightInput& in, Findings& out) {
  const auto servers = name_servers(text_of(in, "/etc/resolv.conf"));
  bool all_loopback = !servers.empty();
  for (const auto& server : servers) {
    if (!in.dns_address.empty() && server == in.dns_address)
      out.push_back({"ResolverLoop",
                     "/etc/resolv.conf names the cluster's own name server " + server +
                         ": it would forward what it does not know to itself",
                     "write the network's real name servers there"});
    all_loopback = all_loopback && (server.starts_with("127.") || server == "::1");
  }
  // What systemd-resolved keeps beside it names the real ones, and those are used.
  if (all_loopback && name_servers(text_of(in, kResolvedFile)).empty())
    out.push_back({"ResolverLoop",
                   "/etc/resolv.conf names only programs on this machine (" + servers.front() +
                       "): pods' questions loop if these ask the cluster in turn",
                   "write the network's real name servers into /etc/resolv.conf", false});
}

}  // namespace lab::bootstrap::preflight
