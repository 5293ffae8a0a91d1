#include "bootstrap/supervise/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/fs.h"
#include "base/log.h"
#include "base/subprocess.h"

namespace lab::bootstrap {

namespace {

constexpr auto kLeastBackoff = std::chrono::milliseconds(100);
constexpr auto kMostBackoff = std::chrono::seconds(10);
constexpr auto kSteadyAfter = std::chrono::seconds(30);
constexpr auto kStopGrace = std::chrono::seconds(10);
constexpr auto kAdoptedPoll = std::chrono::milliseconds(500);
constexpr off_t kLogLimit = 16 << 20;

// A process is told apart from a later one with the same pid by its start time (field 22 of /proc/PID/stat).
std::string start_time_of(pid_t pid) {
  auto stat = fs::read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return {};
  auto at = stat->rfind(')');
  for (int field = 2; at != std::string::npos && field < 22; ++field) at = stat->find(' ', at + 1);
  if (at == std::string::npos) return {};
  return stat->substr(at + 1, stat->find(' ', at + 1) - at - 1);
}

}  // namespace

Child::Child(Unit unit, const SupervisorOptions& options) : unit_(std::move(unit)), options_(options) {}

std::string Child::pid_path() const { return fs::join(options_.pid_directory, unit_.name + ".pid"); }

void Child::want_running() {
  wanted_ = true;
  if (!running()) {
    start_at_ = Time::min();
    backoff_ = kLeastBackoff;
  }
}

void Child::want_stopped() {
  wanted_ = false;
  if (!running() || kill_at_ != Time::max()) return;
  asked_ = true;
  ::kill(pid_, SIGTERM);
  kill_at_ = std::chrono::steady_clock::now() + kStopGrace;
}

bool Child::adopt() {
  auto text = fs::read_file(pid_path());
  if (!text) return false;
  auto space = text->find(' ');
  if (space == std::string::npos) return false;
  pid_t pid = std::atoi(text->c_str());
  if (pid <= 0 || !process_alive(pid) || start_time_of(pid) != text->substr(space + 1)) return false;
  pid_ = pid;
  adopted_ = true;
  started_ = std::chrono::steady_clock::now();
  log::info("adopted a running unit", {{"unit", unit_.name}, {"pid", pid}});
  return true;
}

void Child::start(Time now) {
  if (adopt()) return;
  Daemon daemon{.argv = unit_.argv, .log_path = fs::join(options_.log_directory, unit_.name + ".log"), .directory = "/"};
  for (const auto& [k, v] : unit_.env) daemon.env.emplace_back(k, v);
  auto pid = spawn_daemon(daemon);
  if (!pid) {
    last_end_ = pid.error().text();
    log::error("a unit could not be started", {{"unit", unit_.name}, {"why", last_end_}});
    start_at_ = now + backoff_;
    backoff_ = std::min<std::chrono::milliseconds>(backoff_ * 2, kMostBackoff);
    return;
  }
  pid_ = *pid;
  adopted_ = false;
  started_ = now;
  (void)fs::write_file(pid_path(), std::to_string(pid_) + " " + start_time_of(pid_), 0600);
  log::info("started", {{"unit", unit_.name}, {"pid", pid_}});
}

void Child::step(Time now) {
  if (running() && adopted_ && !process_alive(pid_)) note_end("ended; its exit code went to another process", now);
  if (running() && now >= kill_at_) {
    ::kill(pid_, SIGKILL);
    kill_at_ = Time::max();
  }
  if (!running() && wanted_ && now >= start_at_) start(now);
}

Time Child::next() const {
  Time at = Time::max();
  if (running() && adopted_) at = std::chrono::steady_clock::now() + kAdoptedPoll;
  if (running()) return std::min(at, kill_at_);
  return wanted_ ? start_at_ : at;
}

void Child::ended(int status, Time now) {
  if (WIFSIGNALED(status))
    note_end(std::string("killed by signal ") + ::strsignal(WTERMSIG(status)), now);
  else
    note_end("exit code " + std::to_string(WEXITSTATUS(status)), now);
}

void Child::note_end(std::string how, Time now) {
  last_end_ = std::move(how);
  const bool asked = std::exchange(asked_, false);
  if (asked || now - started_ >= kSteadyAfter) backoff_ = kLeastBackoff;
  pid_ = 0;
  kill_at_ = Time::max();
  (void)fs::remove_file(pid_path());
  if (!wanted_) return;
  ++restarts_;
  if (asked) {
    start_at_ = now;
    log::info("a unit is started anew", {{"unit", unit_.name}, {"end", last_end_}});
    return;
  }
  start_at_ = now + backoff_;
  log::warn("a unit ended and will be restarted", {{"unit", unit_.name},
                                                    {"end", last_end_},
                                                    {"after_ms", backoff_.count()}});
  backoff_ = std::min<std::chrono::milliseconds>(backoff_ * 2, kMostBackoff);
}

void Child::rotate_log() {
  const std::string path = fs::join(options_.log_directory, unit_.name + ".log");
  struct stat st;
  if (::stat(path.c_str(), &st) != 0 || st.st_size < kLogLimit) return;
  // The process keeps its descriptor (opened for appending): copy, then cut.
  if (fs::copy_file(path, path + ".1", 0640)) (void)::truncate(path.c_str(), 0);
}

json::Value Child::describe() const {
  return json::Object{{"name", unit_.name},     {"running", running()}, {"wanted", wanted_},
                      {"pid", pid_},            {"restarts", restarts_}, {"lastEnd", last_end_}};
}

}  // namespace lab::bootstrap
