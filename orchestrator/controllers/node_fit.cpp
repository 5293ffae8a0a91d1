#include "orchestrator/controllers/node_fit.h"

#include <algorithm>
#include <charconv>

#include "orchestrator/controllers/node_lifecycle.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

namespace {

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

bool expression_holds(const json::Value& expression, const std::optional<std::string>& have) {
  auto op = json::str(expression, "operator");
  const auto& values = json::list(expression, "values");
  bool listed =
      have && std::any_of(values.begin(), values.end(), [&](const json::Value& v) { return json::as_str(v) == *have; });
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return have.has_value();
  if (op == "DoesNotExist") return !have;
  if (!have || values.size() != 1) return false;
  auto left = integer(*have), right = integer(json::as_str(values[0]));
  if (!left || !right) return false;
  return op == "Gt" ? *left > *right : op == "Lt" && *left < *right;
}

bool term_holds(const json::Value& term, const json::Value& node) {
  const auto& expressions = json::list(term, "matchExpressions");
  const auto& fields = json::list(term, "matchFields");
  if (expressions.empty() && fields.empty()) return false;  // an empty term matches nothing
  for (const auto& e : expressions) {
    const auto* label = labels_of(node).if_contains(json::str(e, "key"));
    std::optional<std::string> have;
    if (label) have = std::string(json::as_str(*label));
    if (!expression_holds(e, have)) return false;
  }
  for (const auto& f : fields)
    if (json::str(f, "key") != "metadata.name" || !expression_holds(f, name_of(node))) return false;
  return true;
}

}  // namespace

bool matches_node_affinity(const json::Value& pod_spec, const json::Value& node) {
  for (const auto& want : json::map(pod_spec, "nodeSelector")) {
    const auto* have = labels_of(node).if_contains(want.key());
    if (!have || *have != want.value()) return false;
  }
  const auto& required =
      json::at(pod_spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
  if (required.is_null()) return true;
  const auto& terms = json::list(required, "nodeSelectorTerms");
  return std::any_of(terms.begin(), terms.end(), [&](const json::Value& term) { return term_holds(term, node); });
}

DaemonFit daemon_fit(const json::Value& pod_spec, const json::Value& node) {
  auto wanted = json::str(pod_spec, "nodeName");
  if (!wanted.empty() && wanted != name_of(node)) return {};
  if (!matches_node_affinity(pod_spec, node)) return {};
  DaemonFit fit{true, true};
  for (const auto& taint : json::list(node, "spec", "taints")) {
    auto effect = json::str(taint, "effect");
    if (effect != "NoSchedule" && effect != "NoExecute") continue;
    const auto& tolerations = json::list(pod_spec, "tolerations");
    if (std::any_of(tolerations.begin(), tolerations.end(), [&](const auto& t) { return tolerates(t, taint); }))
      continue;
    fit.start = false;
    if (effect == "NoExecute") fit.stay = false;
  }
  return fit;
}

void add_daemon_tolerations(json::Value& pod_spec) {
  auto& slot = json::ensure(pod_spec, "tolerations");
  if (!slot.is_array()) slot.emplace_array();
  auto& tolerations = slot.get_array();
  auto add = [&](const char* key, const char* effect) {
    json::Value wanted = json::Object{{"key", key}, {"operator", "Exists"}, {"effect", effect}};
    for (const auto& t : tolerations)
      if (json::str(t, "key") == key && json::str(t, "effect") == effect && json::str(t, "operator") == "Exists" &&
          !json::has(t, "tolerationSeconds"))
        return;
    tolerations.push_back(std::move(wanted));
  };
  add("node.kubernetes.io/not-ready", "NoExecute");
  add("node.kubernetes.io/unreachable", "NoExecute");
  add("node.kubernetes.io/disk-pressure", "NoSchedule");
  add("node.kubernetes.io/memory-pressure", "NoSchedule");
  add("node.kubernetes.io/pid-pressure", "NoSchedule");
  add("node.kubernetes.io/unschedulable", "NoSchedule");
  if (json::flag(pod_spec, "hostNetwork")) add("node.kubernetes.io/network-unavailable", "NoSchedule");
}

void pin_to_node(json::Value& pod_spec, std::string_view node) {
  json::Array fields{
      json::Object{{"key", "metadata.name"}, {"operator", "In"}, {"values", json::Array{json::Value(node)}}}};
  auto& required = json::ensure(pod_spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
  auto& terms = json::ensure(required, "nodeSelectorTerms");
  if (!terms.is_array() || terms.get_array().empty()) {
    terms = json::Array{json::Object{{"matchFields", std::move(fields)}}};
    return;
  }
  for (auto& term : terms.get_array()) json::set(term, fields, "matchFields");
}

std::string target_node(const json::Value& pod) {
  if (auto node = json::str(pod, "spec", "nodeName"); !node.empty()) return std::string(node);
  for (const auto& term : json::list(pod, "spec", "affinity", "nodeAffinity",
                                     "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"))
    for (const auto& field : json::list(term, "matchFields"))
      if (json::str(field, "key") == "metadata.name" && json::list(field, "values").size() == 1)
        return std::string(json::as_str(json::list(field, "values")[0]));
  return {};
}

}  // namespace lab::controllers
