#include "overlay-net/mesh/router.h"

#include <algorithm>
#include <cmath>

namespace lab::overlay {
namespace {

enum Type : std::uint8_t { kPing = 1, kPong, kDigest, kRecords, kWanted, kBroadcast, kComplete, kUnicast };

constexpr std::size_t kMaxChannelName = 32;
constexpr std::uint8_t kMaxHops = 32;
// How often a peer outbids another one of its name: two that live would do nothing else.
constexpr Duration kAssertEvery = std::chrono::seconds(1);
constexpr Duration kClashShown = std::chrono::minutes(1);
constexpr Duration kMaxSettle = std::chrono::milliseconds(500);

Message make(Type type, std::string_view body) {
  auto out = std::make_shared<std::string>();
  out->reserve(body.size() + 1);
  *out += static_cast<char>(type);
  out->append(body);
  return out;
}

std::int64_t ticks(TimePoint t) {
  return t.time_since_epoch().count();
}

}  // namespace

struct Router::Channel final : Gossip {
  Channel(Router& r, std::string n, Gossiper& g) : router(r), name(std::move(n)), gossiper(g) {}
  void broadcast(std::string update) override {
    if (update.empty() || update.size() > kMaxGossip) return;
    router.relay(name, router.topology_.self().id.name, update, 0);
  }
  Result<void> send(PeerName to, std::string message) override {
    if (message.size() > kMaxGossip) return fail(Code::kTooLarge, "a message of more than 10 MiB");
    if (to == router.topology_.self().id.name) return fail(Code::kInvalid, "a message of a peer to itself");
    return router.route(router.topology_.self().id.name, to, kMaxHops, name, message);
  }
  Router& router;
  std::string name;
  Gossiper& gossiper;
};

Router::Router(PeerIdentity self, RouterTimes times, std::uint64_t seed, Send send, Drop drop)
    : times_(times), random_(seed), send_(std::move(send)), drop_(std::move(drop)), topology_(std::move(self)) {}
Router::~Router() = default;

Gossip& Router::join(std::string channel, Gossiper& gossiper) {
  auto& slot = channels_[channel];
  slot = std::make_unique<Channel>(*this, channel, gossiper);
  return *slot;
}

Result<void> Router::link_up(LinkId id, const PeerIdentity& remote, bool dialled, TimePoint now) {
  const auto& self = topology_.self().id;
  if (remote.name == self.name) {
    if (remote.uid == self.uid) return fail(Code::kGone, "this address leads back to this peer itself");
    return fail(Code::kConflict, "peer " + text(self.name) + " (" + remote.nickname + ") has the name of this node",
                "two nodes are called " + remote.nickname + ": rename one of them");
  }
  if (auto old = by_peer_.find(remote.name); old != by_peer_.end()) {
    const auto& link = links_.at(old->second);
    const bool silent = now - link.last_heard > 2 * times_.heartbeat;
    if (link.remote.uid != remote.uid && !silent) {
      return fail(Code::kConflict,
                  "a peer called " + remote.nickname + " (" + text(remote.name) + ") is connected already, from " +
                      (link.remote.addresses.empty() ? "another machine" : link.remote.addresses.front()),
                  "two nodes are called " + remote.nickname + ": rename one of them");
    }
    const bool lower_dials = self.name < remote.name;
    if (link.remote.uid == remote.uid && !silent && link.dialled == lower_dials && dialled != lower_dials) {
      return fail(Code::kAlreadyExists, "the two peers are connected already");
    }
    const auto old_id = old->second;
    links_.erase(old_id);
    by_peer_.erase(old);
    drop_(old_id, fail(Code::kAlreadyExists, "another connection to the same peer took its place").error());
  }
  links_[id] = {.remote = remote, .dialled = dialled, .last_heard = now};
  by_peer_[remote.name] = id;
  topology_.add_link(remote.name, dialled);
  tell_self(now);
  greet(id);
  return {};
}

// All that the other side may lack. The topology goes as a digest first: of a hundred peers most are known there.
void Router::greet(LinkId id) {
  send(id, make(kDigest, encode_digest(topology_)));
  for (const auto& [name, channel] : channels_) {
    auto all = channel->gossiper.complete();
    if (!all.empty()) send(id, make(kComplete, Writer().text(name).raw(all).take()));
  }
}

void Router::forget_link(LinkId id) {
  auto it = links_.find(id);
  if (it == links_.end()) return;
  auto peer = it->second.remote.name;
  links_.erase(it);
  by_peer_.erase(peer);
  topology_.remove_link(peer);
}

void Router::link_down(LinkId id, TimePoint now) {
  if (!links_.contains(id)) return;
  forget_link(id);
  tell_self(now);
}

void Router::drop(LinkId id, Error why, TimePoint now) {
  forget_link(id);
  tell_self(now);
  drop_(id, std::move(why));
}

void Router::send(LinkId id, Message message) {
  ++counters_.sent;
  send_(id, std::move(message));
}

void Router::tell_self(TimePoint now) {
  if (topology_.self().version == told_version_) return;
  told_version_ = topology_.self().version;
  tell_all({topology_.self().id.name}, 0, now);
  schedule_flush(now);  // also without links: routes and reachability are to be seen to
}

// The more peers, the more changes come together while they find one another.
void Router::schedule_flush(TimePoint now) {
  auto delay = std::min<Duration>(times_.settle * static_cast<int>(1 + topology_.peers().size() / 2), kMaxSettle);
  flush_at_ = std::min(flush_at_, now + delay);
}

void Router::tell_all(const std::vector<PeerName>& records, LinkId except, TimePoint now) {
  const auto self = topology_.self().id.name;
  for (auto& [id, link] : links_) {
    if (id == except) continue;
    for (const auto& name : records) {
      // Whom it is connected to it tells itself; but not, of course, that about itself which it said long ago.
      if (name == link.remote.name) continue;
      if (name != self && topology_.claims_link(name, link.remote.name)) continue;
      link.untold.insert(name);
    }
  }
  if (!records.empty()) schedule_flush(now);
}

void Router::flush() {
  flush_at_ = TimePoint::max();
  for (const auto& name : topology_.forget_unreachable()) {
    for (auto& [channel_name, channel] : channels_) channel->gossiper.peer_gone(name);
  }
  std::map<std::set<PeerName>, Message> made;  // most links are to be told the same
  for (auto& [id, link] : links_) {
    if (link.untold.empty()) continue;
    auto& message = made[link.untold];
    if (!message) {
      std::vector<const PeerRecord*> records;
      for (const auto& name : link.untold) {
        if (const auto* r = topology_.find(name)) records.push_back(r);
      }
      message = make(kRecords, encode_records(records));
    }
    link.untold.clear();
    send(id, message);
  }
}

void Router::tick(TimePoint now) {
  if (topology_.is_contested() && now >= assert_at_) {
    assert_at_ = now + kAssertEvery;
    topology_.assert_self();
  }
  if (topology_.clash() && clash_until_ == TimePoint{}) clash_until_ = now + kClashShown;
  if (topology_.clash() && now >= clash_until_) {
    topology_.forget_clash();
    clash_until_ = {};
  }
  tell_self(now);
  if (now >= flush_at_) flush();
  if (now >= heartbeat_at_) heartbeat(now);
  if (now >= gossip_at_) {
    if (gossip_at_ != TimePoint{}) gossip_now();
    // Peers that started together do not gossip together.
    gossip_at_ = now + times_.gossip_every * static_cast<int>(50 + random_() % 100) / 100;
  }
}

TimePoint Router::next_due() const {
  auto due = std::min({flush_at_, heartbeat_at_, gossip_at_});
  if (topology_.is_contested()) due = std::min(due, assert_at_);
  return due;
}

void Router::heartbeat(TimePoint now) {
  const bool was_stopped = heartbeat_at_ != TimePoint{} && now - heartbeat_at_ > times_.heartbeat * 2;
  heartbeat_at_ = now + times_.heartbeat;
  std::vector<LinkId> dead;
  auto ping = make(kPing, Writer().u64(static_cast<std::uint64_t>(ticks(now))).take());
  for (auto& [id, link] : links_) {
    // What came while this process stood still waits to be read.
    if (was_stopped) link.last_heard = now;
    if (now - link.last_heard > times_.dead_after) {
      dead.push_back(id);
    } else {
      send(id, ping);
    }
  }
  for (auto id : dead) {
    auto silence = std::chrono::duration_cast<std::chrono::seconds>(now - links_.at(id).last_heard).count();
    drop(id, fail(Code::kTimeout, "nothing was heard for " + std::to_string(silence) + " s").error(), now);
  }
}

void Router::gossip_now() {
  std::vector<LinkId> ids;
  for (const auto& [id, link] : links_) ids.push_back(id);
  std::ranges::shuffle(ids, random_);
  auto few = static_cast<std::size_t>(std::ceil(std::log2(static_cast<double>(ids.size() + 1))));
  for (std::size_t i = 0; i < std::min(few, ids.size()); ++i) greet(ids[i]);
}

std::optional<Duration> Router::round_trip(LinkId id) const {
  auto it = links_.find(id);
  if (it == links_.end() || it->second.round_trip == Duration{}) return std::nullopt;
  return it->second.round_trip;
}

void Router::received(LinkId id, std::string_view message, TimePoint now) {
  auto it = links_.find(id);
  if (it == links_.end()) return;  // it was dropped; the rest of what it sent does not matter
  it->second.last_heard = now;
  ++counters_.received;
  auto done = take(id, message, now);
  if (done) return;
  ++counters_.refused;
  drop(id, std::move(done).error(), now);
}

Result<void> Router::take(LinkId id, std::string_view message, TimePoint now) {
  if (message.empty()) return fail(Code::kInvalid, "an empty message");
  auto body = message.substr(1);
  switch (static_cast<std::uint8_t>(message[0])) {
    case kPing:
      if (body.size() != 8) break;
      send(id, make(kPong, body));
      return {};
    case kPong: {
      Reader in(body);
      auto sent = static_cast<std::int64_t>(in.u64());
      if (!in.done()) break;
      Duration taken(ticks(now) - sent);
      if (taken >= Duration{} && taken < times_.dead_after * 10) links_.at(id).round_trip = taken;
      return {};
    }
    case kDigest:
      return take_digest(id, body);
    case kRecords:
      return take_records(id, body, now);
    case kWanted:
      return take_wanted(id, body);
    case kBroadcast:
      return take_gossip(id, body, false);
    case kComplete:
      return take_gossip(id, body, true);
    case kUnicast:
      return take_unicast(id, body);
    default:
      // A later version may know more kinds than this one.
      return {};
  }
  return fail(Code::kInvalid, "a malformed message of type " + std::to_string(message[0]));
}

Result<void> Router::take_digest(LinkId id, std::string_view body) {
  LAB_TRY(auto theirs, decode_digest(body));
  std::map<PeerName, const RecordVersion*> known;
  Writer wanted;
  bool any = false;
  for (const auto& v : theirs) {
    known[v.name] = &v;
    const auto* mine = topology_.find(v.name);
    if (mine && !is_newer(v.version, v.uid, *mine)) continue;
    wanted.name(v.name);
    any = true;
  }
  std::vector<const PeerRecord*> records;
  for (const auto& [name, r] : topology_.peers()) {
    auto it = known.find(name);
    bool newer = it == known.end() || r.version > it->second->version ||
                 (r.version == it->second->version && r.id.uid > it->second->uid);
    if (newer) records.push_back(&r);
  }
  if (!records.empty()) send(id, make(kRecords, encode_records(records)));
  if (any) send(id, make(kWanted, wanted.take()));
  return {};
}

Result<void> Router::take_wanted(LinkId id, std::string_view body) {
  if (body.size() % 6 != 0 || body.size() / 6 > kMaxPeers) return fail(Code::kInvalid, "a malformed list of peers");
  Reader in(body);
  std::vector<const PeerRecord*> records;
  for (std::size_t i = 0; i < body.size() / 6; ++i) {
    if (const auto* r = topology_.find(in.name())) records.push_back(r);
  }
  if (!records.empty()) send(id, make(kRecords, encode_records(records)));
  return {};
}

Result<void> Router::take_records(LinkId id, std::string_view body, TimePoint now) {
  LAB_TRY(auto records, decode_records(body));
  LAB_TRY(auto news, topology_.merge(records));
  tell_all(news, id, now);
  return {};
}

Result<void> Router::take_gossip(LinkId id, std::string_view body, bool complete) {
  Reader in(body);
  std::string name(in.text(kMaxChannelName));
  auto self = topology_.self().id.name, source = self;
  if (!complete) source = in.name();
  auto update = in.rest();
  if (!in.good() || update.size() > kMaxGossip) return fail(Code::kInvalid, "a malformed broadcast");
  auto channel = channels_.find(name);
  if (channel == channels_.end() || (source == self && !complete)) return {};
  auto news = channel->second->gossiper.merge(links_.at(id).remote.name, update);
  if (!news) return std::unexpected(std::move(news).error().with_context("channel " + name));
  if (!news->empty()) relay(name, source, *news, id);
  return {};
}

// To all but those that the source tells itself. What came as part of a complete state is told as one's own.
void Router::relay(const std::string& channel, PeerName source, std::string_view update, LinkId except) {
  const auto self = topology_.self().id.name;
  Message message;
  for (const auto& [id, link] : links_) {
    if (id == except || link.remote.name == source) continue;
    if (source != self && topology_.claims_link(source, link.remote.name)) continue;
    if (!message) message = make(kBroadcast, Writer().text(channel).name(source).raw(update).take());
    send(id, message);
  }
}

Result<void> Router::take_unicast(LinkId id, std::string_view body) {
  Reader in(body);
  auto from = in.name(), to = in.name();
  auto hops = in.u8();
  std::string name(in.text(kMaxChannelName));
  auto message = in.rest();
  if (!in.good() || message.size() > kMaxGossip) return fail(Code::kInvalid, "a malformed message");
  if (to != topology_.self().id.name) {
    ++counters_.relayed;
    if (hops == 0 || !route(from, to, hops, name, message)) ++counters_.unroutable;
    return {};
  }
  auto channel = channels_.find(name);
  if (channel == channels_.end()) return {};
  auto done = channel->second->gossiper.received(from, message);
  if (done) return {};
  // Of a message that others passed on, the neighbour is not to blame.
  if (from != links_.at(id).remote.name) {
    ++counters_.refused;
    return {};
  }
  return std::unexpected(std::move(done).error().with_context("channel " + name));
}

Result<void> Router::route(PeerName from, PeerName to, std::uint8_t hops, const std::string& channel,
                           std::string_view message) {
  auto via = topology_.next_hop(to);
  auto link = via ? by_peer_.find(*via) : by_peer_.end();
  if (link == by_peer_.end()) {
    return fail(Code::kNotFound, "no path leads to peer " + text(to) + " at this moment");
  }
  auto left = static_cast<std::uint8_t>(hops - 1);
  send(link->second, make(kUnicast, Writer().name(from).name(to).u8(left).text(channel).raw(message).take()));
  return {};
}

}  // namespace lab::overlay
