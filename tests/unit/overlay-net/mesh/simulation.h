// A mesh in memory: routers of many peers, links with delays that can be cut, one clock, one seed.
//
// Nothing depends on anything but the seed, so a failure is repeated by giving the seed again.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "overlay-net/mesh/router.h"

namespace lab::overlay::sim {

using namespace std::chrono_literals;

// A channel whose state is a set of words: the simplest CRDT there is.
class Words final : public Gossiper {
 public:
  std::string complete() override { return join(words); }
  Result<std::string> merge(PeerName, std::string_view update) override {
    if (update.starts_with("!")) return fail(Code::kInvalid, "a word that nobody says");
    std::set<std::string> news;
    for (std::size_t at = 0; at < update.size();) {
      auto end = std::min(update.find(' ', at), update.size());
      std::string word(update.substr(at, end - at));
      if (words.insert(word).second) news.insert(word);
      at = end + 1;
    }
    merges += 1;
    return join(news);
  }
  Result<void> received(PeerName from, std::string_view message) override {
    letters.emplace_back(from, message);
    return {};
  }
  void peer_gone(PeerName peer) override { gone.push_back(peer); }

  void say(const std::string& word) {
    words.insert(word);
    gossip->broadcast(word);
  }
  static std::string join(const std::set<std::string>& all) {
    std::string out;
    for (const auto& w : all) out += (out.empty() ? "" : " ") + w;
    return out;
  }

  Gossip* gossip = nullptr;
  std::set<std::string> words;
  std::vector<std::pair<PeerName, std::string>> letters;
  std::vector<PeerName> gone;
  int merges = 0;
};

class World {
 public:
  struct Peer {
    int index = 0;
    PeerIdentity id;
    Words words;
    std::unique_ptr<Router> router;
    Duration clock_off{};         // what its steady clock shows beside the others'
    std::map<LinkId, int> links;  // to which peer
    bool running = false;
  };

  World(const World&) = delete;
  World(unsigned seed, int peers) : random_(seed) {
    for (int i = 0; i < peers; ++i) {
      peers_.push_back(std::make_unique<Peer>());
      peers_.back()->index = i;
      start(i);
    }
  }

  void start(int i) {
    auto& p = *peers_[i];
    p.id = {peer_name_of("n" + std::to_string(i)),
            random_() | 1,
            "n" + std::to_string(i),
            {"10.0.0." + std::to_string(i) + ":6783"}};
    p.words.words.clear();
    p.clock_off = std::chrono::seconds(random_() % 100000);
    p.links.clear();
    p.router = std::make_unique<Router>(
        p.id, RouterTimes{}, random_(), [this, i](LinkId id, Message m) { send(i, id, std::move(m)); },
        [this, i](LinkId id, Error e) {
          drops.push_back(peers_[i]->id.nickname + ": " + e.text());
          at(now_, [this, id] { cut(id); });
        });
    p.words.gossip = &p.router->join("words", p.words);
    p.running = true;
  }
  // The process ends without a word; its links are found dead, or reset.
  void kill(int i) {
    auto links = peers_[i]->links;
    peers_[i]->running = false;
    for (auto [id, to] : links) cut(id);
  }

  // A link is two half links of one number; either end may refuse.
  void connect(int a, int b) {
    if (a == b || !reachable(a, b) || !peers_[a]->running || !peers_[b]->running) return;
    if (peers_[a]->router->is_linked(peers_[b]->id.name)) return;
    LinkId id = ++last_link_;
    ends_[id] = {a, b};
    auto& pb = *peers_[b];
    auto& pa = *peers_[a];
    pb.links[id] = a;
    pa.links[id] = b;
    if (!pb.router->link_up(id, pa.id, false, local(b)) || !pa.router->link_up(id, pb.id, true, local(a))) cut(id);
  }
  void cut(LinkId id) {
    auto it = ends_.find(id);
    if (it == ends_.end()) return;
    auto [a, b] = it->second;
    ends_.erase(it);
    for (int p : {a, b}) {
      if (peers_[p]->links.erase(id) && peers_[p]->running) peers_[p]->router->link_down(id, local(p));
    }
  }

  // Which pairs the network carries. Cutting takes what runs on it.
  void partition(std::function<bool(int, int)> allowed) {
    allowed_ = std::move(allowed);
    auto all = ends_;
    for (const auto& [id, e] : all) {
      if (!reachable(e.first, e.second)) cut(id);
    }
  }
  void heal() { allowed_ = {}; }
  bool reachable(int a, int b) const { return !allowed_ || allowed_(a, b); }

  // Each peer dials what its topology names, as the real one does.
  void run(Duration d, bool discover = false) {
    auto end = now_ + d;
    while (now_ < end) {
      while (!events_.empty() && events_.begin()->first <= now_) {
        auto f = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        f();
      }
      for (auto& p : peers_) {
        if (p->running && p->router->next_due() <= local(p->index)) p->router->tick(local(p->index));
      }
      if (discover && ++steps_ % 50 == 0) this->discover();
      now_ += 1ms;
    }
  }
  void discover() {
    for (auto& p : peers_) {
      if (!p->running) continue;
      for (auto& q : peers_) {
        if (q->index > p->index && p->router->topology().find(q->id.name)) connect(p->index, q->index);
      }
    }
  }

  Peer& operator[](int i) { return *peers_[i]; }
  int size() const { return static_cast<int>(peers_.size()); }
  TimePoint local(int i) const { return now_ + peers_[i]->clock_off; }

  // Everyone has the same picture of the peers in `group`, and it is the true one.
  testing::AssertionResult agree(const std::vector<int>& group) {
    std::set<PeerName> names;
    for (int i : group) names.insert(peers_[i]->id.name);
    for (int i : group) {
      const auto& t = peers_[i]->router->topology();
      if (t.peers().size() != group.size()) {
        return testing::AssertionFailure()
               << "n" << i << " knows " << t.peers().size() << " peers, not " << group.size();
      }
      for (int j : group) {
        const auto* r = t.find(peers_[j]->id.name);
        if (!r) return testing::AssertionFailure() << "n" << i << " does not know n" << j;
        if (!(*r == peers_[j]->router->topology().self())) {
          return testing::AssertionFailure() << "n" << i << " has an old record of n" << j;
        }
        if (i != j && !t.next_hop(peers_[j]->id.name))
          return testing::AssertionFailure() << "n" << i << " has no path to n" << j;
      }
      if (peers_[i]->words.words != peers_[group[0]]->words.words) {
        return testing::AssertionFailure() << "n" << i << " has other words than n" << group[0];
      }
    }
    return testing::AssertionSuccess();
  }

  std::vector<int> all() const {
    std::vector<int> out;
    for (const auto& p : peers_) {
      if (p->running) out.push_back(p->index);
    }
    return out;
  }
  std::mt19937_64& random() { return random_; }

  std::vector<std::string> drops;
  std::uint64_t messages = 0, bytes = 0;

 private:
  void at(TimePoint when, std::function<void()> f) { events_.emplace(when, std::move(f)); }
  void send(int from, LinkId id, Message m) {
    auto it = ends_.find(id);
    if (it == ends_.end()) return;
    int to = it->second.first == from ? it->second.second : it->second.first;
    ++messages;
    bytes += m->size();
    // In order, as TCP keeps it.
    auto& last = last_arrival_[{id, to}];
    last = std::max(last, now_ + 1ms + Duration(std::chrono::microseconds(random_() % 5000)));
    at(last, [this, to, id, m] {
      if (ends_.contains(id) && peers_[to]->running) peers_[to]->router->received(id, *m, local(to));
    });
  }

  std::mt19937_64 random_;
  TimePoint now_{1000s};
  std::vector<std::unique_ptr<Peer>> peers_;
  std::map<LinkId, std::pair<int, int>> ends_;
  std::map<std::pair<LinkId, int>, TimePoint> last_arrival_;
  std::multimap<TimePoint, std::function<void()>> events_;
  std::function<bool(int, int)> allowed_;
  LinkId last_link_ = 0;
  int steps_ = 0;
};

}  // namespace lab::overlay::sim
