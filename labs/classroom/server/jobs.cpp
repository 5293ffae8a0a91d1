#include "labs/classroom/server/jobs.h"

#include <sys/stat.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <thread>

#include "base/fs.h"
#include "base/log.h"
#include "labs/classroom/server/child.h"
#include "orchestrator/api/time.h"

namespace lab::classroom {

namespace {

std::string note_file(const Seat& seat) {
  return fs::join(kClassesDirectory, seat.class_name + "/jobs/" + seat.student + ".json");
}

std::string now_text() {
  return api::format_time(std::chrono::system_clock::now());
}

void show(const SeatPtr& seat, const std::string& what, const std::string& line, const std::string& started,
          std::size_t before = 0, const std::string& error = {}) {
  seat->set("job",
            json::Object{{"what", what}, {"line", line}, {"before", before}, {"started", started}, {"error", error}});
}

// The same on disk, for the next server: what a page has seen begin, or wait, is not forgotten. Not synced: it is for
// servers that are killed, and callers do not wait for a disk. The class may have been deleted meanwhile: no note then.
void note(const Seat& seat, const std::string& what, const std::string& started, const std::string& error) {
  const std::string file = note_file(seat), part = file + ".part";
  const std::string directory = fs::join(kClassesDirectory, seat.class_name + "/jobs");
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return;
  std::ofstream out(part, std::ios::trunc);
  out << json::dump(json::Object{{"what", what}, {"started", started}, {"error", error}});
  out.close();
  if (!out || ::rename(part.c_str(), file.c_str()) != 0)
    log::warn("a job could not be noted down", {{"student", seat.student}, {"file", file}});
}

std::string last_lines(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::string out;
  for (unsigned char c : text.substr(text.size() - std::min<std::size_t>(text.size(), 800)))
    if (c >= 32 || c == '\n') out += static_cast<char>(c);
  return out;
}

}  // namespace

struct Jobs::Impl {
  struct Job {
    SeatPtr seat;
    std::string id, what, started;
    std::vector<std::vector<std::string>> commands;
  };

  JobHooks hooks;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> queue;
  std::map<const Seat*, std::string> busy;  // what waits or runs, by id
  std::size_t running = 0;
  std::uint64_t last_id = 0;
  std::stop_source stop;
  std::vector<std::thread> threads;  // a process dies with the thread that started it: these stay until stop()

  void show_queue_locked() {
    std::size_t before = running;
    for (const auto& job : queue) {
      show(job.seat, job.what, "waiting, " + std::to_string(before) + " before you", job.started, before);
      ++before;
    }
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return stop.stop_requested() || !queue.empty(); });
      if (stop.stop_requested()) return;
      Job job = std::move(queue.front());
      queue.pop_front();
      ++running;
      show_queue_locked();
      lock.unlock();
      const std::string error = run(job);
      const bool cut = stop.stop_requested();  // its note stays as it is: the next server tells
      if (!cut) settle(job, error);
      lock.lock();
      --running;
      busy.erase(job.seat.get());
      if (!cut) show_end(job, error);
      show_queue_locked();
    }
  }

  // Why it failed; empty: it did not.
  std::string run(const Job& job) {
    show(job.seat, job.what, "beginning", job.started);
    if (hooks.begin) hooks.begin(job.seat);
    std::string last;
    for (const auto& command : job.commands) {
      auto ended = run_child(
          command,
          [&](const std::string& line) {
            last = line;
            show(job.seat, job.what, line, job.started);
          },
          stop.get_token());
      if (!ended) return ended.error().text();
      if (ended->exit_code == 0) continue;
      const std::string said = last_lines(ended->errors);
      return said.empty() ? "it ended with exit code " + std::to_string(ended->exit_code) + " at: " + last : said;
    }
    return {};
  }

  void settle(const Job& job, const std::string& error) {
    if (error.empty()) {
      (void)fs::remove_file(note_file(*job.seat));
    } else {
      log::warn("a job failed", {{"student", job.seat->student}, {"job", job.what}, {"error", error}});
      note(*job.seat, job.what, job.started, error);
    }
    if (hooks.end) hooks.end(job.seat, error);
  }

  static void show_end(const Job& job, const std::string& error) {
    if (error.empty())
      job.seat->set("job", nullptr);
    else
      show(job.seat, job.what, "", job.started, 0, error);
  }
};

Jobs::Jobs(int at_once, JobHooks hooks) : impl_(std::make_unique<Impl>()) {
  impl_->hooks = std::move(hooks);
  for (int i = 0; i < std::max(at_once, 1); ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
}

Jobs::~Jobs() {
  stop();
}

Result<std::string> Jobs::start(const SeatPtr& seat, const std::string& what,
                                std::vector<std::vector<std::string>> commands) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->stop.stop_requested()) return fail(Code::kUnavailable, "the server is ending");
  if (impl_->busy.contains(seat.get()))
    return fail(Code::kConflict, "something else is being done with this lab", "wait until it has ended");
  Impl::Job job{.seat = seat,
                .id = "job-" + std::to_string(++impl_->last_id),
                .what = what,
                .started = now_text(),
                .commands = std::move(commands)};
  const std::string id = job.id;
  note(*seat, what, job.started, "");
  impl_->busy[seat.get()] = id;
  impl_->queue.push_back(std::move(job));
  impl_->show_queue_locked();
  impl_->wake.notify_one();
  return id;
}

bool Jobs::busy(const SeatPtr& seat) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->busy.contains(seat.get());
}

void Jobs::recover(const SeatPtr& seat) {
  auto text = fs::read_file(note_file(*seat));
  if (!text) return;
  auto value = json::parse(*text);
  const std::string what(value ? json::str(*value, "what") : "");
  std::string error(value ? json::str(*value, "error") : "");
  if (error.empty()) error = "it was cut off when the server ended; do it again, and it will be completed";
  show(seat, what.empty() ? "start" : what, "", value ? std::string(json::str(*value, "started")) : "", 0, error);
}

void Jobs::stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop.request_stop();
    impl_->queue.clear();  // their notes stay, and the next server tells
    impl_->wake.notify_all();
  }
  for (auto& thread : impl_->threads)
    if (thread.joinable()) thread.join();
  impl_->threads.clear();
}

}  // namespace lab::classroom
