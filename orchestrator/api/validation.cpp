#include "orchestrator/api/validation.h"

#include <algorithm>

#include "orchestrator/api/names.h"
#include "orchestrator/api/selector.h"

namespace lab::api {

namespace {

constexpr std::size_t kMaxAnnotationBytes = 256 * 1024;

std::string name_problem(const Kind& kind, std::string_view name) {
  if (kind.group == "rbac.authorization.k8s.io" || kind.kind == "CertificateSigningRequest" ||
      kind.kind == "APIService")
    return path_segment_problem(name);
  if (kind.group.empty() && kind.kind == "Namespace") return dns1123_label_problem(name);
  if (kind.group.empty() && kind.kind == "Service") return dns1035_label_problem(name);
  if (kind.kind == "CronJob" && name.size() > 52) return "must be no more than 52 characters";
  return dns1123_subdomain_problem(name);
}

void validate_owners(const FieldPath& at, const json::Value& owners, Findings& out) {
  std::size_t i = 0;
  std::string_view controller;
  for (const auto& owner : json::as_array(owners)) {
    const FieldPath item(at, i++);
    for (std::string_view key : {"apiVersion", "kind", "name", "uid"})
      if (json::str(owner, key).empty()) out.invalid(FieldPath(item, key), "", "must not be empty");
    if (!json::flag(owner, "controller")) continue;
    if (!controller.empty())
      out.invalid(at, owners,
                  "Only one reference can have Controller set to true. Found \"true\" in references for " +
                      std::string(controller) + " and " + std::string(json::str(owner, "name")));
    controller = json::str(owner, "name");
  }
}

}  // namespace

void validate_labels(const FieldPath& at, const json::Value& labels, Findings& out) {
  for (const auto& [key, value] : json::as_object(labels)) {
    out.problem(at, std::string_view(key), label_key_problem(key));
    out.problem(at, value, label_value_problem(json::as_str(value)));
  }
}

void validate_label_selector(const FieldPath& at, const json::Value& selector, Findings& out) {
  validate_labels(FieldPath(at, "matchLabels"), json::at(selector, "matchLabels"), out);
  const FieldPath expressions(at, "matchExpressions");
  std::size_t i = 0;
  for (const auto& e : json::list(selector, "matchExpressions")) {
    const FieldPath item(expressions, i++);
    const auto op = json::str(e, "operator");
    const auto& values = json::list(e, "values");
    if ((op == "In" || op == "NotIn") && values.empty())
      out.required(FieldPath(item, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
    else if ((op == "Exists" || op == "DoesNotExist") && !values.empty())
      out.forbidden(FieldPath(item, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    else if (op != "In" && op != "NotIn" && op != "Exists" && op != "DoesNotExist")
      out.invalid(FieldPath(item, "operator"), json::at(e, "operator"), "not a valid selector operator");
    out.problem(FieldPath(item, "key"), json::at(e, "key"), label_key_problem(json::str(e, "key")));
  }
}

void validate_metadata(const Change& change, Findings& out) {
  const auto& metadata = json::at(change.object, "metadata");
  const FieldPath at("metadata");
  const auto name = json::str(metadata, "name");
  if (name.empty())
    out.required(FieldPath(at, "name"), "name or generateName is required");
  else if (!change.old)
    out.problem(FieldPath(at, "name"), name, name_problem(change.kind, name));
  validate_labels(FieldPath(at, "labels"), json::at(metadata, "labels"), out);
  const FieldPath annotations(at, "annotations");
  std::size_t total = 0;
  for (const auto& [key, value] : json::map(metadata, "annotations")) {
    std::string lower(std::string_view{key});
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    out.problem(annotations, std::string_view(key), label_key_problem(lower));
    total += key.size() + json::as_str(value).size();
  }
  if (total > kMaxAnnotationBytes) out.too_long(annotations, kMaxAnnotationBytes);
  for (const auto& finalizer : json::list(metadata, "finalizers"))
    out.problem(FieldPath(at, "finalizers"), finalizer, label_key_problem(json::as_str(finalizer)));
  validate_owners(FieldPath(at, "ownerReferences"), json::at(metadata, "ownerReferences"), out);
}

void validate_unchanged(const Change& change, std::initializer_list<std::string_view> path, Findings& out) {
  if (!change.old) return;
  const json::Value *before = change.old, *now = &change.object;
  for (std::string_view key : path) {
    before = &json::at(*before, key);
    now = &json::at(*now, key);
  }
  if (*before == *now) return;
  std::string dotted;
  for (std::string_view key : path) dotted += (dotted.empty() ? "" : ".") + std::string(key);
  out.invalid(FieldPath(dotted), *now, kImmutable);
}

void validate_count_or_percent(const FieldPath& at, const json::Value& value, Findings& out) {
  if (value.is_null()) return;
  if (!value.is_string()) return out.not_negative(at, value);
  const auto text = json::as_str(value);
  const bool percent =
      text.size() > 1 && text.back() == '%' &&
      std::ranges::all_of(text.substr(0, text.size() - 1), [](char c) { return c >= '0' && c <= '9'; });
  if (!percent)
    out.invalid(
        at, value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex "
        "used for validation is '[0-9]+%')");
}

namespace {

std::vector<Finding> validate(const Change& change) {
  Findings out;
  const Kind& kind = change.kind;
  if (!kind.virtual_kind) validate_metadata(change, out);
  Validator f = kind.group.empty() ? core_validator(kind.kind) : workload_validator(kind.group, kind.kind);
  if (!f && !kind.group.empty()) f = policy_validator(kind.group, kind.kind);
  if (f) f(change, out);
  return std::move(out).take();
}

}  // namespace

std::vector<Finding> validate_create(const Kind& kind, const json::Value& object) {
  return validate({kind, nullptr, object, {}});
}

std::vector<Finding> validate_update(const Kind& kind, const json::Value& old, const json::Value& object,
                                     std::string_view subresource) {
  return validate({kind, &old, object, subresource});
}

Error invalid(const Kind& kind, std::string_view name, const std::vector<Finding>& findings) {
  const std::string who = kind.group.empty() ? kind.kind : kind.kind + "." + kind.group;
  std::vector<std::string> lines;
  json::Array causes;
  for (const Finding& f : findings) {
    std::string line = f.field + ": " + f.message;
    if (std::ranges::find(lines, line) == lines.end()) lines.push_back(std::move(line));
    causes.push_back(json::Object{{"reason", f.reason}, {"message", f.message}, {"field", f.field}});
  }
  Error error;
  error.code = Code::kInvalid;
  error.message = who + " " + json::dump(json::Value(name)) + " is invalid";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    error.message += i ? ", " : lines.size() > 1 ? ": [" : ": ";
    error.message += lines[i];
  }
  if (lines.size() > 1) error.message += "]";
  json::Object details;
  if (!name.empty()) details["name"] = json::Value(name);
  if (!kind.group.empty()) details["group"] = kind.group;
  details["kind"] = kind.kind;
  details["causes"] = std::move(causes);
  error.details = json::dump(details);
  return error;
}

}  // namespace lab::api
