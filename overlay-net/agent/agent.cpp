#include "overlay-net/agent/agent.h"

#include "base/fs.h"
#include "base/log.h"
#include "overlay-net/agent/api.h"

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
  // A host that has just booted has nothing in /run yet.
  LAB_CHECK(fs::make_dirs(options_.core.socket_path.substr(0, options_.core.socket_path.rfind('/'))));
  LAB_TRY(server_, http::Server::start({.address = "unix:" + options_.core.socket_path, .threads = 1},
                                       [this](http::Request request, http::ResponseWriter& writer) {
                                         return serve_agent_api(core_, std::move(request), writer);
                                       }));
  if (options_.client) {
    nodes_ = std::make_unique<client::Informer>(*options_.client, client::res::nodes);
    nodes_->on_change([this](const client::ObjectPtr&, const client::ObjectPtr&) {
      dirty_ = true;
      changed_.notify();
    });
    nodes_->start(scope);
  }
  scope.spawn("overlay", keep_reconciled(scope.token()));
  return {};
}

void OverlayAgent::set_peers(std::vector<Peer> peers) {
  core_.set_peers(std::move(peers));
  dirty_ = true;
  changed_.notify();
}

// Until the first list is complete, what the state directory remembers holds: a half-filled list would cut off peers.
void OverlayAgent::take_nodes() {
  if (!nodes_ || !nodes_->synced()) return;
  std::vector<Peer> peers;
  for (const auto& node : nodes_->list()) {
    auto peer = peer_of_node(*node);
    if (peer.name != options_.core.node_name) {
      if (!peer.pod_cidr.empty()) peers.push_back(std::move(peer));
    } else if (options_.pod_cidr.empty()) {
      core_.set_pod_cidr(peer.pod_cidr);
    }
  }
  core_.set_peers(std::move(peers));
}

Task<void> OverlayAgent::keep_reconciled(std::stop_token stop) {
  // What is remembered holds until the API server answers; with nothing remembered, there is nothing to do before.
  if (nodes_ && !core_.has_pod_cidr()) co_await nodes_->wait_synced(stop);
  Duration pause = std::chrono::milliseconds(100);
  while (!stop.stop_requested()) {
    dirty_ = false;
    take_nodes();
    auto done = core_.reconcile();
    if (auto published = co_await publish(); !published && done) done = std::move(published);
    // A failure is tried again soon, then less often, up to the usual interval.
    pause = done ? options_.resync : std::min<Duration>(pause * 2, options_.resync);
    if (!dirty_) co_await changed_.wait_for(pause, stop);
    if (done) pause = std::chrono::milliseconds(100);
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
  LAB_CHECK(Datapath::clean_up());
  return remove_firewall();
}

}  // namespace lab::overlay
