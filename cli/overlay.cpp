// lab overlay: the pod network of one node, as a process of its own.
#include <chrono>
#include <memory>
#include <cstdlib>
#include <thread>

#include "base/fs.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "base/netlink/address.h"
#include "bootstrap/common/runtime.h"
#include "cli/daemon.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "orchestrator/client/client.h"
#include "overlay-net/agent/agent.h"

namespace lab::cli {

namespace {

// The node's credentials appear when it has joined. Until then, and without an API server, what the state directory
// remembers serves.
Result<client::RestConfig> wait_for_config(const std::string& path) {
  for (bool told = false;; told = true) {
    auto config = client::load_kubeconfig(path);
    if (config || config.error().code != Code::kNotFound) return config;
    if (!told) log::info("waiting for the node's credentials", {{"file", path}});
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

constexpr const char* kAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

// What a pod knows of its cluster: the environment, and its service account's files.
Result<client::RestConfig> in_cluster_config() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (!host || !port)
    return fail(Code::kInvalid, "--in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set", "it is for use in a pod");
  client::RestConfig config;
  config.server = std::string("https://") + host + ":" + port;
  LAB_TRY(config.ca_pem, fs::read_file(fs::join(kAccountDirectory, "ca.crt")));
  LAB_TRY(config.token, fs::read_file(fs::join(kAccountDirectory, "token")));
  return config;
}

// Another overlay of this node, as a service or a pod, keeps its socket; this one stands by until that is gone.
void wait_for_turn(const std::string& socket) {
  for (bool told = false; bootstrap::socket_answers(socket); told = true) {
    if (!told) log::info("another overlay serves this node; standing by", {{"socket", socket}});
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

Result<void> overlay(const Invocation& in) {
  auto address = IpAddress::parse(in.get("node-ip"));
  if (!address) return fail(Code::kInvalid, "--node-ip: \"" + in.get("node-ip") + "\" is no address");
  block_stop_signals();
  LoopThread thread("overlay");
  std::thread([] {   // ends the process at a signal also while the credentials are awaited
    wait_for_stop();
    std::_Exit(0);
  }).detach();
  wait_for_turn(overlay::kAgentSocket);
  client::RestConfig config;
  if (in.flag("in-cluster")) {
    LAB_TRY(config, in_cluster_config());
  } else {
    LAB_TRY(config, wait_for_config(in.get("kubeconfig")));
  }
  config.user_agent = "lab-overlay";

  std::unique_ptr<client::Client> api;
  std::unique_ptr<overlay::OverlayAgent> agent;
  Scope scope(thread.loop());
  Result<void> started;
  on_loop(thread.loop(), [&] {
    api = std::make_unique<client::Client>(client::make_https_transport(config));
    overlay::AgentOptions options;
    options.core.node_name = in.get("hostname-override");
    options.core.underlay = *address;
    options.core.vni = static_cast<std::uint32_t>(in.number("vni"));
    options.core.port = static_cast<std::uint16_t>(in.number("port"));
    options.client = api.get();
    agent = std::make_unique<overlay::OverlayAgent>(std::move(options));
    started = agent->start(scope);
  });
  LAB_CHECK(started);
  // Datapath and allocations outlive this process by design, so there is nothing to wind down: the signal thread exits.
  while (true) std::this_thread::sleep_for(std::chrono::hours(24));
}

}  // namespace

Commands overlay_commands() {
  return {{.path = "overlay",
           .summary = "Run the pod network of this node",
           .options = {{.name = "kubeconfig", .value = "FILE", .help = "The node's credentials", .fallback = "/etc/kubernetes/kubelet.conf"},
                       {.name = "in-cluster", .help = "Use the service account of the pod this runs in"},
                       {.name = "hostname-override", .value = "NAME", .help = "Name of the node"},
                       {.name = "node-ip", .value = "ADDRESS", .help = "Address at which other nodes reach this one"},
                       {.name = "cluster-cidr", .value = "RANGE", .help = "Addresses of all pods", .fallback = "10.244.0.0/16"},
                       {.name = "vni", .value = "N", .help = "VXLAN network identifier", .fallback = "1"},
                       {.name = "port", .value = "PORT", .help = "UDP port of VXLAN", .fallback = "6784"}},
           .run = [](const Invocation& in) { return finish(overlay(in)); },
           .hidden = true}};
}

}  // namespace lab::cli
