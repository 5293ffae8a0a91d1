#include "tests/simulation/ring/simulation.h"

#include <algorithm>
#include <map>
#include <memory>
#include <queue>
#include <random>

namespace lab::overlay::ring {
namespace {

using Time = std::uint64_t;  // milliseconds
using Bytes = std::shared_ptr<const std::string>;

struct World;

struct Node final : RingStore, Gossip {
  World* world = nullptr;
  int index = 0;
  PeerName name;
  bool founder = false, dead = false, crashed = false;
  bool doomed = false;  // its last words travel for long
  int group = 0;
  int crash_at_save = 0;  // 0: not planned; 1: before the next write, 2: after it
  std::uint64_t starts = 0;
  Time stalled_until = 0;
  std::string disk;
  std::map<int, std::uint32_t> journal;  // the node's durable allocations: owner -> address
  std::unique_ptr<RingPeer> peer;        // null while it is down
  std::vector<Span> spans;               // owned when it went down

  bool up() const { return peer != nullptr; }
  Result<void> save(const std::string& bytes) override;
  void broadcast(std::string update) override;
  Result<void> send(PeerName to, std::string message) override;
};

enum class What { kUpdate, kMessage, kTick, kAction, kStart, kDoom, kGone };

struct Event {
  Time at = 0;
  std::uint64_t order = 0;
  What what = What::kTick;
  int node = 0, from = -1;
  std::uint64_t life = 0;
  Bytes bytes;
  bool operator<(const Event& o) const { return std::pair(at, order) > std::pair(o.at, o.order); }
};

struct World {
  SimulationOptions options;
  SimulationReport report;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<PeerName> founders;
  std::map<PeerName, int> by_name;
  std::priority_queue<Event> queue;
  std::map<std::uint32_t, int> used;  // address -> node, while a pod has it
  Cidr range;
  Time now = 0, faults_end = 0;
  std::uint64_t order = 0;
  int next_owner = 0, limit = 0;
  bool calm = false, keep_majority = true;

  explicit World(const SimulationOptions& o) : options(o), random_(o.seed) {}

  std::uint64_t random(std::uint64_t below) { return random_() % below; }
  bool chance(int percent) { return static_cast<int>(random(100)) < percent; }
  bool failed() const { return !report.failure.empty(); }

  template <class... Parts>
  void note(const Parts&... parts) {
    if (!options.trace) return;
    std::string line = std::to_string(now) + "ms ";
    ((line += parts), ...);
    report.trace.push_back(std::move(line));
  }
  static std::string label(const Node& n) { return "p" + std::to_string(n.index); }
  static std::string text(std::uint32_t address) { return IpAddress::v4(address).text(); }
  void broken(std::string what) {
    if (!failed()) report.failure = std::to_string(now) + "ms " + std::move(what);
    note("BROKEN ", report.failure);
  }
  void push(Time delay, What what, int node, int from = -1, Bytes bytes = {}) {
    queue.push({now + delay, ++order, what, node, from, nodes[std::size_t(node)]->starts, std::move(bytes)});
  }

  // --- peers ---

  Node& add(bool founder) {
    auto n = std::make_unique<Node>();
    n->world = this;
    n->index = static_cast<int>(nodes.size());
    n->founder = founder;
    n->name.bytes = {2, 0, 0, 0, static_cast<std::uint8_t>(n->index >> 8), static_cast<std::uint8_t>(n->index)};
    by_name[n->name] = n->index;
    nodes.push_back(std::move(n));
    return *nodes.back();
  }

  std::unique_ptr<RingPeer> open(Node& n, bool loud) {
    RingConfig config{.self = n.name,
                      .nickname = label(n),
                      .range = range,
                      .seed = options.seed * 1000003 + std::uint64_t(n.index) * 977 + n.starts,
                      .merge = options.merge};
    if (n.founder) config.founders = founders;
    if (loud && options.trace) config.tell = [this, &n](const std::string& s) { note(label(n), ": ", s); };
    auto peer = RingPeer::open(std::move(config), n, n.disk);
    if (!peer) {
      broken(label(n) + " cannot start: " + peer.error().text());
      return nullptr;
    }
    return std::move(*peer);
  }

  void start(Node& n) {
    if (n.dead || n.up()) return;
    ++n.starts;
    n.crashed = false;
    n.crash_at_save = 0;
    n.peer = open(n, true);
    if (!n.peer) return;
    n.peer->attach(n);
    for (const auto& [owner, address] : n.journal) n.peer->claim(address);
    note(label(n), " starts with ", std::to_string(n.journal.size()), " addresses in use");
    push(random(1000), What::kTick, n.index);
  }

  void crash(Node& n) {
    if (!n.up()) return;
    ++report.crashes;
    note(label(n), " crashes");
    n.peer.reset();
    n.crashed = false;
    auto saved = open(n, false);
    n.spans = saved ? saved->owned() : std::vector<Span>();
    push(500 + random(20000), What::kStart, n.index);
  }

  // The machine is gone, and its pods with it.
  void die(Node& n) {
    note(label(n), " dies for good");
    n.peer.reset();
    n.dead = true;
    n.spans.clear();
    for (const auto& [owner, address] : n.journal) used.erase(address);
    n.journal.clear();
  }

  // --- network ---

  bool connected(const Node& a, const Node& b) const { return b.up() && a.group == b.group; }

  void deliver(What what, Node& from, Node& to, Bytes bytes) {
    ++report.messages;
    Time delay = 1 + random(200);
    if (!calm) {
      if (chance(5)) return;
      if (chance(from.doomed ? 60 : 3)) delay += random(60000);  // it may outlive its sender
      if (chance(5)) push(delay + random(5000), what, to.index, from.index, bytes);
    }
    push(delay, what, to.index, from.index, std::move(bytes));
  }

  // `not_to`: where it came from, to which a mesh does not send it back.
  void flood(Node& from, const std::string& update, std::size_t fanout, int not_to = -1) {
    auto bytes = std::make_shared<const std::string>(update);
    bool all = nodes.size() <= fanout + 1;
    for (std::size_t i = 0; i < (all ? nodes.size() : fanout); ++i) {
      auto& to = *nodes[all ? i : random(nodes.size())];
      if (&to != &from && to.index != not_to && connected(from, to)) deliver(What::kUpdate, from, to, bytes);
    }
  }

  void settle(Node& n) {
    if (n.crashed) crash(n);
  }

  // --- what pods do ---

  void allocate(Node& n) {
    if (!n.up()) return;
    auto address = n.peer->take();
    if (!address) {
      ++report.refused;
      return n.peer->ask_now();
    }
    if (!calm && chance(2)) {  // before it was written down: nobody has heard of it
      crash(n);
      return;
    }
    auto [other, first] = used.emplace(*address, n.index);
    if (!first) return broken(text(*address) + " given twice: p" + std::to_string(other->second) + " and " + label(n));
    n.journal[++next_owner] = *address;
    ++report.allocations;
    note(label(n), " gives ", text(*address));
  }

  void release(Node& n) {
    if (!n.up() || n.journal.empty()) return;
    auto at = std::next(n.journal.begin(), static_cast<long>(random(n.journal.size())));
    note(label(n), " takes back ", text(at->second));
    n.peer->give_back(at->second);
    used.erase(at->second);
    n.journal.erase(at);
  }

  // --- what people and machines do ---

  Node* any(bool up) {
    for (int i = 0; i < 20; ++i) {
      auto& n = *nodes[random(nodes.size())];
      if (!n.dead && n.up() == up) return &n;
    }
    return nullptr;
  }

  bool founders_allow_death_of(const Node& n) const {
    if (!n.founder || !keep_majority) return true;
    auto alive = std::ranges::count_if(nodes, [](const auto& x) { return x->founder && !x->dead; });
    auto doomed = std::ranges::count_if(nodes, [](const auto& x) { return x->founder && !x->dead && x->doomed; });
    return static_cast<std::size_t>(alive - doomed - 1) >= founders.size() / 2 + 1;
  }

  void doom(Node& n) {
    if (n.dead || n.doomed || !founders_allow_death_of(n)) return;
    n.doomed = true;
    push(random(8000), What::kGone, n.index);
  }

  void remove(Node& by, const Node& victim) {
    if (!by.up()) return;
    auto done = by.peer->remove(MemberId{victim.name, 0}.text());
    if (done) ++report.removals;
    note(label(by), " removes ", label(victim), done ? "" : ": " + done.error().message);
    settle(by);
  }

  void leave(Node& n) {
    while (!n.journal.empty()) release(n);
    auto done = n.peer->leave();
    note(label(n), " leaves", done ? "" : ": " + done.error().message);
    settle(n);
    if (done && n.up()) push(3000, What::kGone, n.index);
  }

  void split() {
    ++report.splits;
    auto parts = 2 + random(2);
    for (auto& n : nodes) n->group = static_cast<int>(random(parts));
    note("the network splits into ", std::to_string(parts));
  }

  void heal() {
    for (auto& n : nodes) n->group = 0;
    note("the network heals");
  }

  void stall_or_race(Node& n) {
    if (chance(50)) {
      n.stalled_until = now + random(40000);
      note(label(n), " stands still");
      return;
    }
    note(label(n), " has its clock set on");
    for (int i = 0; i < 50 && n.up(); ++i) {
      n.peer->tick();
      settle(n);
    }
  }

  void join_again(Node& n) {  // the same machine, its disk empty
    note(label(n), " comes back with an empty disk");
    n.dead = n.doomed = false;
    n.founder = false;
    n.disk.clear();
    push(0, What::kStart, n.index);
  }

  void act() {
    auto dice = random(100);
    Node* n = any(true);
    if (!n) return;
    if (dice < 45) return allocate(*n);
    if (dice < 65) return release(*n);
    if (dice < 69) return crash(*n);
    if (dice < 74) {
      n->crash_at_save = 1 + static_cast<int>(random(2));
    } else if (dice < 77) {
      split();
    } else if (dice < 82) {
      heal();
    } else if (dice < 84) {
      doom(*n);
    } else if (dice < 92) {
      for (const auto& victim : nodes) {
        if (victim->dead && chance(50)) return remove(*n, *victim);
      }
    } else if (dice < 95) {
      if (static_cast<int>(nodes.size()) < limit) push(0, What::kStart, add(false).index);
    } else if (dice < 96) {
      if (!n->founder && n->peer->is_member()) leave(*n);
    } else if (dice < 97) {
      auto& back = *nodes[random(nodes.size())];
      if (back.dead && (!back.founder || n->peer->state().has_ring())) join_again(back);
    } else {
      stall_or_race(*n);
    }
  }

  // --- one event ---

  void run(Event e) {
    now = e.at;
    ++report.events;
    Node& n = *nodes[std::size_t(e.node)];
    switch (e.what) {
      case What::kAction:
        if (calm) break;
        act();
        if (now < faults_end) push(20 + random(4000 / (1 + nodes.size() / 4)), What::kAction, 0);
        break;
      case What::kStart:
        start(n);
        break;
      case What::kDoom:
        doom(n);
        break;
      case What::kGone:
        if (!n.dead) die(n);
        break;
      case What::kTick:
        if (n.up() && e.life == n.starts) tick(n);
        break;
      case What::kUpdate:
      case What::kMessage:
        if (n.up()) take_in(n, e);
        break;
    }
  }

  void tick(Node& n) {
    push(500 + random(1000), What::kTick, n.index);
    if (n.stalled_until > now) return;
    n.peer->tick();
    settle(n);
    if (!n.up()) return;
    if (auto all = n.peer->complete(); !all.empty()) flood(n, all, 1 + random(2));
  }

  void take_in(Node& n, const Event& e) {
    auto& from = *nodes[std::size_t(e.from)];
    if (from.group != n.group && chance(50)) return;
    if (e.what == What::kMessage) {
      if (auto done = n.peer->received(from.name, *e.bytes); !done) {
        broken(label(n) + " refuses a message of " + label(from) + ": " + done.error().text());
      }
    } else {
      auto news = n.peer->merge(from.name, *e.bytes);
      if (!news) {
        broken(label(n) + " refuses an update of " + label(from) + ": " + news.error().text());
      } else if (!news->empty() && !n.crashed) {
        flood(n, *news, 2, from.index);
      }
    }
    settle(n);
  }

  // --- what must hold ---

  // Of all who live, be they up or not, no two own the same address in their own view.
  void check_owners() {
    struct Owned {
      Span span;
      int node;
    };
    std::vector<Owned> all;
    for (const auto& n : nodes) {
      if (n->dead) continue;
      for (const auto& s : n->up() ? n->peer->owned() : n->spans) all.push_back({s, n->index});
      if (n->up()) report.most_tokens = std::max(report.most_tokens, n->peer->state().tokens.size());
    }
    std::ranges::sort(all, {}, &Owned::span);
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (all[i].span.begin >= all[i - 1].span.end) continue;
      broken(text(static_cast<std::uint32_t>(all[i].span.begin)) + " is owned by p" + std::to_string(all[i - 1].node) +
             " and p" + std::to_string(all[i].node));
    }
  }

  // "" when everybody sees the same ring, and living members own all of it.
  std::string unsettled() const {
    const RingState* first = nullptr;
    std::vector<MemberId> living;
    for (const auto& n : nodes) {
      if (n->dead) continue;
      if (!n->up()) return label(*n) + " is down";
      if (!n->peer->state().has_ring()) return label(*n) + " knows of no ring";
      if (!n->peer->is_member()) return label(*n) + " is no member";
      living.push_back(n->peer->id());
    }
    for (const auto& n : nodes) {
      if (!n->up()) continue;
      const auto& s = n->peer->state();
      for (const auto& t : s.tokens) {
        if (std::ranges::find(living, t.owner) == living.end()) {
          return text(t.start) + " is owned by " + t.owner.text() + " in the sight of " + label(*n);
        }
      }
      if (first && !std::ranges::equal(first->tokens, s.tokens, {}, &Token::owner, &Token::owner))
        return label(*n) + " sees others";
      if (!first) first = &s;
    }
    return "";
  }

  void set_up() {
    bool huge = options.seed % 100 == 0, large = options.seed % 10 == 1;
    int count = huge    ? 100 + static_cast<int>(random(80))
                : large ? 15 + static_cast<int>(random(20))
                        : 2 + static_cast<int>(random(7));
    int founding = 1 + static_cast<int>(random(std::uint64_t(std::min(count, 7))));
    limit = huge ? 200 : count + count / 2 + 2;
    range = {IpAddress::v4(10u << 24), huge    ? 20
                                       : large ? 23 + static_cast<int>(random(3))
                                               : 25 + static_cast<int>(random(4))};
    keep_majority = options.seed % 13 != 0;
    faults_end = huge ? 40000 : 60000 + random(120000);
    for (int i = 0; i < count; ++i) add(i < founding);
    for (auto& n : nodes) {
      if (n->founder) founders.push_back(n->name);
    }
    // Most at once; some well after the others, founders among them.
    for (int i = 0; i < count; ++i) push(chance(75) ? random(300) : random(faults_end / 2), What::kStart, i);
    push(1000, What::kAction, 0);
    push(faults_end - 8000, What::kDoom, static_cast<int>(random(std::uint64_t(count))));
    note(std::to_string(count), " peers, ", std::to_string(founding), " founders, ", range.text());
  }

  void run_until(Time end) {
    while (!queue.empty() && queue.top().at <= end && !failed()) {
      Event e = queue.top();
      queue.pop();
      run(std::move(e));
      if (nodes.size() <= 16 || report.events % 256 == 0) check_owners();
    }
    now = end;
  }

  void calm_down() {
    calm = true;
    heal();
    for (auto& n : nodes) {
      n->crash_at_save = 0;
      n->stalled_until = 0;
      if (!n->dead && !n->up()) push(0, What::kStart, n->index);
    }
  }

  void remove_the_dead() {
    Node* by = any(true);
    for (const auto& n : nodes) {
      if (n->dead && by) remove(*by, *n);
    }
  }

  void describe(const Node& n) {
    const auto& s = n.peer->state();
    note(label(n), " is ", n.peer->id().text(), n.peer->is_member() ? "" : ", no member");
    for (const auto& m : s.members)
      note("  member ", m.id.text(), " ", m.nickname, s.registered(m.id) ? "" : " not registered");
    for (const auto& r : s.removals) {
      std::string who;
      for (const auto& id : r.adopted) who += " " + id.text();
      note("  removal of ", r.id.text(), " round ", std::to_string(r.round), " heir ", r.heir.text(),
           r.done ? " done" : ", adopted by" + who);
    }
    for (const auto& t : s.tokens) note("  ", text(t.start), " ", t.owner.text(), " v", std::to_string(t.version));
  }

  void check_end() {
    std::string why = "not looked";
    for (int round = 0; round < 60 && !why.empty() && !failed(); ++round) {
      run_until(now + 5000);
      remove_the_dead();
      why = unsettled();
      auto alive = std::ranges::count_if(nodes, [](const auto& n) { return n->founder && !n->dead; });
      report.had_majority = static_cast<std::size_t>(alive) >= founders.size() / 2 + 1;
      if (!report.had_majority && round > 5) return check_owners();
    }
    check_owners();
    if (!why.empty()) {
      for (const auto& n : nodes) {
        if (n->up()) describe(*n);
      }
      return broken("it does not settle: " + why);
    }
    // As long as an address is free anywhere, everybody gets one.
    for (int round = 0; round < 60 && !failed(); ++round) {
      std::uint64_t free = 0;
      bool waiting = false;
      for (auto& n : nodes) free += n->up() ? n->peer->free() : 0;
      for (auto& n : nodes) {
        if (!n->up() || !n->journal.empty()) continue;
        allocate(*n);
        waiting |= n->journal.empty();
      }
      if (!waiting || free == 0) return;
      if (round == 59) broken("peers get no address although " + std::to_string(free) + " are free");
      run_until(now + 2000);
    }
  }
};

Result<void> Node::save(const std::string& bytes) {
  if (crash_at_save == 2) disk = bytes;
  if (crash_at_save || crashed) {
    crash_at_save = 0;
    crashed = true;
    return fail(Code::kIo, "the power went");
  }
  disk = bytes;
  return {};
}

void Node::broadcast(std::string update) {
  if (!crashed) world->flood(*this, update, 6);
}

Result<void> Node::send(PeerName to, std::string message) {
  if (crashed) return fail(Code::kNotFound, "the power went");
  auto& target = *world->nodes[std::size_t(world->by_name.at(to))];
  if (!world->connected(*this, target)) return fail(Code::kNotFound, "no path");
  world->deliver(What::kMessage, *this, target, std::make_shared<const std::string>(std::move(message)));
  return {};
}

}  // namespace

SimulationReport simulate(const SimulationOptions& options) {
  World world(options);
  world.set_up();
  world.run_until(world.faults_end);
  if (!world.failed()) world.calm_down();
  if (!world.failed()) world.check_end();
  world.report.peers = static_cast<int>(world.nodes.size());
  return std::move(world.report);
}

}  // namespace lab::overlay::ring
