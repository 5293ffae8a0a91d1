#include "overlay-net/sleeve/loop.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"

namespace lab::overlay {
// The loop locks anew at once after it unlocked; without its stepping back nobody else would ever get in under load.
class Sleeve::Loop::Lock {
 public:
  explicit Lock(Loop& loop) : loop_(loop) {
    ++loop_.waiting_;
    loop_.mutex_.lock();
    --loop_.waiting_;
  }
  ~Lock() { loop_.mutex_.unlock(); }

 private:
  Loop& loop_;
};

Result<void> Sleeve::Loop::open() {
  // The port first: where it is taken, no device comes and goes at each attempt.
  LAB_TRY(udp_, open_udp(options.underlay, options.port));
  LAB_TRY(tap_, open_tap(options.device));
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) return fail_errno("cannot make an event descriptor");
  out_ = std::make_unique<SendBatch>(udp_);
  on_ = std::make_unique<SendBatch>(udp_);
  in_ = std::make_unique<ReceiveBatch>(udp_);
  frames_ = std::make_unique_for_overwrite<std::uint8_t[]>(kFrameBytes);
  made_ = std::make_unique_for_overwrite<std::uint8_t[]>(kMadeBytes);
  opened_ = std::make_unique_for_overwrite<std::uint8_t[]>(kMaxPacket);
  return {};
}

Sleeve::Loop::~Loop() {
  stop_ = true;
  if (thread_.joinable()) {
    wake();
    thread_.join();
  }
  for (int fd : {tap_, udp_, wake_}) {
    if (fd >= 0) ::close(fd);
  }
}

void Sleeve::Loop::run_in_thread() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "sleeve");
    run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Sleeve::Loop::wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

void Sleeve::Loop::run() {
  while (!stop_) {
    TimePoint due;
    {
      std::lock_guard lock(mutex_);
      const auto now = std::chrono::steady_clock::now();
      if (now >= next_tick_) next_tick_ = tick(now);
      due = next_tick_;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now()).count();
    pollfd wait[] = {{tap_, POLLIN, 0}, {udp_, POLLIN, 0}, {wake_, POLLIN, 0}};
    if (::poll(wait, 3, static_cast<int>(std::clamp<long>(left, 0, 60'000))) <= 0) continue;
    while (waiting_) std::this_thread::yield();
    std::lock_guard lock(mutex_);
    if (wait[2].revents) {
      std::uint64_t n;
      (void)!::read(wake_, &n, sizeof n);
      next_tick_ = {};
    }
    if (wait[0].revents & (POLLERR | POLLHUP | POLLNVAL)) {
      remake_tap();
      continue;
    }
    // What goes out first: acknowledgements in it keep the other side going.
    if (wait[0].revents) pump_tap();
    if (wait[1].revents) pump_udp();
    if (busy_poll_.worthwhile()) look_on(due);
  }
}

// Whoever else wants this processor has it in between.
void Sleeve::Loop::look_on(TimePoint until_at_most) {
  bool came = false;
  for (auto until = std::chrono::steady_clock::now() + BusyPoll::kPatience; !stop_ && !waiting_;) {
    std::this_thread::yield();
    const bool out = pump_tap(), in = pump_udp();
    const auto now = std::chrono::steady_clock::now();
    if (out || in) {
      came = true;
      until = now + BusyPoll::kPatience;
    }
    if (now >= std::min(until, until_at_most)) break;
  }
  busy_poll_.note(came);
}

// Somebody deleted the device. Who routes packets to it sees that it is another one.
void Sleeve::Loop::remake_tap() {
  if (tap_ >= 0) ::close(tap_);
  auto again = open_tap(options.device);
  tap_ = again ? *again : -1;
  if (again) {
    log::warn("the TAP device was deleted; it is there again", {{"device", options.device}});
  } else {
    stopped_ = again.error().text();
    log::error("the TAP device was deleted; there is no path through user space", {{"reason", stopped_}});
  }
}

void Sleeve::Loop::set_peers(std::vector<SleevePeer> peers) {
  {
    Lock lock(*this);
    peers_.assign(std::move(peers), options);
  }
  wake();
}

void Sleeve::Loop::set_next_hops(std::map<PeerName, PeerName> via) {
  {
    Lock lock(*this);
    peers_.set_next_hops(std::move(via));
  }
  wake();
}

void Sleeve::Loop::tell(std::string note) {
  {
    Lock lock(*this);
    if (note == note_) return;
    note_ = std::move(note);
    for (const auto& p : peers_.all()) p->next_probe = {};
  }
  wake();
}

// Three heartbeats and a half without an answer: as likely a lost datagram each as a lost peer.
bool Sleeve::Loop::hears(const PeerState& p, TimePoint now) const {
  return p.was_heard && now - p.heard < options.heartbeat * 7 / 2;
}

std::vector<SleevePeerStatus> Sleeve::Loop::status() {
  Lock lock(*this);
  const auto now = std::chrono::steady_clock::now();
  std::vector<SleevePeerStatus> out;
  for (const auto& p : peers_.all()) {
    SleevePeerStatus s{.id = p->peer.id, .name = p->peer.name};
    s.established = stopped_.empty() && hears(*p, now);
    s.heard = p->heard;
    s.encrypted = p->keys.sending() != nullptr;
    s.mtu = p->pmtu.size() - static_cast<unsigned>(overhead());
    if (p->via) s.via = p->via->peer.name;
    s.note = p->note;
    if (!s.established) {
      s.problem = !stopped_.empty()                  ? stopped_
                  : !p->problem.empty()              ? p->problem
                  : encrypts() && !p->keys.sending() ? "no keys agreed upon yet"
                  : p->was_heard                     ? "it stopped answering on UDP " + std::to_string(options.port)
                                                     : "it does not answer on UDP " + std::to_string(options.port);
    }
    s.packets_sent = p->packets_sent, s.packets_received = p->packets_received;
    s.bytes_sent = p->bytes_sent, s.bytes_received = p->bytes_received;
    out.push_back(std::move(s));
  }
  std::ranges::sort(out, {}, &SleevePeerStatus::name);
  return out;
}

SleeveCounters Sleeve::Loop::counters() {
  Lock lock(*this);
  auto out = counters_;
  out.undelivered += out_->lost() + on_->lost();
  return out;
}

Sleeve::Sleeve(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Sleeve::~Sleeve() = default;

Result<std::unique_ptr<Sleeve>> Sleeve::start(SleeveOptions options) {
  auto loop = std::make_unique<Loop>(std::move(options));
  LAB_CHECK(loop->open());
  loop->run_in_thread();
  return std::unique_ptr<Sleeve>(new Sleeve(std::move(loop)));
}

void Sleeve::set_peers(std::vector<SleevePeer> peers) {
  loop_->set_peers(std::move(peers));
}
void Sleeve::set_next_hops(std::map<PeerName, PeerName> via) {
  loop_->set_next_hops(std::move(via));
}
void Sleeve::tell(std::string note) {
  loop_->tell(std::move(note));
}
std::vector<SleevePeerStatus> Sleeve::status() const {
  return loop_->status();
}
SleeveCounters Sleeve::counters() const {
  return loop_->counters();
}
const SleeveOptions& Sleeve::options() const {
  return loop_->options;
}

}  // namespace lab::overlay
