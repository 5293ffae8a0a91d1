#include "overlay-net/agent/core.h"

#include <netinet/in.h>

#include <algorithm>

#include "base/fs.h"
#include "base/log.h"
#include "base/netlink/conntrack.h"

namespace lab::overlay {
namespace {

std::string owner_of(const std::string& container_id, const std::string& ifname) {
  return container_id + "/" + ifname;
}

// The way its packets take, for people.
void add_path(json::Value& peer, const PathStatus& s) {
  json::set(peer, name_of(s.path), "path");
  json::set(peer, s.established, "pathEstablished");
  json::set(peer, s.encrypted, "encrypted");
  json::set(peer, s.mtu, "mtu");
  if (!s.via.empty()) json::set(peer, s.via, "via");
  if (!s.why.empty()) json::set(peer, s.why, "why");
}

json::Value peer_json(const Peer& p) {
  json::Object out{
      {"name", p.name}, {"address", p.underlay.text()}, {"podCIDR", p.pod_cidr.text()}, {"vtepMAC", p.vtep_mac.text()}};
  if (!p.ranges.empty()) {
    json::Array ranges;
    for (const auto& r : p.ranges) ranges.push_back(json::Value(r.text()));
    out["ranges"] = std::move(ranges);
  }
  return out;
}

Peer peer_from(const json::Value& v) {
  Peer p{std::string(json::str(v, "name"))};
  p.underlay = IpAddress::parse(json::str(v, "address")).value_or(IpAddress());
  p.pod_cidr = Cidr::parse(json::str(v, "podCIDR")).value_or(Cidr());
  p.vtep_mac = MacAddress::parse(json::str(v, "vtepMAC")).value_or(MacAddress());
  return p;
}

// A UDP flow to a host port stays bound to the pod it went to; the next pod on that port must get new ones.
void forget_flows_to(const IpAddress& pod) {
  auto done = conntrack_remove(IPPROTO_UDP,
                               [&](const ConntrackFlow& f) { return f.reply_source == pod && f.destination != pod; });
  if (!done) log::warn("stale UDP flows stay", {{"pod", pod.text()}, {"error", done.error().text()}});
}

}  // namespace

AgentCore::AgentCore(CoreOptions options) : options_(std::move(options)) {
  recall();
}

void AgentCore::use_ring(ring::RingAllocator& ring) {
  std::lock_guard lock(mutex_);
  ring_ = &ring;
  pod_cidr_ = ring.range();
  allocator_ = std::shared_ptr<Allocator>(&ring, [](Allocator*) {});
}

void AgentCore::set_pod_cidr(Cidr pod_cidr) {
  std::lock_guard lock(mutex_);
  if (ring_ || pod_cidr.empty() || pod_cidr.network() == pod_cidr_) return;
  if (!pod_cidr_.empty()) {
    log::warn("this node's pod range changed; pods keep their addresses until they are made anew",
              {{"from", pod_cidr_.text()}, {"to", pod_cidr.text()}});
  }
  pod_cidr_ = pod_cidr.network();
  datapath_.reset();
  allocator_.reset();
}

void AgentCore::use_paths(Paths& paths) {
  std::lock_guard lock(mutex_);
  paths_ = &paths;
}

void AgentCore::set_next_hops(std::map<std::string, std::string> next_hops) {
  std::lock_guard lock(mutex_);
  next_hops_ = std::move(next_hops);
}

void AgentCore::set_peers(std::vector<Peer> peers) {
  std::lock_guard lock(mutex_);
  std::ranges::sort(peers, {}, &Peer::name);
  peers_ = std::move(peers);
}

Result<void> AgentCore::reconcile() {
  std::lock_guard lock(mutex_);
  auto done = reconcile_locked();
  auto problem = done ? std::string() : done.error().text();
  if (problem != problem_ && !problem.empty()) log::warn("pod network is not up", {{"reason", problem}});
  problem_ = problem;
  return done;
}

Result<void> AgentCore::reconcile_locked() {
  LAB_CHECK(open_parts());
  auto peers = peers_;
  std::vector<Cidr> local;
  if (ring_) {
    for (auto& p : peers) p.ranges = ring_->ranges_of(p.name);
    local = ring_->ranges_of(options_.node_name);
  }
  prepare_wireguard(peers);
  if (paths_) datapath_->use_sleeve(paths_->sleeved());
  LAB_TRY(auto report, datapath_->reconcile(peers, local));
  if (paths_) paths_->set_peers(peers, report.mtu, next_hops_);
  if (wireguard_) wireguard_->prune();
  report.warnings.insert(report.warnings.end(), wireguard_warnings_.begin(), wireguard_warnings_.end());
  for (const auto& w : report.warnings) {
    if (std::ranges::find(report_.warnings, w) == report_.warnings.end()) log::warn(w);
  }
  if (report.changes) {
    log::info(
        "pod network programmed",
        {{"peers", peers_.size()}, {"changes", report.changes}, {"mtu", report.mtu}, {"range", pod_cidr_.text()}});
  }
  report_ = std::move(report);
  LAB_CHECK(update_firewall());
  lead_new_pods_locked();
  LAB_CHECK(install_conflist(options_.cni_dir, options_.socket_path));
  programmed_ = std::move(peers);
  ready_ = true;
  remember();
  return {};
}

Result<void> AgentCore::open_parts() {
  if (pod_cidr_.empty()) {
    return fail(Code::kUnavailable, "this node has no pod range yet",
                "Node.spec.podCIDR is set by the node IPAM controller: check --pod-network-cidr and the controllers");
  }
  if (!allocator_) {
    LAB_TRY(allocator_, RangeAllocator::open(fs::join(options_.state_dir, "addresses.journal"), pod_cidr_));
  }
  if (ring_ && gateway_.empty()) {
    LAB_TRY(auto own, ring_->allocate(kGatewayOwner, ""));
    gateway_ = own.address;
  }
  if (!datapath_) {
    DatapathConfig config{.vni = options_.vni,
                          .port = options_.port,
                          .underlay = options_.underlay,
                          .pod_cidr = pod_cidr_,
                          .vtep_mac = vtep_mac(),
                          .gateway = gateway_,
                          .encrypted = paths_ && paths_->encrypts()};
    LAB_TRY(auto datapath, Datapath::open(std::move(config)));
    datapath_.emplace(std::move(datapath));
  }
  if (!flows_ && flows_off_.empty()) open_flow_cache();
  return {};
}

// It is a matter of speed alone: without it all goes the long way.
void AgentCore::open_flow_cache() {
  const auto& devices = datapath_->config();
  if (!options_.flow_cache) {
    flows_off_ = "turned off";
    if (auto done = FlowCache::detach({devices.vxlan, devices.sleeve}, devices.bridge); !done) {
      log::warn("the flow cache of a run before stays", {{"error", done.error().text()}});
    }
    return;
  }
  auto opened = FlowCache::open();
  if (opened) {
    flows_.emplace(std::move(*opened));
  } else {
    flows_off_ = opened.error().text();
    log::info("established connections pass all chains: there is no flow cache", {{"reason", flows_off_}});
  }
}

void AgentCore::lead_new_pods() {
  std::lock_guard lock(mutex_);
  lead_new_pods_locked();
}

void AgentCore::lead_new_pods_locked() {
  if (!flows_ || !datapath_) return;
  const auto& devices = datapath_->config();
  auto done = flows_->attach({devices.vxlan, devices.sleeve}, devices.bridge);
  if (!done) log::warn("pods are not taken into the flow cache", {{"error", done.error().text()}});
}

Result<void> AgentCore::update_firewall() {
  FirewallState state{
      .pod_cidr = pod_cidr_, .host_ports = host_ports(), .underlay = options_.underlay, .tunnel_port = options_.port};
  for (const auto& p : peers_) {
    if (!ring_) state.cluster_cidrs.push_back(p.pod_cidr);
  }
  state.marks_established = flows_.has_value();
  if (paths_ && paths_->encrypts()) state.only_through = {datapath_->config().sleeve, datapath_->config().wireguard};
  std::erase_if(state.cluster_cidrs, [](const Cidr& c) { return !c.address.is_v4(); });
  auto script = firewall_script(state);
  if (script == firewall_) return {};
  LAB_CHECK(apply_firewall(state));
  firewall_ = std::move(script);
  return {};
}

std::vector<HostPort> AgentCore::host_ports() const {
  std::vector<HostPort> out;
  for (const auto& a : allocator_->all()) {
    auto note = json::parse(a.note);
    if (!note) continue;
    auto request = pod_request_from(*note);
    if (!request) continue;
    for (const auto& p : request->ports) {
      out.push_back({p.protocol, static_cast<std::uint16_t>(p.host_port),
                     IpAddress::parse(p.host_ip).value_or(IpAddress()), a.address,
                     static_cast<std::uint16_t>(p.container_port)});
    }
  }
  return out;
}

Failure AgentCore::not_ready() const {
  return fail(Code::kUnavailable, "the pod network of this node is not up" + (problem_.empty() ? "" : ": " + problem_));
}

PodNetwork AgentCore::network_of(const Allocation& a) const {
  if (ring_) return {Cidr::host(a.address), gateway_, datapath_->config().bridge, report_.mtu};
  return {{a.address, pod_cidr_.prefix}, gateway_address(pod_cidr_), datapath_->config().bridge, report_.mtu};
}

Result<PodNetwork> AgentCore::add_pod(const PodRequest& request) {
  std::lock_guard lock(mutex_);
  if (!ready_ || !allocator_ || !datapath_) return not_ready();
  auto owner = owner_of(request.container_id, request.ifname);
  LAB_TRY(auto allocation, allocator_->allocate(owner, json::dump(to_json(request))));
  if (!request.ports.empty()) {
    if (auto done = update_firewall(); !done) {
      (void)allocator_->release(owner);
      return std::unexpected(std::move(done).error().with_context("host ports"));
    }
  }
  return network_of(allocation);
}

Result<PodNetwork> AgentCore::find_pod(const std::string& container_id, const std::string& ifname) {
  std::lock_guard lock(mutex_);
  if (!ready_ || !allocator_ || !datapath_) return not_ready();
  auto found = allocator_->find(owner_of(container_id, ifname));
  if (!found) return fail(Code::kNotFound, "no address is allocated for " + owner_of(container_id, ifname));
  return network_of(*found);
}

Result<void> AgentCore::remove_pod(const std::string& container_id, const std::string& ifname) {
  std::lock_guard lock(mutex_);
  if (!allocator_) return not_ready();
  auto owner = owner_of(container_id, ifname);
  auto found = allocator_->find(owner);
  if (!found) return {};
  LAB_CHECK(allocator_->release(owner));
  if (found->note.find("\"hostPort\"") == std::string::npos) return {};
  LAB_CHECK(update_firewall());
  forget_flows_to(found->address);
  return {};
}

std::vector<policy::WiredPod> AgentCore::wired_pods() const {
  std::lock_guard lock(mutex_);
  std::vector<policy::WiredPod> out;
  if (!allocator_) return out;
  for (const auto& a : allocator_->all()) {
    auto note = json::parse(a.note);
    if (!note) continue;
    auto request = pod_request_from(*note);
    if (request && !request->pod_name.empty()) out.push_back({request->pod_namespace, request->pod_name, a.address});
  }
  return out;
}

Cidr AgentCore::pod_cidr() const {
  std::lock_guard lock(mutex_);
  return pod_cidr_;
}

std::vector<Peer> AgentCore::peers() const {
  std::lock_guard lock(mutex_);
  return peers_;
}

bool AgentCore::ready() const {
  std::lock_guard lock(mutex_);
  return ready_;
}

bool AgentCore::may_get_space() const {
  std::lock_guard lock(mutex_);
  return ring_ != nullptr;
}

bool AgentCore::has_pod_cidr() const {
  std::lock_guard lock(mutex_);
  return !pod_cidr_.empty();
}

json::Value AgentCore::status() const {
  std::lock_guard lock(mutex_);
  json::Array peers, warnings;
  // Those that traffic flows to, not those that are about to be programmed.
  std::map<std::string, PathStatus> paths;
  if (paths_) {
    for (auto& s : paths_->status()) paths.emplace(s.peer, std::move(s));
  }
  for (const auto& p : programmed_) {
    peers.push_back(peer_json(p));
    if (auto s = paths.find(p.name); s != paths.end()) add_path(peers.back(), s->second);
  }
  for (const auto& w : report_.warnings) warnings.push_back(json::Value(w));
  const json::Value wireguard = wireguard_ ? wireguard_status() : json::Value();
  auto usage = allocator_ ? allocator_->usage() : AllocatorUsage{};
  return json::Object{{"node", options_.node_name},
                      {"ready", ready_ && problem_.empty()},
                      {"problem", problem_},
                      {"address", options_.underlay.text()},
                      {"podCIDR", pod_cidr_.empty() ? "" : pod_cidr_.text()},
                      {"vtepMAC", vtep_mac().text()},
                      {"vni", options_.vni},
                      {"port", options_.port},
                      {"mtu", report_.mtu},
                      {"peers", std::move(peers)},
                      {"warnings", std::move(warnings)},
                      {"encrypts", paths_ && paths_->encrypts()},
                      {"wireguard", wireguard},
                      {"flowCache", flows_ ? "on" : "off: " + flows_off_},
                      {"ipam", json::Object{{"total", usage.total}, {"used", usage.used}}}};
}

std::string AgentCore::metrics() const {
  std::lock_guard lock(mutex_);
  auto usage = allocator_ ? allocator_->usage() : AllocatorUsage{};
  auto gauge = [](const std::string& name, const std::string& help, std::uint64_t value) {
    return "# HELP " + name + " " + help + "\n# TYPE " + name + " gauge\n" + name + " " + std::to_string(value) + "\n";
  };
  return gauge("lab_overlay_ready", "1 when pods can be wired.", ready_ && problem_.empty()) +
         gauge("lab_overlay_peers", "Nodes that this node exchanges pod traffic with.", programmed_.size()) +
         gauge("lab_overlay_addresses_total", "Pod addresses of this node.", usage.total) +
         gauge("lab_overlay_addresses_used", "Pod addresses in use.", usage.used) +
         gauge("lab_overlay_flow_cache", "1 when established connections of pods pass by the flow cache.",
               flows_.has_value()) +
         gauge("lab_overlay_mtu_bytes", "MTU of pods.", report_.mtu) + (paths_ ? paths_->metrics() : "");
}

// What a start without the API server needs. Losing it is no loss once the API server answers.
void AgentCore::remember() {
  json::Array peers;
  for (const auto& p : peers_) peers.push_back(peer_json(p));
  auto text = json::dump(json::Object{{"podCIDR", ring_ ? "" : pod_cidr_.text()}, {"peers", std::move(peers)}});
  if (text == remembered_) return;
  auto done = fs::write_file(fs::join(options_.state_dir, "peers.json"), text, 0600);
  if (done) {
    remembered_ = std::move(text);
  } else {
    log::warn("peers are not remembered for the next start", {{"error", done.error().text()}});
  }
}

void AgentCore::recall() {
  auto text = fs::read_file(fs::join(options_.state_dir, "peers.json"));
  if (!text) return;
  auto state = json::parse(*text);
  if (!state) return;
  if (auto cidr = Cidr::parse(json::str(*state, "podCIDR"))) pod_cidr_ = cidr->network();
  for (const auto& p : json::list(*state, "peers")) peers_.push_back(peer_from(p));
  remembered_ = std::move(*text);
}

}  // namespace lab::overlay
