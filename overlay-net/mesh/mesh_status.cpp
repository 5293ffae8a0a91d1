// What people and Prometheus are told of a Mesh.
#include <algorithm>

#include "overlay-net/mesh/connection.h"

namespace lab::overlay {
namespace {

std::int64_t microseconds(Duration d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}
double seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

json::Object peer_ref(const Topology& topology, PeerName name) {
  const auto* r = topology.find(name);
  return {{"name", text(name)}, {"nickname", r ? r->id.nickname : ""}};
}

}  // namespace

// Established ones, and the addresses that no connection leads to with the reason.
json::Array Mesh::connections_json() const {
  json::Array out;
  auto now = loop_ ? loop_->now() : TimePoint{};
  for (const auto& [id, c] : connections_) {
    if (!c->remote || c->closed) continue;
    json::Object v{{"direction", c->dialled ? "->" : "<-"}, {"address", c->address},           {"state", "established"},
                   {"peer", text(c->remote->name)},         {"nickname", c->remote->nickname}, {"encrypted", true},
                   {"seconds", seconds(now - c->since)}};
    if (auto rtt = router_.round_trip(id)) v["roundTripMicroseconds"] = microseconds(*rtt);
    out.push_back(std::move(v));
  }
  for (const auto& [address, t] : targets_.all()) {
    if (t.state == Target::State::kConnected) continue;
    const bool dialling = t.state == Target::State::kDialling;
    if (!dialling && t.failures == 0 && t.error.empty()) continue;  // its turn has not come
    json::Object v{{"direction", "->"},
                   {"address", address},
                   {"state", dialling ? "connecting" : "failed"},
                   {"error", t.error},
                   {"failures", t.failures}};
    if (!dialling) v["nextAttemptSeconds"] = std::max(0.0, seconds(t.next - now));
    out.push_back(std::move(v));
  }
  return out;
}

json::Array Mesh::peers_json() const {
  json::Array out;
  const auto& topology = router_.topology();
  for (const auto& [name, r] : topology.peers()) {
    json::Array links, addresses;
    for (const auto& a : r.id.addresses) addresses.push_back(json::Value(a));
    for (const auto& [to, dialled] : r.links) {
      auto link = peer_ref(topology, to);
      link["direction"] = dialled ? "->" : "<-";
      link["established"] = topology.claims_link(to, name);
      links.push_back(std::move(link));
    }
    json::Object v{{"name", text(name)},         {"nickname", r.id.nickname},         {"uid", std::to_string(r.id.uid)},
                   {"version", r.version},       {"addresses", std::move(addresses)}, {"connections", std::move(links)},
                   {"self", name == self().name}};
    auto hops = topology.distance(name);
    v["reachable"] = hops.has_value();
    if (hops) v["hops"] = *hops;
    if (auto via = topology.next_hop(name)) v["via"] = peer_ref(topology, *via);
    out.push_back(std::move(v));
  }
  return out;
}

json::Array Mesh::targets_json() const {
  json::Array out;
  for (const auto& [address, t] : targets_.all()) {
    std::string sources;
    for (const auto& s : t.sources) sources += (sources.empty() ? "" : ",") + s;
    const char* state = t.state == Target::State::kConnected  ? "connected"
                        : t.state == Target::State::kDialling ? "connecting"
                                                              : "waiting";
    out.push_back(json::Object{{"address", address}, {"sources", sources}, {"state", state}, {"error", t.error}});
  }
  return out;
}

json::Value Mesh::status() const {
  json::Object out{{"name", text(self().name)},
                   {"nickname", self().nickname},
                   {"uid", std::to_string(self().uid)},
                   {"listening", listener_ ? listener_->name() : ""},
                   {"problem", problem_},
                   {"connections", connections_json()},
                   {"peers", peers_json()},
                   {"targets", targets_json()}};
  if (const auto& clash = router_.topology().clash()) {
    const auto& addresses = clash->other.addresses;
    out["clash"] =
        json::Object{{"nickname", clash->other.nickname}, {"address", addresses.empty() ? "" : addresses.front()}};
  }
  return out;
}

std::string Mesh::metrics() const {
  std::string out;
  auto family = [&](const std::string& name, const char* kind, const std::string& help) {
    out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n";
  };
  auto one = [&](const std::string& name, const char* kind, const std::string& help, std::uint64_t value) {
    family(name, kind, help);
    out += name + " " + std::to_string(value) + "\n";
  };
  const auto& n = router_.counters();
  one("lab_mesh_peers", "gauge", "Peers of the mesh that this one knows, itself included.",
      router_.topology().peers().size());
  one("lab_mesh_connections", "gauge", "Control connections that are established.", router_.link_count());
  one("lab_mesh_connections_made_total", "counter", "Control connections made.", made_);
  one("lab_mesh_connections_lost_total", "counter", "Control connections that ended.", lost_);
  one("lab_mesh_received_bytes_total", "counter", "Bytes received on control connections.", bytes_in_);
  one("lab_mesh_sent_bytes_total", "counter", "Bytes sent on control connections.", bytes_out_);
  one("lab_mesh_messages_received_total", "counter", "Messages received.", n.received);
  one("lab_mesh_messages_sent_total", "counter", "Messages sent.", n.sent);
  one("lab_mesh_messages_faulty_total", "counter", "Messages that were malformed or refused.", n.refused);
  one("lab_mesh_unicasts_relayed_total", "counter", "Messages passed on for others.", n.relayed);
  one("lab_mesh_unicasts_unroutable_total", "counter", "Messages for others to whom no path led.", n.unroutable);
  family("lab_mesh_refused_total", "counter", "Connections that did not come about, by reason.");
  for (const auto& [reason, count] : refused_) {
    out += "lab_mesh_refused_total{reason=\"" + reason + "\"} " + std::to_string(count) + "\n";
  }
  return out;
}

}  // namespace lab::overlay
