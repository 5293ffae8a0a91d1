// Defaults of pods: pkg/apis/core/v1/defaults.go of kube-apiserver, field for field.
#include "orchestrator/api/defaults_parts.h"
#include "orchestrator/api/schema.h"

namespace lab::api {

namespace {

using json::Object;

// Without a tag and a digest the tag is "latest".
std::string_view pull_policy(std::string_view image) {
  const std::size_t digest = image.find('@');
  const std::string_view name = image.substr(0, digest);
  const std::size_t colon = name.rfind(':'), slash = name.rfind('/');
  const bool tagged = colon != name.npos && (slash == name.npos || colon > slash);
  if (tagged) return name.substr(colon + 1) == "latest" ? "Always" : "IfNotPresent";
  return digest == image.npos ? "Always" : "IfNotPresent";
}

void default_http_get(Object& action) {
  if (auto* get = child(action, "httpGet")) {
    auto& path = (*get)["path"];
    if (json::as_str(path).empty()) path = "/";
    set_default(*get, "scheme", "HTTP");
  }
}

void default_probe(Object& container, std::string_view name) {
  Object* probe = child(container, name);
  if (!probe) return;
  set_default(*probe, "timeoutSeconds", 1);
  set_default(*probe, "periodSeconds", 10);
  set_default(*probe, "successThreshold", 1);
  set_default(*probe, "failureThreshold", 3);
  default_http_get(*probe);
  if (auto* grpc = child(*probe, "grpc")) set_default(*grpc, "service", "");
}

void default_field_ref(Object& holder) {
  if (auto* ref = child(holder, "fieldRef")) set_default(*ref, "apiVersion", "v1");
}

void default_container(Object& container) {
  set_default(container, "imagePullPolicy", json::Value(pull_policy(json::as_str(get(container, "image")))));
  set_default(container, "terminationMessagePath", "/dev/termination-log");
  set_default(container, "terminationMessagePolicy", "File");
  for_each_item(container, "ports", [](Object& port) { set_default(port, "protocol", "TCP"); });
  for_each_item(container, "env", [](Object& env) {
    if (auto* from = child(env, "valueFrom")) default_field_ref(*from);
  });
  for (std::string_view probe : {"livenessProbe", "readinessProbe", "startupProbe"}) default_probe(container, probe);
  if (auto* lifecycle = child(container, "lifecycle"))
    for (std::string_view hook : {"postStart", "preStop"})
      if (auto* action = child(*lifecycle, hook)) default_http_get(*action);
}

// Sources whose defaults the schema's own +default markers give (rbd, iscsi, azureDisk, scaleIO).
void default_by_schema(Object& volume) {
  static const Type* source = find_type("k8s.io.api.core.v1.VolumeSource");
  for (const Field& f : source->fields()) {
    Object* object = f.message ? child(volume, f.name) : nullptr;
    if (!object) continue;
    for (const Field& inner : f.message->fields()) {
      if (inner.default_value.empty() || inner.default_value == "\"\"") continue;
      if (auto value = json::parse(inner.default_value)) set_default(*object, inner.name, *value);
    }
  }
}

void default_volume(Object& volume) {
  bool source = false;
  for (const auto& [key, value] : volume) source |= key != "name" && !value.is_null();
  if (!source) volume["emptyDir"] = Object();
  for (std::string_view kind : {"secret", "configMap", "downwardAPI", "projected"})
    if (auto* files = child(volume, kind)) set_default(*files, "defaultMode", 420);
  if (auto* host = child(volume, "hostPath")) set_default(*host, "type", "");
  if (auto* downward = child(volume, "downwardAPI")) for_each_item(*downward, "items", default_field_ref);
  if (auto* projected = child(volume, "projected"))
    for_each_item(*projected, "sources", [](Object& part) {
      if (auto* token = child(part, "serviceAccountToken")) set_default(*token, "expirationSeconds", 3600);
      if (auto* downward = child(part, "downwardAPI")) for_each_item(*downward, "items", default_field_ref);
    });
  if (auto* ephemeral = child(volume, "ephemeral"))
    if (auto* claim = child(*ephemeral, "volumeClaimTemplate"))
      if (auto* spec = child(*claim, "spec")) set_default(*spec, "volumeMode", "Filesystem");
  default_by_schema(volume);
}

}  // namespace

void default_pod_spec(Object& spec) {
  set_default(spec, "restartPolicy", "Always");
  set_default(spec, "terminationGracePeriodSeconds", 30);
  set_default(spec, "dnsPolicy", "ClusterFirst");
  set_default(spec, "securityContext", Object());
  set_default(spec, "schedulerName", "default-scheduler");
  for (std::string_view list : {"containers", "initContainers", "ephemeralContainers"})
    for_each_item(spec, list, default_container);
  if (json::as_bool(get(spec, "hostNetwork"))) {
    for (std::string_view list : {"containers", "initContainers"})
      for_each_item(spec, list, [](Object& container) {
        for_each_item(container, "ports", [](Object& port) {
          if (json::as_int(get(port, "hostPort")) == 0) port["hostPort"] = json::Value(get(port, "containerPort"));
        });
      });
  }
  for_each_item(spec, "volumes", default_volume);
}

void default_pod_template(Object& spec) {
  if (auto* pod_template = child(spec, "template")) default_pod_spec(ensure_child(*pod_template, "spec"));
}

void default_claim(Object& claim) {
  set_default(ensure_child(claim, "spec"), "volumeMode", "Filesystem");
  set_default(ensure_child(claim, "status"), "phase", "Pending");
}

}  // namespace lab::api
