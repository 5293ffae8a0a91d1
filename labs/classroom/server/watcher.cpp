#include "labs/classroom/server/watcher.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <condition_variable>
#include <thread>

#include "base/io/listener.h"
#include "base/log.h"
#include "bootstrap/local/lab.h"
#include "labs/classroom/model/progress.h"
#include "labs/classroom/model/student_lab.h"
#include "labs/classroom/server/exercise_state.h"
#include "labs/classroom/server/listeners.h"
#include "labs/classroom/server/node_ports.h"
#include "labs/exercises/feed.h"
#include "labs/exercises/session.h"

namespace lab::classroom {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kSlice = milliseconds(500);            // a wait for news, before looking whether to go on at all
constexpr auto kLongSlice = milliseconds(1500);       // the same while nobody looks
constexpr auto kAtOnce = milliseconds(200);           // between looks at objects that change all the time
constexpr auto kSoon = milliseconds(1000);            // between looks at programs and pages, at most so often ...
constexpr auto kSeldom = milliseconds(8000);          // ... and at least so often while a page is open
constexpr auto kAlone = milliseconds(15000);          // nobody looks
constexpr auto kObjectsAnyway = milliseconds(10000);  // objects are watched; this is for what a watch may miss
constexpr int kLazier = 8;  // a student who was idle for 8 s is looked at every second, 16 s: two

std::string stamp_of(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return {};
  return std::to_string(st.st_ino) + "." + std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
}

// Held while a session is looked at and written: a job of this lab, a command's as well as this server's, waits for it.
// False while one runs.
class NoJob {
 public:
  explicit NoJob(const std::string& profile)
      : fd_(::open(job_lock_file(profile).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
        held_(fd_.get() < 0 || ::flock(fd_.get(), LOCK_SH | LOCK_NB) == 0) {}
  explicit operator bool() const { return held_; }

 private:
  OwnedFd fd_;
  bool held_;
};

bool runs_programs(const exercises::Step& step) {
  for (const auto& check : step.checks)
    if (check.command || check.http) return true;
  return false;
}

}  // namespace

struct Watcher::Impl {
  Impl(SeatPtr s, int port, CheckSlots& checks) : seat(std::move(s)), ports_port(port), slots(checks) {}

  SeatPtr seat;
  int ports_port;
  CheckSlots& slots;

  std::mutex mutex;
  std::condition_variable news;
  bool woken = true, suspended = false, resting = false, stopping = false, class_runs = true, stale = false;

  // The thread's own.
  std::unique_ptr<exercises::Session> session;
  std::vector<std::string> texts;
  std::string session_stamp = "none yet";

  std::thread thread;

  bool let_go() {
    std::lock_guard lock(mutex);
    return suspended || stopping;
  }

  bool somebody_looks() const { return seat->online() || seat->followers > 0; }

  bool worth_it() {
    {
      std::lock_guard lock(mutex);
      if (suspended || stopping || !class_runs) return false;
    }
    return json::as_str(seat->part("lab")) == "running" && (session || somebody_looks());
  }

  void run() {
    while (true) {
      {
        std::unique_lock lock(mutex);
        resting = true;
        news.notify_all();
        news.wait(lock, [&] { return (woken && !suspended) || stopping; });
        if (stopping) return;
        woken = resting = false;
      }
      try {
        read_session();
        if (worth_it()) watch_lab();
      } catch (const std::exception& e) {
        log::error("watching a lab ended with an exception", {{"lab", seat->profile}, {"what", e.what()}});
        std::unique_lock lock(mutex);
        news.wait_for(lock, kSeldom, [&] { return suspended || stopping; });
        woken = true;
      }
    }
  }

  // What stands on disk, whenever it was changed by somebody else.
  void read_session() {
    const std::string stamp = stamp_of(exercises::session_file(seat->profile));
    bool anew;
    {
      std::lock_guard lock(mutex);
      anew = std::exchange(stale, false);
    }
    if (stamp == session_stamp && !anew) return;
    session_stamp = stamp;
    session.reset();
    if (stamp.empty()) {
      seat->set("exercise", nullptr);
      tell_progress();
      return;
    }
    auto loaded = exercises::Session::load(seat->profile);
    if (!loaded) {
      seat->set("exercise", broken_exercise("", loaded.error().text()));
      tell_progress();
      return;
    }
    session = std::make_unique<exercises::Session>(std::move(*loaded));
    texts = texts_of(*session);
    tell_exercise();
  }

  void tell_exercise(const exercises::Seen& trouble = {}) {
    seat->set("exercise", exercise_state(*session, texts, trouble));
    tell_progress();
  }

  void tell_progress() {
    const Student student{.name = seat->student, .title = {}, .secret = {}, .profile = seat->profile};
    seat->set_progress(progress_json(progress_of(student, session.get(), std::chrono::system_clock::now())));
  }

  void watch_lab() {
    auto lab = exercises::Evaluator::open(seat->profile);
    if (!lab) return;
    std::unique_ptr<exercises::Feed> feed;
    std::string fed;  // what the feed was made for: the cluster's credentials, and the step
    Clock::time_point looked{}, moved = Clock::now();
    bool changed = true;  // since the last look
    while (worth_it()) {
      read_session();
      const exercises::Step* step =
          session && !session->done() ? &session->exercise().steps[session->current()] : nullptr;
      const auto credentials = bootstrap::admin_kubeconfig(lab->profile(), lab->driver()).value_or("");
      const std::string wanted = credentials + (step ? step->name : "");
      if (wanted != fed) {
        feed.reset();
        if (auto config = client::parse_kubeconfig(credentials); !credentials.empty() && config)
          feed = std::make_unique<exercises::Feed>(
              *config, with_services(step ? step->checks : std::vector<exercises::Check>{}), lab->profile().network);
        fed = wanted;
        changed = true;
      }
      if (changed) moved = Clock::now();
      // Objects that change again and again are no reason to run programs again and again.
      const auto since = Clock::now() - looked;
      if (since >= (changed ? (step && runs_programs(*step) ? kSoon : kAtOnce) : pause_now(step, moved))) {
        changed = false;
        if (step) look(*step);
        tell_ports(*lab, !credentials.empty());
        looked = Clock::now();
      }
      if (feed) {
        changed = feed->wait(changed ? kAtOnce : somebody_looks() ? kSlice : kLongSlice) || changed;
      } else {
        std::unique_lock lock(mutex);
        news.wait_for(lock, kSlice, [&] { return suspended || stopping; });
      }
    }
  }

  Clock::duration pause_now(const exercises::Step* step, Clock::time_point moved) const {
    if (!step || !runs_programs(*step)) return kObjectsAnyway;
    if (!somebody_looks()) return kAlone;
    const auto idle = std::min<Clock::duration>(seat->since_touch(), Clock::now() - moved);
    return std::clamp<Clock::duration>(idle / kLazier, kSoon, kSeldom);
  }

  void look(const exercises::Step& step) {
    const bool programs = runs_programs(step);
    while (programs && !slots.try_acquire_for(kSlice))
      if (let_go()) return;
    exercises::Seen trouble;
    const NoJob alone(seat->profile);
    if (!alone || stamp_of(exercises::session_file(seat->profile)) != session_stamp) {
      if (programs) slots.release();
      return;  // the next turn reads what the job has left
    }
    try {
      if (auto news = session->check(); !news) trouble = {exercises::Saw::kNotLooked, {news.error().text()}};
    } catch (const std::exception& e) {
      trouble = {exercises::Saw::kBroken, {e.what()}};
    }
    if (programs) slots.release();
    session_stamp = stamp_of(exercises::session_file(seat->profile));
    tell_exercise(trouble);
  }

  void tell_ports(exercises::Evaluator& lab, bool is_cluster) {
    json::Array all;
    if (is_cluster) {
      auto ports = node_ports(lab, seat->student, ports_port);
      if (!ports) return;  // what is shown stays until the API server answers again
      all = std::move(*ports);
    }
    for (auto& port : listeners(lab, seat->student, ports_port)) all.push_back(std::move(port));
    seat->set("ports", std::move(all));
  }
};

Watcher::Watcher(SeatPtr seat, int ports_port, CheckSlots& slots)
    : impl_(std::make_unique<Impl>(std::move(seat), ports_port, slots)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Watcher::~Watcher() {
  stop();
  impl_->thread.join();
}

void Watcher::stop() {
  std::lock_guard lock(impl_->mutex);
  impl_->stopping = true;
  impl_->news.notify_all();
}

void Watcher::wake() {
  std::lock_guard lock(impl_->mutex);
  impl_->woken = true;
  impl_->news.notify_all();
}

void Watcher::allow(bool runs) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->class_runs == runs) return;
  impl_->class_runs = runs;
  impl_->woken = true;
  impl_->news.notify_all();
}

void Watcher::suspend() {
  std::unique_lock lock(impl_->mutex);
  impl_->suspended = true;
  impl_->news.notify_all();
  impl_->news.wait(lock, [&] { return impl_->resting || impl_->stopping; });
}

void Watcher::resume() {
  std::lock_guard lock(impl_->mutex);
  impl_->suspended = false;
  impl_->woken = impl_->stale = true;
  impl_->news.notify_all();
}

}  // namespace lab::classroom
