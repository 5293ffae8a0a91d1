#include "orchestrator/controllers/endpointslice.h"

#include <algorithm>
#include <map>

#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/topology_hints.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr const char* kManagedBy = "endpointslice.kubernetes.io/managed-by";
constexpr const char* kManager = "endpointslice-controller.k8s.io";
constexpr const char* kServiceName = "kubernetes.io/service-name";

json::Array port_list(const EndpointPorts& ports) {
  json::Array out;
  for (const auto& port : ports) {
    json::Object p{{"name", port.name}, {"port", port.port}, {"protocol", port.protocol}};
    if (!port.app_protocol.empty()) p["appProtocol"] = port.app_protocol;
    out.push_back(std::move(p));
  }
  return out;
}

EndpointPorts ports_in(const json::Value& slice) {
  EndpointPorts ports;
  for (const auto& p : json::list(slice, "ports"))
    ports.push_back({std::string(json::str(p, "name")), std::string(json::str(p, "protocol")),
                     std::string(json::str(p, "appProtocol")), json::num(p, "port")});
  std::sort(ports.begin(), ports.end());
  return ports;
}

std::string first_address(const json::Value& endpoint) {
  const auto& addresses = json::list(endpoint, "addresses");
  return addresses.empty() ? std::string() : std::string(json::as_str(addresses[0]));
}

json::Object slice_labels(const json::Value& service) {
  auto labels = labels_from(service);
  labels[kServiceName] = name_of(service);
  labels[kManagedBy] = kManager;
  return labels;
}

json::Value new_slice(const json::Value& service, const SliceWant& want) {
  json::Value slice;
  json::set(slice, "discovery.k8s.io/v1", "apiVersion");
  json::set(slice, "EndpointSlice", "kind");
  json::set(slice, name_of(service) + "-", "metadata", "generateName");
  json::set(slice, ns_of(service), "metadata", "namespace");
  json::set(slice, slice_labels(service), "metadata", "labels");
  json::set(slice, json::Array{controller_ref(res::services, service)}, "metadata", "ownerReferences");
  json::set(slice, want.address_type, "addressType");
  json::set(slice, port_list(want.ports), "ports");
  json::set(slice, json::Array{}, "endpoints");
  return slice;
}

// Slices of one address type and one set of ports.
void plan_group(const json::Value& service, SliceWant want, const std::vector<ObjectPtr>& slices, SliceChanges& out) {
  std::map<std::string, json::Value> missing;
  for (auto& endpoint : want.endpoints) missing.emplace(first_address(endpoint), std::move(endpoint));
  struct Draft {
    ObjectPtr before;
    json::Value slice;
    bool changed = false;
    std::size_t room() const { return kMaxEndpointsPerSlice - json::list(slice, "endpoints").size(); }
  };
  std::vector<Draft> drafts;
  for (const auto& slice : slices) {
    Draft draft{slice, *slice};
    json::Array kept;
    for (const auto& endpoint : json::list(*slice, "endpoints")) {
      auto it = missing.find(first_address(endpoint));
      if (it == missing.end() || kept.size() >= kMaxEndpointsPerSlice) continue;
      kept.push_back(std::move(it->second));
      missing.erase(it);
    }
    if (kept != json::list(*slice, "endpoints")) {
      json::set(draft.slice, std::move(kept), "endpoints");
      draft.changed = true;
    }
    auto labels = slice_labels(service);
    if (labels != labels_of(*slice)) {
      json::set(draft.slice, std::move(labels), "metadata", "labels");
      draft.changed = true;
    }
    drafts.push_back(std::move(draft));
  }
  std::stable_sort(drafts.begin(), drafts.end(), [](const Draft& a, const Draft& b) { return a.changed > b.changed; });
  std::size_t at = 0;
  for (auto& [address, endpoint] : missing) {
    while (at < drafts.size() && drafts[at].room() == 0) ++at;
    if (at == drafts.size()) drafts.push_back({nullptr, new_slice(service, want), true});
    auto& list = json::ensure(drafts[at].slice, "endpoints");
    if (!list.is_array()) list.emplace_array();  // an empty one is kept as null
    list.get_array().push_back(std::move(endpoint));
    drafts[at].changed = true;
  }
  // A Service without endpoints keeps one slice that says so.
  bool keep_empty = std::all_of(drafts.begin(), drafts.end(),
                                [](const Draft& d) { return json::list(d.slice, "endpoints").empty(); });
  if (drafts.empty()) drafts.push_back({nullptr, new_slice(service, want), true});
  for (auto& draft : drafts) {
    if (json::list(draft.slice, "endpoints").empty() && !std::exchange(keep_empty, false)) {
      if (draft.before) out.remove.push_back(draft.before);
    } else if (!draft.before) {
      out.create.push_back(std::move(draft.slice));
    } else if (draft.changed) {
      out.update.push_back(std::move(draft.slice));
    }
  }
}

}  // namespace

SliceChanges plan_slices(const json::Value& service, std::vector<SliceWant> wants,
                         const std::vector<ObjectPtr>& existing) {
  SliceChanges out;
  std::map<std::pair<std::string, EndpointPorts>, std::vector<ObjectPtr>> groups;
  for (const auto& slice : existing)
    groups[{std::string(json::str(*slice, "addressType")), ports_in(*slice)}].push_back(slice);
  for (auto& want : wants) {
    auto it = groups.find({want.address_type, want.ports});
    std::vector<ObjectPtr> slices;
    if (it != groups.end()) {
      slices = std::move(it->second);
      groups.erase(it);
    }
    std::sort(slices.begin(), slices.end(), [](auto& a, auto& b) { return name_of(*a) < name_of(*b); });
    plan_group(service, std::move(want), slices, out);
  }
  for (auto& [key, slices] : groups)
    for (auto& slice : slices) out.remove.push_back(std::move(slice));
  return out;
}

json::Value slice_endpoint(const json::Value& service, const json::Value& pod, const json::Value* node, bool ipv6) {
  std::string ip = address_of(pod, ipv6);
  if (ip.empty()) return {};
  bool serving = pod_ready(pod), terminating = is_terminating(pod);
  bool ready = json::flag(service, "spec", "publishNotReadyAddresses") || (serving && !terminating);
  json::Value endpoint =
      json::Object{{"addresses", json::Array{json::Value(ip)}},
                   {"conditions", json::Object{{"ready", ready}, {"serving", serving}, {"terminating", terminating}}}};
  if (auto hostname = hostname_for(service, pod); !hostname.empty()) json::set(endpoint, hostname, "hostname");
  if (auto name = json::str(pod, "spec", "nodeName"); !name.empty()) json::set(endpoint, name, "nodeName");
  json::set(endpoint, pod_reference(pod), "targetRef");
  if (node)
    if (auto zone = label_of(*node, "topology.kubernetes.io/zone"); !zone.empty()) json::set(endpoint, zone, "zone");
  return endpoint;
}

EndpointSliceController::EndpointSliceController(Context& context)
    : QueueController(context, "endpointslice"),
      services_(own(res::services)),
      pods_(use(res::pods)),
      nodes_(use(res::nodes)),
      slices_(use(res::endpointslices)) {
  pods_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (old && now && !endpoint_changed(*old, *now)) return;
    for (const auto* pod : {old.get(), now.get()})
      if (pod)
        for (const auto& key : services_selecting(services_, *pod)) {
          // More than one slice: many pods, whose news are gathered a little.
          bool large = slices_.by_index("service", key).size() > 1;
          queue_.add_after(key, large ? std::chrono::milliseconds(50) : std::chrono::milliseconds(0));
        }
  });
  nodes_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (old && now && !zone_changed(*old, *now)) return;
    for (const auto& service : services_.list())
      if (wants_proportional_hints(*service)) queue_.add_after(client::key_of(*service), std::chrono::seconds(1));
  });
  slices_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    const auto& slice = now ? *now : *old;
    if (label_of(old ? *old : slice, kManagedBy) == kManager || label_of(slice, kManagedBy) == kManager)
      queue_.add(ns_of(slice) + "/" + std::string(label_of(old ? *old : slice, kServiceName)));
  });
}

Task<Result<void>> EndpointSliceController::reconcile(std::string key) {
  ObjectPtr service = services_.get(key);
  std::vector<ObjectPtr> existing;
  for (auto& slice : slices_.by_index("service", key))
    if (label_of(*slice, kManagedBy) == kManager && !is_terminating(*slice)) existing.push_back(std::move(slice));
  if (!service || !selects_pods(*service)) {
    for (const auto& slice : existing)
      LAB_CO_CHECK(co_await delete_observed(context_, slices_, res::endpointslices, slice));
    co_return Result<void>();
  }
  if (is_terminating(*service)) co_return Result<void>();
  auto pods = selected_pods(pods_, ns_of(*service), json::map(*service, "spec", "selector"));
  std::vector<SliceWant> wants;
  json::Array families = json::list(*service, "spec", "ipFamilies");
  if (families.empty()) families.push_back("IPv4");
  for (const auto& family : families) {
    bool ipv6 = json::as_str(family) == "IPv6";
    std::map<EndpointPorts, std::vector<json::Value>> by_ports;
    for (const auto& pod : pods) {
      if (!has_endpoint(*pod)) continue;
      auto node = nodes_.get(std::string(json::str(*pod, "spec", "nodeName")));
      json::Value endpoint = slice_endpoint(*service, *pod, node.get(), ipv6);
      if (!endpoint.is_null()) by_ports[ports_of(*service, *pod)].push_back(std::move(endpoint));
    }
    if (by_ports.empty()) by_ports[{}];
    for (auto& [ports, endpoints] : by_ports) wants.push_back({ipv6 ? "IPv6" : "IPv4", ports, std::move(endpoints)});
  }
  set_hints(*service, zone_shares(nodes_.list()), wants);
  auto changes = plan_slices(*service, std::move(wants), existing);
  std::string ns = ns_of(*service);
  for (auto& slice : changes.create) {
    auto made = co_await context_.client.create(res::endpointslices, ns, std::move(slice));
    if (!made && namespace_terminating(made.error())) co_return Result<void>();
    if (!made) co_return std::unexpected(std::move(made).error());
    slices_.observe(std::move(*made));
  }
  for (auto& slice : changes.update) {
    LAB_CO_TRY(auto written, co_await context_.client.update(res::endpointslices, ns, std::move(slice)));
    slices_.observe(std::move(written));
  }
  for (auto& slice : changes.remove)
    LAB_CO_CHECK(co_await delete_observed(context_, slices_, res::endpointslices, slice));
  co_return Result<void>();
}

}  // namespace lab::controllers
