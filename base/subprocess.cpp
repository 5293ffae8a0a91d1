#include "base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <thread>

#include "base/fs.h"

extern char** environ;

namespace lab {

namespace {

struct Pipe {
  int read_end = -1, write_end = -1;
  Result<void> open() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("make a pipe");
    read_end = fds[0];
    write_end = fds[1];
    return {};
  }
  void close_read() {
    if (read_end >= 0) ::close(std::exchange(read_end, -1));
  }
  void close_write() {
    if (write_end >= 0) ::close(std::exchange(write_end, -1));
  }
  ~Pipe() {
    close_read();
    close_write();
  }
};

// argv and envp in the form the kernel wants; the strings live in this object.
class Vectors {
 public:
  Vectors(const std::vector<std::string>& argv, const std::vector<std::pair<std::string, std::string>>& env) {
    std::map<std::string, std::string> all;
    for (char** e = environ; e && *e; ++e) {
      std::string line = *e;
      auto eq = line.find('=');
      if (eq != std::string::npos) all[line.substr(0, eq)] = line.substr(eq + 1);
    }
    for (const auto& [k, v] : env) all[k] = v;
    for (const auto& a : argv) args_.push_back(a);
    for (const auto& [k, v] : all) env_.push_back(k + "=" + v);
    for (auto& a : args_) argp_.push_back(a.data());
    for (auto& e : env_) envp_.push_back(e.data());
    argp_.push_back(nullptr);
    envp_.push_back(nullptr);
  }
  char** argv() { return argp_.data(); }
  char** envp() { return envp_.data(); }

 private:
  std::vector<std::string> args_, env_;
  std::vector<char*> argp_, envp_;
};

class Actions {
 public:
  Actions() { ::posix_spawn_file_actions_init(&actions_); }
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  void dup(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
  void open(int fd, const char* path, int flags, mode_t mode) {
    ::posix_spawn_file_actions_addopen(&actions_, fd, path, flags, mode);
  }
  void chdir(const std::string& dir) { ::posix_spawn_file_actions_addchdir_np(&actions_, dir.c_str()); }
  void close_rest() { ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3); }
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

class Attributes {
 public:
  explicit Attributes(bool session) {
    ::posix_spawnattr_init(&attr_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attr_, &none);
    ::posix_spawnattr_setsigdefault(&attr_, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (session) flags |= POSIX_SPAWN_SETSID;
    ::posix_spawnattr_setflags(&attr_, flags);
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attr_); }
  posix_spawnattr_t* get() { return &attr_; }

 private:
  posix_spawnattr_t attr_;
};

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestOutput = 64 << 20;   // a program that prints without end must not take all memory here

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The exit code; nothing when the deadline comes first (Clock::time_point::max(): none).
Result<std::optional<int>> wait_for(pid_t pid, Clock::time_point deadline) {
  const bool limited = deadline != Clock::time_point::max();
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    int status = 0;
    pid_t got = ::waitpid(pid, &status, limited ? WNOHANG : 0);
    if (got == pid) return exit_code_of(status);
    if (got < 0 && errno != EINTR) return fail_errno("wait for process " + std::to_string(pid));
    if (got != 0) continue;
    if (Clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(20));
  }
}

// Writing to a child that has ended reports EPIPE instead of ending us. The signal goes to the writing thread alone, so
// it is held back and taken there; the process's disposition stays as it is for other threads.
class SigpipeHeld {
 public:
  SigpipeHeld() {
    sigemptyset(&only_);
    sigaddset(&only_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &only_, &before_);
  }
  ~SigpipeHeld() {
    const int saved = errno;
    timespec now{};
    if (!sigismember(&before_, SIGPIPE))
      while (::sigtimedwait(&only_, nullptr, &now) == SIGPIPE) {
      }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = saved;
  }

 private:
  sigset_t only_, before_;
};

bool runnable(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

Failure not_started(int err, const std::string& program) {
  if (err == ENOENT) return fail_errno(err, "run " + program, "install the package that provides it, or check PATH");
  return fail_errno(err, "run " + program);
}

}  // namespace

Result<Finished> run(Command command) {
  if (command.argv.empty()) return fail(Code::kInternal, "run: no program given");
  Pipe in, out, err;
  LAB_CHECK(in.open());
  LAB_CHECK(out.open());
  LAB_CHECK(err.open());
  Actions actions;
  actions.dup(in.read_end, 0);
  actions.dup(out.write_end, 1);
  actions.dup(command.merge_stderr ? out.write_end : err.write_end, 2);
  actions.close_rest();
  if (!command.directory.empty()) actions.chdir(command.directory);
  Attributes attributes(false);
  Vectors vectors(command.argv, command.env);
  pid_t pid = 0;
  if (int e = ::posix_spawnp(&pid, vectors.argv()[0], actions.get(), attributes.get(), vectors.argv(), vectors.envp()))
    return not_started(e, command.argv[0]);
  in.close_read();
  out.close_write();
  err.close_write();

  ::fcntl(in.write_end, F_SETFL, O_NONBLOCK);

  Finished done;
  std::string_view input = command.stdin_text;
  if (input.empty()) in.close_write();
  const auto deadline = command.timeout.count() > 0 ? Clock::now() + command.timeout : Clock::time_point::max();
  while (out.read_end >= 0 || err.read_end >= 0 || in.write_end >= 0) {
    pollfd fds[3] = {{out.read_end, POLLIN, 0}, {err.read_end, POLLIN, 0}, {in.write_end, POLLOUT, 0}};
    int wait_ms = -1;
    if (command.timeout.count() > 0) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) break;
      wait_ms = static_cast<int>(std::min<long long>(left.count(), 60'000)) + 1;
    }
    if (::poll(fds, 3, wait_ms) < 0 && errno != EINTR) break;
    auto drain = [](pollfd& p, Pipe& pipe, std::string& into) {
      if (pipe.read_end < 0 || !p.revents) return;
      char chunk[16384];
      ssize_t n = ::read(pipe.read_end, chunk, sizeof chunk);
      if (n > 0)
        into.append(chunk, static_cast<std::size_t>(n));
      else if (n == 0 || errno != EINTR)
        pipe.close_read();
    };
    drain(fds[0], out, done.out);
    drain(fds[1], err, done.err);
    if (done.out.size() + done.err.size() > kLongestOutput) {
      ::kill(pid, SIGKILL);
      LAB_CHECK(wait_for(pid, Clock::time_point::max()));
      return fail(Code::kTooLarge, "run " + command.argv[0] + ": it says more than " + std::to_string(kLongestOutput >> 20) + " MiB; killed");
    }
    if (in.write_end >= 0 && fds[2].revents) {
      SigpipeHeld held;
      ssize_t n = ::write(in.write_end, input.data(), input.size());
      if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
      if (input.empty() || (n < 0 && errno != EAGAIN && errno != EINTR)) in.close_write();
    }
  }
  in.close_write();
  // A child may close its streams and go on: its end has the same deadline.
  LAB_TRY(auto code, wait_for(pid, deadline));
  if (!code) {
    ::kill(pid, SIGKILL);
    LAB_CHECK(wait_for(pid, Clock::time_point::max()));
    return fail(Code::kTimeout,
                "run " + command.argv[0] + ": no end after " + std::to_string(command.timeout.count()) + " ms; killed");
  }
  done.exit_code = *code;
  return done;
}

Result<std::string> run_checked(Command command) {
  std::string line;
  for (const auto& a : command.argv) line += (line.empty() ? "" : " ") + a;
  LAB_TRY(auto done, run(std::move(command)));
  if (done.ok()) return std::move(done.out);
  std::string tail = done.err.empty() ? done.out : done.err;
  while (!tail.empty() && (tail.back() == '\n' || tail.back() == ' ')) tail.pop_back();
  if (tail.size() > 2000) tail = "..." + tail.substr(tail.size() - 2000);
  return fail(Code::kInternal, "'" + line + "' ended with exit code " + std::to_string(done.exit_code) + ": " + tail);
}

Result<pid_t> spawn_daemon(const Daemon& daemon) {
  Actions actions;
  actions.open(0, "/dev/null", O_RDONLY, 0);
  const char* log = daemon.log_path.empty() ? "/dev/null" : daemon.log_path.c_str();
  actions.open(1, log, O_WRONLY | O_CREAT | O_APPEND, 0640);
  actions.dup(1, 2);
  actions.close_rest();
  if (!daemon.directory.empty()) actions.chdir(daemon.directory);
  Attributes attributes(true);
  Vectors vectors(daemon.argv, daemon.env);
  pid_t pid = 0;
  if (int e = ::posix_spawnp(&pid, vectors.argv()[0], actions.get(), attributes.get(), vectors.argv(), vectors.envp()))
    return not_started(e, daemon.argv[0]);
  return pid;
}

bool process_alive(pid_t pid) {
  auto stat = fs::read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return false;
  auto paren = stat->rfind(')');
  return paren != std::string::npos && paren + 2 < stat->size() && (*stat)[paren + 2] != 'Z' &&
         (*stat)[paren + 2] != 'X';
}

std::optional<std::string> find_in_path(const std::string& program) {
  if (program.find('/') != std::string::npos) return runnable(program) ? std::optional(program) : std::nullopt;
  const char* env = std::getenv("PATH");
  std::string path = env ? env : "/usr/sbin:/usr/bin:/sbin:/bin";
  std::size_t start = 0;
  while (start <= path.size()) {
    auto end = path.find(':', start);
    if (end == std::string::npos) end = path.size();
    std::string candidate = fs::join(path.substr(start, end - start), program);
    if (runnable(candidate)) return candidate;
    start = end + 1;
  }
  return std::nullopt;
}

}  // namespace lab
