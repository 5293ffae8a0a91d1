// The agent's use of the ring of pod addresses.
#include <algorithm>
#include <random>

#include "base/log.h"
#include "overlay-net/agent/agent.h"

namespace lab::overlay {

Result<void> OverlayAgent::open_ring(Scope& scope) {
  ring::RingAllocatorOptions options{.state_dir = options_.core.state_dir, .loop = loop_};
  options.ring.self = peer_name_of(options_.core.node_name);
  options.ring.nickname = options_.core.node_name;
  options.ring.range = options_.ring->range;
  for (const auto& name : options_.ring->founders) options.ring.founders.push_back(peer_name_of(name));
  options.ring.seed = std::random_device{}();
  options.ring.on_owners_changed = [this] {
    loop_->post([this] {
      dirty_ = true;
      changed_.notify();
    });
  };
  LAB_TRY(ring_, ring::RingAllocator::open(std::move(options)));
  ring_->attach(mesh_->join("ipam", *ring_));
  ring_->start(scope);
  core_.use_ring(*ring_);
  return {};
}

// A Node that was there and is deleted: whoever sees that first becomes heir; of several the ring chooses one. While
// the peer can still be reached it is not dead, and this is tried again with the next look at the Nodes.
void OverlayAgent::remove_deleted_nodes(const std::vector<std::string>& names) {
  for (const auto& name : names) nodes_seen_.insert(name);
  std::erase_if(nodes_seen_, [&](const std::string& name) {
    if (std::ranges::find(names, name) != names.end()) return false;
    auto done = ring_->remove(name);
    if (done) log::info("its Node is deleted: removed from the ring", {{"peer", name}});
    return done || done.error().code == Code::kNotFound;
  });
}

Result<void> OverlayAgent::remove_from_ring(const std::string& peer) {
  auto done = ring_->remove(peer);
  // A founder that never was up is known by the name that its node's name gives.
  if (!done && done.error().code == Code::kNotFound && ring_->remove(text(peer_name_of(peer)))) return {};
  return done;
}

Task<void> OverlayAgent::change_ring(std::string method, std::string peer, http::ResponseWriter& writer) {
  Loop& here = *Loop::current();
  co_await resume_on(*loop_);
  Result<void> done;
  if (!ring_) {
    done = fail(Code::kConflict, "this node's addresses do not come out of a ring",
                "it has the range that its Node names; deleting the Node frees it");
  } else {
    done = method == "POST" ? ring_->leave(kGatewayOwner) : remove_from_ring(peer);
    // Who asked may end this process with the answer in hand: the others have to have heard by then.
    if (done && mesh_) co_await mesh_->flush();
  }
  co_await resume_on(here);
  auto body = done ? json::Object{} : json::Object{{"message", done.error().text()}};
  http::Response response{done ? 200 : http_status_of(done.error().code), {{"Content-Type", "application/json"}}, {}};
  response.body.push_back(http::buffer(json::dump(body)));
  (void)co_await writer.send(std::move(response));
}

json::Value OverlayAgent::ring_report() const {
  auto out = ring_->status();
  json::Array peers;
  for (const auto& p : json::list(out, "peers")) {
    auto peer = p;
    auto nickname = std::string(json::str(p, "nickname"));
    bool in_reach = json::flag(p, "self") || mesh_->router().topology().find(peer_name_of(nickname));
    json::set(peer, in_reach && !json::flag(p, "removed"), "reachable");
    peers.push_back(std::move(peer));
  }
  json::set(out, std::move(peers), "peers");
  return out;
}

}  // namespace lab::overlay
