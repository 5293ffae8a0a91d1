#include "orchestrator/agent/cri_convert.h"

namespace lab::agent::cri {

namespace {

void put(google::protobuf::Map<std::string, std::string>* into, const Labels& from) {
  for (const auto& [k, v] : from) (*into)[k] = v;
}
Labels labels_of(const google::protobuf::Map<std::string, std::string>& from) {
  return Labels(from.begin(), from.end());
}
void put(pb::NamespaceOption* into, const NamespaceOptions& from) {
  into->set_network(static_cast<pb::NamespaceMode>(from.network));
  into->set_pid(static_cast<pb::NamespaceMode>(from.pid));
  into->set_ipc(static_cast<pb::NamespaceMode>(from.ipc));
  into->set_target_id(from.target_id);
}
void put(pb::SecurityProfile* into, const SecurityProfile& from) {
  into->set_profile_type(static_cast<pb::SecurityProfile::ProfileType>(from.type));
  into->set_localhost_ref(from.localhost_ref);
}
// The fields that a sandbox's and a container's security context share.
template <class Message>
void put_common(Message* into, const SecurityContext& from) {
  put(into->mutable_namespace_options(), from.namespaces);
  if (from.run_as_user) into->mutable_run_as_user()->set_value(*from.run_as_user);
  if (from.run_as_group) into->mutable_run_as_group()->set_value(*from.run_as_group);
  for (auto g : from.supplemental_groups) into->add_supplemental_groups(g);
  into->set_privileged(from.privileged);
  into->set_readonly_rootfs(from.readonly_rootfs);
  put(into->mutable_seccomp(), from.seccomp);
  if (from.apparmor) put(into->mutable_apparmor(), *from.apparmor);
}
Metadata from_pb(const pb::PodSandboxMetadata& m) {
  return {m.name(), m.uid(), m.namespace_(), m.attempt()};
}
ContainerState state_of(pb::ContainerState s) {
  return static_cast<ContainerState>(static_cast<int>(s));
}

}  // namespace

pb::LinuxContainerResources to_pb(const Resources& r) {
  pb::LinuxContainerResources m;
  m.set_cpu_period(r.cpu_period);
  m.set_cpu_quota(r.cpu_quota);
  m.set_cpu_shares(r.cpu_shares);
  m.set_memory_limit_in_bytes(r.memory_limit);
  m.set_oom_score_adj(r.oom_score_adj);
  put(m.mutable_unified(), r.unified);
  return m;
}

pb::PodSandboxConfig to_pb(const SandboxConfig& c) {
  pb::PodSandboxConfig m;
  m.mutable_metadata()->set_name(c.metadata.name);
  m.mutable_metadata()->set_uid(c.metadata.uid);
  m.mutable_metadata()->set_namespace_(c.metadata.ns);
  m.mutable_metadata()->set_attempt(c.metadata.attempt);
  m.set_hostname(c.hostname);
  m.set_log_directory(c.log_directory);
  if (c.dns) {
    for (const auto& s : c.dns->servers) m.mutable_dns_config()->add_servers(s);
    for (const auto& s : c.dns->searches) m.mutable_dns_config()->add_searches(s);
    for (const auto& s : c.dns->options) m.mutable_dns_config()->add_options(s);
  }
  for (const auto& p : c.port_mappings) {
    auto* out = m.add_port_mappings();
    out->set_protocol(static_cast<pb::Protocol>(p.protocol));
    out->set_container_port(p.container_port);
    out->set_host_port(p.host_port);
    out->set_host_ip(p.host_ip);
  }
  put(m.mutable_labels(), c.labels);
  put(m.mutable_annotations(), c.annotations);
  auto* os = m.mutable_linux();
  os->set_cgroup_parent(c.cgroup_parent);
  put(os->mutable_sysctls(), c.sysctls);
  put_common(os->mutable_security_context(), c.security);
  return m;
}

pb::ContainerConfig to_pb(const ContainerConfig& c) {
  pb::ContainerConfig m;
  m.mutable_metadata()->set_name(c.name);
  m.mutable_metadata()->set_attempt(c.attempt);
  m.mutable_image()->set_image(c.image);
  for (const auto& s : c.command) m.add_command(s);
  for (const auto& s : c.args) m.add_args(s);
  m.set_working_dir(c.working_dir);
  for (const auto& [k, v] : c.envs) {
    auto* e = m.add_envs();
    e->set_key(k);
    e->set_value(v);
  }
  for (const auto& x : c.mounts) {
    auto* out = m.add_mounts();
    out->set_container_path(x.container_path);
    out->set_host_path(x.host_path);
    out->set_readonly(x.readonly);
    out->set_propagation(static_cast<pb::MountPropagation>(x.propagation));
  }
  for (const auto& x : c.devices) {
    auto* out = m.add_devices();
    out->set_container_path(x.container_path);
    out->set_host_path(x.host_path);
    out->set_permissions(x.permissions);
  }
  put(m.mutable_labels(), c.labels);
  put(m.mutable_annotations(), c.annotations);
  m.set_log_path(c.log_path);
  m.set_stdin(c.stdin_open);
  m.set_stdin_once(c.stdin_once);
  m.set_tty(c.tty);
  *m.mutable_linux()->mutable_resources() = to_pb(c.resources);
  auto* s = m.mutable_linux()->mutable_security_context();
  put_common(s, c.security);
  s->set_run_as_username(c.security.run_as_username);
  s->set_no_new_privs(c.security.no_new_privs);
  for (const auto& x : c.security.add_capabilities) s->mutable_capabilities()->add_add_capabilities(x);
  for (const auto& x : c.security.drop_capabilities) s->mutable_capabilities()->add_drop_capabilities(x);
  for (const auto& x : c.security.masked_paths) s->add_masked_paths(x);
  for (const auto& x : c.security.readonly_paths) s->add_readonly_paths(x);
  return m;
}

Sandbox from_pb(const pb::PodSandbox& m) {
  return {.id = m.id(),
          .metadata = from_pb(m.metadata()),
          .ready = m.state() == pb::SANDBOX_READY,
          .created_at = m.created_at(),
          .labels = labels_of(m.labels()),
          .annotations = labels_of(m.annotations())};
}

SandboxStatus from_pb(const pb::PodSandboxStatus& m) {
  SandboxStatus s;
  s.id = m.id();
  s.metadata = from_pb(m.metadata());
  s.ready = m.state() == pb::SANDBOX_READY;
  s.created_at = m.created_at();
  s.labels = labels_of(m.labels());
  s.annotations = labels_of(m.annotations());
  if (!m.network().ip().empty()) s.ips.push_back(m.network().ip());
  for (const auto& ip : m.network().additional_ips()) s.ips.push_back(ip.ip());
  const auto& ns = m.linux().namespaces().options();
  s.namespaces.network = static_cast<NamespaceMode>(static_cast<int>(ns.network()));
  s.namespaces.pid = static_cast<NamespaceMode>(static_cast<int>(ns.pid()));
  s.namespaces.ipc = static_cast<NamespaceMode>(static_cast<int>(ns.ipc()));
  return s;
}

Container from_pb(const pb::Container& m) {
  return {.id = m.id(),
          .sandbox_id = m.pod_sandbox_id(),
          .name = m.metadata().name(),
          .attempt = m.metadata().attempt(),
          .image = m.image().image(),
          .image_ref = m.image_ref(),
          .state = state_of(m.state()),
          .created_at = m.created_at(),
          .labels = labels_of(m.labels()),
          .annotations = labels_of(m.annotations())};
}

ContainerStatus from_pb(const pb::ContainerStatus& m) {
  ContainerStatus s;
  s.id = m.id();
  s.name = m.metadata().name();
  s.attempt = m.metadata().attempt();
  s.image = m.image().image();
  s.image_ref = m.image_ref();
  s.state = state_of(m.state());
  s.created_at = m.created_at();
  s.labels = labels_of(m.labels());
  s.annotations = labels_of(m.annotations());
  s.started_at = m.started_at();
  s.finished_at = m.finished_at();
  s.exit_code = m.exit_code();
  s.reason = m.reason();
  s.message = m.message();
  s.log_path = m.log_path();
  return s;
}

Image from_pb(const pb::Image& m) {
  Image i;
  i.id = m.id();
  i.tags.assign(m.repo_tags().begin(), m.repo_tags().end());
  i.digests.assign(m.repo_digests().begin(), m.repo_digests().end());
  i.size = m.size();
  if (m.has_uid()) i.uid = m.uid().value();
  i.username = m.username();
  i.pinned = m.pinned();
  return i;
}

ContainerStats from_pb(const pb::ContainerStats& m) {
  ContainerStats s;
  s.id = m.attributes().id();
  s.name = m.attributes().metadata().name();
  s.labels = labels_of(m.attributes().labels());
  s.cpu_timestamp = m.cpu().timestamp();
  s.cpu_usage_ns = m.cpu().usage_core_nano_seconds().value();
  s.memory_timestamp = m.memory().timestamp();
  s.working_set = m.memory().working_set_bytes().value();
  s.usage = m.memory().usage_bytes().value();
  s.rss = m.memory().rss_bytes().value();
  s.page_faults = m.memory().page_faults().value();
  s.major_page_faults = m.memory().major_page_faults().value();
  s.fs_used = m.writable_layer().used_bytes().value();
  s.fs_inodes = m.writable_layer().inodes_used().value();
  s.fs_mountpoint = m.writable_layer().fs_id().mountpoint();
  return s;
}

}  // namespace lab::agent::cri
