// What extends the API: webhook configurations, conversion of custom resources, APIServices.
#include <algorithm>
#include <set>

#include "orchestrator/api/names.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/api/validation.h"

namespace lab::api {

namespace {

constexpr std::size_t kMostConditions = 64;

// []string{"a", "b"}, as Go's %#v writes it.
std::string go_list(std::string_view type, const json::Value& list) {
  std::string out;
  for (const auto& item : json::as_array(list)) out += (out.empty() ? "" : ", ") + json::dump(item);
  return "[]" + std::string(type) + "{" + out + "}";
}

bool has_wildcard(const json::Value& list) {
  return std::ranges::find(json::as_array(list), json::Value("*")) != json::as_array(list).end();
}

// A list that is needed, and in which "*" stands alone.
void wildcard_list(const FieldPath& at, const json::Value& list, std::string_view go_type, const std::string& what,
                   Findings& out) {
  if (json::as_array(list).empty()) out.required(at);
  if (json::as_array(list).size() > 1 && has_wildcard(list))
    out.invalid_raw(at, go_list(go_type, list), "if '*' is present, must not specify other " + what);
}

void rule_resources(const FieldPath& at, const json::Value& list, Findings& out) {
  const auto& items = json::as_array(list);
  if (items.empty()) out.required(at);
  std::set<std::string> any_sub, any_resource;
  bool all = false, every = false, plain = false;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const FieldPath item(at, i);
    const std::string text(json::as_str(items[i]));
    if (text.empty()) {
      out.required(item);
      continue;
    }
    all |= text == "*/*";
    every |= text == "*";
    const auto slash = text.find('/');
    if (slash == std::string::npos) {
      plain = text != "*";
      continue;
    }
    const auto resource = text.substr(0, slash), sub = text.substr(slash + 1);
    if (any_sub.contains(resource))
      out.invalid(item, items[i], "if '" + resource + "/*' is present, must not specify " + text);
    if (any_resource.contains(sub))
      out.invalid(item, items[i], "if '*/" + sub + "' is present, must not specify " + text);
    if (sub == "*") any_sub.insert(resource);
    if (resource == "*") any_resource.insert(sub);
  }
  if (items.size() > 1 && all)
    out.invalid_raw(at, go_list("string", list), "if '*/*' is present, must not specify other resources");
  if (every && plain)
    out.invalid_raw(at, go_list("string", list),
                    "if '*' is present, must not specify other resources without subresources");
}

void rule(const FieldPath& at, const json::Value& rule, Findings& out) {
  const FieldPath operations(at, "operations");
  wildcard_list(operations, json::at(rule, "operations"), "admissionregistration.OperationType", "operations", out);
  std::size_t i = 0;
  for (const auto& operation : json::list(rule, "operations")) {
    const FieldPath item(operations, i++);
    const auto word = json::as_str(operation);
    if (word != "*" && word != "CONNECT" && word != "CREATE" && word != "DELETE" && word != "UPDATE")
      out.not_supported(item, operation, {"*", "CONNECT", "CREATE", "DELETE", "UPDATE"});
  }
  wildcard_list(FieldPath(at, "apiGroups"), json::at(rule, "apiGroups"), "string", "API groups", out);
  const FieldPath versions(at, "apiVersions");
  wildcard_list(versions, json::at(rule, "apiVersions"), "string", "API versions", out);
  i = 0;
  for (const auto& version : json::list(rule, "apiVersions")) {
    const FieldPath item(versions, i++);
    if (json::as_str(version).empty()) out.required(item);
  }
  rule_resources(FieldPath(at, "resources"), json::at(rule, "resources"), out);
  if (const auto& scope = json::at(rule, "scope"); !scope.is_null())
    out.one_of(FieldPath(at, "scope"), json::as_str(scope), {"*", "Cluster", "Namespaced"});
}

void url(const FieldPath& at, std::string_view text, Findings& out) {
  constexpr std::string_view kForm = "; desired format: https://host[/path]";
  const auto colon = text.find("://");
  const auto scheme = colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
  auto rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 3);
  if (scheme != "https")
    out.invalid(at, json::Value(scheme), "'https' is the only allowed URL scheme" + std::string(kForm));
  auto host = rest.substr(0, rest.find_first_of("/?#"));
  if (auto user = host.find('@'); user != std::string_view::npos) {
    out.invalid(at, json::Value(host.substr(0, user)), "user information is not permitted in the URL");
    host.remove_prefix(user + 1);
  }
  if (host.empty()) out.invalid(at, json::Value(host), "host must be provided" + std::string(kForm));
  const auto fragment = rest.find('#');
  if (fragment != std::string_view::npos && fragment + 1 < rest.size())
    out.invalid(at, json::Value(rest.substr(fragment + 1)), "fragments are not permitted in the URL");
  rest = rest.substr(0, fragment);
  if (auto query = rest.find('?'); query != std::string_view::npos && query + 1 < rest.size())
    out.invalid(at, json::Value(rest.substr(query + 1)), "query parameters are not permitted in the URL");
}

void service_path(const FieldPath& at, const json::Value& value, Findings& out) {
  std::string_view path = json::as_str(value);
  if (path.empty() || path == "/") return;
  if (path == "//") return out.invalid(at, value, "segment[0] may not be empty");
  if (!path.starts_with('/')) out.invalid(at, value, "must start with a '/'");
  path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  for (std::size_t i = 0;; ++i) {
    const auto slash = path.find('/');
    const auto step = path.substr(0, slash), name = std::string_view("segment[");
    if (step.empty())
      out.invalid(at, value, std::string(name) + std::to_string(i) + "] may not be empty");
    else if (auto problem = dns1123_subdomain_problem(step); !problem.empty())
      out.invalid(at, value, std::string(name) + std::to_string(i) + "]: " + problem);
    if (slash == std::string_view::npos) return;
    path.remove_prefix(slash + 1);
  }
}

void service_reference(const FieldPath& at, const json::Value& service, Findings& out) {
  if (json::str(service, "name").empty()) out.required(FieldPath(at, "name"), "service name is required");
  if (json::str(service, "namespace").empty())
    out.required(FieldPath(at, "namespace"), "service namespace is required");
  if (const auto port = json::num(service, "port"); port < 1 || port > 65535)
    out.invalid(FieldPath(at, "port"), json::at(service, "port"), "port is not valid: " + std::string(kPortRange));
  service_path(FieldPath(at, "path"), json::at(service, "path"), out);
}

void client_config(const FieldPath& at, const json::Value& config, Findings& out) {
  const bool by_url = json::has(config, "url"), by_service = json::has(config, "service");
  if (by_url == by_service) return out.required(at, "exactly one of url or service is required");
  if (by_url) return url(FieldPath(at, "url"), json::str(config, "url"), out);
  service_reference(FieldPath(at, "service"), json::at(config, "service"), out);
}

void review_versions(const FieldPath& at, const json::Value& list, bool with_choice, Findings& out) {
  const auto& versions = json::as_array(list);
  if (versions.empty()) return out.required(at, with_choice ? "must specify one of v1, v1beta1" : "");
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const FieldPath item(at, i);
    if (!seen.insert(json::as_str(versions[i])).second) {
      out.invalid(item, versions[i], "duplicate version");
      continue;
    }
    out.problem(item, versions[i], dns1035_label_problem(json::as_str(versions[i])));
  }
  if (!seen.contains("v1") && !seen.contains("v1beta1"))
    out.invalid_raw(at, go_list("string", list), "must include at least one of v1, v1beta1");
}

void conditions(const FieldPath& at, const json::Array& list, Findings& out) {
  if (list.size() > kMostConditions)
    out.invalid_raw(at, std::to_string(list.size()), "must have at most " + std::to_string(kMostConditions) + " items");
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const FieldPath item(at, i), name_at(item, "name");
    const auto name = json::str(list[i], "name");
    if (name.empty()) {
      out.required(name_at);
    } else {
      out.problem(name_at, name, label_key_problem(name));
      if (!names.insert(name).second) out.duplicate(name_at, json::Value(name));
    }
    if (json::str(list[i], "expression").empty()) out.required(FieldPath(item, "expression"));
  }
}

void webhook(const FieldPath& at, const json::Value& hook, Findings& out) {
  const auto name = json::str(hook, "name");
  const FieldPath name_at(at, "name");
  if (name.empty())
    out.required(name_at);
  else if (auto problem = dns1123_subdomain_problem(name); !problem.empty())
    out.invalid(name_at, json::Value(name), problem);
  else if (std::ranges::count(name, '.') < 2)
    out.invalid(name_at, json::Value(name), "should be a domain with at least three segments separated by dots");
  const FieldPath rules(at, "rules");
  std::size_t i = 0;
  for (const auto& r : json::list(hook, "rules")) rule(FieldPath(rules, i++), r, out);
  out.one_of(FieldPath(at, "failurePolicy"), json::str(hook, "failurePolicy"), {"Fail", "Ignore"});
  out.one_of(FieldPath(at, "matchPolicy"), json::str(hook, "matchPolicy"), {"Equivalent", "Exact"});
  if (const auto& effects = json::at(hook, "sideEffects"); effects.is_null())
    out.required(FieldPath(at, "sideEffects"), "must specify one of None, NoneOnDryRun");
  else if (json::as_str(effects) != "None" && json::as_str(effects) != "NoneOnDryRun")
    out.not_supported(FieldPath(at, "sideEffects"), effects, {"None", "NoneOnDryRun"});
  if (const auto seconds = json::num(hook, "timeoutSeconds"); seconds < 1 || seconds > 30)
    out.invalid(FieldPath(at, "timeoutSeconds"), json::at(hook, "timeoutSeconds"),
                "the timeout value must be between 1 and 30 seconds");
  for (std::string_view selector : {"namespaceSelector", "objectSelector"})
    validate_label_selector(FieldPath(at, selector), json::at(hook, selector), out);
  client_config(FieldPath(at, "clientConfig"), json::at(hook, "clientConfig"), out);
  conditions(FieldPath(at, "matchConditions"), json::list(hook, "matchConditions"), out);
  review_versions(FieldPath(at, "admissionReviewVersions"), json::at(hook, "admissionReviewVersions"), true, out);
  if (json::has(hook, "reinvocationPolicy"))
    out.one_of(FieldPath(at, "reinvocationPolicy"), json::str(hook, "reinvocationPolicy"), {"IfNeeded", "Never"});
}

}  // namespace

void validate_webhook_configuration(const Change& c, Findings& out) {
  const FieldPath at("webhooks");
  std::set<std::string_view> names;
  std::size_t i = 0;
  for (const auto& hook : json::list(c.object, "webhooks")) {
    const FieldPath item(at, i++);
    webhook(item, hook, out);
    if (const auto name = json::str(hook, "name"); !name.empty() && !names.insert(name).second)
      out.duplicate(FieldPath(item, "name"), json::Value(name));
  }
}

void validate_conversion(const FieldPath& at, const json::Value& conversion, Findings& out) {
  if (conversion.is_null()) return;
  const auto strategy = json::str(conversion, "strategy");
  out.one_of(FieldPath(at, "strategy"), strategy, {"None", "Webhook"});
  const FieldPath webhook_at(at, "webhook"), config_at(webhook_at, "clientConfig");
  const auto& config = json::at(conversion, "webhook", "clientConfig");
  if (strategy == "None" && json::has(conversion, "webhook"))
    out.forbidden(webhook_at, "should not be set when strategy is not set to Webhook");
  if (strategy != "Webhook") return;
  if (config.is_null())
    out.required(config_at, "required when strategy is set to Webhook");
  else
    client_config(config_at, config, out);
  review_versions(FieldPath(webhook_at, "conversionReviewVersions"),
                  json::at(conversion, "webhook", "conversionReviewVersions"), false, out);
}

void validate_api_service(const Change& c, Findings& out) {
  const FieldPath at("spec"), metadata("metadata");
  const auto& spec = json::at(c.object, "spec");
  const std::string group(json::str(spec, "group")), version(json::str(spec, "version"));
  const auto wanted = version + "." + group;
  if (json::str(c.object, "metadata", "name") != wanted)
    out.invalid(FieldPath(metadata, "name"), json::at(c.object, "metadata", "name"),
                "must be `spec.version+\".\"+spec.group`: \"" + wanted + "\"");
  if (group.empty() && version != "v1")
    out.required(FieldPath(at, "group"), "only v1 may have an empty group and it better be legacy kube");
  if (!group.empty()) out.problem(FieldPath(at, "group"), group, dns1123_subdomain_problem(group));
  out.problem(FieldPath(at, "version"), version, dns1035_label_problem(version));
  const auto priority = json::num(spec, "groupPriorityMinimum"), order = json::num(spec, "versionPriority");
  if (priority <= 0 || priority > 20000)
    out.invalid(FieldPath(at, "groupPriorityMinimum"), json::Value(priority), "must be positive and less than 20000");
  if (order <= 0 || order > 1000)
    out.invalid(FieldPath(at, "versionPriority"), json::Value(order), "must be positive and less than 1000");
  const auto bundle = json::str(spec, "caBundle");
  const bool insecure = json::flag(spec, "insecureSkipTLSVerify");
  const FieldPath insecure_at(at, "insecureSkipTLSVerify");
  const auto& service = json::at(spec, "service");
  if (service.is_null()) {
    if (!bundle.empty()) out.invalid(FieldPath(at, "caBundle"), "", "local APIServices may not have a caBundle");
    if (insecure) out.invalid(insecure_at, json::Value(true), "local APIServices may not have insecureSkipTLSVerify");
    return;
  }
  const FieldPath service_at(at, "service");
  for (std::string_view key : {"namespace", "name"})
    if (json::str(service, key).empty()) out.required(FieldPath(service_at, key));
  if (const auto port = json::num(service, "port"); port < 1 || port > 65535)
    out.invalid(FieldPath(service_at, "port"), json::at(service, "port"),
                "port is not valid: " + std::string(kPortRange));
  if (insecure && !bundle.empty())
    out.invalid(insecure_at, json::Value(true), "may not be true if caBundle is present");
}

}  // namespace lab::api
