#include "orchestrator/apiserver/hooks/service.h"
#include "orchestrator/apiserver/admission/edit.h"

#include <algorithm>
#include <optional>

namespace lab::apiserver::hooks {
namespace {

using json::Array;
using json::Value;

constexpr std::string_view kNone = "None";

std::string uid_of(const Value& s) {
  return std::string(json::str(s, "metadata", "uid"));
}
std::string_view type_of(const Value& s) {
  return json::str(s, "spec", "type");
}
bool has_cluster_ip(const Value& s) {
  return type_of(s) != "ExternalName";
}
bool is_headless(const Value& s) {
  return json::str(s, "spec", "clusterIP") == kNone;
}
bool has_node_ports(const Value& s) {
  if (type_of(s) == "NodePort") return true;
  return type_of(s) == "LoadBalancer" && json::as_bool(json::at(s, "spec", "allocateLoadBalancerNodePorts"), true);
}
bool has_health_port(const Value& s) {
  return type_of(s) == "LoadBalancer" && json::str(s, "spec", "externalTrafficPolicy") == "Local";
}
bool may_have_external_policy(const Value& s) {
  return type_of(s) == "NodePort" || type_of(s) == "LoadBalancer" || !json::list(s, "spec", "externalIPs").empty();
}

Array list_of(Value v) {
  Array out;
  out.push_back(std::move(v));
  return out;
}

Failure invalid(const WriteContext& ctx, std::string field, std::string reason, std::string message) {
  return Failure(api::invalid(ctx.kind, ctx.name, {{std::move(field), std::move(reason), std::move(message)}}));
}
Failure invalid_value(const WriteContext& ctx, std::string field, const std::string& value, const std::string& why) {
  return invalid(ctx, std::move(field), "FieldValueInvalid", "Invalid value: " + value + ": " + why);
}

// The families a single-stack IPv4 cluster can give, checked against what is asked for.
Result<void> set_families(const WriteContext& ctx, Value& s) {
  std::string_view policy = json::str(s, "spec", "ipFamilyPolicy");
  const auto& families = json::list(s, "spec", "ipFamilies");
  bool free_choice = is_headless(s) && json::map(s, "spec", "selector").empty();
  if (free_choice) {
    // Whoever writes the endpoints of such a Service decides their families.
    bool one = policy.empty() ? families.size() == 1 : policy == "SingleStack";
    Array both = families;
    if (both.empty()) both.emplace_back("IPv4");
    if (!one && both.size() < 2) both.emplace_back(both[0] == Value("IPv4") ? "IPv6" : "IPv4");
    if (policy.empty()) json::set(s, one ? "SingleStack" : "RequireDualStack", "spec", "ipFamilyPolicy");
    json::set(s, std::move(both), "spec", "ipFamilies");
    return {};
  }
  if (policy == "RequireDualStack")
    return invalid_value(ctx, "spec.ipFamilyPolicy", "\"RequireDualStack\"",
                         "this cluster is not configured for dual-stack services");
  for (std::size_t i = 0; i < families.size(); ++i)
    if (json::as_str(families[i]) != "IPv4")
      return invalid_value(ctx, "spec.ipFamilies[" + std::to_string(i) + "]", json::dump(families[i]),
                           "not configured on this cluster");
  if (policy.empty()) json::set(s, "SingleStack", "spec", "ipFamilyPolicy");
  json::set(s, list_of("IPv4"), "spec", "ipFamilies");
  return {};
}

// clusterIP and clusterIPs say the same: whichever is given fills the other.
Result<void> align_ips(const WriteContext& ctx, Value& s) {
  std::string first(json::str(s, "spec", "clusterIP"));
  const auto& list = json::list(s, "spec", "clusterIPs");
  if (first.empty() && !list.empty()) {
    json::set(s, Value(list[0]), "spec", "clusterIP");
  } else if (!first.empty() && list.empty()) {
    json::set(s, list_of(Value(first)), "spec", "clusterIPs");
  } else if (!first.empty() && json::as_str(list[0]) != first) {
    return invalid_value(ctx, "spec.clusterIPs", json::dump(list), "first value must match `clusterIP`");
  }
  if (json::list(s, "spec", "clusterIPs").size() > 1)
    return invalid_value(ctx, "spec.clusterIPs", json::dump(json::list(s, "spec", "clusterIPs")),
                         "may only hold one value on a single-stack cluster");
  return {};
}

Result<void> give_ip(WriteContext& ctx, ServiceRanges& ranges, Value& s) {
  if (is_headless(s)) return {};
  std::string wanted(json::str(s, "spec", "clusterIP"));
  auto ip = ranges.claim_ip(ctx, uid_of(s), wanted);
  if (!ip && ip.error().code == Code::kInvalid)
    return invalid_value(ctx, "spec.clusterIPs", json::dump(json::list(s, "spec", "clusterIPs")),
                         "failed to allocate IP " + wanted + ": " + ip.error().message);
  if (!ip) return Failure(std::move(ip.error()).with_context("failed to allocate a serviceIP"));
  json::set(s, *ip, "spec", "clusterIP");
  json::set(s, list_of(Value(*ip)), "spec", "clusterIPs");
  return {};
}

// The node port that the Service already has for a port number under another protocol; 0 where there is none.
int shared_port(const Array& ports, std::size_t before, const Value& port) {
  for (std::size_t i = 0; i < before; ++i)
    if (json::num(ports[i], "port") == json::num(port, "port") &&
        json::str(ports[i], "protocol") != json::str(port, "protocol"))
      return static_cast<int>(json::num(ports[i], "nodePort"));
  return 0;
}

Result<void> give_node_ports(WriteContext& ctx, ServiceRanges& ranges, Value& s) {
  auto* found = find_list(s, "spec", "ports");
  if (!found) return {};
  auto& ports = *found;
  // Those that ask for a certain port come first, so that no free choice takes it.
  for (bool chosen : {true, false})
    for (std::size_t i = 0; i < ports.size(); ++i) {
      int wanted = static_cast<int>(json::num(ports[i], "nodePort"));
      if ((wanted != 0) != chosen) continue;
      if (!chosen) wanted = shared_port(ports, i, ports[i]);
      auto port = ranges.claim_port(ctx, uid_of(s), wanted);
      if (!port && port.error().code == Code::kInvalid)
        return invalid_value(ctx, "spec.ports[" + std::to_string(i) + "].nodePort", std::to_string(wanted),
                             port.error().message);
      if (!port) return Failure(std::move(port.error()).with_context("failed to allocate a nodePort"));
      json::set(ports[i], *port, "nodePort");
    }
  return {};
}

Result<void> give_health_port(WriteContext& ctx, ServiceRanges& ranges, Value& s) {
  int wanted = static_cast<int>(json::num(s, "spec", "healthCheckNodePort"));
  auto port = ranges.claim_port(ctx, uid_of(s), wanted);
  if (!port && port.error().code == Code::kInvalid)
    return invalid_value(ctx, "spec.healthCheckNodePort", std::to_string(wanted), port.error().message);
  if (!port) return Failure(std::move(port.error()).with_context("failed to allocate a healthCheckNodePort"));
  json::set(s, *port, "spec", "healthCheckNodePort");
  return {};
}

// What an ExternalName has no use for.
void drop_addresses(Value& s) {
  for (const char* field : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}) json::erase(s, "spec", field);
}

Result<void> allocate(WriteContext& ctx, ServiceRanges& ranges, Value& s) {
  if (!has_cluster_ip(s)) return {};
  LAB_CHECK(align_ips(ctx, s));
  LAB_CHECK(set_families(ctx, s));
  LAB_CHECK(give_ip(ctx, ranges, s));
  if (has_node_ports(s)) LAB_CHECK(give_node_ports(ctx, ranges, s));
  if (has_health_port(s)) LAB_CHECK(give_health_port(ctx, ranges, s));
  return {};
}

// A client that sends a Service without what the server gave it keeps it, as long as the type still has it.
void keep_allocated(const Value& old, Value& s) {
  if (has_cluster_ip(old) && has_cluster_ip(s)) {
    if (json::str(s, "spec", "clusterIP").empty() && json::list(s, "spec", "clusterIPs").empty()) {
      json::set(s, json::at(old, "spec", "clusterIP"), "spec", "clusterIP");
      json::set(s, json::at(old, "spec", "clusterIPs"), "spec", "clusterIPs");
    }
    for (const char* field : {"ipFamilies", "ipFamilyPolicy"})
      if (!json::has(s, "spec", field) && json::has(old, "spec", field))
        json::set(s, json::at(old, "spec", field), "spec", field);
  }
  if (has_node_ports(old) && has_node_ports(s))
    if (auto* ports = find_list(s, "spec", "ports"))
      for (auto& p : *ports) {
        if (json::num(p, "nodePort") != 0) continue;
        for (const auto& o : json::list(old, "spec", "ports"))
          if (json::str(o, "name") == json::str(p, "name") && json::num(o, "nodePort") != 0 &&
              json::str(o, "protocol") == json::str(p, "protocol"))
            json::set(p, json::num(o, "nodePort"), "nodePort");
      }
  if (has_health_port(old) && has_health_port(s) && json::num(s, "spec", "healthCheckNodePort") == 0 &&
      json::has(old, "spec", "healthCheckNodePort"))
    json::set(s, json::at(old, "spec", "healthCheckNodePort"), "spec", "healthCheckNodePort");
}

bool same(const Value& a, const Value& b, const char* field) {
  return json::at(a, "spec", field) == json::at(b, "spec", field);
}

bool same_node_ports(const Value& a, const Value& b) {
  const auto &x = json::list(a, "spec", "ports"), &y = json::list(b, "spec", "ports");
  return x.size() == y.size() && std::ranges::equal(x, y, [](const Value& p, const Value& q) {
           return json::num(p, "nodePort") == json::num(q, "nodePort");
         });
}

// Only the type was changed: what the new type has no place for goes, unless the client also changed it (that is then
// an error of validation, not a silent loss).
void drop_outgrown(const Value& old, Value& s) {
  if (has_cluster_ip(old) && !has_cluster_ip(s) && same(old, s, "clusterIP")) drop_addresses(s);
  if (has_node_ports(old) && !has_node_ports(s) && same_node_ports(old, s))
    if (auto* ports = find_list(s, "spec", "ports"))
      for (auto& p : *ports) json::erase(p, "nodePort");
  if (has_health_port(old) && !has_health_port(s) && same(old, s, "healthCheckNodePort"))
    json::erase(s, "spec", "healthCheckNodePort");
  if (type_of(old) == "LoadBalancer" && type_of(s) != "LoadBalancer")
    for (const char* field : {"allocateLoadBalancerNodePorts", "loadBalancerClass"})
      if (same(old, s, field)) json::erase(s, "spec", field);
  if (may_have_external_policy(old) && !may_have_external_policy(s) && same(old, s, "externalTrafficPolicy"))
    json::erase(s, "spec", "externalTrafficPolicy");
}

Result<void> update(WriteContext& ctx, ServiceRanges& ranges, const Value& old, Value& s) {
  if (!ctx.subresource.empty()) return {};
  drop_outgrown(old, s);
  keep_allocated(old, s);
  // A LoadBalancer's address is no longer true for another type.
  if (type_of(old) == "LoadBalancer" && type_of(s) != "LoadBalancer")
    json::set(s, json::Object(), "status", "loadBalancer");
  std::string before(json::str(old, "spec", "clusterIP")), after(json::str(s, "spec", "clusterIP"));
  // Validation refuses another address: none is taken for it.
  if (has_cluster_ip(old) && has_cluster_ip(s) && !before.empty() && before != after) return {};
  LAB_CHECK(allocate(ctx, ranges, s));
  ranges.release(ctx, old, &s);
  ranges.settle(ctx, s);
  return {};
}

}  // namespace

Hooks service_hooks(std::shared_ptr<ServiceRanges> ranges) {
  Hooks h;
  h.prepare_create = [ranges](WriteContext& ctx, Value& s) -> Result<void> {
    json::set(s, json::Object{{"loadBalancer", json::Object()}}, "status");
    return allocate(ctx, *ranges, s);
  };
  h.prepare_update = [ranges](WriteContext& ctx, const Value& old, Value& s) { return update(ctx, *ranges, old, s); };
  h.before_leave = [ranges](WriteContext& ctx, const Value& s) { ranges->release(ctx, s); };
  h.after_delete = [ranges](WriteContext&, const Value& s) { ranges->forget(uid_of(s)); };
  return h;
}

}  // namespace lab::apiserver::hooks
