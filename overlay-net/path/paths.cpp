#include "overlay-net/path/paths.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/netlink/netlink.h"
#include "overlay-net/path/probe.h"

namespace lab::overlay {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;
constexpr std::size_t kSmall = 64;

PeerName id_of(const MacAddress& mac) {
  return {mac.bytes};
}

}  // namespace

class Paths::Watch {
 public:
  explicit Watch(PathOptions options)
      : options_(std::move(options)),
        secret_(options_.authenticator ? options_.authenticator->shared_secret() : ""),
        socket_(encrypts() ? options_.wireguard : options_.vxlan) {}
  ~Watch();
  Result<void> start();

  void set_peers(const std::vector<Peer>& peers, unsigned mtu, const std::map<std::string, std::string>& next_hops);
  void on_change(std::function<void()> f);
  std::set<std::string> sleeved();
  std::vector<PathStatus> status();
  std::string metrics();
  bool encrypts() const { return options_.authenticator != nullptr; }

  void offer_wireguard(const WireguardOffer& own, const std::string& problem);
  std::map<std::string, WireguardOffer> wireguard_offers();
  void adopt(std::map<std::string, WireguardOffer> known);
  std::set<std::string> by_wireguard();
  bool may_leave_wireguard();
  const std::string& shared_secret() const { return secret_; }

 private:
  struct Watched {
    Peer peer;
    PathChooser chooser;
    Heartbeats seen;
    std::uint32_t number = 0;
    bool sent = false, ever = false;  // ever: it answered once since it is known
    WireguardOffer offer;             // as it told last
    TimePoint due{}, last_full = std::chrono::steady_clock::now();
  };

  Result<unsigned> underlay_mtu();
  Result<void> start_sleeve();
  bool retry_sleeve(TimePoint now);
  void tell_sleeve();
  void run();
  void wake();
  TimePoint tick(TimePoint now, bool& changed);
  void beat(Watched& w);
  void take(const Heartbeat& h);
  Watched watch_anew(const std::string& name);
  void begin_anew(Watched& w);
  bool take_offer(Watched& w, const std::optional<std::string>& note);
  bool notice_loss(bool open);
  std::map<PeerName, SleevePeerStatus> sleeve_status();
  std::string wireguard_obstacle(const Watched& w) const { return obstacle(own_, w.offer, own_problem_); }
  Path path_of(const Watched& w) const {
    return encrypts() && !wireguard_obstacle(w).empty() ? Path::kSleeve : w.chooser.path();
  }

  const PathOptions options_;
  const std::string secret_;
  HeartbeatSocket socket_;
  int wake_ = -1;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  // of all below
  std::unique_ptr<Sleeve> sleeve_;
  std::string no_sleeve_;  // why there is none
  TimePoint next_try_{};   // at it
  std::vector<SleevePeer> for_sleeve_;
  std::map<PeerName, PeerName> via_;
  std::map<MacAddress, Watched> peers_;
  WireguardOffer own_;
  std::string own_problem_;
  std::map<std::string, WireguardOffer> adopted_;  // until the first set_peers()
  bool was_open_ = false;
  unsigned mtu_ = 0;
  std::function<void()> on_change_;
  std::uint64_t moves_ = 0;
  std::thread thread_;
};

Paths::Watch::~Watch() {
  stop_ = true;
  if (thread_.joinable()) {
    wake();
    thread_.join();
  }
  if (wake_ >= 0) ::close(wake_);
}

void Paths::Watch::wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

Result<unsigned> Paths::Watch::underlay_mtu() {
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto addresses, netlink.addresses());
  for (const auto& a : addresses) {
    if (a.address.address != options_.underlay) continue;
    LAB_TRY(auto link, netlink.link(a.link));
    return std::min(link.mtu, 65535u);
  }
  return 1500u;  // the device may come later; larger sizes are an advantage, not a need
}

Result<void> Paths::Watch::start_sleeve() {
  LAB_TRY(auto mtu, underlay_mtu());
  LAB_TRY(sleeve_, Sleeve::start({.self = id_of(options_.self),
                                  .underlay = options_.underlay,
                                  .port = options_.port,
                                  .device = options_.sleeve,
                                  .underlay_mtu = mtu,
                                  .authenticator = options_.authenticator,
                                  .heartbeat = options_.heartbeat}));
  return {};
}

// Whoever holds the port, or the device, may let go of it. True when there is a sleeve now that was not there before.
bool Paths::Watch::retry_sleeve(TimePoint now) {
  if (sleeve_ || now < next_try_) return false;
  next_try_ = now + options_.heartbeat * 5;
  auto started = start_sleeve();
  if (!started) {
    no_sleeve_ = started.error().text();
    return false;
  }
  no_sleeve_.clear();
  log::info("there is a path besides the kernel's now", {{"port", options_.port}});
  tell_sleeve();
  return true;
}

void Paths::Watch::tell_sleeve() {
  if (!sleeve_) return;
  if (encrypts()) sleeve_->tell(encode(own_));
  sleeve_->set_peers(for_sleeve_);
  sleeve_->set_next_hops(via_);
}

Result<void> Paths::Watch::start() {
  if (auto started = start_sleeve(); !started) {
    // Unencrypted where encryption was asked for is no fallback.
    if (encrypts()) return std::unexpected(std::move(started).error().with_context("encryption"));
    no_sleeve_ = started.error().text();
    next_try_ = std::chrono::steady_clock::now() + options_.heartbeat * 5;
    log::warn("there is no path besides the kernel's; it is tried again", {{"reason", no_sleeve_}});
  }
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) return fail_errno("cannot make an event descriptor");
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "paths");
    run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

void Paths::Watch::run() {
  while (!stop_) {
    const auto now = std::chrono::steady_clock::now();
    TimePoint due;
    bool changed = false;
    std::function<void()> tell;
    {
      std::lock_guard lock(mutex_);
      due = tick(now, changed);
      tell = on_change_;
    }
    if (changed && tell) tell();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now()).count();
    pollfd wait[] = {{wake_, POLLIN, 0}, {socket_.fd(), POLLIN, 0}};
    if (::poll(wait, 2, static_cast<int>(std::clamp<long>(left, 0, 60'000))) <= 0) continue;
    if (wait[0].revents) {
      std::uint64_t n;
      (void)!::read(wake_, &n, sizeof n);
    }
    if (wait[1].revents) {
      std::lock_guard lock(mutex_);
      socket_.receive([this](const Heartbeat& h) { take(h); });
    }
  }
}

// Ends the rounds that are due, and begins the next ones.
TimePoint Paths::Watch::tick(TimePoint now, bool& changed) {
  auto next = now + std::chrono::seconds(5);
  // The datapath brings the sleeve's device up.
  if (retry_sleeve(now)) changed = true;
  if (!sleeve_) next = std::min(next, next_try_);
  // The device may be made, or made anew, at any time.
  const bool open = socket_.ensure_open();
  if (notice_loss(open)) changed = true;
  std::map<PeerName, SleevePeerStatus> by_sleeve;
  bool asked = false;
  for (auto& [mac, w] : peers_) {
    if (now >= w.due) {
      if (!asked) by_sleeve = sleeve_status();
      asked = true;
      auto s = by_sleeve.find(id_of(mac));
      // An agent that ended falls silent on both paths, here a little later than there: what the sleeve heard counts
      // only when it is so much newer that the agent must have been there while the kernel's path was silent.
      w.seen.sleeve =
          s != by_sleeve.end() && s->second.established && s->second.heard > w.last_full + options_.heartbeat * 5 / 2;
      if (s != by_sleeve.end() && take_offer(w, s->second.note)) changed = true;
      const auto before = path_of(w);
      if (w.sent && w.chooser.round(w.seen)) {
        if (path_of(w) != before) {
          ++moves_;
          changed = true;
          log::info("peer is reached by another path",
                    {{"peer", w.peer.name}, {"path", name_of(path_of(w))}, {"reason", w.chooser.why()}});
        }
      }
      // A mesh of thousands must not drown in heartbeats.
      const auto usual =
          std::max<TimePoint::duration>(options_.heartbeat, std::chrono::milliseconds(10) * peers_.size());
      w.due = now + (w.sent && w.ever && w.chooser.restless() ? options_.restless : usual);
      w.seen = {};
      w.sent = open && mtu_ && (!encrypts() || wireguard_obstacle(w).empty());
      if (w.sent) beat(w);
    }
    next = std::min(next, w.due);
  }
  return next;
}

// A peer that nothing is known of begins with the sleeve where packets are encrypted.
Paths::Watch::Watched Paths::Watch::watch_anew(const std::string& name) {
  if (!encrypts()) return {.chooser = PathChooser(options_.limits)};
  const auto known = adopted_.find(name);
  const bool adopted = known != adopted_.end();
  Watched out{.chooser = PathChooser(options_.limits, Path::kWireguard, adopted ? Path::kWireguard : Path::kSleeve)};
  if (adopted) out.offer = known->second;
  return out;
}

// Through WireGuard only once that has shown that it works.
void Paths::Watch::begin_anew(Watched& w) {
  w.chooser = PathChooser(options_.limits, Path::kWireguard, Path::kSleeve);
  w.seen = {};
  w.sent = false;
}

// What a peer tells of its WireGuard. Another key has still to show that it works. True when something is to be done.
bool Paths::Watch::take_offer(Watched& w, const std::optional<std::string>& note) {
  if (!note) return false;
  auto offer = decode_offer(*note);
  if (offer == w.offer) return false;
  const auto before = path_of(w);
  w.offer = std::move(offer);
  begin_anew(w);
  if (before == Path::kSleeve) return true;
  ++moves_;
  const auto why = wireguard_obstacle(w);
  log::info("peer is reached by another path", {{"peer", w.peer.name},
                                                {"path", name_of(Path::kSleeve)},
                                                {"reason", why.empty() ? "it has another WireGuard key" : why}});
  return true;
}

// The kernel's device is gone, and its routes are with it: whoever makes it should do so soon.
bool Paths::Watch::notice_loss(bool open) {
  const bool lost = was_open_ && !open;
  was_open_ = open;
  return lost;
}

void Paths::Watch::offer_wireguard(const WireguardOffer& own, const std::string& problem) {
  std::lock_guard lock(mutex_);
  own_problem_ = problem;
  if (own == own_) return;
  for (auto& [mac, w] : peers_) {
    if (path_of(w) != Path::kSleeve) ++moves_;
    begin_anew(w);
  }
  own_ = own;
}

std::map<std::string, WireguardOffer> Paths::Watch::wireguard_offers() {
  std::lock_guard lock(mutex_);
  auto out = adopted_;
  for (const auto& [mac, w] : peers_) out[w.peer.name] = w.offer;
  return out;
}

void Paths::Watch::adopt(std::map<std::string, WireguardOffer> known) {
  std::lock_guard lock(mutex_);
  adopted_ = std::move(known);
}

std::set<std::string> Paths::Watch::by_wireguard() {
  std::lock_guard lock(mutex_);
  std::set<std::string> out;
  if (own_.state != WireguardOffer::State::kReady) return out;
  for (const auto& [name, offer] : adopted_) out.insert(name);
  for (const auto& [mac, w] : peers_) {
    if (path_of(w) == Path::kWireguard) out.insert(w.peer.name);
  }
  return out;
}

bool Paths::Watch::may_leave_wireguard() {
  std::lock_guard lock(mutex_);
  const auto by_sleeve = sleeve_status();
  return std::ranges::all_of(peers_, [&](const auto& entry) {
    const auto& w = entry.second;
    if (path_of(w) != Path::kWireguard || !w.ever || !w.chooser.why().empty()) return true;
    const auto s = by_sleeve.find(id_of(entry.first));
    return s != by_sleeve.end() && s->second.established;
  });
}

void Paths::Watch::beat(Watched& w) {
  constexpr std::size_t kIpUdp = 28;
  const auto to = vtep_address(w.peer.pod_cidr);
  Heartbeat h{.sort = Sort::kFull, .asks = options_.self, .asked = w.peer.vtep_mac, .number = ++w.number};
  socket_.send(h, to, mtu_ - kIpUdp);
  if (!w.chooser.asks_why()) return;
  for (auto sort : {Sort::kSmall, Sort::kUnsummed}) {
    h.sort = sort;
    socket_.send(h, to, kSmall);
  }
}

void Paths::Watch::take(const Heartbeat& h) {
  auto at = peers_.find(h.answer ? h.asked : h.asks);
  if (at == peers_.end()) return;
  auto& w = at->second;
  if (!h.answer) {
    if (h.asked != options_.self) return;
    // The answer is small and of the same sort; whether the bytes were intact is in its CRC.
    auto answer = h;
    answer.answer = true;
    if (!h.intact) answer.number = 0;
    return socket_.send(answer, vtep_address(w.peer.pod_cidr), kSmall);
  }
  if (h.asks != options_.self) return;
  if (h.number == 0 || !h.intact) {
    w.seen.corrupted = true;
  } else if (w.number - h.number < 4) {  // a late answer is one, too
    w.ever = true;
    if (h.sort == Sort::kFull) w.seen.full = true, w.last_full = std::chrono::steady_clock::now();
    if (h.sort == Sort::kSmall) w.seen.small = true;
    if (h.sort == Sort::kUnsummed) w.seen.unsummed = true;
  }
}

void Paths::Watch::set_peers(const std::vector<Peer>& peers, unsigned mtu,
                             const std::map<std::string, std::string>& next_hops) {
  std::vector<SleevePeer> for_sleeve;
  std::map<PeerName, PeerName> via;
  std::map<std::string, PeerName> ids;
  for (const auto& p : peers) ids[p.name] = id_of(p.vtep_mac);
  for (const auto& p : peers) {
    for_sleeve.push_back(
        {id_of(p.vtep_mac), p.name, p.underlay, p.ranges.empty() ? std::vector{p.pod_cidr} : p.ranges});
    auto hop = next_hops.find(p.name);
    if (hop != next_hops.end() && ids.contains(hop->second)) via[id_of(p.vtep_mac)] = ids[hop->second];
  }
  {
    std::lock_guard lock(mutex_);
    mtu_ = mtu;
    std::map<MacAddress, Watched> next;
    for (const auto& p : peers) {
      auto known = peers_.find(p.vtep_mac);
      auto& w = next[p.vtep_mac] = known != peers_.end() && known->second.peer.underlay == p.underlay
                                       ? std::move(known->second)
                                       : watch_anew(p.name);
      w.peer = p;
    }
    adopted_.clear();
    peers_ = std::move(next);
    for_sleeve_ = std::move(for_sleeve);
    via_ = std::move(via);
    tell_sleeve();
  }
  wake();
}

void Paths::Watch::on_change(std::function<void()> f) {
  std::lock_guard lock(mutex_);
  on_change_ = std::move(f);
}

std::set<std::string> Paths::Watch::sleeved() {
  std::lock_guard lock(mutex_);
  std::set<std::string> out;
  for (const auto& [mac, w] : peers_) {
    if (path_of(w) == Path::kSleeve) out.insert(w.peer.name);
  }
  return out;
}

std::map<PeerName, SleevePeerStatus> Paths::Watch::sleeve_status() {
  std::map<PeerName, SleevePeerStatus> out;
  if (!sleeve_) return out;
  for (auto& s : sleeve_->status()) out.emplace(s.id, std::move(s));
  return out;
}

std::vector<PathStatus> Paths::Watch::status() {
  std::lock_guard lock(mutex_);
  auto by_sleeve = sleeve_status();
  std::vector<PathStatus> out;
  for (const auto& [mac, w] : peers_) {
    PathStatus s{.peer = w.peer.name, .path = path_of(w)};
    if (s.path != Path::kSleeve) {
      s.mtu = mtu_;
      s.encrypted = s.path == Path::kWireguard;
      s.why = w.chooser.why();
      if (!s.why.empty() && !no_sleeve_.empty()) s.why += "; " + no_sleeve_;
      s.established = s.why.empty() && w.ever;
    } else if (auto found = by_sleeve.find(id_of(mac)); found != by_sleeve.end()) {
      const auto& f = found->second;
      s.established = f.established;
      s.encrypted = f.encrypted;
      s.mtu = f.mtu;
      s.via = f.via;
      s.why = f.problem;
      if (s.why.empty() && encrypts()) s.why = wireguard_obstacle(w);
      if (s.why.empty()) s.why = w.chooser.why();
    }
    out.push_back(std::move(s));
  }
  std::ranges::sort(out, {}, &PathStatus::peer);
  return out;
}

std::string Paths::Watch::metrics() {
  const auto paths = status();
  SleeveCounters c;
  auto line = [](const std::string& name, const char* type, const std::string& help, std::uint64_t value) {
    return "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n" + name + " " + std::to_string(value) +
           "\n";
  };
  auto on = [&](Path path) { return static_cast<std::uint64_t>(std::ranges::count(paths, path, &PathStatus::path)); };
  std::uint64_t moves;
  {
    std::lock_guard lock(mutex_);
    moves = moves_;
    if (sleeve_) c = sleeve_->counters();
  }
  return line("lab_overlay_sleeve_peers", "gauge", "Peers that are reached through user space.", on(Path::kSleeve)) +
         line("lab_overlay_wireguard_peers", "gauge", "Peers that are reached through the kernel's WireGuard.",
              on(Path::kWireguard)) +
         line("lab_overlay_path_moves_total", "counter", "Peers that were moved to another path.", moves) +
         line("lab_overlay_sleeve_forwarded_total", "counter", "Datagrams passed on for other peers.", c.forwarded) +
         line("lab_overlay_sleeve_rekeyed_total", "counter", "Keys that were changed.", c.rekeyed) +
         line("lab_overlay_sleeve_refused_total", "counter", "Datagrams that were forged, or not encrypted.",
              c.refused) +
         line("lab_overlay_sleeve_replayed_total", "counter", "Datagrams that had come before.", c.replayed) +
         line("lab_overlay_sleeve_malformed_total", "counter", "Datagrams that made no sense.", c.malformed);
}

Paths::Paths(std::unique_ptr<Watch> watch) : watch_(std::move(watch)) {}
Paths::~Paths() = default;

Result<std::unique_ptr<Paths>> Paths::start(PathOptions options) {
  auto watch = std::make_unique<Watch>(std::move(options));
  LAB_CHECK(watch->start());
  return std::unique_ptr<Paths>(new Paths(std::move(watch)));
}

void Paths::set_peers(const std::vector<Peer>& peers, unsigned mtu,
                      const std::map<std::string, std::string>& next_hops) {
  watch_->set_peers(peers, mtu, next_hops);
}
void Paths::on_change(std::function<void()> f) {
  watch_->on_change(std::move(f));
}
std::set<std::string> Paths::sleeved() const {
  return watch_->sleeved();
}
void Paths::offer_wireguard(const WireguardOffer& own, const std::string& problem) {
  watch_->offer_wireguard(own, problem);
}
std::map<std::string, WireguardOffer> Paths::wireguard_offers() const {
  return watch_->wireguard_offers();
}
void Paths::adopt(std::map<std::string, WireguardOffer> known) {
  watch_->adopt(std::move(known));
}
std::set<std::string> Paths::by_wireguard() const {
  return watch_->by_wireguard();
}
bool Paths::may_leave_wireguard() const {
  return watch_->may_leave_wireguard();
}
std::string Paths::shared_secret() const {
  return watch_->shared_secret();
}
std::vector<PathStatus> Paths::status() const {
  return watch_->status();
}
bool Paths::encrypts() const {
  return watch_->encrypts();
}
std::string Paths::metrics() const {
  return watch_->metrics();
}

}  // namespace lab::overlay
