#include "orchestrator/agent/security.h"

namespace lab::agent {

const std::vector<std::string> kMaskedPaths{"/proc/asound",
                                            "/proc/acpi",
                                            "/proc/kcore",
                                            "/proc/keys",
                                            "/proc/latency_stats",
                                            "/proc/timer_list",
                                            "/proc/timer_stats",
                                            "/proc/sched_debug",
                                            "/proc/scsi",
                                            "/sys/firmware",
                                            "/sys/devices/virtual/powercap"};
const std::vector<std::string> kReadonlyPaths{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

namespace {

cri::NamespaceOptions pod_namespaces(const json::Value& pod) {
  using enum cri::NamespaceMode;
  cri::NamespaceOptions out;
  out.network = uses_host_network(pod) ? kNode : kPod;
  out.ipc = json::flag(pod, "spec", "hostIPC") ? kNode : kPod;
  out.pid = json::flag(pod, "spec", "hostPID")                 ? kNode
            : json::flag(pod, "spec", "shareProcessNamespace") ? kPod
                                                               : kContainer;
  return out;
}

// The container's value, else the pod's.
const json::Value& pick(const json::Value& pod, const json::Value& container, std::string_view field) {
  const auto& own = json::at(container, "securityContext", field);
  return own.is_null() ? json::at(pod, "spec", "securityContext", field) : own;
}

cri::SecurityProfile profile(const json::Value& v, const std::string& dir) {
  using P = cri::SecurityProfile;
  auto type = json::str(v, "type");
  if (type == "RuntimeDefault") return {P::kRuntimeDefault, ""};
  if (type == "Localhost") {
    std::string file(json::str(v, "localhostProfile"));
    return {P::kLocalhost, dir.empty() ? file : dir + "/" + file};
  }
  return {P::kUnconfined, ""};
}

std::string seccomp_dir(const AgentOptions& options) {
  return options.seccomp_dir.empty() ? options.root_dir + "/seccomp" : options.seccomp_dir;
}

void add_groups(const json::Value& pod, cri::SecurityContext& out) {
  const auto& context = json::at(pod, "spec", "securityContext");
  if (json::has(context, "fsGroup")) out.supplemental_groups.push_back(json::num(context, "fsGroup"));
  for (const auto& g : json::list(context, "supplementalGroups")) out.supplemental_groups.push_back(json::as_int(g));
}

std::optional<std::int64_t> number(const json::Value& v) {
  if (v.is_null()) return std::nullopt;
  return json::as_int(v);
}

}  // namespace

cri::SecurityContext sandbox_security(const json::Value& pod, const AgentOptions& options) {
  cri::SecurityContext out;
  out.namespaces = pod_namespaces(pod);
  const auto& context = json::at(pod, "spec", "securityContext");
  out.run_as_user = number(json::at(context, "runAsUser"));
  out.run_as_group = number(json::at(context, "runAsGroup"));
  add_groups(pod, out);
  for (const auto& c : containers_of(pod))
    if (json::flag(*c.spec, "securityContext", "privileged")) out.privileged = true;
  // The sandbox runs our own pause program only: the runtime's default filter fits every pod.
  out.seccomp = {cri::SecurityProfile::kRuntimeDefault, ""};
  if (auto own = json::str(context, "seccompProfile", "type"); !own.empty())
    out.seccomp = profile(json::at(context, "seccompProfile"), seccomp_dir(options));
  return out;
}

StartResult<cri::SecurityContext> container_security(const ContainerInputs& in) {
  const json::Value &pod = in.pod, &c = *in.container.spec;
  cri::SecurityContext out;
  out.namespaces = pod_namespaces(pod);
  if (!in.target_container_id.empty()) {
    out.namespaces.pid = cri::NamespaceMode::kTarget;
    out.namespaces.target_id = in.target_container_id;
  }
  out.run_as_user = number(pick(pod, c, "runAsUser"));
  out.run_as_group = number(pick(pod, c, "runAsGroup"));
  if (json::as_bool(pick(pod, c, "runAsNonRoot"))) {
    std::string prefix = "container has runAsNonRoot and ";
    if (out.run_as_user && *out.run_as_user == 0)
      return std::unexpected(StartError{"CreateContainerConfigError", "container's runAsUser breaks non-root policy"});
    if (!out.run_as_user && in.image.uid && *in.image.uid == 0)
      return std::unexpected(StartError{"CreateContainerConfigError", prefix + "image will run as root"});
    if (!out.run_as_user && !in.image.uid && !in.image.username.empty())
      return std::unexpected(StartError{
          "CreateContainerConfigError",
          prefix + "image has non-numeric user (" + in.image.username + "), cannot verify user is non-root"});
    if (!out.run_as_user && !in.image.uid && in.image.username.empty())
      return std::unexpected(StartError{"CreateContainerConfigError", prefix + "image will run as root"});
  }
  // A group without a user: the runtime wants the image's user beside it.
  if (!out.run_as_user) {
    if (in.image.uid)
      out.run_as_user = in.image.uid;
    else
      out.run_as_username = in.image.username;
  }
  add_groups(pod, out);
  out.privileged = json::flag(c, "securityContext", "privileged");
  out.readonly_rootfs = json::flag(c, "securityContext", "readOnlyRootFilesystem");
  const auto& escalate = json::at(c, "securityContext", "allowPrivilegeEscalation");
  out.no_new_privs = !escalate.is_null() && !json::as_bool(escalate);
  for (const auto& x : json::list(c, "securityContext", "capabilities", "add"))
    out.add_capabilities.emplace_back(json::as_str(x));
  for (const auto& x : json::list(c, "securityContext", "capabilities", "drop"))
    out.drop_capabilities.emplace_back(json::as_str(x));
  if (json::str(c, "securityContext", "procMount") != "Unmasked" && !out.privileged) {
    out.masked_paths = kMaskedPaths;
    out.readonly_paths = kReadonlyPaths;
  }
  out.seccomp = profile(pick(pod, c, "seccompProfile"), seccomp_dir(in.options));
  if (out.privileged) out.seccomp = {cri::SecurityProfile::kUnconfined, ""};
  if (const auto& apparmor = pick(pod, c, "appArmorProfile"); apparmor.is_object())
    out.apparmor = profile(apparmor, "");
  return out;
}

}  // namespace lab::agent
