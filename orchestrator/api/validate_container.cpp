// Containers: pkg/apis/core/validation of kube-apiserver, in its words.
#include "orchestrator/api/validate_container.h"

#include <algorithm>

#include "orchestrator/api/names.h"
#include "orchestrator/api/quantity.h"

namespace lab::api {

namespace {

bool is_zero(const json::Value& v) {
  return json::as_int(v) == 0;
}

void validate_port_value(const FieldPath& at, const json::Value& port, Findings& out) {
  if (port.is_string())
    out.problem(
        at, port,
        json::as_str(port).empty() ? "must be no more than 15 characters" : port_name_problem(json::as_str(port)));
  else
    out.port(at, port);
}

// Exactly one of exec, httpGet, tcpSocket and the others that the place allows.
void validate_handler(const FieldPath& at, const json::Value& handler, bool hook, Findings& out) {
  int found = 0;
  for (std::string_view kind : {"exec", "httpGet", "tcpSocket", hook ? "sleep" : "grpc"}) {
    const auto& action = json::at(handler, kind);
    if (action.is_null()) continue;
    const FieldPath below(at, kind);
    if (++found > 1) out.forbidden(below, "may not specify more than 1 handler type");
    if (kind == "exec" && json::list(action, "command").empty()) out.required(FieldPath(below, "command"));
    if (kind == "httpGet" && json::str(action, "path").empty()) out.required(FieldPath(below, "path"));
    if (kind == "httpGet") out.one_of(FieldPath(below, "scheme"), json::str(action, "scheme"), {"HTTP", "HTTPS"});
    if (kind == "httpGet" || kind == "tcpSocket" || kind == "grpc")
      validate_port_value(FieldPath(below, "port"), json::at(action, "port"), out);
  }
  if (found == 0) out.required(at, "must specify a handler type");
}

void validate_probe(const FieldPath& at, const json::Value& probe, bool success_is_one, Findings& out) {
  if (probe.is_null()) return;
  validate_handler(at, probe, false, out);
  for (std::string_view key :
       {"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"})
    out.not_negative(FieldPath(at, key), json::at(probe, key));
  const auto& success = json::at(probe, "successThreshold");
  if (success_is_one && success.is_number() && json::as_int(success) != 1)
    out.invalid(FieldPath(at, "successThreshold"), success, "must be 1");
}

void validate_ports(const FieldPath& at, const json::Array& ports, Findings& out) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const FieldPath item(at, i);
    const auto& port = ports[i];
    const auto name = json::str(port, "name");
    if (!name.empty()) {
      const std::string why = port_name_problem(name);
      out.problem(FieldPath(item, "name"), name, why);
      if (why.empty() && !names.insert(name).second) out.duplicate(FieldPath(item, "name"), json::at(port, "name"));
    }
    const auto& number = json::at(port, "containerPort");
    if (is_zero(number))
      out.required(FieldPath(item, "containerPort"));
    else
      out.port(FieldPath(item, "containerPort"), number);
    if (!is_zero(json::at(port, "hostPort"))) out.port(FieldPath(item, "hostPort"), json::at(port, "hostPort"));
    out.one_of(FieldPath(item, "protocol"), json::str(port, "protocol"), {"SCTP", "TCP", "UDP"});
  }
}

void validate_env_source(const FieldPath& at, const json::Value& env, Findings& out) {
  const auto& from = json::at(env, "valueFrom");
  if (from.is_null()) return;
  int sources = 0;
  for (const auto& [kind, source] : json::as_object(from)) sources += !source.is_null();
  if (sources == 0)
    out.invalid(at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  else if (!json::str(env, "value").empty())
    out.invalid(at, "", "may not be specified when `value` is not empty");
  else if (sources > 1)
    out.invalid(at, "", "may not have more than one field specified at a time");
  for (std::string_view kind : {"configMapKeyRef", "secretKeyRef"}) {
    const auto& ref = json::at(from, kind);
    if (ref.is_null()) continue;
    const FieldPath below(at, kind);
    if (json::str(ref, "name").empty()) out.required(FieldPath(below, "name"));
    if (json::str(ref, "key").empty())
      out.required(FieldPath(below, "key"));
    else
      out.problem(FieldPath(below, "key"), json::at(ref, "key"), config_key_problem(json::str(ref, "key")));
  }
  if (const auto& ref = json::at(from, "fieldRef"); !ref.is_null() && json::str(ref, "fieldPath").empty())
    out.required(FieldPath(FieldPath(at, "fieldRef"), "fieldPath"));
}

void validate_env(const FieldPath& container, const json::Value& value, Findings& out) {
  const FieldPath at(container, "env");
  std::size_t i = 0;
  for (const auto& env : json::list(value, "env")) {
    const FieldPath item(at, i++);
    const auto name = json::str(env, "name");
    if (name.empty())
      out.required(FieldPath(item, "name"));
    else
      out.problem(FieldPath(item, "name"), name, env_name_problem(name));
    validate_env_source(FieldPath(item, "valueFrom"), env, out);
  }
  const FieldPath from_at(container, "envFrom");
  i = 0;
  for (const auto& from : json::list(value, "envFrom")) {
    const FieldPath item(from_at, i++);
    const bool config = json::has(from, "configMapRef"), secret = json::has(from, "secretRef");
    if (!config && !secret)
      out.invalid(item, "", "must specify one of: `configMapRef` or `secretRef`");
    else if (config && secret)
      out.invalid(item, "", "may not have more than one field specified at a time");
    else if (json::str(from, config ? "configMapRef" : "secretRef", "name").empty())
      out.required(FieldPath(FieldPath(item, config ? "configMapRef" : "secretRef"), "name"));
  }
}

void validate_mounts(const FieldPath& at, const json::Array& mounts, const std::set<std::string_view>& volumes,
                     Findings& out) {
  std::set<std::string_view> paths;
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const FieldPath item(at, i);
    const auto& mount = mounts[i];
    const auto name = json::str(mount, "name"), path = json::str(mount, "mountPath");
    if (name.empty())
      out.required(FieldPath(item, "name"));
    else if (!volumes.contains(name))
      out.not_found(FieldPath(item, "name"), json::at(mount, "name"));
    if (path.empty())
      out.required(FieldPath(item, "mountPath"));
    else if (!paths.insert(path).second)
      out.invalid(FieldPath(item, "mountPath"), json::at(mount, "mountPath"), "must be unique");
    const auto sub_path = json::str(mount, "subPath");
    if (sub_path.starts_with('/'))
      out.invalid(FieldPath(item, "subPath"), json::at(mount, "subPath"), "must be a relative path");
    else if (sub_path == ".." || sub_path.starts_with("../") || sub_path.ends_with("/..") ||
             sub_path.find("/../") != sub_path.npos)
      out.invalid(FieldPath(item, "subPath"), json::at(mount, "subPath"), "must not contain '..'");
  }
}

void validate_security(const FieldPath& at, const json::Value& context, Findings& out) {
  for (std::string_view key : {"runAsUser", "runAsGroup"}) {
    const auto& id = json::at(context, key);
    if (id.is_number() && (json::as_int(id) < 0 || json::as_int(id) > INT32_MAX))
      out.invalid(FieldPath(at, key), id, "must be between 0 and 2147483647, inclusive");
  }
  const auto& escalation = json::at(context, "allowPrivilegeEscalation");
  if (escalation.is_bool() && !escalation.get_bool() && json::flag(context, "privileged"))
    out.invalid(at, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
}

bool standard_resource(std::string_view name) {
  return name == "cpu" || name == "memory" || name == "ephemeral-storage" || name.starts_with("hugepages-") ||
         name.find('/') != name.npos;
}

}  // namespace

void validate_resources(const FieldPath& at, const json::Value& resources, Findings& out, bool of_claim) {
  const auto& limits = json::map(resources, "limits");
  for (std::string_view list : {"limits", "requests"}) {
    const FieldPath below(at, list);
    for (const auto& [name, amount] : json::map(resources, list)) {
      const FieldPath item = below.key(name);
      if (!standard_resource(name) && !(of_claim && name == "storage"))
        out.invalid(item, json::Value(name), "must be a standard resource type or fully qualified");
      const auto quantity = Quantity::parse(json::as_str(amount));
      if (!quantity) {
        out.invalid(item, amount, quantity.error().message);
      } else if (quantity->milli() < 0) {
        out.invalid(item, amount, kNotNegative);
      } else if (const auto* limit = list == "requests" ? limits.if_contains(name) : nullptr) {
        const auto most = Quantity::parse(json::as_str(*limit));
        if (most && *quantity > *most)
          out.invalid(below, amount,
                      "must be less than or equal to " + std::string(std::string_view(name)) + " limit of " +
                          std::string(json::as_str(*limit)));
      }
    }
  }
}

void validate_container(const FieldPath& at, const json::Value& container, ContainerRole role,
                        std::set<std::string_view>& names, const std::set<std::string_view>& volumes, Findings& out) {
  const auto name = json::str(container, "name");
  if (name.empty()) {
    out.required(FieldPath(at, "name"));
  } else {
    out.problem(FieldPath(at, "name"), name, dns1123_label_problem(name));
    if (!names.insert(name).second) out.duplicate(FieldPath(at, "name"), json::at(container, "name"));
  }
  const auto image = json::str(container, "image");
  if (image.empty())
    out.required(FieldPath(at, "image"));
  else if (image.front() == ' ' || image.back() == ' ')
    out.invalid(FieldPath(at, "image"), json::at(container, "image"), "must not have leading or trailing whitespace");
  out.one_of(FieldPath(at, "imagePullPolicy"), json::str(container, "imagePullPolicy"),
             {"Always", "IfNotPresent", "Never"});
  out.one_of(FieldPath(at, "terminationMessagePolicy"), json::str(container, "terminationMessagePolicy"),
             {"FallbackToLogsOnError", "File"});
  validate_ports(FieldPath(at, "ports"), json::list(container, "ports"), out);
  validate_env(at, container, out);
  validate_mounts(FieldPath(at, "volumeMounts"), json::list(container, "volumeMounts"), volumes, out);
  validate_resources(FieldPath(at, "resources"), json::at(container, "resources"), out);
  validate_security(FieldPath(at, "securityContext"), json::at(container, "securityContext"), out);
  const bool sidecar = json::str(container, "restartPolicy") == "Always";
  if (role == ContainerRole::kMain || sidecar) {
    validate_probe(FieldPath(at, "livenessProbe"), json::at(container, "livenessProbe"), true, out);
    validate_probe(FieldPath(at, "readinessProbe"), json::at(container, "readinessProbe"), false, out);
    validate_probe(FieldPath(at, "startupProbe"), json::at(container, "startupProbe"), true, out);
    const FieldPath lifecycle(at, "lifecycle");
    for (std::string_view hook : {"postStart", "preStop"})
      if (const auto& handler = json::at(container, "lifecycle", hook); !handler.is_null())
        validate_handler(FieldPath(lifecycle, hook), handler, true, out);
    return;
  }
  const std::string_view what = role == ContainerRole::kInit
                                    ? "may not be set for init containers without restartPolicy=Always"
                                    : "field not allowed for ephemeral containers";
  for (std::string_view key : {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle"})
    if (json::has(container, key)) out.forbidden(FieldPath(at, key), what);
}

}  // namespace lab::api
