// HeldTerminal: one terminal of the keeper: its shell, what it has printed, and who is to be told.
//
// Its output is always read, however slow or absent its viewers are: they look it up in the ring when they can, and
// miss what has fallen out of it. Typed input waits for a shell that does not read, up to a bound; whoever types more
// waits as well. On the keeper's loop. Life: start() spawns the tasks, which hold it; it has gone when the shell has.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/io/descriptor.h"
#include "base/io/scope.h"
#include "base/io/sync.h"
#include "labs/terminal/client.h"
#include "labs/terminal/ring.h"
#include "labs/terminal/shell.h"

namespace lab::terminal {

class HeldTerminal : public std::enable_shared_from_this<HeldTerminal> {
 public:
  // about.exited, end: filled in here. `changed`: size or exit.
  HeldTerminal(Terminal about, Shell shell, std::function<void()> changed);
  void start(Scope& scope);

  Terminal describe() const;
  const Ring& output() const { return ring_; }
  bool exited() const { return about_.exited.has_value(); }
  bool hung_up() const { return hung_up_; }
  int cols() const { return about_.cols; }
  int rows() const { return about_.rows; }

  // What was typed. Nothing happens once the shell has ended. While full(), whoever types waits for room().
  void input(std::string_view bytes);
  bool full() const;
  lab::Event& room() { return room_; }
  void resize(int cols, int rows);
  // The end of the terminal: its processes get SIGHUP, and a shell that stays is killed after a moment.
  void hang_up();
  lab::Event& news() { return news_; }  // of output, size, exit, hang-up: whoever shows them waits here

 private:
  static Task<void> read_output(std::shared_ptr<HeldTerminal> self);
  static Task<void> write_input(std::shared_ptr<HeldTerminal> self);
  static Task<void> end_with_shell(std::shared_ptr<HeldTerminal> self);
  static Task<void> insist(std::shared_ptr<HeldTerminal> self);
  bool read_some();  // false when nothing came
  bool interrupts(std::string_view bytes) const;

  Terminal about_;
  Ring ring_{kScrollback};
  Descriptor master_;
  pid_t pid_;
  std::function<void()> changed_;
  Scope* scope_ = nullptr;
  std::string pending_;  // input that the shell has not taken
  bool writing_ = false, hung_up_ = false, shell_ended_ = false, output_ended_ = false;
  lab::Event news_, room_, output_end_;
};

}  // namespace lab::terminal
