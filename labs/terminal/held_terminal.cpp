#include "labs/terminal/held_terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "labs/terminal/pty.h"

namespace lab::terminal {

namespace {

constexpr std::size_t kPiece = 16 * 1024;
constexpr int kPiecesAtOnce = 16;  // then the other terminals have their turn
constexpr std::size_t kPendingInput = 256 * 1024;
constexpr auto kBusy = std::chrono::milliseconds(10);  // until a master is asked again that was ready and was not
constexpr auto kNobodyThere = std::chrono::milliseconds(250);
constexpr auto kLastWords = std::chrono::seconds(2);  // for output that was printed before the end
constexpr auto kGrace = std::chrono::seconds(2);      // from SIGHUP to SIGKILL

}  // namespace

HeldTerminal::HeldTerminal(Terminal about, Shell shell, std::function<void()> changed)
    : about_(std::move(about)), master_(shell.master.release()), pid_(shell.pid), changed_(std::move(changed)) {}

void HeldTerminal::start(Scope& scope) {
  scope_ = &scope;
  scope.spawn("terminal output", read_output(shared_from_this()));
  scope.spawn("terminal shell", end_with_shell(shared_from_this()));
}

Terminal HeldTerminal::describe() const {
  Terminal out = about_;
  out.end = ring_.end();
  return out;
}

bool HeldTerminal::read_some() {
  std::array<char, kPiece> piece;
  const ssize_t n = ::read(master_.fd(), piece.data(), piece.size());
  if (n <= 0) return false;
  ring_.append({piece.data(), static_cast<std::size_t>(n)});
  return true;
}

Task<void> HeldTerminal::read_output(std::shared_ptr<HeldTerminal> self) {
  while (co_await self->master_.readable()) {
    int pieces = 0;
    while (pieces < kPiecesAtOnce && self->read_some()) ++pieces;
    if (pieces > 0) {
      self->news_.notify();
      continue;
    }
    if (errno == EAGAIN || errno == EINTR) continue;
    // EIO: nobody has the other side open. Somebody may open it again, until the leader of the session has ended.
    if (self->shell_ended_) break;
    co_await self->output_end_.wait_for(kNobodyThere);
  }
  self->output_ended_ = true;
  self->output_end_.notify();
}

Task<void> HeldTerminal::end_with_shell(std::shared_ptr<HeldTerminal> self) {
  const int code = co_await wait_exit(self->pid_);
  self->shell_ended_ = true;
  self->output_end_.notify();
  // What it printed last may still be on its way through the terminal.
  auto& loop = *Loop::current();
  const auto until = loop.now() + kLastWords;
  while (!self->output_ended_ && loop.now() < until) co_await self->output_end_.wait_for(until - loop.now());
  self->pending_.clear();
  self->about_.exited = code;
  self->master_.close();
  self->news_.notify();
  self->room_.notify();
  self->changed_();
}

// A key that ends what does not read its input must not wait behind what it does not read: all that goes, in the
// terminal as well, as it does where the key arrives at once (termios(3), ISIG).
bool HeldTerminal::interrupts(std::string_view bytes) const {
  termios mode{};
  if (bytes.size() != 1 || ::tcgetattr(master_.fd(), &mode) != 0 || !(mode.c_lflag & ISIG)) return false;
  const auto key = static_cast<cc_t>(bytes[0]);
  if (key != mode.c_cc[VINTR] && key != mode.c_cc[VQUIT]) return false;
  OwnedFd slave(::ioctl(master_.fd(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (slave.get() >= 0) ::tcflush(slave.get(), TCIFLUSH);
  return true;
}

void HeldTerminal::input(std::string_view bytes) {
  if (exited() || hung_up_) return;
  if (!pending_.empty() && interrupts(bytes)) {
    pending_.clear();
    room_.notify();
  }
  pending_ += bytes;
  if (std::exchange(writing_, true)) return;
  scope_->start("terminal input", write_input(shared_from_this()));
}

bool HeldTerminal::full() const {
  return pending_.size() > kPendingInput;
}

Task<void> HeldTerminal::write_input(std::shared_ptr<HeldTerminal> self) {
  bool waited = false;
  while (!self->pending_.empty() && self->master_.open()) {
    const ssize_t n = ::write(self->master_.fd(), self->pending_.data(), self->pending_.size());
    if (n > 0) {
      self->pending_.erase(0, static_cast<std::size_t>(n));
      if (!self->full()) self->room_.notify();
      waited = false;
      continue;
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) break;  // nobody is there to read it
    if (waited) co_await sleep_for(kBusy);
    if (!co_await self->master_.writable()) break;
    waited = true;
  }
  self->pending_.clear();
  self->writing_ = false;
  self->room_.notify();
}

void HeldTerminal::resize(int cols, int rows) {
  if (cols == about_.cols && rows == about_.rows) return;
  about_.cols = cols;
  about_.rows = rows;
  if (master_.open()) (void)set_size(master_.fd(), cols, rows);
  news_.notify();
  changed_();
}

void HeldTerminal::hang_up() {
  if (std::exchange(hung_up_, true)) return;
  master_.close();  // the kernel sends SIGHUP
  news_.notify();
  room_.notify();
  if (!shell_ended_) scope_->spawn("terminal end", insist(shared_from_this()));
}

Task<void> HeldTerminal::insist(std::shared_ptr<HeldTerminal> self) {
  co_await sleep_for(kGrace, self->scope_->token());
  if (!self->shell_ended_) ::kill(self->pid_, SIGKILL);
}

}  // namespace lab::terminal
