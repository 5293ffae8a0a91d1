#include "orchestrator/api/quota.h"

#include <algorithm>

namespace lab::api {
namespace {

using json::Value;

Quantity count(std::int64_t n) {
  return Quantity::from_milli(n * 1000);
}

void add(QuotaUsage& usage, const std::string& name, const Quantity& q) {
  // A sum takes its form (Mi or M) from what it is a sum of.
  auto [it, fresh] = usage.try_emplace(name, q);
  if (!fresh) it->second = it->second.is_zero() ? q : it->second + q;
}

bool finished(const Value& pod) {
  const auto phase = json::str(pod, "status", "phase");
  return phase == "Succeeded" || phase == "Failed";
}

// What the containers need together, or the largest of those that run before them; and the overhead of the sandbox.
QuotaUsage pod_sum(const Value& pod, const char* what) {
  QuotaUsage sum, largest;
  for (const auto& c : json::list(pod, "spec", "containers"))
    for (const auto& [name, q] : json::map(c, "resources", what)) add(sum, std::string(name), quantity_of(q));
  for (const auto& c : json::list(pod, "spec", "initContainers")) {
    const bool stays = json::str(c, "restartPolicy") == "Always";
    for (const auto& [name, q] : json::map(c, "resources", what)) {
      auto amount = quantity_of(q);
      if (stays) {
        add(sum, std::string(name), amount);
      } else if (auto [it, fresh] = largest.try_emplace(std::string(name), amount); !fresh && it->second < amount) {
        it->second = amount;
      }
    }
  }
  for (const auto& [name, q] : largest)
    if (auto [it, fresh] = sum.try_emplace(name, q); !fresh && it->second < q) it->second = q;
  for (const auto& [name, q] : json::map(pod, "spec", "overhead"))
    if (std::string_view(what) == "requests" || sum.contains(std::string(name)))
      add(sum, std::string(name), quantity_of(q));
  return sum;
}

void pod_usage(const Value& pod, QuotaUsage& out) {
  if (finished(pod)) return;
  out["pods"] = count(1);
  for (const auto& [name, q] : pod_sum(pod, "requests")) {
    out["requests." + name] = q;
    out[name] = q;  // "cpu" and "memory" alone mean requests
  }
  for (const auto& [name, q] : pod_sum(pod, "limits")) out["limits." + name] = q;
}

void service_usage(const Value& service, QuotaUsage& out) {
  const auto type = json::str(service, "spec", "type");
  out["services"] = count(1);
  const auto ports = static_cast<std::int64_t>(json::list(service, "spec", "ports").size());
  const bool balanced = type == "LoadBalancer";
  if (balanced) out["services.loadbalancers"] = count(1);
  if (type == "NodePort" ||
      (balanced && json::as_bool(json::at(service, "spec", "allocateLoadBalancerNodePorts"), true)))
    out["services.nodeports"] = count(ports);
}

void claim_usage(const Value& claim, QuotaUsage& out) {
  const Quantity storage = quantity_of(json::at(claim, "spec", "resources", "requests", "storage"));
  out["persistentvolumeclaims"] = count(1);
  out["requests.storage"] = storage;
  const std::string c(json::str(claim, "spec", "storageClassName"));
  if (c.empty()) return;
  out[c + ".storageclass.storage.k8s.io/requests.storage"] = storage;
  out[c + ".storageclass.storage.k8s.io/persistentvolumeclaims"] = count(1);
}

bool best_effort(const Value& pod) {
  for (const char* list : {"containers", "initContainers"})
    for (const auto& c : json::list(pod, "spec", list))
      for (const char* what : {"requests", "limits"})
        for (const char* resource : {"cpu", "memory"})
          if (!quantity_of(json::at(c, "resources", what, resource)).is_zero()) return false;
  return true;
}

bool scope_holds(const Value& pod, std::string_view scope, std::string_view op, const json::Array& values) {
  if (scope == "Terminating") return json::has(pod, "spec", "activeDeadlineSeconds");
  if (scope == "NotTerminating") return !json::has(pod, "spec", "activeDeadlineSeconds");
  if (scope == "BestEffort") return best_effort(pod);
  if (scope == "NotBestEffort") return !best_effort(pod);
  if (scope != "PriorityClass") return false;
  const auto name = json::str(pod, "spec", "priorityClassName");
  const bool among = std::ranges::any_of(values, [&](const Value& v) { return json::as_str(v) == name; });
  if (op == "In") return among;
  if (op == "NotIn") return !among;
  return op == "Exists" ? !name.empty() : name.empty();
}

}  // namespace

Quantity quantity_of(const Value& value) {
  auto q = Quantity::parse(value.is_string() ? std::string(json::as_str(value)) : json::dump(value));
  return q ? *q : Quantity();
}

void add_usage(QuotaUsage& sum, const QuotaUsage& more) {
  for (const auto& [name, q] : more) add(sum, name, q);
}

std::string quota_count_name(const Kind& kind) {
  return "count/" + kind.plural + (kind.group.empty() ? "" : "." + kind.group);
}

QuotaUsage quota_usage(const Kind& kind, const Value& object) {
  QuotaUsage out;
  out[quota_count_name(kind)] = count(1);
  if (!kind.group.empty()) return out;
  if (kind.plural == "pods") {
    pod_usage(object, out);
  } else if (kind.plural == "services") {
    service_usage(object, out);
  } else if (kind.plural == "persistentvolumeclaims") {
    claim_usage(object, out);
  } else if (kind.plural == "configmaps" || kind.plural == "secrets" || kind.plural == "replicationcontrollers" ||
             kind.plural == "resourcequotas") {
    out[kind.plural] = count(1);
  }
  return out;
}

bool quota_covers(const Value& quota, const Kind& kind, const Value& object) {
  const bool pod = kind.group.empty() && kind.plural == "pods";
  for (const auto& s : json::list(quota, "spec", "scopes"))
    if (!pod || !scope_holds(object, json::as_str(s), "Exists", {})) return false;
  for (const auto& e : json::list(quota, "spec", "scopeSelector", "matchExpressions"))
    if (!pod || !scope_holds(object, json::str(e, "scopeName"), json::str(e, "operator"), json::list(e, "values")))
      return false;
  return true;
}

}  // namespace lab::api
