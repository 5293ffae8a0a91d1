#include "overlay-net/agent/agent.h"

#include "base/fs.h"
#include "base/log.h"
#include "overlay-net/agent/api.h"
#include "overlay-net/agent/mesh_peers.h"

namespace lab::overlay {

Peer peer_of_node(const json::Value& node) {
  Peer p{std::string(json::str(node, "metadata", "name"))};
  auto underlay = json::str(node, "metadata", "annotations", kUnderlayAnnotation);
  for (const auto& a : json::list(node, "status", "addresses")) {
    if (underlay.empty() && json::str(a, "type") == "InternalIP") underlay = json::str(a, "address");
  }
  p.underlay = IpAddress::parse(underlay).value_or(IpAddress());
  p.pod_cidr = Cidr::parse(json::str(node, "spec", "podCIDR")).value_or(Cidr());
  p.vtep_mac = MacAddress::parse(json::str(node, "metadata", "annotations", kVtepMacAnnotation))
                   .value_or(AgentCore::vtep_mac_of(p.name));
  return p;
}

OverlayAgent::OverlayAgent(AgentOptions options) : options_(std::move(options)), core_(options_.core) {
  if (!options_.pod_cidr.empty()) core_.set_pod_cidr(options_.pod_cidr);
}

OverlayAgent::~OverlayAgent() = default;

Result<void> OverlayAgent::start(Scope& scope) {
  if (options_.client) {
    policy_ = std::make_unique<policy::PolicyAgent>(
        policy::PolicyAgentOptions{.client = options_.client, .node_name = options_.core.node_name, .wired = [this] {
                                     return core_.wired_pods();
                                   }});
    policy_->start(scope);
  }
  loop_ = &scope.loop();
  LAB_CHECK(start_paths());
  auto handler = [this](http::Request request, http::ResponseWriter& writer) {
    return serve(std::move(request), writer);
  };
  // A host that has just booted has nothing in /run yet.
  LAB_CHECK(fs::make_dirs(options_.core.socket_path.substr(0, options_.core.socket_path.rfind('/'))));
  LAB_TRY(server_, http::Server::start({.address = "unix:" + options_.core.socket_path, .threads = 1}, handler));
  if (options_.status_port) {
    // Any user of this host, and any pod on its network, can connect there: what it answers is for reading.
    auto look = [this](http::Request request, http::ResponseWriter& writer) {
      return serve_readers(std::move(request), writer);
    };
    auto local = http::Server::start({.port = options_.status_port, .threads = 1}, look);
    if (local) {
      local_server_ = std::move(*local);
    } else {
      log::warn("status and metrics are on the socket only", {{"reason", local.error().text()}});
    }
  }
  if (options_.ring && !options_.mesh) {
    return fail(Code::kInvalid, "the ring of pod addresses needs the mesh: " + options_.mesh_off,
                "give the peers a way to prove who they are, or use --ipam podcidr");
  }
  if (options_.mesh) {
    mesh_ = std::make_unique<Mesh>(*options_.mesh);
    if (options_.ring) LAB_CHECK(open_ring(scope));
    mesh_->on_change([this] { hear(); });
    mesh_->start(scope);
  }
  if (options_.client) {
    nodes_ = std::make_unique<client::Informer>(*options_.client, client::res::nodes);
    nodes_->on_change([this](const client::ObjectPtr&, const client::ObjectPtr&) {
      dirty_ = true;
      changed_.notify();
    });
    nodes_->start(scope);
  }
  scope.spawn("overlay", keep_reconciled(scope.token()));
  scope.spawn("overlay-pods", lead_new_pods(scope.token()));
  return {};
}

void OverlayAgent::set_peers(std::vector<Peer> peers) {
  given_ = std::move(peers);
  dirty_ = true;
  changed_.notify();
}

// The other nodes that the API server lists.
std::vector<Peer> OverlayAgent::take_nodes() {
  std::vector<Peer> peers;
  std::vector<std::string> addresses, names;
  for (const auto& node : nodes_->list()) {
    auto peer = peer_of_node(*node);
    names.push_back(peer.name);
    if (ring_ && peer.underlay.is_v4()) peer.pod_cidr = Cidr::host(peer.underlay);
    if (peer.name == options_.core.node_name) {
      if (options_.pod_cidr.empty()) core_.set_pod_cidr(peer.pod_cidr);
      continue;
    }
    if (peer.underlay.is_v4()) addresses.push_back(peer.underlay.text());
    if (!peer.pod_cidr.empty()) peers.push_back(std::move(peer));
  }
  if (mesh_) mesh_->set_known(addresses);
  if (ring_) remove_deleted_nodes(names);
  return peers;
}

// Until the first list is complete, what the state directory remembers holds: a half-filled list would cut off peers.
void OverlayAgent::take_peers() {
  std::optional<std::vector<Peer>> listed;
  if (nodes_ && nodes_->synced()) {
    listed = take_nodes();
  } else if (given_) {
    listed = given_;
  }
  if (listed) {
    core_.set_peers(merge_peers(std::move(*listed), true, heard_));
  } else if (mesh_) {
    core_.set_peers(merge_peers(core_.peers(), false, heard_));
  }
}

Result<void> OverlayAgent::start_paths() {
  if (!options_.paths) return {};
  auto options = *options_.paths;
  options.self = core_.vtep_mac();
  options.underlay = options_.core.underlay;
  LAB_TRY(paths_, Paths::start(std::move(options)));
  core_.use_paths(*paths_);
  paths_->on_change([this] {
    loop_->post([this] {
      dirty_ = true;
      changed_.notify();
    });
  });
  return {};
}

// Peers that the mesh reaches through another one: datagrams take the same way where the kernel's path fails.
std::map<std::string, std::string> OverlayAgent::next_hops() const {
  std::map<std::string, std::string> out;
  std::map<PeerName, std::string> names;
  const auto others = mesh_->announcements();
  for (const auto& a : others) names[a.id.name] = a.id.nickname;
  for (const auto& a : others) {
    auto hop = mesh_->router().topology().next_hop(a.id.name);
    if (hop && *hop != a.id.name && names.contains(*hop)) out[a.id.nickname] = names[*hop];
  }
  return out;
}

void OverlayAgent::hear() {
  if (auto hops = next_hops(); hops != hops_) {
    hops_ = hops;
    core_.set_next_hops(std::move(hops));
    dirty_ = true;
    changed_.notify();
  }
  auto now = peers_of(mesh_->announcements());
  if (now == heard_) return;
  heard_ = std::move(now);
  dirty_ = true;
  changed_.notify();
}

void OverlayAgent::announce() {
  // With the ring a node's range is not one, and not the node's to say: its own address stands for it.
  auto range = ring_ ? Cidr::host(options_.core.underlay) : core_.pod_cidr();
  if (!mesh_ || range.empty()) return;
  mesh_->announce(announcement_of({options_.core.node_name, options_.core.underlay, range, core_.vtep_mac()}));
}

json::Value OverlayAgent::report() const {
  auto out = core_.status();
  json::set(out, options_.cluster_cidr.empty() ? "" : options_.cluster_cidr.text(), "clusterCIDR");
  json::set(out, nodes_ ? nodes_->synced() ? "connected" : "away" : "none", "apiServer");
  if (mesh_) {
    json::set(out, mesh_->status(), "mesh");
  } else {
    json::set(out, options_.mesh_off, "meshOff");
  }
  if (ring_) json::set(out, ring_report(), "ring");
  return out;
}

// The mesh lives on the agent's loop, requests on the server's: over there and back.
Task<void> OverlayAgent::serve(http::Request request, http::ResponseWriter& writer) {
  auto path = request.path();
  constexpr std::string_view kPeers = "/v1/net/peers/", kLeave = "/v1/net/leave";
  if (path == "/v1/net/wireguard-key" && request.method == "POST") {
    co_await change_key(writer);
    co_return;
  }
  if ((path.starts_with(kPeers) && request.method == "DELETE") || (path == kLeave && request.method == "POST")) {
    auto peer = path == kLeave ? std::string() : http::percent_decode(path.substr(kPeers.size()));
    co_await change_ring(request.method, std::move(peer), writer);
    co_return;
  }
  const bool is_report = path == "/v1/net", is_metrics = path == "/metrics";
  if (!is_report && !is_metrics) {
    const bool wires = request.method == "POST";
    co_await serve_agent_api(core_, policy_.get(), std::move(request), writer);
    if (wires) {
      loop_->post([this] {
        new_pods_ = true;
        wired_.notify();
      });
    }
    co_return;
  }
  Loop& here = *Loop::current();
  std::string body;
  co_await resume_on(*loop_);
  if (is_report) {
    body = json::dump(report());
  } else {
    body = core_.metrics() + (policy_ ? policy_->metrics() : "") + (mesh_ ? mesh_->metrics() : "");
  }
  co_await resume_on(here);
  http::Response response{200, {{"Content-Type", is_report ? "application/json" : "text/plain; version=0.0.4"}}, {}};
  response.body.push_back(http::buffer(std::move(body)));
  (void)co_await writer.send(std::move(response));  // who went away asks again
}

Task<void> OverlayAgent::change_key(http::ResponseWriter& writer) {
  auto done = core_.change_key();
  if (done) {
    loop_->post([this] {
      dirty_ = true;
      changed_.notify();
    });
  }
  auto body = done ? json::Object{} : json::Object{{"message", done.error().text()}};
  http::Response response{done ? 200 : http_status_of(done.error().code), {{"Content-Type", "application/json"}}, {}};
  response.body.push_back(http::buffer(json::dump(body)));
  (void)co_await writer.send(std::move(response));
}

Task<void> OverlayAgent::serve_readers(http::Request request, http::ResponseWriter& writer) {
  auto path = request.path();
  if (request.method == "GET" && (path == "/metrics" || path == "/v1/net" || path == "/v1/status")) {
    co_await serve(std::move(request), writer);
    co_return;
  }
  http::Response refusal{404, {{"Content-Type", "text/plain"}}, {}};
  refusal.body.push_back(
      http::buffer("GET /metrics, /v1/net or /v1/status; all else is on " + options_.core.socket_path + "\n"));
  (void)co_await writer.send(std::move(refusal));
}

Task<void> OverlayAgent::keep_reconciled(std::stop_token stop) {
  // What is remembered holds until the API server answers; with nothing remembered, there is nothing to do before.
  if (nodes_ && !core_.has_pod_cidr()) co_await nodes_->wait_synced(stop);
  Duration pause = std::chrono::milliseconds(100);
  while (!stop.stop_requested()) {
    dirty_ = false;
    take_peers();
    announce();
    auto done = core_.reconcile();
    if (auto published = co_await publish(); !published && done) done = std::move(published);
    // A failure is tried again soon, then less often, up to the usual interval.
    pause = done ? options_.resync : std::min<Duration>(pause * 2, options_.resync);
    if (core_.changes_key()) pause = std::min<Duration>(pause, std::chrono::seconds(1));
    if (!dirty_) co_await changed_.wait_for(pause, stop);
    if (done) pause = std::chrono::milliseconds(100);
  }
}

// The plugin makes a pod's device once it has been answered, within milliseconds where the machine is not busy. Until
// it is found, the pod's connections take the long way.
Task<void> OverlayAgent::lead_new_pods(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (!new_pods_) co_await wired_.wait(stop);
    new_pods_ = false;
    for (auto pause : {200, 1000, 4000}) {
      co_await sleep_for(std::chrono::milliseconds(pause), stop);
      if (stop.stop_requested()) co_return;
      core_.lead_new_pods();
    }
  }
}

Task<Result<void>> OverlayAgent::publish() {
  if (!nodes_ || !nodes_->synced()) co_return Result<void>{};
  auto node = nodes_->get(options_.core.node_name);
  if (!node) co_return Result<void>{};
  auto underlay = options_.core.underlay.text(), mac = core_.vtep_mac().text();
  if (json::str(*node, "metadata", "annotations", kUnderlayAnnotation) == underlay &&
      json::str(*node, "metadata", "annotations", kVtepMacAnnotation) == mac) {
    co_return Result<void>{};
  }
  json::Value patch;
  json::set(patch, underlay, "metadata", "annotations", kUnderlayAnnotation);
  json::set(patch, mac, "metadata", "annotations", kVtepMacAnnotation);
  LAB_CO_TRY(auto written, co_await options_.client->patch(client::res::nodes, "", options_.core.node_name,
                                                           client::PatchType::kMerge, std::move(patch)));
  nodes_->observe(std::move(written));
  co_return Result<void>{};
}

Result<void> OverlayAgent::clean_up(const std::string& cni_dir) {
  LAB_CHECK(remove_conflist(cni_dir));
  LAB_CHECK(policy::PolicyAgent::clean_up());
  LAB_CHECK(Datapath::clean_up());
  return remove_firewall();
}

}  // namespace lab::overlay
