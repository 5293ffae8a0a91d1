// Printers of leases, RBAC bindings, certificates, disruption budgets, priorities, webhooks, flow control and metrics.
#include "orchestrator/api/printers.h"

#include "orchestrator/api/quantity.h"

namespace lab::api::printers {
namespace {

using json::Array;
using json::Value;

constexpr std::string_view kRbac = "rbac.authorization.k8s.io", kAdmission = "admissionregistration.k8s.io",
                           kFlow = "flowcontrol.apiserver.k8s.io";

Array lease_cells(const Value& l, WallTime now) {
  return Array{Value(json::str(l, "spec", "holderIdentity")), Value(age(l, now))};
}

Array binding_cells(const Value& b, WallTime now) {
  std::vector<std::string> users, groups, accounts;
  for (const auto& s : json::list(b, "subjects")) {
    std::string_view kind = json::str(s, "kind");
    std::string name(json::str(s, "name"));
    if (kind == "User")
      users.push_back(name);
    else if (kind == "Group")
      groups.push_back(name);
    else
      accounts.push_back(std::string(json::str(s, "namespace")) + "/" + name);
  }
  Array cells;
  cells.emplace_back(std::string(json::str(b, "roleRef", "kind")) + "/" + std::string(json::str(b, "roleRef", "name")));
  cells.emplace_back(age(b, now));
  cells.emplace_back(join(users, ", "));
  cells.emplace_back(join(groups, ", "));
  cells.emplace_back(join(accounts, ", "));
  return cells;
}

std::string csr_condition(const Value& c) {
  bool approved = false, denied = false, failed = false;
  for (const auto& condition : json::list(c, "status", "conditions")) {
    std::string_view type = json::str(condition, "type");
    approved = approved || type == "Approved";
    denied = denied || type == "Denied";
    failed = failed || type == "Failed";
  }
  std::string out = denied ? "Denied" : approved ? "Approved" : "Pending";
  if (failed) out += ",Failed";
  if (!json::str(c, "status", "certificate").empty()) out += ",Issued";
  return out;
}

Array csr_cells(const Value& c, WallTime now) {
  std::string duration = "<none>";
  if (json::has(c, "spec", "expirationSeconds"))
    duration = human_duration(std::chrono::seconds(json::num(c, "spec", "expirationSeconds")));
  Array cells;
  cells.emplace_back(age(c, now));
  cells.emplace_back(or_none(json::str(c, "spec", "signerName")));
  cells.emplace_back(json::str(c, "spec", "username"));
  cells.emplace_back(duration);
  cells.emplace_back(csr_condition(c));
  return cells;
}

Array pdb_cells(const Value& p, WallTime now) {
  auto text = [&](const char* field) { return or_none(int_or_text(json::at(p, "spec", field)), "N/A"); };
  Array cells;
  cells.emplace_back(text("minAvailable"));
  cells.emplace_back(text("maxUnavailable"));
  cells.emplace_back(json::num(p, "status", "disruptionsAllowed"));
  cells.emplace_back(age(p, now));
  return cells;
}

Array priorityclass_cells(const Value& p, WallTime now) {
  Array cells;
  cells.emplace_back(json::num(p, "value"));
  cells.emplace_back(json::flag(p, "globalDefault"));
  cells.emplace_back(age(p, now));
  cells.emplace_back(or_none(json::str(p, "preemptionPolicy"), "PreemptLowerPriority"));
  return cells;
}

Array runtimeclass_cells(const Value& r, WallTime now) {
  return Array{Value(json::str(r, "handler")), Value(age(r, now))};
}

Array webhook_cells(const Value& w, WallTime now) {
  return Array{Value(json::list(w, "webhooks").size()), Value(age(w, now))};
}

Array policy_cells(const Value& p, WallTime now) {
  std::string param = "<unset>";
  if (json::has(p, "spec", "paramKind"))
    param = std::string(json::str(p, "spec", "paramKind", "apiVersion")) + "/" +
            std::string(json::str(p, "spec", "paramKind", "kind"));
  return Array{Value(json::list(p, "spec", "validations").size()), Value(param), Value(age(p, now))};
}

Array policybinding_cells(const Value& b, WallTime now) {
  std::string param = "<unset>";
  if (const Value& ref = json::at(b, "spec", "paramRef"); ref.is_object()) {
    std::string_view ns = json::str(ref, "namespace"), name = json::str(ref, "name");
    if (!name.empty())
      param = (ns.empty() ? "*" : std::string(ns)) + "/" + std::string(name);
    else if (json::has(ref, "selector"))
      param = format_selector(json::at(ref, "selector"));
  }
  return Array{Value(json::str(b, "spec", "policyName")), Value(param), Value(age(b, now))};
}

Array flowschema_cells(const Value& f, WallTime now) {
  std::string missing = "?";
  for (const auto& c : json::list(f, "status", "conditions"))
    if (json::str(c, "type") == "Dangling") missing = json::str(c, "status");
  Array cells;
  cells.emplace_back(json::str(f, "spec", "priorityLevelConfiguration", "name"));
  cells.emplace_back(json::num(f, "spec", "matchingPrecedence"));
  cells.emplace_back(or_none(json::str(f, "spec", "distinguisherMethod", "type")));
  cells.emplace_back(age(f, now));
  cells.emplace_back(missing);
  return cells;
}

Array prioritylevel_cells(const Value& p, WallTime now) {
  const Value& limited = json::at(p, "spec", "limited");
  const Value& queuing = json::at(limited, "limitResponse", "queuing");
  auto text = [](const Value& v) { return or_none(int_or_text(v)); };
  Array cells;
  cells.emplace_back(json::str(p, "spec", "type"));
  cells.emplace_back(text(json::at(limited, "nominalConcurrencyShares")));
  cells.emplace_back(text(json::at(queuing, "queues")));
  cells.emplace_back(text(json::at(queuing, "handSize")));
  cells.emplace_back(text(json::at(queuing, "queueLengthLimit")));
  cells.emplace_back(age(p, now));
  return cells;
}

Array apiservice_cells(const Value& a, WallTime now) {
  std::string service = "Local", available = "Unknown";
  if (json::has(a, "spec", "service"))
    service = std::string(json::str(a, "spec", "service", "namespace")) + "/" +
              std::string(json::str(a, "spec", "service", "name"));
  for (const auto& c : json::list(a, "status", "conditions"))
    if (json::str(c, "type") == "Available") {
      available = json::str(c, "status");
      if (available != "True") available += " (" + std::string(json::str(c, "reason")) + ")";
    }
  return Array{Value(service), Value(available), Value(age(a, now))};
}

// Of a node, or summed over a pod's containers.
json::Array metrics_cells(const Value& m, WallTime) {
  Quantity cpu, memory;
  auto add = [&](const Value& usage) {
    if (auto q = Quantity::parse(json::str(usage, "cpu"))) cpu = cpu + *q;
    if (auto q = Quantity::parse(json::str(usage, "memory"))) memory = memory + *q;
  };
  add(json::at(m, "usage"));
  for (const auto& c : json::list(m, "containers")) add(json::at(c, "usage"));
  return Array{Value(cpu.canonical()), Value(memory.canonical()), Value(json::str(m, "window"))};
}

}  // namespace

std::vector<Printer> policy_printers() {
  std::vector<std::string_view> binding = {"Role", "Age", "Users:string*", "Groups:string*", "ServiceAccounts:string*"};
  return {
      {"coordination.k8s.io", "Lease", {"Holder", "Age"}, lease_cells},
      {kRbac, "RoleBinding", binding, binding_cells},
      {kRbac, "ClusterRoleBinding", binding, binding_cells},
      {"certificates.k8s.io",
       "CertificateSigningRequest",
       {"Age", "SignerName", "Requestor", "RequestedDuration", "Condition"},
       csr_cells},
      {"policy",
       "PodDisruptionBudget",
       {"Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"},
       pdb_cells},
      {"scheduling.k8s.io",
       "PriorityClass",
       {"Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"},
       priorityclass_cells},
      {"node.k8s.io", "RuntimeClass", {"Handler", "Age"}, runtimeclass_cells},
      {kAdmission, "MutatingWebhookConfiguration", {"Webhooks:integer", "Age"}, webhook_cells},
      {kAdmission, "ValidatingWebhookConfiguration", {"Webhooks:integer", "Age"}, webhook_cells},
      {kAdmission, "ValidatingAdmissionPolicy", {"Validations:integer", "ParamKind", "Age"}, policy_cells},
      {kAdmission, "ValidatingAdmissionPolicyBinding", {"PolicyName", "ParamRef", "Age"}, policybinding_cells},
      {kFlow,
       "FlowSchema",
       {"PriorityLevel", "MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"},
       flowschema_cells},
      {kFlow,
       "PriorityLevelConfiguration",
       {"Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", "Age"},
       prioritylevel_cells},
      {"metrics.k8s.io", "NodeMetrics", {"Cpu", "Memory", "Window"}, metrics_cells},
      {"metrics.k8s.io", "PodMetrics", {"Cpu", "Memory", "Window"}, metrics_cells},
      {"apiregistration.k8s.io", "APIService", {"Service", "Available", "Age"}, apiservice_cells},
  };
}

}  // namespace lab::api::printers
