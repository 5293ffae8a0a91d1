#include "overlay-net/agent/mesh_peers.h"

#include <algorithm>

namespace lab::overlay {
namespace {

bool collide(const Peer& a, const Peer& b) {
  return a.name != b.name && (a.pod_cidr.overlaps(b.pod_cidr) || a.underlay == b.underlay);
}

}  // namespace

std::string announcement_of(const Peer& self) {
  return json::dump(json::Object{
      {"address", self.underlay.text()}, {"podCIDR", self.pod_cidr.text()}, {"vtepMAC", self.vtep_mac.text()}});
}

std::vector<Peer> peers_of(const std::vector<Announcement>& announcements) {
  std::vector<Peer> out;
  for (const auto& a : announcements) {
    auto v = json::parse(a.info);
    if (!v) continue;
    Peer p{a.id.nickname};
    p.underlay = IpAddress::parse(json::str(*v, "address")).value_or(IpAddress());
    p.pod_cidr = Cidr::parse(json::str(*v, "podCIDR")).value_or(Cidr());
    p.vtep_mac = MacAddress::parse(json::str(*v, "vtepMAC")).value_or(MacAddress());
    if (p.underlay.is_v4() && p.pod_cidr.address.is_v4() && !p.vtep_mac.empty()) out.push_back(std::move(p));
  }
  std::ranges::sort(out, {}, &Peer::name);
  return out;
}

std::vector<Peer> merge_peers(std::vector<Peer> listed, bool complete, const std::vector<Peer>& heard) {
  if (!complete) {
    std::erase_if(listed, [&](const Peer& l) {
      return std::ranges::any_of(heard, [&](const Peer& h) { return collide(l, h); });
    });
  }
  for (const auto& h : heard) {
    auto same = std::ranges::find(listed, h.name, &Peer::name);
    if (same != listed.end()) {
      same->underlay = h.underlay;
      same->vtep_mac = h.vtep_mac;
      if (same->pod_cidr.empty() || !complete) same->pod_cidr = h.pod_cidr;
    } else if (std::ranges::none_of(listed, [&](const Peer& l) { return collide(l, h); })) {
      listed.push_back(h);
    }
  }
  std::ranges::sort(listed, {}, &Peer::name);
  return listed;
}

}  // namespace lab::overlay
