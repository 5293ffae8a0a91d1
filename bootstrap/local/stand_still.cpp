#include "bootstrap/local/stand_still.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace lab::bootstrap {

Result<StandStill> StandStill::begin(NodeDriver& driver) {
  StandStill out;
  LAB_TRY(auto states, driver.list());
  LAB_TRY(bool paused, driver.paused());
  if (paused || std::none_of(states.begin(), states.end(), [](const NodeState& s) { return s.running; })) return out;
  out.driver_ = &driver;
  LAB_CHECK(out.start_helper());
  LAB_CHECK(driver.pause());
  return out;
}

// The helper waits for the pipe's end: that comes with this process's, however it ends.
Result<void> StandStill::start_helper() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  helper_ = ::fork();
  if (helper_ < 0) {
    ::close(fds[0]);
    ::close(fds[1]);
    return fail_errno("fork");
  }
  if (helper_ == 0) {
    ::close(fds[1]);
    ::setsid();
    for (int s : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(s, SIG_IGN);
    char word;
    while (::read(fds[0], &word, 1) < 0 && errno == EINTR) {
    }
    (void)driver_->unpause();
    ::_exit(0);
  }
  ::close(fds[0]);
  pipe_ = fds[1];
  return {};
}

Result<void> StandStill::end() {
  if (!driver_) return {};
  auto undone = std::exchange(driver_, nullptr)->unpause();
  if (pipe_ >= 0) {
    ::close(pipe_);
    while (::waitpid(helper_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pipe_ = -1;
  }
  return undone;
}

}  // namespace lab::bootstrap
