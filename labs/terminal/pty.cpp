#include "labs/terminal/pty.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace lab::terminal {

namespace {

// In the child: nothing here may allocate, since the parent may have had other threads.
[[noreturn]] void become(int slave, char** argv, char** env) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int s = 1; s < NSIG; ++s) ::signal(s, SIG_DFL);
  ::setsid();
  ::ioctl(slave, TIOCSCTTY, 0);
  for (int fd = 0; fd < 3; ++fd) ::dup2(slave, fd);
  ::close_range(3, ~0U, 0);
  environ = env;  // execvp looks for the program in its PATH
  ::execvp(argv[0], argv);
  const int err = errno;
  const char* why = ::strerrordesc_np(err);
  for (const char* part : {"lab: ", static_cast<const char*>(argv[0]), ": ", why ? why : "cannot be run", "\r\n"})
    (void)!::write(2, part, std::strlen(part));
  ::_exit(err == ENOENT ? 127 : 126);
}

}  // namespace

Result<Pty> open_pty(int cols, int rows) {
  Pty out;
  // Not blocking: in a node its owner decides what stands there.
  out.master = OwnedFd(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  const int master = out.master.get();
  if (master < 0) return fail_errno("open /dev/ptmx", "no terminal can be made without a devpts on /dev/pts");
  if (!is_master(master)) return fail(Code::kUnavailable, "/dev/ptmx is not the device that makes terminals");
  int unlocked = 0;
  if (::ioctl(master, TIOCSPTLCK, &unlocked) != 0) return fail_errno("unlock the terminal");
  out.slave = OwnedFd(::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (out.slave.get() < 0) return fail_errno("open the terminal's other side");
  termios mode{};
  if (::tcgetattr(out.slave.get(), &mode) == 0) {
    mode.c_iflag |= IUTF8;  // erasing takes whole characters
    ::tcsetattr(out.slave.get(), TCSANOW, &mode);
  }
  LAB_CHECK(set_size(master, cols, rows));
  return out;
}

Result<void> set_size(int master, int cols, int rows) {
  winsize size{};
  size.ws_col = static_cast<unsigned short>(cols);
  size.ws_row = static_cast<unsigned short>(rows);
  if (::ioctl(master, TIOCSWINSZ, &size) != 0) return fail_errno("set the terminal's size");
  return {};
}

bool is_master(int fd) {
  unsigned number = 0;
  return ::ioctl(fd, TIOCGPTN, &number) == 0;
}

Result<pid_t> run_on(const Pty& pty, const Program& program, ChildOf whose) {
  if (program.argv.empty()) return fail(Code::kInternal, "run on a terminal: no program given");
  std::vector<std::string> pairs;
  for (const auto& [k, v] : program.env) pairs.push_back(k + "=" + v);
  std::vector<char*> argv, env;
  for (const auto& a : program.argv) argv.push_back(const_cast<char*>(a.c_str()));
  for (const auto& p : pairs) env.push_back(const_cast<char*>(p.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  const unsigned long flags = SIGCHLD | (whose == ChildOf::kParent ? CLONE_PARENT : 0);
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
  if (child < 0) return fail_errno("start " + program.argv[0]);
  if (child == 0) become(pty.slave.get(), argv.data(), env.data());
  return child;
}

}  // namespace lab::terminal
