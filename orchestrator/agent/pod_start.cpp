// PodWorker: what brings a pod up: sandbox, volumes, containers.
#include <unistd.h>

#include <filesystem>

#include "base/fs.h"
#include "base/log.h"
#include "orchestrator/agent/gather.h"
#include "orchestrator/agent/pod_worker.h"
#include "orchestrator/agent/volumes/mounts.h"

namespace lab::agent {

using namespace std::chrono_literals;

Task<StartResult<>> PodWorker::ensure_volumes(Duration max_age) {
  auto paths = co_await node_.volumes.set_up(pod_, facts(), max_age);
  volumes_checked_ = node_.loop.now();
  if (!paths) {
    std::string message = paths.error().text();
    if (message != last_volume_error_) emit("Warning", "FailedMount", message);
    last_volume_error_ = message;
    co_return std::unexpected(StartError{"ContainerCreating", ""});
  }
  last_volume_error_.clear();
  volume_paths_ = std::move(*paths);
  volumes_ready_ = true;
  co_return StartResult<>{};
}

Task<StartResult<>> PodWorker::ensure_sandbox(std::stop_token stop) {
  std::uint32_t attempt = 0;
  if (const auto* old = observed_.sandbox()) attempt = old->metadata.attempt + 1;
  if (!observed_.sandboxes.empty()) {  // what is left in a broken sandbox must not run beside the new one
    emit("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    co_await kill_all(grace_seconds(*pod_));
    co_await stop_sandboxes();
  }
  // The cgroup and log directory first; then the volumes' objects and files are brought while the runtime works.
  ObjectPtr pod = pod_;
  auto resolv = co_await node_.pool.run([this, pod]() -> Result<std::string> {
    LAB_CHECK(node_.cgroups.make_pod(*pod));
    LAB_CHECK(fs::make_dirs(pod_directory(node_.options.root_dir, uid_), 0750));
    LAB_CHECK(fs::make_dirs(pod_log_directory(node_.options, *pod), 0755));
    return fs::read_file(node_.options.resolv_conf).value_or("");
  });
  if (!resolv) {
    emit("Warning", "FailedCreatePodContainer", resolv.error().text());
    co_return std::unexpected(StartError{"ContainerCreating", ""});
  }
  auto volumes =
      begin<StartResult<>>(scope_, "volumes", ensure_volumes(0s), std::unexpected(StartError{"Cancelled", ""}));
  auto config = make_sandbox_config(*pod_, node_.options, attempt, node_.cgroups.parent_of(*pod_), *resolv);
  auto handler = co_await runtime_handler();
  Result<std::string> id = fail(Code::kInternal, "");
  if (handler)
    id = co_await node_.cri.run_sandbox(std::move(config), *handler);
  else
    id = std::unexpected(handler.error());
  auto mounted = co_await volumes.wait();
  if (!id) {
    if (!stop.stop_requested())
      emit("Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: " + id.error().text());
    co_return std::unexpected(StartError{"ContainerCreating", ""});
  }
  co_await observe();
  if (!mounted) co_return mounted;
  co_return StartResult<>{};
}

// The runtime's own name for the pod's RuntimeClass; "" is its default.
Task<Result<std::string>> PodWorker::runtime_handler() {
  static constexpr client::Resource kClasses{"node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false};
  std::string name(json::str(*pod_, "spec", "runtimeClassName"));
  if (name.empty()) co_return std::string();
  if (!node_.api) co_return fail(Code::kUnavailable, "RuntimeClass \"" + name + "\" needs an API server");
  LAB_CO_TRY(auto object, co_await node_.api->get(kClasses, "", name));
  co_return std::string(json::str(object, "handler"));
}

std::uint32_t PodWorker::next_attempt(const std::string& name) const {
  if (const auto* last = observed_.latest(name)) return last->attempt + 1;
  // The runtime has lost the container, but the API knows how often it ran.
  for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"})
    for (const auto& s : json::list(json::at(mirror_ ? *mirror_ : *pod_, "status"), list))
      if (json::str(s, "name") == name && json::has(s, "containerID"))
        return static_cast<std::uint32_t>(json::num(s, "restartCount")) + 1;
  return 0;
}

Task<StartResult<>> PodWorker::start_container(ContainerRef c) {
  if (!volumes_ready_) {
    auto mounted = co_await ensure_volumes(0s);
    if (!mounted) co_return mounted;
  }
  const auto* last = observed_.latest(c.name);
  if (last && last->state == cri::ContainerState::kCreated) {  // from a start that was cut short
    (void)co_await node_.cri.remove_container(last->id);
  }
  co_return co_await create_and_start(c, next_attempt(c.name));
}

Task<StartResult<Variables>> PodWorker::environment_of(ContainerRef c) {
  auto objects = co_await node_.objects.fetch(namespace_of(*pod_), env_references(*c.spec), 0s);
  if (!objects) co_return std::unexpected(StartError{"CreateContainerConfigError", objects.error().text()});
  const auto& links = json::at(*pod_, "spec", "enableServiceLinks");
  auto services = node_.service_environment(namespace_of(*pod_), links.is_null() || json::as_bool(links));
  auto env = make_environment(*pod_, *c.spec, *objects, facts(), services);
  if (!env) co_return std::unexpected(StartError{"CreateContainerConfigError", env.error().message});
  co_return std::move(*env);
}

Task<StartResult<>> PodWorker::prepare_files(std::string container, std::uint32_t attempt,
                                             std::vector<SubPathMount> sub_paths,
                                             std::vector<std::string> sub_targets) {
  std::string dir = pod_directory(node_.options.root_dir, uid_);
  std::vector<std::string> ips = facts().pod_ips;
  ObjectPtr pod = pod_;
  auto work = [this, pod, dir, container, attempt, sub_paths, sub_targets, ips]() -> Result<void> {
    std::string own = dir + "/containers/" + container;
    LAB_CHECK(fs::make_dirs(own, 0755));
    LAB_CHECK(fs::make_dirs(pod_log_directory(node_.options, *pod) + "/" + container, 0755));
    std::string log = own + "/" + std::to_string(attempt) + ".termination-log";
    LAB_CHECK(fs::append_file(log, "", 0666));
    std::error_code ignore;  // any user of the container may write it, whatever this process's umask
    std::filesystem::permissions(log, std::filesystem::perms(0666), ignore);
    auto hosts = pod_etc_hosts(*pod, node_.options, ips, fs::read_file("/etc/hosts").value_or(""));
    if (fs::read_file(dir + "/etc-hosts").value_or("") != hosts) {
      LAB_CHECK(fs::remove_file(dir + "/etc-hosts"));
      LAB_CHECK(fs::append_file(dir + "/etc-hosts", hosts));
    }
    for (std::size_t i = 0; i < sub_paths.size(); ++i)
      LAB_CHECK(bind_subpath(sub_paths[i].volume, sub_paths[i].sub, sub_targets[i]));
    return {};
  };
  auto done = co_await node_.pool.run(std::move(work));
  if (!done) co_return std::unexpected(StartError{"CreateContainerConfigError", done.error().text()});
  co_return StartResult<>{};
}

Task<StartResult<>> PodWorker::create_and_start(ContainerRef c, std::uint32_t attempt) {
  auto failed = [&](StartError error, const char* event = "Failed") {
    emit("Warning", event, "Error: " + (error.message.empty() ? error.reason : error.message), &c);
    return std::unexpected(std::move(error));
  };
  auto image = co_await node_.images.ensure(
      pod_, c, [this, c](std::string type, std::string reason, std::string text) { emit(type, reason, text, &c); },
      starting_.get_token());
  if (!image) {
    if (image.error().reason != "ErrImagePull" && image.error().reason != "ErrImageNeverPull")
      emit("Warning", "Failed", "Error: " + image.error().reason, &c);
    co_return std::unexpected(image.error());
  }
  auto env = co_await environment_of(c);
  if (!env) co_return failed(env.error());

  std::string dir = pod_directory(node_.options.root_dir, uid_);
  ContainerInputs in{.pod = *pod_, .container = c, .options = node_.options, .attempt = attempt, .image = *image};
  in.environment = std::move(*env);
  in.volumes = volume_paths_;
  in.etc_hosts_path = dir + "/etc-hosts";
  in.termination_log_path = dir + "/containers/" + c.name + "/" + std::to_string(attempt) + ".termination-log";
  in.memory_capacity = node_.memory_capacity;
  if (auto target = json::str(*c.spec, "targetContainerName"); !target.empty())
    if (const auto* t = observed_.latest(std::string(target))) in.target_container_id = t->id;
  const json::Value resources = json::at(*c.spec, "resources");
  auto made = make_container_config(in);
  if (!made) co_return failed(made.error());
  std::vector<std::string> sub_targets;
  for (const auto& s : made->sub_paths) {
    sub_targets.push_back(dir + "/volume-subpaths/" + c.name + "/" + std::to_string(s.index));
    made->config.mounts[s.index].host_path = sub_targets.back();
  }
  if (auto ready = co_await prepare_files(c.name, attempt, made->sub_paths, sub_targets); !ready)
    co_return failed(ready.error());

  const auto* sandbox = observed_.ready_sandbox();
  if (!sandbox) co_return std::unexpected(StartError{"ContainerCreating", ""});
  std::string sandbox_id = sandbox->id;
  auto sandbox_config =
      make_sandbox_config(*pod_, node_.options, sandbox->metadata.attempt, node_.cgroups.parent_of(*pod_), "");
  std::string log = sandbox_config.log_directory + "/" + made->config.log_path;
  auto id = co_await node_.cri.create_container(sandbox_id, made->config, std::move(sandbox_config));
  if (!id) co_return failed({"CreateContainerError", id.error().message});
  applied_.insert_or_assign(*id, resources);
  emit("Normal", "Created", "Created container: " + c.name, &c);
  if (auto started = co_await node_.cri.start_container(*id); !started)
    co_return failed({"RunContainerError", started.error().message});
  emit("Normal", "Started", "Started container " + c.name, &c);

  if (!node_.options.container_log_dir.empty()) {
    std::string link = node_.options.container_log_dir + "/" + name_of(*pod_) + "_" + namespace_of(*pod_) + "_" +
                       c.name + "-" + *id + ".log";
    (void)co_await node_.pool.run([link, log] { return fs::symlink(log, link); });
  }
  if (const auto& hook = json::at(*c.spec, "lifecycle", "postStart"); hook.is_object()) {
    auto verdict = co_await try_handler(&node_.cri, hook, pod_, c.name, *id, facts().pod_ip, 10min);
    if (!verdict.ok) {
      emit("Warning", "FailedPostStartHook", "PostStartHook failed: " + verdict.output, &c);
      auto status = co_await node_.cri.container_status(*id);
      if (status) co_await kill_container(*status, "FailedPostStartHook", grace_seconds(*pod_));
      co_return std::unexpected(StartError{"PostStartHookError", verdict.output});
    }
  }
  co_return StartResult<>{};
}

}  // namespace lab::agent
