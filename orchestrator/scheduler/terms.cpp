#include "orchestrator/scheduler/terms.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace lab::scheduler {

namespace {

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::vector<std::string> strings(const json::Array& list) {
  std::vector<std::string> out;
  for (const auto& v : list) out.emplace_back(json::as_str(v));
  return out;
}

std::vector<NodeSelectorTerm::Expression> parse_expressions(const json::Array& list) {
  std::vector<NodeSelectorTerm::Expression> out;
  for (const auto& e : list)
    out.push_back(
        {std::string(json::str(e, "key")), std::string(json::str(e, "operator")), strings(json::list(e, "values"))});
  return out;
}

NodeSelectorTerm parse_node_term(const json::Value& term) {
  return {parse_expressions(json::list(term, "matchExpressions")), parse_expressions(json::list(term, "matchFields"))};
}

// A selector that cannot be parsed selects nothing: the API server has validated it, so this is another version's.
api::LabelSelector selector_of(const json::Value& object) {
  auto parsed = api::LabelSelector::from_object(object);
  return parsed ? std::move(*parsed) : api::LabelSelector::from_map({});
}

// matchLabelKeys and mismatchLabelKeys stand for the incoming pod's own values of those labels.
json::Value with_label_keys(const json::Value& term, const json::Object& pod_labels) {
  json::Value selector = json::at(term, "labelSelector");
  auto extend = [&](const json::Array& keys, const char* op) {
    for (const auto& key : keys) {
      auto* own = pod_labels.if_contains(json::as_str(key));
      if (!own) continue;
      auto& expressions = json::ensure(selector, "matchExpressions");
      if (!expressions.is_array()) expressions.emplace_array();
      expressions.get_array().push_back(
          json::Value{{"key", json::as_str(key)}, {"operator", op}, {"values", json::Array{*own}}});
    }
  };
  extend(json::list(term, "matchLabelKeys"), "In");
  extend(json::list(term, "mismatchLabelKeys"), "NotIn");
  return selector;
}

AffinityTerm parse_affinity_term(const json::Value& term, const json::Value& pod) {
  AffinityTerm out;
  out.pods = selector_of(with_label_keys(term, json::map(pod, "metadata", "labels")));
  out.topology_key = json::str(term, "topologyKey");
  out.namespaces = strings(json::list(term, "namespaces"));
  out.has_namespace_selector = json::has(term, "namespaceSelector");
  if (out.has_namespace_selector) out.namespace_selector = selector_of(json::at(term, "namespaceSelector"));
  if (out.namespaces.empty() && !out.has_namespace_selector)
    out.namespaces.emplace_back(json::str(pod, "metadata", "namespace"));
  return out;
}

}  // namespace

std::string_view label(const json::Object& labels, std::string_view key) {
  const auto* value = labels.if_contains(key);
  return value ? json::as_str(*value) : std::string_view();
}

bool Toleration::tolerates(const Taint& taint) const {
  if (!effect.empty() && effect != taint.effect) return false;
  if (!key.empty() && key != taint.key) return false;
  if (op == "Exists") return true;
  return (op.empty() || op == "Equal") && value == taint.value;
}

std::vector<Taint> parse_taints(const json::Value& node) {
  std::vector<Taint> out;
  for (const auto& t : json::list(node, "spec", "taints"))
    out.push_back(
        {std::string(json::str(t, "key")), std::string(json::str(t, "value")), std::string(json::str(t, "effect"))});
  return out;
}

std::vector<Toleration> parse_tolerations(const json::Value& pod) {
  std::vector<Toleration> out;
  for (const auto& t : json::list(pod, "spec", "tolerations"))
    out.push_back({std::string(json::str(t, "key")), std::string(json::str(t, "operator")),
                   std::string(json::str(t, "value")), std::string(json::str(t, "effect"))});
  return out;
}

bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const auto& t) { return t.tolerates(taint); });
}

const Taint* find_untolerated(const std::vector<Taint>& taints, const std::vector<Toleration>& tolerations) {
  for (const auto& taint : taints)
    if ((taint.effect == "NoSchedule" || taint.effect == "NoExecute") && !tolerates(tolerations, taint)) return &taint;
  return nullptr;
}

bool NodeSelectorTerm::Expression::holds(std::string_view actual, bool present) const {
  bool listed = std::find(values.begin(), values.end(), actual) != values.end();
  if (op == "In") return present && listed;
  if (op == "NotIn") return !present || !listed;
  if (op == "Exists") return present;
  if (op == "DoesNotExist") return !present;
  if (op != "Gt" && op != "Lt") return false;
  auto have = number(actual), bound = values.size() == 1 ? number(values[0]) : std::nullopt;
  if (!present || !have || !bound) return false;
  return op == "Gt" ? *have > *bound : *have < *bound;
}

bool NodeSelectorTerm::matches(std::string_view node_name, const json::Object& node_labels) const {
  if (labels.empty() && fields.empty()) return false;
  for (const auto& e : labels) {
    const auto* value = node_labels.if_contains(e.key);
    if (!e.holds(value ? json::as_str(*value) : std::string_view(), value != nullptr)) return false;
  }
  for (const auto& e : fields)
    if (e.key != "metadata.name" || !e.holds(node_name, true)) return false;
  return true;
}

bool NodeRequirement::matches(std::string_view node_name, const json::Object& node_labels) const {
  for (const auto& [key, value] : selector) {
    const auto* actual = node_labels.if_contains(key);
    if (!actual || json::as_str(*actual) != value) return false;
  }
  if (!has_affinity) return true;
  return std::any_of(terms.begin(), terms.end(), [&](const auto& t) { return t.matches(node_name, node_labels); });
}

std::pair<std::vector<std::string>, bool> NodeRequirement::named_nodes() const {
  std::vector<std::string> out;
  for (const auto& term : terms) {
    auto named = std::find_if(term.fields.begin(), term.fields.end(),
                              [](const auto& e) { return e.key == "metadata.name" && e.op == "In"; });
    if (named == term.fields.end()) return {{}, false};
    out.insert(out.end(), named->values.begin(), named->values.end());
  }
  return {std::move(out), has_affinity && !terms.empty()};
}

NodeRequirement parse_node_requirement(const json::Value& pod) {
  NodeRequirement out;
  for (const auto& field : json::map(pod, "spec", "nodeSelector"))
    out.selector.emplace_back(std::string(field.key().data(), field.key().size()), json::as_str(field.value()));
  const auto& required =
      json::at(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
  out.has_affinity = !required.is_null();
  for (const auto& term : json::list(required, "nodeSelectorTerms")) out.terms.push_back(parse_node_term(term));
  return out;
}

std::vector<PreferredNodeTerm> parse_preferred_node_terms(const json::Value& pod) {
  std::vector<PreferredNodeTerm> out;
  for (const auto& p :
       json::list(pod, "spec", "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"))
    out.push_back({parse_node_term(json::at(p, "preference")), json::num(p, "weight")});
  return out;
}

bool AffinityTerm::matches(const std::string& ns, const json::Object& namespace_labels,
                           const json::Object& pod_labels) const {
  bool in_namespace = std::find(namespaces.begin(), namespaces.end(), ns) != namespaces.end() ||
                      (has_namespace_selector && namespace_selector.matches(namespace_labels));
  return in_namespace && pods.matches(pod_labels);
}

AffinityTerms parse_affinity(const json::Value& pod, std::string_view which) {
  AffinityTerms out;
  const auto& affinity = json::at(pod, "spec", "affinity", which);
  for (const auto& term : json::list(affinity, "requiredDuringSchedulingIgnoredDuringExecution"))
    out.required.push_back(parse_affinity_term(term, pod));
  for (const auto& p : json::list(affinity, "preferredDuringSchedulingIgnoredDuringExecution")) {
    out.preferred.push_back(parse_affinity_term(json::at(p, "podAffinityTerm"), pod));
    out.preferred.back().weight = json::num(p, "weight");
  }
  return out;
}

bool SpreadConstraint::matches(const json::Object& pod_labels) const {
  return std::all_of(selectors.begin(), selectors.end(), [&](const auto& s) { return s.matches(pod_labels); });
}

std::vector<SpreadConstraint> parse_spread_constraints(const json::Value& pod) {
  std::vector<SpreadConstraint> out;
  for (const auto& c : json::list(pod, "spec", "topologySpreadConstraints")) {
    SpreadConstraint one;
    one.max_skew = json::num(c, "maxSkew");
    one.topology_key = json::str(c, "topologyKey");
    one.hard = json::str(c, "whenUnsatisfiable") != "ScheduleAnyway";
    one.selectors.push_back(selector_of(with_label_keys(c, json::map(pod, "metadata", "labels"))));
    one.min_domains = std::max<std::int64_t>(1, json::num(c, "minDomains"));
    one.honor_affinity = json::str(c, "nodeAffinityPolicy") != "Ignore";
    one.honor_taints = json::str(c, "nodeTaintsPolicy") == "Honor";
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace lab::scheduler
