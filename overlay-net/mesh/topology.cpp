#include "overlay-net/mesh/topology.h"

#include <algorithm>
#include <deque>

namespace lab::overlay {
namespace {

// Far beyond what a peer can count to; a record beyond is forged, and would leave no version to outbid it with.
constexpr std::uint64_t kMaxVersion = std::uint64_t{1} << 62;
// Runs of this name that are remembered; a name is taken over by a restart now and then only.
constexpr std::size_t kMaxOutbid = 64;
constexpr int kTimesOfARestart = 3;

}  // namespace

bool is_newer(std::uint64_t version, std::uint64_t uid, const PeerRecord& than) {
  return version != than.version ? version > than.version : uid > than.id.uid;
}

Topology::Topology(PeerIdentity self) : self_(self.name) {
  peers_[self_] = {.id = std::move(self), .version = 1};
}

void Topology::changed() {
  ++generation_;
}

void Topology::own_change() {
  ++peers_.at(self_).version;
  changed();
}

void Topology::add_link(PeerName to, bool dialled) {
  auto& links = peers_.at(self_).links;
  auto it = links.find(to);
  if (it != links.end() && it->second == dialled) return;
  links[to] = dialled;
  own_change();
}

void Topology::remove_link(PeerName to) {
  if (peers_.at(self_).links.erase(to)) own_change();
}

void Topology::set_info(std::string info) {
  auto& mine = peers_.at(self_);
  if (mine.info == info || info.size() > kMaxInfo) return;
  mine.info = std::move(info);
  own_change();
}

bool Topology::assert_self() {
  if (contested_ == 0) return false;
  auto& mine = peers_.at(self_);
  mine.version = std::max(mine.version, contested_);
  contested_ = 0;
  own_change();
  for (auto& [uid, o] : outbid_) o.version = std::max(o.version, mine.version);
  return true;
}

// Seldom is a restart: records of the run before are still about. A run that answers each time it is outbid is alive.
void Topology::note_own_name(const PeerRecord& record) {
  const auto& mine = peers_.at(self_);
  if (record.version < mine.version || (record.id.uid == mine.id.uid && record.version == mine.version)) return;
  contested_ = std::max(contested_, record.version);
  if (record.id.uid == mine.id.uid) return;
  if (!outbid_.contains(record.id.uid) && outbid_.size() >= kMaxOutbid) return;
  auto& seen = outbid_[record.id.uid];
  if (record.version > seen.version && ++seen.times > kTimesOfARestart) clash_ = NameClash{record.id};
  seen.version = std::max(seen.version, record.version);
}

Result<std::vector<PeerName>> Topology::merge(const std::vector<PeerRecord>& records) {
  for (const auto& r : records) {
    if (r.version > kMaxVersion) {
      return fail(Code::kInvalid, "the record of peer " + text(r.id.name) + " has a version that no peer can reach");
    }
  }
  std::vector<PeerName> news;
  for (const auto& r : records) {
    if (r.id.name == self_) {
      note_own_name(r);
      continue;
    }
    auto it = peers_.find(r.id.name);
    if (it != peers_.end() && !is_newer(r.version, r.id.uid, it->second)) continue;
    if (it == peers_.end() && peers_.size() >= kMaxPeers) continue;
    peers_[r.id.name] = r;
    news.push_back(r.id.name);
  }
  if (!news.empty()) changed();
  return news;
}

std::vector<PeerName> Topology::forget_unreachable() {
  std::set<PeerName> seen{self_};
  std::deque<PeerName> queue{self_};
  while (!queue.empty()) {
    auto it = peers_.find(queue.front());
    queue.pop_front();
    if (it == peers_.end()) continue;
    // What one side says is enough: the other's record may be on its way.
    for (const auto& [to, dialled] : it->second.links) {
      if (seen.insert(to).second) queue.push_back(to);
    }
  }
  std::vector<PeerName> gone;
  for (const auto& [name, record] : peers_) {
    if (!seen.contains(name)) gone.push_back(name);
  }
  for (const auto& name : gone) peers_.erase(name);
  if (!gone.empty()) changed();
  return gone;
}

const PeerRecord* Topology::find(PeerName name) const {
  auto it = peers_.find(name);
  return it == peers_.end() ? nullptr : &it->second;
}

bool Topology::claims_link(PeerName from, PeerName to) const {
  const auto* record = find(from);
  return record && record->links.contains(to);
}

bool Topology::has_link(PeerName a, PeerName b) const {
  return claims_link(a, b) && claims_link(b, a);
}

const std::map<PeerName, Topology::Route>& Topology::routes() const {
  if (routes_of_ == generation_) return routes_;
  routes_of_ = generation_;
  routes_.clear();
  routes_[self_] = {};
  std::deque<PeerName> queue{self_};
  while (!queue.empty()) {
    auto at = queue.front();
    queue.pop_front();
    auto it = peers_.find(at);
    if (it == peers_.end()) continue;
    auto here = routes_.at(at);
    // Links are in the order of names, and so are those that are reached through them.
    for (const auto& [to, dialled] : it->second.links) {
      if (routes_.contains(to) || !claims_link(to, at)) continue;
      routes_[to] = {at == self_ ? to : here.via, here.distance + 1};
      queue.push_back(to);
    }
  }
  return routes_;
}

std::optional<PeerName> Topology::next_hop(PeerName to) const {
  auto it = routes().find(to);
  if (to == self_ || it == routes().end()) return std::nullopt;
  return it->second.via;
}

std::optional<int> Topology::distance(PeerName to) const {
  auto it = routes().find(to);
  if (it == routes().end()) return std::nullopt;
  return it->second.distance;
}

std::string encode_records(const std::vector<const PeerRecord*>& records) {
  Writer out;
  out.u16(static_cast<std::uint16_t>(records.size()));
  for (const auto* r : records) {
    encode(out, r->id);
    out.u64(r->version).text(r->info).u16(static_cast<std::uint16_t>(r->links.size()));
    for (const auto& [to, dialled] : r->links) out.name(to).u8(dialled);
  }
  return out.take();
}

Result<std::vector<PeerRecord>> decode_records(std::string_view bytes) {
  Reader in(bytes);
  std::size_t count = in.u16();
  if (count > kMaxPeers) return fail(Code::kInvalid, "a topology of " + std::to_string(count) + " peers");
  std::vector<PeerRecord> out;
  while (out.size() < count && in.good()) {
    PeerRecord r;
    LAB_TRY(r.id, decode_identity(in));
    r.version = in.u64();
    r.info = in.text(kMaxInfo);
    std::size_t links = in.u16();
    if (links > kMaxPeers) return fail(Code::kInvalid, "a peer with " + std::to_string(links) + " connections");
    for (std::size_t i = 0; i < links && in.good(); ++i) {
      auto to = in.name();
      r.links[to] = in.u8() != 0;
    }
    out.push_back(std::move(r));
  }
  if (!in.done() || out.size() != count) return fail(Code::kInvalid, "a message about peers is cut short or too long");
  return out;
}

std::string encode_digest(const Topology& topology) {
  Writer out;
  for (const auto& [name, r] : topology.peers()) out.name(name).u64(r.version).u64(r.id.uid);
  return out.take();
}

Result<std::vector<RecordVersion>> decode_digest(std::string_view bytes) {
  constexpr std::size_t kEntry = 6 + 8 + 8;
  if (bytes.size() % kEntry != 0 || bytes.size() / kEntry > kMaxPeers) {
    return fail(Code::kInvalid, "a digest of " + std::to_string(bytes.size()) + " bytes");
  }
  Reader in(bytes);
  std::vector<RecordVersion> out(bytes.size() / kEntry);
  for (auto& v : out) {
    v.name = in.name();
    v.version = in.u64();
    v.uid = in.u64();
  }
  return out;
}

}  // namespace lab::overlay
