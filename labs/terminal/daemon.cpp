#include "labs/terminal/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fs.h"
#include "base/io/descriptor.h"
#include "base/log.h"
#include "bootstrap/local/profile.h"
#include "labs/terminal/keeper.h"

namespace lab::terminal {

namespace {

constexpr int kTold = 3;  // the descriptor on which the new keeper says that it listens, or why not

std::string log_path(const std::string& profile) {
  return fs::join(kTerminalsDirectory, profile + ".log");
}

bool answers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  OwnedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Task<void> end_at_signal(int fd, std::stop_source stop) {
  Descriptor signals(fd);
  std::stop_callback ended(stop.get_token(), [&signals] { signals.close(); });
  if (co_await signals.readable()) stop.request_stop();
}

Task<void> keep(const std::string profile, std::unique_ptr<Listener> listener, int signals) {
  std::stop_source stop;
  Scope scope(*Loop::current());
  scope.spawn("terminals signals", end_at_signal(signals, stop));
  KeeperOptions options;
  options.spawn = [profile](std::string node, int cols, int rows) {
    return start_shell(profile, std::move(node), cols, rows);
  };
  options.lab_exists = [profile] { return fs::exists(bootstrap::LabLayout{profile}.profile_file()); };
  options.exclusive = [] { return lock_keepers().value_or(nullptr); };
  Keeper keeper(std::move(listener), std::move(options));
  log::info("keeps terminals", {{"profile", profile}, {"pid", ::getpid()}});
  co_await keeper.run(stop.get_token());
  stop.request_stop();
  co_await scope.close();
}

// In the new process: everything that the old one had is let go.
Result<std::unique_ptr<Listener>> become_keeper(const std::string& profile, int told) {
  ::setsid();
  if (::chdir("/") != 0) return fail_errno("enter /");
  OwnedFd null(::open("/dev/null", O_RDWR));
  OwnedFd log(::open(log_path(profile).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600));
  if (null.get() < 0 || log.get() < 0) return fail_errno("open " + log_path(profile));
  told = ::fcntl(told, F_DUPFD, 16);  // out of the way of the others
  ::dup2(null.get(), 0);
  ::dup2(null.get(), 1);
  ::dup2(log.get(), 2);
  null.release();
  log.release();
  ::dup2(told, kTold);
  ::close_range(kTold + 1, ~0U, 0);
  ::fcntl(kTold, F_SETFD, FD_CLOEXEC);
  return Listener::bind("unix:" + socket_path(profile), 0);
}

[[noreturn]] void run_as_keeper(const std::string& profile, int told) {
  auto listener = become_keeper(profile, told);
  if (!listener) {
    const std::string why = listener.error().text();
    (void)!::write(kTold, why.data(), why.size());
    ::_exit(1);
  }
  for (int s : {SIGHUP, SIGPIPE}) ::signal(s, SIG_IGN);
  sigset_t ends;
  sigemptyset(&ends);
  for (int s : {SIGTERM, SIGINT}) sigaddset(&ends, s);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  const int signals = ::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
  (void)!::write(kTold, "+", 1);
  ::close(kTold);
  EventLoop loop;
  run_until_done(loop, keep(profile, std::move(*listener), signals));
  remove_keeper_files(profile);
  ::_exit(0);
}

}  // namespace

std::string socket_path(const std::string& profile) {
  return fs::join(kTerminalsDirectory, profile + ".sock");
}

Result<std::shared_ptr<void>> lock_keepers() {
  for (int i = 0; i < 100; ++i) {
    LAB_CHECK(fs::make_dirs(kTerminalsDirectory, 0700));
    OwnedFd fd(::open(kTerminalsDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || ::flock(fd.get(), LOCK_EX) != 0) continue;
    // The directory goes with the last keeper: one that has gone meanwhile locks nothing.
    struct stat held, there;
    if (::fstat(fd.get(), &held) == 0 && ::stat(kTerminalsDirectory, &there) == 0 && held.st_ino == there.st_ino)
      return std::make_shared<OwnedFd>(std::move(fd));
  }
  return fail_errno(std::string("lock ") + kTerminalsDirectory);
}

Result<void> start_keeper(const std::string& profile) {
  LAB_CHECK(bootstrap::load_profile(profile));
  LAB_TRY(auto exclusive, lock_keepers());
  if (answers(socket_path(profile))) return {};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  OwnedFd hears(ends[0]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) run_as_keeper(profile, ends[1]);
  ::close(ends[1]);
  char said[1024];
  ssize_t n = 0;
  do n = ::read(hears.get(), said, sizeof said);
  while (n < 0 && errno == EINTR);
  if (n == 1 && said[0] == '+') return {};
  return fail(Code::kUnavailable,
              "the keeper of the terminals of \"" + profile +
                  "\" does not start: " + std::string(said, static_cast<std::size_t>(n > 0 ? n : 0)),
              "see " + log_path(profile));
}

void remove_keeper_files(const std::string& profile) {
  {
    auto exclusive = lock_keepers();
    if (answers(socket_path(profile))) return;  // another one has come
    (void)fs::remove_file(socket_path(profile));
    (void)fs::remove_file(log_path(profile));
  }
  ::rmdir(kTerminalsDirectory);
  ::rmdir("/var/lib/lab");  // with the last lab
}

}  // namespace lab::terminal
