#include "orchestrator/agent/cri.h"

#include "base/grpc/channel.h"
#include "base/json.h"
#include "orchestrator/agent/cri_convert.h"

namespace lab::agent::cri {

using namespace std::chrono_literals;

namespace {

constexpr auto kQuick = 30s;  // reads
constexpr auto kSlow = 4min;  // what starts processes or calls CNI
#define LAB_RUNTIME "/runtime.v1.RuntimeService/"
#define LAB_IMAGES "/runtime.v1.ImageService/"

Result<void> absent_is_fine(const Error& error) {
  if (error.code == Code::kNotFound) return {};
  return std::unexpected(error);
}

pb::ContainerFilter container_filter(const Labels& labels) {
  pb::ContainerFilter f;
  for (const auto& [k, v] : labels) (*f.mutable_label_selector())[k] = v;
  return f;
}

}  // namespace

CriClient::CriClient(const std::string& socket_path)
    : channel_(rpc::Channel::to_unix(socket_path.starts_with("unix://") ? socket_path.substr(7) : socket_path)) {}
CriClient::~CriClient() {
  channel_->shutdown();
}
void CriClient::shutdown() {
  channel_->shutdown();
}

template <class Response, class Request>
Task<Result<Response>> CriClient::call(const char* method, Request request, Duration timeout, std::stop_token stop) {
  LAB_CO_TRY(auto bytes, co_await channel_->call(method, request.SerializeAsString(), timeout, stop));
  Response response;
  if (!response.ParseFromString(bytes))
    co_return fail(Code::kInternal, std::string(method) + ": the runtime's answer cannot be decoded",
                   "the agent needs a runtime that serves CRI v1 (containerd 1.6 or newer)");
  co_return std::move(response);
}

Task<Result<Version>> CriClient::version() {
  pb::VersionRequest request;
  request.set_version("v1");
  LAB_CO_TRY(auto r, co_await call<pb::VersionResponse>(LAB_RUNTIME "Version", std::move(request), 5s));
  co_return Version{r.runtime_name(), r.runtime_version(), r.runtime_api_version()};
}

Task<Result<std::vector<Condition>>> CriClient::status() {
  LAB_CO_TRY(auto r, co_await call<pb::StatusResponse>(LAB_RUNTIME "Status", pb::StatusRequest(), kQuick));
  std::vector<Condition> out;
  for (const auto& c : r.status().conditions()) out.push_back({c.type(), c.status(), c.reason(), c.message()});
  co_return out;
}

Settings read_settings(std::string_view config_json) {
  Settings out;
  auto config = json::parse(config_json);
  if (!config) return out;
  out.cni_bin_directory = std::string(json::str(*config, "cni", "binDir"));
  out.sandbox_image = std::string(json::str(*config, "sandboxImage"));
  const auto& containerd = json::at(*config, "containerd");
  const auto name = json::str(containerd, "defaultRuntimeName");
  out.systemd_cgroups =
      json::flag(containerd, "runtimes", name.empty() ? "runc" : name, "options", "SystemdCgroup");
  return out;
}

Task<Result<Settings>> CriClient::settings() {
  pb::StatusRequest request;
  request.set_verbose(true);
  LAB_CO_TRY(auto r, co_await call<pb::StatusResponse>(LAB_RUNTIME "Status", std::move(request), kQuick));
  auto config = r.info().find("config");
  co_return config == r.info().end() ? Settings() : read_settings(config->second);
}

Task<Result<void>> CriClient::update_runtime_config(std::string pod_cidr) {
  pb::UpdateRuntimeConfigRequest request;
  request.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(pod_cidr);
  LAB_CO_CHECK(
      co_await call<pb::UpdateRuntimeConfigResponse>(LAB_RUNTIME "UpdateRuntimeConfig", std::move(request), kQuick));
  co_return Result<void>{};
}

Task<Result<std::string>> CriClient::run_sandbox(SandboxConfig config, std::string runtime_handler) {
  pb::RunPodSandboxRequest request;
  *request.mutable_config() = to_pb(config);
  request.set_runtime_handler(runtime_handler);
  LAB_CO_TRY(auto r, co_await call<pb::RunPodSandboxResponse>(LAB_RUNTIME "RunPodSandbox", std::move(request), kSlow));
  co_return r.pod_sandbox_id();
}

Task<Result<void>> CriClient::stop_sandbox(std::string id) {
  pb::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  auto r = co_await call<pb::StopPodSandboxResponse>(LAB_RUNTIME "StopPodSandbox", std::move(request), kSlow);
  if (!r) co_return absent_is_fine(r.error());
  co_return Result<void>{};
}

Task<Result<void>> CriClient::remove_sandbox(std::string id) {
  pb::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  auto r = co_await call<pb::RemovePodSandboxResponse>(LAB_RUNTIME "RemovePodSandbox", std::move(request), kSlow);
  if (!r) co_return absent_is_fine(r.error());
  co_return Result<void>{};
}

Task<Result<std::vector<Sandbox>>> CriClient::list_sandboxes(Labels labels) {
  pb::ListPodSandboxRequest request;
  for (const auto& [k, v] : labels) (*request.mutable_filter()->mutable_label_selector())[k] = v;
  LAB_CO_TRY(auto r,
             co_await call<pb::ListPodSandboxResponse>(LAB_RUNTIME "ListPodSandbox", std::move(request), kQuick));
  std::vector<Sandbox> out;
  out.reserve(static_cast<std::size_t>(r.items_size()));
  for (const auto& item : r.items()) out.push_back(from_pb(item));
  co_return out;
}

Task<Result<SandboxStatus>> CriClient::sandbox_status(std::string id) {
  pb::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  LAB_CO_TRY(auto r,
             co_await call<pb::PodSandboxStatusResponse>(LAB_RUNTIME "PodSandboxStatus", std::move(request), kQuick));
  co_return from_pb(r.status());
}

Task<Result<std::string>> CriClient::create_container(std::string sandbox_id, ContainerConfig config,
                                                      SandboxConfig sandbox) {
  pb::CreateContainerRequest request;
  request.set_pod_sandbox_id(sandbox_id);
  *request.mutable_config() = to_pb(config);
  *request.mutable_sandbox_config() = to_pb(sandbox);
  LAB_CO_TRY(auto r,
             co_await call<pb::CreateContainerResponse>(LAB_RUNTIME "CreateContainer", std::move(request), kSlow));
  co_return r.container_id();
}

Task<Result<void>> CriClient::start_container(std::string id) {
  pb::StartContainerRequest request;
  request.set_container_id(id);
  LAB_CO_CHECK(co_await call<pb::StartContainerResponse>(LAB_RUNTIME "StartContainer", std::move(request), kSlow));
  co_return Result<void>{};
}

Task<Result<void>> CriClient::stop_container(std::string id, std::chrono::seconds grace) {
  pb::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(grace.count());
  auto r = co_await call<pb::StopContainerResponse>(LAB_RUNTIME "StopContainer", std::move(request),
                                                    kSlow + Duration(grace));
  if (!r) co_return absent_is_fine(r.error());
  co_return Result<void>{};
}

Task<Result<void>> CriClient::remove_container(std::string id) {
  pb::RemoveContainerRequest request;
  request.set_container_id(id);
  auto r = co_await call<pb::RemoveContainerResponse>(LAB_RUNTIME "RemoveContainer", std::move(request), kSlow);
  if (!r) co_return absent_is_fine(r.error());
  co_return Result<void>{};
}

Task<Result<std::vector<Container>>> CriClient::list_containers(Labels labels) {
  pb::ListContainersRequest request;
  if (!labels.empty()) *request.mutable_filter() = container_filter(labels);
  LAB_CO_TRY(auto r,
             co_await call<pb::ListContainersResponse>(LAB_RUNTIME "ListContainers", std::move(request), kQuick));
  std::vector<Container> out;
  out.reserve(static_cast<std::size_t>(r.containers_size()));
  for (const auto& item : r.containers()) out.push_back(from_pb(item));
  co_return out;
}

Task<Result<ContainerStatus>> CriClient::container_status(std::string id) {
  pb::ContainerStatusRequest request;
  request.set_container_id(id);
  LAB_CO_TRY(auto r,
             co_await call<pb::ContainerStatusResponse>(LAB_RUNTIME "ContainerStatus", std::move(request), kQuick));
  co_return from_pb(r.status());
}

Task<Result<void>> CriClient::update_resources(std::string id, Resources resources) {
  pb::UpdateContainerResourcesRequest request;
  request.set_container_id(id);
  *request.mutable_linux() = to_pb(resources);
  LAB_CO_CHECK(co_await call<pb::UpdateContainerResourcesResponse>(LAB_RUNTIME "UpdateContainerResources",
                                                                   std::move(request), kQuick));
  co_return Result<void>{};
}

Task<Result<void>> CriClient::reopen_log(std::string id) {
  pb::ReopenContainerLogRequest request;
  request.set_container_id(id);
  LAB_CO_CHECK(
      co_await call<pb::ReopenContainerLogResponse>(LAB_RUNTIME "ReopenContainerLog", std::move(request), kQuick));
  co_return Result<void>{};
}

Task<Result<ExecResult>> CriClient::exec_sync(std::string id, std::vector<std::string> command, Duration timeout) {
  pb::ExecSyncRequest request;
  request.set_container_id(id);
  for (const auto& word : command) request.add_cmd(word);
  auto seconds = std::chrono::ceil<std::chrono::seconds>(timeout);
  request.set_timeout(seconds.count());
  // The runtime ends the command at its own time limit; ours is later, for a runtime that does not answer at all.
  LAB_CO_TRY(auto r, co_await call<pb::ExecSyncResponse>(LAB_RUNTIME "ExecSync", std::move(request), timeout + 10s));
  co_return ExecResult{r.stdout(), r.stderr(), r.exit_code()};
}

Task<Result<std::string>> CriClient::exec(std::string id, ExecOptions options) {
  pb::ExecRequest request;
  request.set_container_id(id);
  for (const auto& word : options.command) request.add_cmd(word);
  request.set_tty(options.tty);
  request.set_stdin(options.stdin_open);
  request.set_stdout(options.stdout_open);
  request.set_stderr(options.stderr_open && !options.tty);
  LAB_CO_TRY(auto r, co_await call<pb::ExecResponse>(LAB_RUNTIME "Exec", std::move(request), kQuick));
  co_return r.url();
}

Task<Result<std::string>> CriClient::attach(std::string id, ExecOptions options) {
  pb::AttachRequest request;
  request.set_container_id(id);
  request.set_tty(options.tty);
  request.set_stdin(options.stdin_open);
  request.set_stdout(options.stdout_open);
  request.set_stderr(options.stderr_open && !options.tty);
  LAB_CO_TRY(auto r, co_await call<pb::AttachResponse>(LAB_RUNTIME "Attach", std::move(request), kQuick));
  co_return r.url();
}

Task<Result<std::string>> CriClient::port_forward(std::string sandbox_id, std::vector<int> ports) {
  pb::PortForwardRequest request;
  request.set_pod_sandbox_id(sandbox_id);
  for (int p : ports) request.add_port(p);
  LAB_CO_TRY(auto r, co_await call<pb::PortForwardResponse>(LAB_RUNTIME "PortForward", std::move(request), kQuick));
  co_return r.url();
}

Task<Result<std::vector<Image>>> CriClient::list_images() {
  LAB_CO_TRY(auto r, co_await call<pb::ListImagesResponse>(LAB_IMAGES "ListImages", pb::ListImagesRequest(), kQuick));
  std::vector<Image> out;
  for (const auto& image : r.images()) out.push_back(from_pb(image));
  co_return out;
}

Task<Result<std::optional<Image>>> CriClient::image_status(std::string image) {
  pb::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  LAB_CO_TRY(auto r, co_await call<pb::ImageStatusResponse>(LAB_IMAGES "ImageStatus", std::move(request), kQuick));
  if (!r.has_image() || r.image().id().empty()) co_return std::optional<Image>{};
  co_return std::optional<Image>(from_pb(r.image()));
}

Task<Result<std::string>> CriClient::pull_image(std::string image, std::optional<AuthConfig> auth, Duration timeout,
                                                std::stop_token stop) {
  pb::PullImageRequest request;
  request.mutable_image()->set_image(image);
  if (auth) {
    auto* a = request.mutable_auth();
    a->set_username(auth->username);
    a->set_password(auth->password);
    a->set_auth(auth->auth);
    a->set_server_address(auth->server_address);
    a->set_identity_token(auth->identity_token);
    a->set_registry_token(auth->registry_token);
  }
  LAB_CO_TRY(auto r, co_await call<pb::PullImageResponse>(LAB_IMAGES "PullImage", std::move(request), timeout, stop));
  co_return r.image_ref();
}

Task<Result<void>> CriClient::remove_image(std::string image) {
  pb::RemoveImageRequest request;
  request.mutable_image()->set_image(image);
  LAB_CO_CHECK(co_await call<pb::RemoveImageResponse>(LAB_IMAGES "RemoveImage", std::move(request), kSlow));
  co_return Result<void>{};
}

Task<Result<std::vector<FilesystemUsage>>> CriClient::image_fs_info() {
  LAB_CO_TRY(auto r,
             co_await call<pb::ImageFsInfoResponse>(LAB_IMAGES "ImageFsInfo", pb::ImageFsInfoRequest(), kQuick));
  std::vector<FilesystemUsage> out;
  for (const auto& f : r.image_filesystems())
    out.push_back({f.fs_id().mountpoint(), f.used_bytes().value(), f.inodes_used().value()});
  co_return out;
}

Task<Result<std::vector<ContainerStats>>> CriClient::list_container_stats() {
  LAB_CO_TRY(auto r, co_await call<pb::ListContainerStatsResponse>(LAB_RUNTIME "ListContainerStats",
                                                                   pb::ListContainerStatsRequest(), kQuick));
  std::vector<ContainerStats> out;
  for (const auto& s : r.stats()) out.push_back(from_pb(s));
  co_return out;
}

Task<Result<void>> CriClient::watch_events(std::function<void()> on_event, std::stop_token stop) {
  // containerd.services.events.v1.SubscribeRequest { repeated string filters = 1; }, written by hand: one field.
  constexpr std::string_view kFilter = R"x(namespace==k8s.io,topic~="^/tasks/(exit|oom|start)")x";
  std::string request;
  request += '\x0a';
  request += static_cast<char>(kFilter.size());
  request += kFilter;
  co_return co_await channel_->stream(
      "/containerd.services.events.v1.Events/Subscribe", std::move(request),
      [on_event = std::move(on_event)](std::string) { on_event(); }, stop);
}

}  // namespace lab::agent::cri
