#include "orchestrator/apiserver/webhooks/hook.h"

#include "base/log.h"

namespace lab::apiserver::webhooks {
namespace {

constexpr int kDefaultTimeout = 10, kLongestTimeout = 30;  // seconds

api::LabelSelector selector_of(const json::Value& hook, std::string_view field) {
  const auto& selector = json::at(hook, field);
  if (selector.is_null()) return {};
  auto read = api::LabelSelector::from_object(selector);
  if (read) return std::move(*read);
  log::warn("a webhook's selector cannot be read: it selects nothing",
            {{"webhook", json::str(hook, "name")}, {"field", field}, {"reason", read.error().text()}});
  return api::LabelSelector::from_map({});
}

std::string spoken_version(const json::Value& hook) {
  for (const auto& version : json::list(hook, "admissionReviewVersions"))
    if (json::as_str(version) == "v1" || json::as_str(version) == "v1beta1") return std::string(json::as_str(version));
  return {};
}

Hook read_hook(const json::Value& hook, std::string_view configuration) {
  Hook out;
  out.configuration = configuration;
  out.name = json::str(hook, "name");
  for (const auto& rule : json::list(hook, "rules")) out.rules.push_back(read_rule(rule));
  out.namespaces = selector_of(hook, "namespaceSelector");
  out.objects = selector_of(hook, "objectSelector");
  for (const auto& c : json::list(hook, "matchConditions"))
    out.conditions.push_back({std::string(json::str(c, "name")), Condition::compile(json::str(c, "expression"))});
  out.equivalent = json::str(hook, "matchPolicy") != "Exact";
  out.ignore_failure = json::str(hook, "failurePolicy") == "Ignore";
  out.reinvoke = json::str(hook, "reinvocationPolicy") == "IfNeeded";
  const auto effects = json::str(hook, "sideEffects");
  out.dry_runs = effects == "None" || effects == "NoneOnDryRun";
  const auto seconds = json::num(hook, "timeoutSeconds");
  out.timeout = std::chrono::seconds(seconds >= 1 && seconds <= kLongestTimeout ? seconds : kDefaultTimeout);
  out.review_version = spoken_version(hook);
  out.client = read_client_config(json::at(hook, "clientConfig"));
  return out;
}

}  // namespace

std::vector<Hook> read_hooks(const json::Value& configuration) {
  std::vector<Hook> out;
  for (const auto& hook : json::list(configuration, "webhooks"))
    out.push_back(read_hook(hook, json::str(configuration, "metadata", "name")));
  return out;
}

}  // namespace lab::apiserver::webhooks
