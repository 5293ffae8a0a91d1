#include "overlay-net/ring/ring_allocator.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/fs.h"
#include "base/log.h"

namespace lab::overlay::ring {

class RingAllocator::File final : public RingStore {
 public:
  explicit File(std::string path) : path_(std::move(path)) {}
  Result<void> save(const std::string& bytes) override { return fs::write_file(path_, bytes, 0600); }
  Result<std::string> load() const { return fs::exists(path_) ? fs::read_file(path_) : std::string(); }

 private:
  std::string path_;
};

RingAllocator::RingAllocator(RingAllocatorOptions options) : options_(std::move(options)) {}

RingAllocator::~RingAllocator() {
  *alive_ = false;
}

Result<std::unique_ptr<RingAllocator>> RingAllocator::open(RingAllocatorOptions options) {
  options.ring.range = options.ring.range.network();
  std::unique_ptr<RingAllocator> out(new RingAllocator(std::move(options)));
  const auto& dir = out->options_.state_dir;
  LAB_CHECK(fs::make_dirs(dir));
  LAB_TRY(out->journal_, AddressJournal::open(fs::join(dir, "ring-addresses.journal")));
  auto path = fs::join(dir, "ring.state");
  out->file_ = std::make_unique<File>(path);
  LAB_TRY(auto saved, out->file_->load());
  auto config = out->options_.ring;
  config.tell = [](const std::string& line) { log::info("ring: " + line); };
  auto peer = RingPeer::open(std::move(config), *out->file_, saved);
  if (!peer) return std::unexpected(std::move(peer).error().with_context(path));
  out->peer_ = std::move(*peer);
  const auto& latest = out->journal_->latest();
  for (const auto& [owner, a] : out->journal_->by_owner()) {
    out->peer_->claim(a.address.v4_value(), a.address == latest);
  }
  return out;
}

void RingAllocator::attach(Gossip& gossip) {
  std::lock_guard lock(mutex_);
  peer_->attach(gossip);
}

void RingAllocator::start(Scope& scope) {
  scope.spawn("ring", keep_ticking(scope.token()));
}

Task<void> RingAllocator::keep_ticking(std::stop_token stop) {
  while (!stop.stop_requested()) {
    tick();
    (void)co_await sleep_for(options_.tick, stop);
  }
}

void RingAllocator::tick() {
  std::lock_guard lock(mutex_);
  peer_->tick();
}

// Asking goes through the mesh, and so happens on its loop.
void RingAllocator::nudge() {
  options_.loop->post([this, alive = alive_] {
    if (!*alive) return;
    std::lock_guard lock(mutex_);
    peer_->ask_now();
  });
}

Result<Allocation> RingAllocator::allocate(const std::string& owner, const std::string& note) {
  std::lock_guard lock(mutex_);
  if (auto found = journal_->find(owner)) return *found;
  auto address = peer_->take();
  if (!address) {
    nudge();
    return fail(Code::kTooManyRequests, "no free address in the ring: " + peer_->why_no_space(),
                "it is tried again; 'lab net status ipam' shows who has space");
  }
  Allocation a{owner, IpAddress::v4(*address), note};
  if (auto written = journal_->add(a); !written) {
    peer_->give_back(*address);
    return std::unexpected(std::move(written).error());
  }
  return a;
}

Result<void> RingAllocator::release(const std::string& owner) {
  std::lock_guard lock(mutex_);
  auto found = journal_->find(owner);
  if (!found) return {};
  LAB_CHECK(journal_->remove(owner));
  peer_->give_back(found->address.v4_value());
  return {};
}

std::optional<Allocation> RingAllocator::find(const std::string& owner) const {
  std::lock_guard lock(mutex_);
  return journal_->find(owner);
}

std::vector<Allocation> RingAllocator::all() const {
  std::lock_guard lock(mutex_);
  return journal_->all();
}

AllocatorUsage RingAllocator::usage() const {
  std::lock_guard lock(mutex_);
  AllocatorUsage out{.used = journal_->by_owner().size()};
  for (const auto& s : peer_->owned()) out.total += s.size();
  return out;
}

std::string RingAllocator::complete() {
  std::lock_guard lock(mutex_);
  return peer_->complete();
}

Result<std::string> RingAllocator::merge(PeerName from, std::string_view update) {
  std::lock_guard lock(mutex_);
  return peer_->merge(from, update);
}

Result<void> RingAllocator::received(PeerName from, std::string_view message) {
  std::lock_guard lock(mutex_);
  return peer_->received(from, message);
}

void RingAllocator::peer_gone(PeerName peer) {
  std::lock_guard lock(mutex_);
  peer_->peer_gone(peer);
}

Result<void> RingAllocator::remove(const std::string& peer) {
  std::lock_guard lock(mutex_);
  return peer_->remove(peer);
}

Result<void> RingAllocator::leave(const std::string& last) {
  std::lock_guard lock(mutex_);
  auto kept = journal_->find(last);
  if (kept) peer_->give_back(kept->address.v4_value());
  auto done = peer_->leave();
  if (done) return journal_->remove(last);
  if (kept) peer_->claim(kept->address.v4_value());
  return done;
}

std::vector<Cidr> RingAllocator::ranges_of(const std::string& nickname) const {
  std::lock_guard lock(mutex_);
  std::vector<Cidr> out;
  for (const auto& m : peer_->state().members) {
    if (m.nickname != nickname) continue;
    for (const auto& s : peer_->state().spans_of(m.id)) {
      for (const auto& c : prefixes(s)) out.push_back(c);
    }
  }
  return out;
}

std::vector<std::string> RingAllocator::nicknames() const {
  std::lock_guard lock(mutex_);
  std::set<std::string> out;
  for (const auto& m : peer_->state().members) {
    if (!peer_->state().removed(m.id) && !m.nickname.empty()) out.insert(m.nickname);
  }
  return {out.begin(), out.end()};
}

json::Value RingAllocator::status() const {
  std::lock_guard lock(mutex_);
  json::Array peers;
  auto total = range().size();
  for (const auto& s : peer_->shares()) {
    if (s.removed && s.owned == 0) continue;
    bool self = s.id == peer_->id();
    json::Object peer{{"name", s.id.text()},
                      {"nickname", s.nickname},
                      {"self", self},
                      {"owned", s.owned},
                      {"percent", std::round(1000.0 * double(s.owned) / double(total)) / 10},
                      {"free", s.free},
                      {"registered", s.registered},
                      {"removed", s.removed}};
    if (self) peer["used"] = journal_->by_owner().size();
    peers.push_back(std::move(peer));
  }
  return json::Object{{"range", range().text()},
                      {"total", total},
                      {"problem", peer_->is_member() ? std::string() : peer_->why_no_space()},
                      {"peers", std::move(peers)}};
}

}  // namespace lab::overlay::ring
