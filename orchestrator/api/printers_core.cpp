// Printers of core/v1, without pods (printers_pod.cpp), Services and volumes.
#include <algorithm>
#include <set>

#include "orchestrator/api/printers.h"

namespace lab::api::printers {
namespace {

using json::Array;
using json::Value;

constexpr std::string_view kRolePrefix = "node-role.kubernetes.io/";

std::string node_status(const Value& node) {
  std::string status;
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready") status = json::str(c, "status") == "True" ? "Ready" : "NotReady";
  if (status.empty()) status = "Unknown";
  if (json::flag(node, "spec", "unschedulable")) status += ",SchedulingDisabled";
  return status;
}

std::string node_roles(const Value& node) {
  std::set<std::string> roles;
  for (const auto& [key, value] : json::map(node, "metadata", "labels")) {
    std::string_view k = key;
    if (k.starts_with(kRolePrefix) && k.size() > kRolePrefix.size())
      roles.emplace(k.substr(kRolePrefix.size()));
    else if (k == "kubernetes.io/role" && !json::as_str(value).empty())
      roles.emplace(json::as_str(value));
  }
  return or_none(join({roles.begin(), roles.end()}));
}

std::string node_address(const Value& node, std::string_view type) {
  for (const auto& a : json::list(node, "status", "addresses"))
    if (json::str(a, "type") == type) return std::string(json::str(a, "address"));
  return "<none>";
}

Array node_cells(const Value& n, WallTime now) {
  const Value& info = json::at(n, "status", "nodeInfo");
  Array cells;
  cells.emplace_back(node_status(n));
  cells.emplace_back(node_roles(n));
  cells.emplace_back(age(n, now));
  cells.emplace_back(json::str(info, "kubeletVersion"));
  cells.emplace_back(node_address(n, "InternalIP"));
  cells.emplace_back(node_address(n, "ExternalIP"));
  cells.emplace_back(or_none(json::str(info, "osImage"), "<unknown>"));
  cells.emplace_back(or_none(json::str(info, "kernelVersion"), "<unknown>"));
  cells.emplace_back(or_none(json::str(info, "containerRuntimeVersion"), "<unknown>"));
  return cells;
}

std::string event_source(const Value& e) {
  std::string_view component = json::str(e, "source", "component"), host = json::str(e, "source", "host");
  if (component.empty()) component = json::str(e, "reportingComponent");
  if (component.empty()) component = json::str(e, "reportingController");
  return std::string(component) + (host.empty() ? "" : ", " + std::string(host));
}

// An Event's times: a series' last observation, the classic timestamps, or eventTime, whichever there is.
std::string event_seen(const Value& e, bool last, WallTime now) {
  std::string_view t;
  if (last) {
    t = json::str(e, "series", "lastObservedTime");
    if (t.empty()) t = json::str(e, "lastTimestamp");
    if (t.empty()) t = json::str(e, "deprecatedLastTimestamp");
  } else {
    t = json::str(e, "firstTimestamp");
    if (t.empty()) t = json::str(e, "deprecatedFirstTimestamp");
  }
  if (t.empty()) t = json::str(e, "eventTime");
  return since(t, now);
}

std::int64_t event_count(const Value& e) {
  if (auto n = json::num(e, "series", "count")) return n;
  if (auto n = json::num(e, "count")) return n;
  auto n = json::num(e, "deprecatedCount");
  return n > 0 ? n : 1;
}

Array event_cells(const Value& e, WallTime now) {
  const Value& about = json::has(e, "involvedObject") ? json::at(e, "involvedObject") : json::at(e, "regarding");
  std::string kind(json::str(about, "kind"));
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string_view message = json::has(e, "message") ? json::str(e, "message") : json::str(e, "note");
  auto from = message.find_first_not_of(" \n\t"), to = message.find_last_not_of(" \n\t");
  message = from == std::string_view::npos ? std::string_view() : message.substr(from, to - from + 1);
  Array cells;
  cells.emplace_back(event_seen(e, true, now));
  cells.emplace_back(json::str(e, "type"));
  cells.emplace_back(json::str(e, "reason"));
  cells.emplace_back(kind + "/" + std::string(json::str(about, "name")));
  cells.emplace_back(json::str(about, "fieldPath"));
  cells.emplace_back(event_source(e));
  cells.emplace_back(message);
  cells.emplace_back(event_seen(e, false, now));
  cells.emplace_back(event_count(e));
  cells.emplace_back(json::str(e, "metadata", "name"));
  return cells;
}

Array namespace_cells(const Value& o, WallTime now) {
  return Array{Value(json::str(o, "status", "phase")), Value(age(o, now))};
}

Array configmap_cells(const Value& o, WallTime now) {
  return Array{Value(std::to_string(json::map(o, "data").size() + json::map(o, "binaryData").size())),
               Value(age(o, now))};
}

Array secret_cells(const Value& o, WallTime now) {
  return Array{Value(json::str(o, "type")), Value(json::map(o, "data").size()), Value(age(o, now))};
}

Array serviceaccount_cells(const Value& o, WallTime now) {
  return Array{Value(json::list(o, "secrets").size()), Value(age(o, now))};
}

std::string first_endpoints(const Value& o) {
  constexpr std::size_t kMax = 3;
  std::vector<std::string> shown;
  std::size_t count = 0;
  auto take = [&](std::string text) {
    if (++count <= kMax) shown.push_back(std::move(text));
  };
  auto host = [](std::string_view ip) {
    return ip.find(':') == std::string_view::npos ? std::string(ip) : "[" + std::string(ip) + "]";
  };
  for (const auto& subset : json::list(o, "subsets")) {
    const auto& addresses = json::list(subset, "addresses");
    for (const auto& port : json::list(subset, "ports"))
      for (const auto& a : addresses) take(host(json::str(a, "ip")) + ":" + std::to_string(json::num(port, "port")));
    if (json::list(subset, "ports").empty())
      for (const auto& a : addresses) take(std::string(json::str(a, "ip")));
  }
  if (count == 0) return "<none>";
  return join(shown) + (count > kMax ? " + " + std::to_string(count - kMax) + " more..." : "");
}

Array endpoints_cells(const Value& o, WallTime now) {
  return Array{Value(first_endpoints(o)), Value(age(o, now))};
}

// "cpu: 1/2, pods: 3/10"
std::string usage(const Value& o, bool limits) {
  std::vector<std::string> parts;
  const auto& hard = json::map(o, "status", "hard");
  for (const auto& [key, value] : hard) {
    if (std::string_view(key).starts_with("limits.") != limits) continue;
    std::string_view used = json::str(o, "status", "used", std::string_view(key));
    parts.push_back(std::string(key) + ": " + or_none(used, "0") + "/" + std::string(json::as_str(value)));
  }
  std::ranges::sort(parts);
  return join(parts, ", ");
}

Array quota_cells(const Value& o, WallTime now) {
  return Array{Value(usage(o, false)), Value(usage(o, true)), Value(age(o, now))};
}

Array created_at(const Value& o, WallTime) {
  return Array{Value(or_none(json::str(o, "metadata", "creationTimestamp"), "<unknown>"))};
}

Array podtemplate_cells(const Value& o, WallTime) {
  Array cells;
  container_cells(cells, json::at(o, "template", "spec"));
  cells.emplace_back(format_labels(json::map(o, "template", "metadata", "labels")));
  return cells;
}

}  // namespace

std::vector<Printer> core_printers() {
  static constexpr std::string_view kCreated = "Created At:date";
  std::vector<std::string_view> event = {"Last Seen",         "Type",           "Reason",  "Object",
                                         "Subobject:string*", "Source:string*", "Message", "First Seen:string*",
                                         "Count:string*",     "Name:string*"};
  return {
      {"",
       "Pod",
       {"Ready", "Status", "Restarts", "Age", "IP:string*", "Node:string*", "Nominated Node:string*",
        "Readiness Gates:string*"},
       pod_cells},
      {"",
       "Node",
       {"Status", "Roles", "Age", "Version", "Internal-IP:string*", "External-IP:string*", "OS-Image:string*",
        "Kernel-Version:string*", "Container-Runtime:string*"},
       node_cells},
      {"", "Namespace", {"Status", "Age"}, namespace_cells},
      {"", "ConfigMap", {"Data", "Age"}, configmap_cells},
      {"", "Secret", {"Type", "Data", "Age"}, secret_cells},
      {"", "ServiceAccount", {"Secrets", "Age"}, serviceaccount_cells},
      {"", "Endpoints", {"Endpoints", "Age"}, endpoints_cells},
      {"", "Event", event, event_cells},
      {"events.k8s.io", "Event", event, event_cells},
      {"", "ResourceQuota", {"Request", "Limit", "Age"}, quota_cells},
      {"", "LimitRange", {kCreated}, created_at},
      {"", "PodTemplate", {"Containers", "Images", "Pod Labels"}, podtemplate_cells},
      {"rbac.authorization.k8s.io", "Role", {kCreated}, created_at},
      {"rbac.authorization.k8s.io", "ClusterRole", {kCreated}, created_at},
      {"apiextensions.k8s.io", "CustomResourceDefinition", {kCreated}, created_at},
  };
}

}  // namespace lab::api::printers
