// CriClient: the container runtime as the agent uses it (Container Runtime Interface v1: containerd, CRI-O).
//
// Plain structures that mirror the CRI's messages, as far as they are used; field names are the CRI's. Times are
// nanoseconds since the epoch (0: never). Calls may be made from any loop, run concurrently and resume where they were
// awaited. Errors name the call; kUnavailable means that no runtime answers on the socket, kNotFound that the sandbox,
// container or image is not there. Source: k8s.io/cri-api, runtime/v1.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "base/result.h"

namespace lab::rpc {
class Channel;
}

namespace lab::agent::cri {

using Labels = std::map<std::string, std::string>;

enum class NamespaceMode { kPod = 0, kContainer = 1, kNode = 2, kTarget = 3 };
struct NamespaceOptions {
  NamespaceMode network = NamespaceMode::kPod, pid = NamespaceMode::kContainer, ipc = NamespaceMode::kPod;
  std::string target_id;
};
struct SecurityProfile {
  enum Type { kRuntimeDefault = 0, kUnconfined = 1, kLocalhost = 2 } type = kUnconfined;
  std::string localhost_ref;
};
struct Resources {
  std::int64_t cpu_period = 0, cpu_quota = 0, cpu_shares = 0, memory_limit = 0, oom_score_adj = 0;
  Labels unified;
};
struct Metadata {
  std::string name, uid, ns;
  std::uint32_t attempt = 0;
};
struct DnsConfig {
  std::vector<std::string> servers, searches, options;
};
struct PortMapping {
  int protocol = 0;  // 0 TCP, 1 UDP, 2 SCTP
  int container_port = 0, host_port = 0;
  std::string host_ip;
};

struct SecurityContext {  // of a sandbox, or of a container
  NamespaceOptions namespaces;
  std::optional<std::int64_t> run_as_user, run_as_group;
  std::string run_as_username;
  std::vector<std::int64_t> supplemental_groups;
  bool privileged = false, readonly_rootfs = false, no_new_privs = false;
  std::vector<std::string> add_capabilities, drop_capabilities;
  std::vector<std::string> masked_paths, readonly_paths;
  SecurityProfile seccomp;
  std::optional<SecurityProfile> apparmor;
};

struct SandboxConfig {
  Metadata metadata;
  std::string hostname, log_directory, cgroup_parent;
  std::optional<DnsConfig> dns;
  std::vector<PortMapping> port_mappings;
  Labels labels, annotations, sysctls;
  SecurityContext security;
};

struct Mount {
  std::string container_path, host_path;
  bool readonly = false;
  int propagation = 0;  // 0 private, 1 host to container, 2 bidirectional
};
struct Device {
  std::string container_path, host_path, permissions;
};
struct ContainerConfig {
  std::string name;
  std::uint32_t attempt = 0;
  std::string image;
  std::vector<std::string> command, args;
  std::string working_dir;
  std::vector<std::pair<std::string, std::string>> envs;
  std::vector<Mount> mounts;
  std::vector<Device> devices;
  Labels labels, annotations;
  std::string log_path;  // below the sandbox's log_directory
  bool stdin_open = false, stdin_once = false, tty = false;
  Resources resources;
  SecurityContext security;
};

struct Sandbox {
  std::string id;
  Metadata metadata;
  bool ready = false;
  std::int64_t created_at = 0;
  Labels labels, annotations;
};
struct SandboxStatus : Sandbox {
  std::vector<std::string> ips;  // the first one is the pod's
  NamespaceOptions namespaces;
};

enum class ContainerState { kCreated = 0, kRunning = 1, kExited = 2, kUnknown = 3 };
struct Container {
  std::string id, sandbox_id, name;
  std::uint32_t attempt = 0;
  std::string image, image_ref;
  ContainerState state = ContainerState::kUnknown;
  std::int64_t created_at = 0;
  Labels labels, annotations;
};
struct ContainerStatus : Container {
  std::int64_t started_at = 0, finished_at = 0;
  int exit_code = 0;
  std::string reason, message, log_path;
};

struct Image {
  std::string id;
  std::vector<std::string> tags, digests;
  std::uint64_t size = 0;
  std::optional<std::int64_t> uid;
  std::string username;
  bool pinned = false;
};
struct AuthConfig {
  std::string username, password, auth, server_address, identity_token, registry_token;
};
struct FilesystemUsage {
  std::string mountpoint;
  std::uint64_t used_bytes = 0, inodes_used = 0;
};

struct ContainerStats {
  std::string id, name;
  Labels labels;
  std::int64_t cpu_timestamp = 0, memory_timestamp = 0;
  std::uint64_t cpu_usage_ns = 0;
  std::uint64_t working_set = 0, usage = 0, rss = 0, page_faults = 0, major_page_faults = 0;
  std::uint64_t fs_used = 0, fs_inodes = 0;
  std::string fs_mountpoint;
};

struct Version {
  std::string runtime_name, runtime_version, runtime_api_version;
};
struct Condition {
  std::string type;  // RuntimeReady, NetworkReady
  bool status = false;
  std::string reason, message;
};
// What the runtime tells of its own configuration; empty where it does not tell.
struct Settings {
  std::string cni_bin_directory, sandbox_image;
  bool systemd_cgroups = false;
};
Settings read_settings(std::string_view config_json);  // containerd's, as in the verbose Status

struct ExecResult {
  std::string out, err;
  int exit_code = 0;
};
struct ExecOptions {
  std::vector<std::string> command;
  bool tty = false, stdin_open = false, stdout_open = true, stderr_open = true;
};

class CriClient {
 public:
  explicit CriClient(const std::string& socket_path);  // "/run/containerd/containerd.sock" or "unix://..."
  ~CriClient();

  Task<Result<Version>> version();
  Task<Result<std::vector<Condition>>> status();
  Task<Result<Settings>> settings();
  Task<Result<void>> update_runtime_config(std::string pod_cidr);

  Task<Result<std::string>> run_sandbox(SandboxConfig config, std::string runtime_handler = {});
  Task<Result<void>> stop_sandbox(std::string id);    // an absent one is no error
  Task<Result<void>> remove_sandbox(std::string id);  // an absent one is no error
  // Labels select; empty: all.
  Task<Result<std::vector<Sandbox>>> list_sandboxes(Labels labels = {});
  Task<Result<SandboxStatus>> sandbox_status(std::string id);

  Task<Result<std::string>> create_container(std::string sandbox_id, ContainerConfig config, SandboxConfig sandbox);
  Task<Result<void>> start_container(std::string id);
  // SIGTERM (or the image's signal), then SIGKILL after `grace`. Returns when the container has ended.
  Task<Result<void>> stop_container(std::string id, std::chrono::seconds grace);
  Task<Result<void>> remove_container(std::string id);  // an absent one is no error
  Task<Result<std::vector<Container>>> list_containers(Labels labels = {});
  Task<Result<ContainerStatus>> container_status(std::string id);
  Task<Result<void>> update_resources(std::string id, Resources resources);
  Task<Result<void>> reopen_log(std::string id);

  // Runs a command to its end. kTimeout when it took longer.
  Task<Result<ExecResult>> exec_sync(std::string id, std::vector<std::string> command, Duration timeout);
  // URLs on the runtime's streaming server, each good for one connection.
  Task<Result<std::string>> exec(std::string id, ExecOptions options);
  Task<Result<std::string>> attach(std::string id, ExecOptions options);
  Task<Result<std::string>> port_forward(std::string sandbox_id, std::vector<int> ports);

  Task<Result<std::vector<Image>>> list_images();
  Task<Result<std::optional<Image>>> image_status(std::string image);  // empty: not present
  Task<Result<std::string>> pull_image(std::string image, std::optional<AuthConfig> auth, Duration timeout,
                                       std::stop_token stop = {});
  Task<Result<void>> remove_image(std::string image);
  Task<Result<std::vector<FilesystemUsage>>> image_fs_info();

  Task<Result<std::vector<ContainerStats>>> list_container_stats();

  // containerd's own event stream (CRI's GetContainerEvents is absent before containerd 1.7): calls on_event, on a
  // thread of gRPC, whenever a task or sandbox of Kubernetes started or ended. Ends when the stream breaks;
  // kMethodNotAllowed where the runtime has no such stream.
  Task<Result<void>> watch_events(std::function<void()> on_event, std::stop_token stop);

  void shutdown();  // ends all calls in flight

 private:
  template <class Response, class Request>
  Task<Result<Response>> call(const char* method, Request request, Duration timeout, std::stop_token stop = {});
  std::shared_ptr<rpc::Channel> channel_;
};

}  // namespace lab::agent::cri
