// lab overlay: the pod network of one node, as a process of its own.
#include <algorithm>
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

// How this node proves to other peers that it is of their mesh: by a password, or by the cluster's certificates.
using MeshCredentials = std::shared_ptr<const overlay::MeshCredentials>;
using CredentialsSource = std::function<Result<MeshCredentials>()>;

Result<CredentialsSource> mesh_credentials(const Invocation& in, const client::RestConfig& config) {
  if (in.has("password-file")) {
    LAB_TRY(auto word, fs::read_file(in.get("password-file")));
    while (word.ends_with('\n')) word.pop_back();
    if (word.empty()) return fail(Code::kInvalid, "--password-file: " + in.get("password-file") + " is empty");
    auto key = std::make_shared<overlay::MeshCredentials>();
    key->password_key = overlay::mesh_password_key(word);
    return [key]() -> Result<MeshCredentials> { return key; };
  }
  if (config.certificate_pem.empty() || config.ca_pem.empty()) {
    return fail(Code::kInvalid, "this node has no certificate to show to other peers", "give all nodes the same --password-file");
  }
  // Read anew each time: the node's certificate is renewed while this runs.
  return [config]() -> Result<MeshCredentials> {
    auto now = config;
    if (config.reload) {
      LAB_TRY(now, config.reload());
    }
    auto out = std::make_shared<overlay::MeshCredentials>();
    out->ca_pem = now.ca_pem;
    out->certificate_pem = now.certificate_pem;
    out->private_key_pem = now.private_key_pem;
    return out;
  };
}

Result<void> set_mesh(const Invocation& in, const client::RestConfig& config, overlay::AgentOptions& options) {
  if (in.number("mesh-port") == 0) {
    options.mesh_off = "--mesh-port 0";
    return {};
  }
  auto credentials = mesh_credentials(in, config);
  if (!credentials && (in.has("password-file") || in.has("peer"))) return std::unexpected(std::move(credentials).error());
  if (!credentials) {
    options.mesh_off = credentials.error().text();
    log::info("runs without a mesh", {{"reason", options.mesh_off}});
    return {};
  }
  options.mesh = overlay::MeshOptions{.node_name = options.core.node_name,
                                      .listen = options.core.underlay.text(),
                                      .port = static_cast<int>(in.number("mesh-port")),
                                      .peers = in.all("peer"),
                                      .credentials = std::move(*credentials)};
  return {};
}

// The ways besides the kernel's VXLAN.
Result<void> set_paths(const Invocation& in, overlay::AgentOptions& options) {
  overlay::PathOptions paths{.port = static_cast<std::uint16_t>(in.number("sleeve-port"))};
  if (in.flag("encryption")) {
    if (paths.port == 0) return fail(Code::kInvalid, "--encryption needs the sleeve", "leave --sleeve-port 0 out");
    if (!options.mesh) {
      return fail(Code::kInvalid, "--encryption: this node has nothing to prove itself with: " + options.mesh_off,
                  "give all nodes the same --password-file");
    }
    // What proves a node to the mesh proves it here.
    if (in.has("password-file")) {
      LAB_TRY(auto word, fs::read_file(in.get("password-file")));
      while (word.ends_with('\n')) word.pop_back();
      paths.authenticator = overlay::authenticate_by_password(word);
    } else {
      paths.authenticator = overlay::authenticate_by_certificate(
          [source = options.mesh->credentials]() -> Result<overlay::NodeCertificate> {
            LAB_TRY(auto c, source());
            return overlay::NodeCertificate{c->ca_pem, c->certificate_pem, c->private_key_pem};
          });
    }
  }
  if (paths.port) options.paths = std::move(paths);
  return {};
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
  const bool without_api = in.get("kubeconfig").empty();
  auto range = Cidr::parse(in.get("pod-cidr"));
  if (in.has("pod-cidr") && !range) return fail(Code::kInvalid, "--pod-cidr: \"" + in.get("pod-cidr") + "\" is no range");
  const bool ring = in.get("ipam") == "ring";
  if (without_api && !range && !ring) return fail(Code::kInvalid, "without an API server nobody gives this node its pods' range", "give it --pod-cidr");
  client::RestConfig config;
  if (without_api) {
    log::info("runs without an API server");
  } else if (in.flag("in-cluster")) {
    LAB_TRY(config, in_cluster_config());
  } else {
    LAB_TRY(config, wait_for_config(in.get("kubeconfig")));
  }
  config.user_agent = "lab-overlay";

  std::unique_ptr<client::Client> api;
  std::unique_ptr<overlay::OverlayAgent> agent;
  Scope scope(thread.loop());
  overlay::AgentOptions options;
  options.core.node_name = in.get("hostname-override");
  options.core.underlay = *address;
  options.core.vni = static_cast<std::uint32_t>(in.number("vni"));
  options.core.port = static_cast<std::uint16_t>(in.number("port"));
  options.core.flow_cache = !in.flag("no-flow-cache");
  options.pod_cidr = range.value_or(Cidr());
  options.cluster_cidr = Cidr::parse(in.get("cluster-cidr")).value_or(Cidr());
  options.status_port = static_cast<int>(in.number("status-port"));
  LAB_CHECK(set_mesh(in, config, options));
  LAB_CHECK(set_paths(in, options));
  if (ring) {
    options.ring = overlay::RingOptions{options.cluster_cidr, in.all("ipam-founders")};
    // One list serves all nodes: who is not on it joins later.
    if (std::ranges::find(options.ring->founders, options.core.node_name) == options.ring->founders.end())
      options.ring->founders.clear();
  }
  Result<void> started;
  on_loop(thread.loop(), [&] {
    if (!without_api) {
      api = std::make_unique<client::Client>(client::make_https_transport(config));
      options.client = api.get();
    }
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
           .options = {{.name = "kubeconfig", .value = "FILE", .help = "The node's credentials; empty: there is no API server", .fallback = "/etc/kubernetes/kubelet.conf"},
                       {.name = "in-cluster", .help = "Use the service account of the pod this runs in"},
                       {.name = "hostname-override", .value = "NAME", .help = "Name of the node"},
                       {.name = "node-ip", .value = "ADDRESS", .help = "Address at which other nodes reach this one"},
                       {.name = "cluster-cidr", .value = "RANGE", .help = "Addresses of all pods", .fallback = "10.244.0.0/16"},
                       {.name = "pod-cidr", .value = "RANGE", .help = "Addresses of this node's pods; default: what its Node says"},
                       {.name = "peer", .value = "HOST", .help = "A peer of the mesh to begin with, besides those the API server knows", .repeated = true},
                       {.name = "ipam", .value = "MODE", .help = "Where pods' addresses come from: the range that the Node names, or the ring that all nodes share", .fallback = "podcidr", .choices = {"podcidr", "ring"}},
                       {.name = "ipam-founders", .value = "NODE", .help = "With the ring: the nodes that start it, the same on each; one that is not among them joins later", .repeated = true},
                       {.name = "password-file", .value = "FILE", .help = "Password of the mesh; default: the cluster's certificates are the proof"},
                       {.name = "encryption", .help = "Encrypt what pods send to other nodes; the password, or else the node's certificate, vouches for the keys"},
                       {.name = "sleeve-port", .value = "PORT", .help = "UDP port of the way through user space, taken where the kernel's VXLAN does not get through; 0: none", .fallback = "6783"},
                       {.name = "mesh-port", .value = "PORT", .help = "TCP port of the mesh; 0: no mesh", .fallback = "6783"},
                       {.name = "no-flow-cache", .help = "Let every packet of pods' connections pass routing and firewall, for who looks on with tcpdump"},
                       {.name = "status-port", .value = "PORT", .help = "TCP port of 127.0.0.1 for status and metrics; 0: none", .fallback = "6784"},
                       {.name = "vni", .value = "N", .help = "VXLAN network identifier", .fallback = "1"},
                       {.name = "port", .value = "PORT", .help = "UDP port of VXLAN", .fallback = "6784"}},
           .run = [](const Invocation& in) { return finish(overlay(in)); },
           .hidden = true}};
}

}  // namespace lab::cli
