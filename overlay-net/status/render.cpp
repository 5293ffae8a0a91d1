#include "overlay-net/status/render.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lab::overlay {
namespace {

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string format(const char* pattern, double v) {
  char out[64];
  std::snprintf(out, sizeof out, pattern, v);
  return out;
}

std::string text_of(const json::Value& v, std::string_view key, std::string_view fallback = {}) {
  auto s = json::str(v, key);
  return std::string(s.empty() ? fallback : s);
}

// The datapath's entry for a node; null when there is none.
const json::Value& datapath_peer(const json::Value& report, std::string_view node) {
  for (const auto& p : json::list(report, "peers")) {
    if (json::str(p, "name") == node) return p;
  }
  return json::null_value();
}

// What carries pods' packets to the node, as far as the datapath says.
std::string path_of(const json::Value& report, std::string_view node) {
  const auto& peer = datapath_peer(report, node);
  if (peer.is_null()) return "no-pod-range";
  std::string out = json::flag(peer, "encrypted") ? "encrypted " : "unencrypted ";
  return out + text_of(peer, "path", "fastdp");
}

std::uint64_t addresses_in(std::string_view cidr) {
  auto slash = cidr.find('/');
  int prefix = slash == std::string_view::npos ? 0 : std::atoi(std::string(cidr.substr(slash + 1)).c_str());
  return prefix <= 0 || prefix > 32 ? 0 : std::uint64_t{1} << (32 - prefix);
}

// Where there is no connection, pods may be reached nevertheless: how, or "" when nothing is known.
std::string way_without_connection(const json::Value& report, std::string_view address) {
  for (const auto& p : json::list(report, "peers")) {
    auto host = json::str(p, "address");
    if (host.empty() || !address.starts_with(std::string(host) + ":")) continue;
    if (!json::flag(p, "pathEstablished")) return "";
    auto via = text_of(p, "via");
    return "; pods of " + text_of(p, "name") + " are reached by " + text_of(p, "path") +
           (via.empty() ? "" : " via " + via);
  }
  return "";
}

struct Counted {
  std::size_t established = 0, failed = 0, connecting = 0;
};

Counted count_connections(const json::Value& report) {
  Counted out;
  for (const auto& c : json::list(report, "mesh", "connections")) {
    auto state = json::str(c, "state");
    ++(state == "established" ? out.established : state == "failed" ? out.failed : out.connecting);
  }
  return out;
}

void line(std::string& out, const std::string& name, const std::string& value) {
  out += std::string(16 - std::min<std::size_t>(16, name.size()), ' ') + name + ": " + value + "\n";
}

void mesh_summary(std::string& out, const json::Value& report) {
  const auto& mesh = json::at(report, "mesh");
  line(out, "Service", "mesh");
  if (mesh.is_null()) {
    line(out, "Status", "off: " + text_of(report, "meshOff", "this agent runs without one"));
    return;
  }
  line(out, "Name", text_of(mesh, "name") + "(" + text_of(mesh, "nickname") + ")");
  auto problem = text_of(mesh, "problem");
  line(out, "Listening", problem.empty() ? text_of(mesh, "listening") : "no: " + problem);
  line(out, "Targets", std::to_string(json::list(mesh, "targets").size()));
  auto n = count_connections(report);
  auto all = n.established + n.failed + n.connecting;
  std::string connections = std::to_string(all) + " (" + std::to_string(n.established) + " established";
  if (n.connecting) connections += ", " + std::to_string(n.connecting) + " connecting";
  if (n.failed) connections += ", " + std::to_string(n.failed) + " failed";
  line(out, "Connections", connections + ")");
  std::size_t links = 0, unreachable = 0;
  for (const auto& p : json::list(mesh, "peers")) {
    for (const auto& c : json::list(p, "connections")) links += json::flag(c, "established");
    unreachable += !json::flag(p, "reachable");
  }
  std::string peers =
      std::to_string(json::list(mesh, "peers").size()) + " (with " + std::to_string(links) + " established connections";
  if (unreachable) peers += ", " + std::to_string(unreachable) + " unreachable";
  line(out, "Peers", peers + ")");
  if (json::has(mesh, "clash")) {
    line(out, "Name clash",
         "another peer is called " + text_of(json::at(mesh, "clash"), "nickname") + ", at " +
             text_of(json::at(mesh, "clash"), "address", "an unknown address") + ": rename one of the two nodes");
  }
}

// What was chosen, by what it is done, and with which peers it is not (yet) so.
std::string encryption_of(const json::Value& report) {
  if (!json::flag(report, "encrypts")) return "off";
  std::string kernel, user, without;
  auto add = [](std::string& list, const json::Value& peer) {
    list += (list.empty() ? "" : ", ") + text_of(peer, "name");
  };
  for (const auto& p : json::list(report, "peers")) {
    add(!json::flag(p, "encrypted") ? without : json::str(p, "path") == "wireguard" ? kernel : user, p);
  }
  std::string out = "on: ";
  if (!kernel.empty())
    out += user.empty() ? "WireGuard, in the kernel" : "WireGuard, in the kernel, with " + kernel + "; ";
  if (kernel.empty() || !user.empty()) out += "AES-256-GCM, through user space";
  if (!kernel.empty() && !user.empty()) out += ", with " + user;
  // Of a single peer its line in `status connections` tells; here what keeps all of them away.
  if (auto why = text_of(json::at(report, "wireguard"), "why"); !why.empty()) out += " (" + why + ")";
  return without.empty() ? out : out + "; no keys yet with " + without + ", which gets nothing";
}

// What pods' packets to other nodes go through, as a rule.
std::string device_of(const json::Value& report) {
  const auto& wireguard = json::at(report, "wireguard");
  const std::string port = ", UDP port " + std::to_string(json::num(report, "port"));
  const std::string mtu = ", MTU of pods " + std::to_string(json::num(report, "mtu"));
  if (auto key = text_of(wireguard, "publicKey"); !key.empty()) {
    return text_of(wireguard, "device") + port + mtu + ", public key " + key;
  }
  if (json::flag(report, "encrypts")) return "lab-sleeve, UDP port 6783" + mtu;
  return "lab-vxlan, VNI " + std::to_string(json::num(report, "vni")) + port + mtu;
}

}  // namespace

std::string render_summary(const json::Value& report) {
  std::string out;
  mesh_summary(out, report);
  out += "\n";
  line(out, "Service", "datapath");
  auto problem = text_of(report, "problem");
  line(out, "Status", json::flag(report, "ready") ? "ready" : "not ready" + (problem.empty() ? "" : ": " + problem));
  line(out, "Node", text_of(report, "node") + " at " + text_of(report, "address"));
  line(out, "Device", device_of(report));
  if (json::has(report, "encrypts")) line(out, "Encryption", encryption_of(report));
  if (json::has(report, "flowCache")) line(out, "Flow cache", text_of(report, "flowCache"));
  line(out, "Peers", std::to_string(json::list(report, "peers").size()));
  for (const auto& w : json::list(report, "warnings")) line(out, "Warning", std::string(json::as_str(w)));
  out += "\n";
  line(out, "Service", "ipam");
  line(out, "Mode",
       json::has(report, "ring") ? "ring: all nodes share the range" : "podcidr: each node has a range of its own");
  line(out, "Range", text_of(report, "clusterCIDR", "unknown"));
  line(out, "Here",
       text_of(report, "podCIDR", "none yet") + ", " + std::to_string(json::num(report, "ipam", "used")) + " of " +
           std::to_string(json::num(report, "ipam", "total")) + " addresses in use");
  line(out, "API server", text_of(report, "apiServer", "unknown"));
  return out;
}

std::string render_connections(const json::Value& report) {
  struct Line {
    std::string address, text;
  };
  std::vector<Line> lines;
  for (const auto& c : json::list(report, "mesh", "connections")) {
    auto state = text_of(c, "state");
    std::string text = text_of(c, "direction") + " " + padded(text_of(c, "address"), 21) + " " + state;
    if (state == "established") {
      auto node = json::str(c, "nickname");
      text += " " + path_of(report, node) + " " + std::string(node);
      const auto& peer = datapath_peer(report, node);
      auto mtu = json::num(peer, "mtu") ? json::num(peer, "mtu") : json::num(report, "mtu");
      if (!peer.is_null()) text += " mtu=" + std::to_string(mtu);
      if (auto via = text_of(peer, "via"); !via.empty()) text += " via " + via;
      if (auto rtt = json::num(c, "roundTripMicroseconds"))
        text += " rtt=" + format("%.1fms", static_cast<double>(rtt) / 1000);
      if (auto why = text_of(peer, "why"); !why.empty()) text += " (" + why + ")";
    } else {
      if (auto error = text_of(c, "error"); !error.empty()) text += " " + error;
      if (const auto& next = json::at(c, "nextAttemptSeconds"); next.is_double() || next.is_int64()) {
        text += ", next attempt in " + format("%.0f", std::ceil(next.to_number<double>())) + " s";
      }
    }
    if (state != "established") text += way_without_connection(report, json::str(c, "address"));
    lines.push_back({text_of(c, "address"), std::move(text)});
  }
  std::string out;
  for (const auto& l : lines) out += l.text + "\n";
  // Nodes that pods are sent to although no chain of connections leads there.
  for (const auto& p : json::list(report, "peers")) {
    bool known = false;
    for (const auto& m : json::list(report, "mesh", "peers"))
      known = known || (json::str(m, "nickname") == json::str(p, "name") && json::flag(m, "reachable"));
    if (!known && json::has(report, "mesh"))
      out += "-> " + padded(text_of(p, "address"), 21) + " " + text_of(p, "name") + " - unreachable!\n";
  }
  return out;
}

std::string render_peers(const json::Value& report) {
  std::string out;
  for (const auto& p : json::list(report, "mesh", "peers")) {
    out += text_of(p, "name") + "(" + text_of(p, "nickname") + ")";
    if (json::flag(p, "self")) {
      out += " this node";
    } else if (!json::flag(p, "reachable")) {
      out += " - unreachable!";
    } else if (json::num(p, "hops") > 1) {
      out += " " + std::to_string(json::num(p, "hops")) + " hops, by way of " + text_of(json::at(p, "via"), "nickname");
    }
    out += "\n";
    for (const auto& c : json::list(p, "connections")) {
      out += "   " + text_of(c, "direction") + " " + text_of(c, "name") + "(" + text_of(c, "nickname", "?") + ") " +
             (json::flag(c, "established") ? "established" : "pending") + "\n";
    }
  }
  return out;
}

// With the ring: who owns how much of the whole range.
static std::string render_ring(const json::Value& ring) {
  std::string out;
  for (const auto& p : json::list(ring, "peers")) {
    std::string name = text_of(p, "name") + "(" + std::string(json::str(p, "nickname")) + ")";
    out += padded(name, 40) + " " + std::to_string(json::num(p, "owned")) + " IPs (" +
           format("%.1f", 100.0 * static_cast<double>(json::num(p, "owned")) /
                              static_cast<double>(std::max<std::int64_t>(1, json::num(ring, "total")))) +
           "% of total)";
    if (json::flag(p, "self")) out += " (" + std::to_string(json::num(p, "used")) + " active)";
    if (json::flag(p, "removed")) {
      out += " - removed, its space is on its way to an heir";
    } else if (!json::flag(p, "reachable")) {
      out += " - unreachable!";
    }
    out += "\n";
  }
  if (auto problem = text_of(ring, "problem"); !problem.empty()) out += "Waiting: " + problem + "\n";
  return out;
}

std::string render_ipam(const json::Value& report) {
  if (json::has(report, "ring")) return render_ring(json::at(report, "ring"));
  const auto total = addresses_in(json::str(report, "clusterCIDR"));
  std::string out;
  auto one = [&](const std::string& name, std::string_view cidr, const std::string& note) {
    auto n = addresses_in(cidr);
    out += padded(name, 24) + " " + padded(std::string(cidr), 18) + " " + std::to_string(n) + " IPs";
    if (total)
      out += " (" + format("%.1f", 100.0 * static_cast<double>(n) / static_cast<double>(total)) + "% of total)";
    out += note + "\n";
  };
  one(text_of(report, "node"), json::str(report, "podCIDR"),
      " (" + std::to_string(json::num(report, "ipam", "used")) + " active)");
  for (const auto& p : json::list(report, "peers")) {
    bool reachable = !json::has(report, "mesh");
    for (const auto& m : json::list(report, "mesh", "peers")) {
      reachable = reachable || (json::str(m, "nickname") == json::str(p, "name") && json::flag(m, "reachable"));
    }
    one(text_of(p, "name"), json::str(p, "podCIDR"), reachable ? "" : " - unreachable!");
  }
  return out;
}

std::string render_targets(const json::Value& report) {
  std::string out;
  for (const auto& t : json::list(report, "mesh", "targets")) {
    out += padded(text_of(t, "address"), 21) + " " + padded(text_of(t, "state"), 11) + " named by " +
           text_of(t, "sources", "nobody any more");
    if (auto error = text_of(t, "error"); !error.empty()) out += ": " + error;
    out += "\n";
  }
  return out;
}

}  // namespace lab::overlay
