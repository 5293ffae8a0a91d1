#include "orchestrator/controllers/topology_hints.h"

#include <algorithm>
#include <cmath>

#include "orchestrator/api/quantity.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

constexpr const char* kZone = "topology.kubernetes.io/zone";
constexpr double kOverload = 0.2;  // by how much a zone's endpoints may carry more than their share

bool counts(const json::Value& node) {
  for (const char* role : {"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}) {
    if (labels_of(node).contains(role)) return false;
  }
  return condition_is(node, "Ready");
}

double cpus_of(const json::Value& node) {
  auto cpu = api::Quantity::parse(json::str(node, "status", "allocatable", "cpu"));
  return cpu ? double(cpu->milli()) : 0;
}

json::Value for_zone(const std::string& zone) {
  return json::Object{{"forZones", json::Array{json::Object{{"name", zone}}}}};
}

using Endpoints = std::vector<json::Value*>;

bool is_ready(const json::Value& endpoint) {
  return json::flag(endpoint, "conditions", "ready");
}

// How many endpoints each zone must have at least, so that none carries too much; empty: there are too few.
std::map<std::string, int> minimums(const ZoneShares& shares, std::size_t endpoints) {
  std::map<std::string, int> out;
  if (endpoints < shares.size()) return out;
  int sum = 0;
  for (const auto& [zone, share] : shares) {
    sum += out[zone] = int(std::ceil(share * double(endpoints) / (1 + kOverload)));
  }
  if (sum > int(endpoints)) out.clear();
  return out;
}

// Each endpoint serves its own zone; zones that lack some get them from those that have the most to spare.
std::map<json::Value*, std::string> split(const Endpoints& endpoints, const ZoneShares& shares) {
  auto need = minimums(shares, endpoints.size());
  std::map<std::string, Endpoints> zones;
  for (const auto& [zone, n] : need) zones[zone];
  for (auto* e : endpoints) {
    std::string zone(json::str(*e, "zone"));
    if (!zones.contains(zone)) return {};
    zones[zone].push_back(e);
  }
  auto surplus = [&](const std::string& zone) { return int(zones[zone].size()) - need[zone]; };
  for (const auto& [zone, n] : need) {
    while (surplus(zone) < 0) {
      auto giver = std::ranges::max_element(need, {}, [&](const auto& other) { return surplus(other.first); })->first;
      if (surplus(giver) <= 0) return {};
      zones[zone].push_back(zones[giver].back());
      zones[giver].pop_back();
    }
  }
  std::map<json::Value*, std::string> out;
  for (const auto& [zone, served] : zones) {
    for (auto* e : served) out[e] = zone;
  }
  return out;
}

void set_proportional_hints(const ZoneShares& shares, SliceWant& want) {
  Endpoints ready;
  for (auto& e : want.endpoints) {
    if (is_ready(e)) ready.push_back(&e);
  }
  std::ranges::sort(ready, {}, [](const json::Value* e) { return json::dump(json::at(*e, "addresses")); });
  for (const auto& [endpoint, zone] : split(ready, shares)) json::set(*endpoint, for_zone(zone), "hints");
}

}  // namespace

ZoneShares zone_shares(const std::vector<client::ObjectPtr>& nodes) {
  ZoneShares out;
  double all = 0;
  for (const auto& node : nodes) {
    if (!counts(*node)) continue;
    std::string zone(label_of(*node, kZone));
    double cpus = cpus_of(*node);
    if (zone.empty() || cpus <= 0) return {};
    out[zone] += cpus;
    all += cpus;
  }
  if (out.size() < 2) return {};
  for (auto& [zone, share] : out) share /= all;
  return out;
}

bool zone_changed(const json::Value& old_node, const json::Value& node) {
  return counts(old_node) != counts(node) || label_of(old_node, kZone) != label_of(node, kZone) ||
         cpus_of(old_node) != cpus_of(node);
}

bool wants_proportional_hints(const json::Value& service) {
  for (const char* name : {"service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"}) {
    auto mode = annotation_of(service, name);
    if (mode == "Auto" || mode == "auto") return true;
  }
  return false;
}

void set_hints(const json::Value& service, const ZoneShares& shares, std::vector<SliceWant>& wants) {
  bool proportional = wants_proportional_hints(service);
  auto distribution = json::str(service, "spec", "trafficDistribution");
  bool own_zone = distribution == "PreferClose" || distribution == "PreferSameZone" || distribution == "PreferSameNode";
  for (auto& want : wants) {
    if (proportional) {
      set_proportional_hints(shares, want);
    } else if (own_zone) {
      for (auto& e : want.endpoints) {
        if (auto zone = json::str(e, "zone"); !zone.empty()) json::set(e, for_zone(std::string(zone)), "hints");
      }
    }
  }
}

}  // namespace lab::controllers
