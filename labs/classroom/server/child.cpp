#include "labs/classroom/server/child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "base/io/listener.h"

namespace lab::classroom {

namespace {

constexpr std::size_t kLongestLine = 300;
constexpr std::size_t kErrorsKept = 4000;
constexpr auto kGrace = std::chrono::seconds(5);  // from SIGTERM to SIGKILL

std::string printable(std::string_view text) {
  std::string out;
  for (unsigned char c : text.substr(0, kLongestLine))
    if (c >= 32 && c != 127) out += static_cast<char>(c);
  return out;
}

// After fork: only what is safe in the child of a process with many threads.
[[noreturn]] void become(char* const* argv, int out, int err, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it ended between fork and here
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  ::execv(argv[0], argv);
  ::_exit(127);
}

struct Pipe {
  OwnedFd read_end, write_end;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  return Pipe{OwnedFd(fds[0]), OwnedFd(fds[1])};
}

// Hands on whole lines and keeps the rest; what is longer than a line may be is cut, not kept.
void take_lines(std::string& pending, std::string_view chunk, const std::function<void(const std::string&)>& line) {
  for (char c : chunk) {
    if (c == '\n' || c == '\r') {
      if (auto text = printable(pending); !text.empty()) line(text);
      pending.clear();
    } else if (pending.size() < kLongestLine) {
      pending += c;
    }
  }
}

int end_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<ChildEnd> run_child(const std::vector<std::string>& argv, const std::function<void(const std::string&)>& line,
                           std::stop_token stop) {
  LAB_TRY(auto out, make_pipe());
  LAB_TRY(auto err, make_pipe());
  OwnedFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("start " + argv[0]);
  if (pid == 0) become(words.data(), out.write_end.get(), err.write_end.get(), parent);
  ::setpgid(pid, pid);  // in both: whoever comes first
  out.write_end = OwnedFd();
  err.write_end = OwnedFd();

  std::stop_callback on_stop(stop, [&] { (void)!::eventfd_write(wake.get(), 1); });
  ChildEnd end;
  std::string pending;
  auto kill_at = std::chrono::steady_clock::time_point::max();
  // Daemons that it leaves behind may hold its output: its own end is what counts, and what is there to be read then.
  OwnedFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  bool ended = false;
  while (out.read_end.get() >= 0 || err.read_end.get() >= 0) {
    pollfd fds[4] = {{out.read_end.get(), POLLIN, 0},
                     {err.read_end.get(), POLLIN, 0},
                     {process.get(), POLLIN, 0},
                     {wake.get(), POLLIN, 0}};
    const bool stopping = kill_at != std::chrono::steady_clock::time_point::max();
    const int ready = ::poll(fds, stopping ? 3 : 4, ended ? 0 : stopping ? 100 : -1);
    if (ready < 0 && errno != EINTR) break;
    if (ended && !fds[0].revents && !fds[1].revents) break;
    ended = ended || fds[2].revents;
    if (!stopping && fds[3].revents) {
      ::kill(-pid, SIGTERM);
      kill_at = std::chrono::steady_clock::now() + kGrace;
    }
    if (stopping && std::chrono::steady_clock::now() > kill_at) {
      ::kill(-pid, SIGKILL);
      break;
    }
    char chunk[4096];
    for (int i = 0; i < 2; ++i) {
      OwnedFd& fd = i == 0 ? out.read_end : err.read_end;
      if (fd.get() < 0 || !fds[i].revents) continue;
      const ssize_t n = ::read(fd.get(), chunk, sizeof chunk);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        fd = OwnedFd();
        continue;
      }
      const std::string_view text(chunk, static_cast<std::size_t>(n));
      if (i == 0) {
        take_lines(pending, text, line);
      } else {
        end.errors += text;
        if (end.errors.size() > kErrorsKept) end.errors.erase(0, end.errors.size() - kErrorsKept);
      }
    }
  }
  take_lines(pending, "\n", line);
  end.exit_code = end_of(pid);
  return end;
}

}  // namespace lab::classroom
