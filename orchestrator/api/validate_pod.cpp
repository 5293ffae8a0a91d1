// Pods and their templates: pkg/apis/core/validation of kube-apiserver, in its words.
#include <algorithm>
#include <cstdint>
#include <set>

#include "orchestrator/api/names.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/api/validate_container.h"

namespace lab::api {

namespace {

void validate_volume_source(const FieldPath& at, const json::Value& volume, Findings& out) {
  int sources = 0;
  for (const auto& [kind, source] : json::as_object(volume)) {
    if (kind == "name" || source.is_null()) continue;
    if (++sources > 1) out.forbidden(FieldPath(at, std::string_view(kind)), "may not specify more than 1 volume type");
  }
  if (sources == 0) out.required(at, "must specify a volume type");
  struct Needed {
    std::string_view source, key;
  };
  for (const auto& [source, key] : {Needed{"configMap", "name"}, Needed{"secret", "secretName"},
                                    Needed{"hostPath", "path"}, Needed{"persistentVolumeClaim", "claimName"},
                                    Needed{"nfs", "server"}, Needed{"nfs", "path"}, Needed{"csi", "driver"}}) {
    const auto& value = json::at(volume, source);
    const FieldPath below(at, source);
    if (!value.is_null() && json::str(value, key).empty()) out.required(FieldPath(below, key));
  }
  for (std::string_view source : {"configMap", "secret", "projected", "downwardAPI"}) {
    const auto& mode = json::at(volume, source, "defaultMode");
    const FieldPath below(at, source);
    if (mode.is_number() && (json::as_int(mode) < 0 || json::as_int(mode) > 0777))
      out.invalid(FieldPath(below, "defaultMode"), mode, "must be a number between 0 and 0777 (octal), both inclusive");
  }
}

std::set<std::string_view> validate_volumes(const FieldPath& at, const json::Array& volumes, Findings& out) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    const FieldPath item(at, i);
    const auto name = json::str(volumes[i], "name");
    if (name.empty()) {
      out.required(FieldPath(item, "name"));
    } else {
      out.problem(FieldPath(item, "name"), name, dns1123_label_problem(name));
      if (!names.insert(name).second) out.duplicate(FieldPath(item, "name"), json::at(volumes[i], "name"));
    }
    validate_volume_source(item, volumes[i], out);
  }
  return names;
}

void validate_toleration(const FieldPath& at, const json::Value& toleration, Findings& out) {
  const auto key = json::str(toleration, "key"), op = json::str(toleration, "operator");
  if (!key.empty()) out.problem(FieldPath(at, "key"), key, label_key_problem(key));
  if (key.empty() && op != "Exists")
    out.invalid(FieldPath(at, "operator"), json::Value(op),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
  if (op == "Exists" && !json::str(toleration, "value").empty())
    out.invalid(FieldPath(at, "operator"), json::at(toleration, "value"),
                "value must be empty when `operator` is 'Exists'");
  if (!op.empty() && op != "Exists" && op != "Equal")
    out.not_supported(FieldPath(at, "operator"), json::Value(op), {"Equal", "Exists"});
  const auto effect = json::str(toleration, "effect");
  if (!effect.empty()) out.one_of(FieldPath(at, "effect"), effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
  if (json::has(toleration, "tolerationSeconds") && effect != "NoExecute")
    out.invalid(FieldPath(at, "effect"), json::Value(effect),
                "effect must be 'NoExecute' when `tolerationSeconds` is set");
}

void validate_affinity(const FieldPath& at, const json::Value& affinity, Findings& out) {
  for (std::string_view kind : {"podAffinity", "podAntiAffinity"}) {
    const FieldPath below(at, kind);
    const FieldPath hard(below, "requiredDuringSchedulingIgnoredDuringExecution");
    std::size_t i = 0;
    for (const auto& term : json::list(affinity, kind, "requiredDuringSchedulingIgnoredDuringExecution")) {
      const FieldPath item(hard, i++);
      if (json::str(term, "topologyKey").empty()) out.required(FieldPath(item, "topologyKey"), "can not be empty");
      validate_label_selector(FieldPath(item, "labelSelector"), json::at(term, "labelSelector"), out);
    }
  }
  const FieldPath node(at, "nodeAffinity");
  const FieldPath hard(node, "requiredDuringSchedulingIgnoredDuringExecution");
  const auto& required = json::at(affinity, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
  if (!required.is_null() && json::list(required, "nodeSelectorTerms").empty())
    out.required(FieldPath(hard, "nodeSelectorTerms"), "must have at least one node selector term");
}

void validate_spread(const FieldPath& at, const json::Array& constraints, Findings& out) {
  for (std::size_t i = 0; i < constraints.size(); ++i) {
    const FieldPath item(at, i);
    const auto& skew = json::at(constraints[i], "maxSkew");
    if (json::as_int(skew) <= 0)
      out.invalid(FieldPath(item, "maxSkew"), json::as_int(skew), "must be greater than zero");
    if (json::str(constraints[i], "topologyKey").empty())
      out.required(FieldPath(item, "topologyKey"), "can not be empty");
    out.one_of(FieldPath(item, "whenUnsatisfiable"), json::str(constraints[i], "whenUnsatisfiable"),
               {"DoNotSchedule", "ScheduleAnyway"});
  }
}

void validate_scheduling(const FieldPath& at, const json::Value& spec, Findings& out) {
  validate_labels(FieldPath(at, "nodeSelector"), json::at(spec, "nodeSelector"), out);
  const FieldPath tolerations(at, "tolerations");
  std::size_t i = 0;
  for (const auto& toleration : json::list(spec, "tolerations"))
    validate_toleration(FieldPath(tolerations, i++), toleration, out);
  validate_affinity(FieldPath(at, "affinity"), json::at(spec, "affinity"), out);
  validate_spread(FieldPath(at, "topologySpreadConstraints"), json::list(spec, "topologySpreadConstraints"), out);
}

void validate_host_ports(const FieldPath& at, const json::Array& containers, bool host_network, Findings& out) {
  std::set<std::string> taken;
  for (std::size_t c = 0; c < containers.size(); ++c) {
    const FieldPath container(at, c);
    const FieldPath ports_at(container, "ports");
    const auto& ports = json::list(containers[c], "ports");
    for (std::size_t i = 0; i < ports.size(); ++i) {
      const FieldPath item(ports_at, i);
      const auto host = json::num(ports[i], "hostPort");
      if (host_network && host != json::num(ports[i], "containerPort"))
        out.invalid(FieldPath(item, "containerPort"), json::at(ports[i], "containerPort"),
                    "must match `hostPort` when `hostNetwork` is true");
      if (host == 0) continue;
      std::string key = std::string(json::str(ports[i], "protocol")) + "/" +
                        std::string(json::str(ports[i], "hostIP")) + "/" + std::to_string(host);
      if (!taken.insert(key).second) out.duplicate(FieldPath(item, "hostPort"), json::Value(key));
    }
  }
}

// What a pod's spec may change once it exists: images, the deadline (only down), added tolerations, the grace period of
// a pod that had a negative one.
json::Value without_mutable_fields(const json::Value& spec, bool images, bool resources) {
  json::Value out = spec;
  for (std::string_view list : {"containers", "initContainers"})
    if (auto* containers = json::has(out, list) ? json::ensure(out, list).if_array() : nullptr)
      for (auto& container : *containers) {
        if (images) json::erase(container, "image");
        if (resources) {
          json::erase(container, "resources");
          json::erase(container, "resizePolicy");
        }
      }
  for (std::string_view key : {"activeDeadlineSeconds", "tolerations", "schedulingGates"}) json::erase(out, key);
  return out;
}

// A resize neither takes a limit or request away nor touches anything but cpu and memory.
void validate_resize(const json::Value& old, const json::Value& now, Findings& out) {
  const FieldPath at("spec");
  for (std::string_view list : {"containers", "initContainers"}) {
    const auto &before = json::list(old, list), &after = json::list(now, list);
    const FieldPath list_at(at, list);
    for (std::size_t i = 0; i < std::min(before.size(), after.size()); ++i)
      for (std::string_view what : {"limits", "requests"}) {
        const FieldPath container(list_at, i), resources(container, "resources"), field(resources, what);
        const auto &was = json::map(before[i], "resources", what), &is = json::map(after[i], "resources", what);
        for (const auto& [name, amount] : was)
          if (!is.contains(name)) out.forbidden(field, "resource " + std::string(what) + " cannot be removed");
        for (const auto& [name, amount] : is) {
          const auto* had = was.if_contains(name);
          if ((!had || *had != amount) && name != "cpu" && name != "memory")
            out.forbidden(field, "only cpu and memory resources are mutable");
        }
      }
  }
}

// Each old toleration is still there; its tolerationSeconds may have changed.
bool tolerations_only_added(const json::Value& old, const json::Value& now) {
  auto same = [](const json::Value& a, const json::Value& b) {
    return std::ranges::all_of(std::initializer_list<std::string_view>{"key", "operator", "value", "effect"},
                               [&](std::string_view key) { return json::str(a, key) == json::str(b, key); });
  };
  const auto& list = json::list(now, "spec", "tolerations");
  return std::ranges::all_of(json::list(old, "spec", "tolerations"), [&](const auto& t) {
    return std::ranges::any_of(list, [&](const auto& other) { return same(t, other); });
  });
}

// "kernel.shm_rmid_forced", "net/ipv4.conf.all": lower case words with - and _ inside, joined by . or /.
bool is_sysctl_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  auto word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (word(name[i])) continue;
    const bool inside = i > 0 && i + 1 < name.size() && word(name[i + 1]);
    const bool joins = (name[i] == '.' || name[i] == '/') && inside && word(name[i - 1]);
    const bool within = (name[i] == '-' || name[i] == '_') && inside && name[i - 1] != '.' && name[i - 1] != '/';
    const bool repeated = (name[i] == '-' || name[i] == '_') && i > 0 && i + 1 < name.size() &&
                          (word(name[i - 1]) || name[i - 1] == '-' || name[i - 1] == '_') &&
                          (word(name[i + 1]) || name[i + 1] == '-' || name[i + 1] == '_');
    if (!joins && !within && !repeated) return false;
  }
  return true;
}

void validate_sysctls(const FieldPath& at, const json::Array& sysctls, Findings& out) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < sysctls.size(); ++i) {
    const FieldPath item(at, i);
    const FieldPath below(item, "name");
    const auto name = json::str(sysctls[i], "name");
    if (name.empty())
      out.required(below);
    else if (!is_sysctl_name(name))
      out.invalid(below, json::Value(name),
                  "must have at most 253 characters and match regex "
                  "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9]$");
    else if (!names.insert(name).second)
      out.duplicate(below, json::Value(name));
  }
}

}  // namespace

void validate_pod_spec(const FieldPath& at, const json::Value& spec, Findings& out) {
  const auto volumes = validate_volumes(FieldPath(at, "volumes"), json::list(spec, "volumes"), out);
  std::set<std::string_view> names;
  struct Group {
    std::string_view key;
    ContainerRole role;
  };
  if (json::list(spec, "containers").empty()) out.required(FieldPath(at, "containers"));
  for (const auto& [key, role] :
       {Group{"containers", ContainerRole::kMain}, Group{"initContainers", ContainerRole::kInit},
        Group{"ephemeralContainers", ContainerRole::kEphemeral}}) {
    const FieldPath list(at, key);
    std::size_t i = 0;
    for (const auto& container : json::list(spec, key))
      validate_container(FieldPath(list, i++), container, role, names, volumes, out);
  }
  validate_host_ports(FieldPath(at, "containers"), json::list(spec, "containers"), json::flag(spec, "hostNetwork"),
                      out);
  out.one_of(FieldPath(at, "restartPolicy"), json::str(spec, "restartPolicy"), {"Always", "OnFailure", "Never"});
  out.one_of(FieldPath(at, "dnsPolicy"), json::str(spec, "dnsPolicy"),
             {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"});
  if (json::str(spec, "dnsPolicy") == "None" && json::list(spec, "dnsConfig", "nameservers").empty()) {
    const FieldPath config(at, "dnsConfig");
    out.required(FieldPath(config, "nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None");
  }
  out.not_negative(FieldPath(at, "terminationGracePeriodSeconds"), json::at(spec, "terminationGracePeriodSeconds"));
  const auto& deadline = json::at(spec, "activeDeadlineSeconds");
  if (deadline.is_number() && (json::as_int(deadline) < 1 || json::as_int(deadline) > INT32_MAX))
    out.invalid(FieldPath(at, "activeDeadlineSeconds"), deadline, "must be between 1 and 2147483647, inclusive");
  for (std::string_view key : {"hostname", "subdomain"})
    if (const auto name = json::str(spec, key); !name.empty())
      out.problem(FieldPath(at, key), name, dns1123_label_problem(name));
  for (std::string_view key : {"serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"})
    if (const auto name = json::str(spec, key); !name.empty())
      out.problem(FieldPath(at, key), name, dns1123_subdomain_problem(name));
  const FieldPath security(at, "securityContext");
  validate_sysctls(FieldPath(security, "sysctls"), json::list(spec, "securityContext", "sysctls"), out);
  validate_scheduling(at, spec, out);
}

void validate_pod_update(const Change& change, Findings& out) {
  const json::Value &old = json::at(*change.old, "spec"), &now = json::at(change.object, "spec");
  if (old == now) return;
  const FieldPath at("spec");
  if (change.subresource == "ephemeralcontainers") {
    // Existing ones stay as they are; the API server keeps the rest of the spec.
    const auto& kept = json::list(old, "ephemeralContainers");
    const auto& list = json::list(now, "ephemeralContainers");
    const FieldPath below(at, "ephemeralContainers");
    for (const auto& container : kept) {
      auto same = std::ranges::find_if(
          list, [&](const auto& c) { return json::str(c, "name") == json::str(container, "name"); });
      if (same == list.end())
        out.forbidden(below, "existing ephemeral containers \"" + std::string(json::str(container, "name")) +
                                 "\" may not be removed\n");
      else if (*same != container)
        out.forbidden(below, "existing ephemeral containers \"" + std::string(json::str(container, "name")) +
                                 "\" may not be changed\n");
    }
    return;
  }
  const bool resize = change.subresource == "resize";
  if (!resize && !change.subresource.empty()) return;
  if (json::list(old, "containers").size() != json::list(now, "containers").size())
    return out.forbidden(FieldPath(at, "containers"), "pod updates may not add or remove containers");
  if (resize) validate_resize(old, now, out);
  const auto& before = json::at(old, "activeDeadlineSeconds");
  const auto& after = json::at(now, "activeDeadlineSeconds");
  if (before.is_number() && (!after.is_number() || json::as_int(after) > json::as_int(before)))
    out.invalid(FieldPath(at, "activeDeadlineSeconds"), after, "must be less than or equal to previous value");
  if (!tolerations_only_added(*change.old, change.object))
    out.forbidden(FieldPath(at, "tolerations"), "existing toleration can not be modified except its tolerationSeconds");
  if (without_mutable_fields(old, !resize, resize) == without_mutable_fields(now, !resize, resize)) return;
  out.forbidden(at, resize ? "only cpu and memory resources are mutable"
                           : "pod updates may not change fields other than "
                             "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
                             "`spec.tolerations` (only additions to existing tolerations),"
                             "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
                             "negative)");
}

}  // namespace lab::api
