// Terminals: the terminals of one lab, as whoever serves them sees them.
//
// A terminal is a shell in a node of the lab, on a PTY that the lab's keeper holds: a process of its own (keeper.h),
// started by the first open() and reached through a unix socket. It goes on while nobody looks, and when whoever
// started it is killed. Each call below is one connection to it, on the loop of whoever awaits; any number may run at
// the same time, in any number of processes.
//
//   terminal::Terminals terminals("class-ada");
//   auto id = co_await terminals.open("node1", 80, 24);
//   auto view = co_await terminals.attach(*id, 0);                  // NotFound: no such terminal
//   ... accept_websocket ...; co_await terminal::serve(std::move(ws), std::move(*view), stop);   // socket.h
//
// A terminal's output is one row of bytes, counted from 0, of which the last megabyte is kept. A shell that has ended
// keeps its terminal, with what is kept of its output, until close(), or until room is needed for another.
// Errors: NotFound (no such lab, node or terminal), Unavailable (the node does not run, the lab is paused, or the
// keeper has ended), TooManyRequests (more than kMaxTerminals), kBadRequest (sizes).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "base/io/stream.h"
#include "base/io/task.h"
#include "base/result.h"

namespace lab::terminal {

inline constexpr const char* kTerminalsDirectory = "/var/lib/lab/terminals";
inline constexpr int kMaxTerminals = 12;                   // of a lab
inline constexpr std::uint64_t kScrollback = 1024 * 1024;  // bytes kept of each
inline constexpr std::uint64_t kAhead = 256 * 1024;        // bytes sent at most beyond what was acknowledged
inline constexpr int kMaxColumns = 1000, kMaxRows = 500;

struct Terminal {
  std::string id;
  std::string node;
  std::string title;          // "node1", "node1 (2)"
  std::optional<int> exited;  // the shell's exit code, 128 + signal; empty while it runs
  int cols = 80, rows = 24;
  std::uint64_t end = 0;  // bytes of output up to now
};

// What an attachment reads. Start comes first, and again where output was skipped: what is kept begins at `offset`
// (forget the screen), and all before `end` happened earlier; where output was skipped, nothing of the rest did. Output
// follows its Start without gaps.
struct Start {
  std::uint64_t offset = 0, end = 0;
  int cols = 80, rows = 24;
};
struct Output {
  std::string bytes;
};
struct Resized {
  int cols = 80, rows = 24;
};
struct Exited {  // the last but for Resized; the attachment stays readable until it is closed
  int code = 0;
};
using Event = std::variant<Start, Output, Resized, Exited>;

// One viewer of a terminal; several may look at and type into one. One reader and any number of writers, on the loop
// that attached. Runs at most kAhead bytes ahead of ack().
class Attachment {
 public:
  virtual ~Attachment() = default;
  virtual Task<Result<std::optional<Event>>> read() = 0;  // nothing: the terminal was closed, or its keeper has ended
  virtual Task<Result<void>> input(std::string bytes) = 0;
  virtual Task<Result<void>> resize(int cols, int rows) = 0;
  virtual Task<Result<void>> ack(std::uint64_t offset) = 0;  // all before `offset` has been drawn
  virtual void close() = 0;                                  // pending and later calls fail with kCancelled
};

// The terminals' list at once, and after every change (opened, ended, closed, resized).
class Watch {
 public:
  virtual ~Watch() = default;
  virtual Task<Result<std::optional<std::vector<Terminal>>>> next() = 0;  // nothing: the keeper has ended
  virtual void close() = 0;
};

// A value: copies mean the same lab. The tasks do not refer to it.
class Terminals {
 public:
  explicit Terminals(std::string profile);
  Terminals(std::string profile, std::string socket) : profile_(std::move(profile)), socket_(std::move(socket)) {}

  // Starts the lab's keeper where none answers. Called by open().
  Task<Result<void>> ensure_keeper() const;
  Task<Result<std::vector<Terminal>>> list() const;  // without a keeper there are none
  Task<Result<std::string>> open(std::string node, int cols, int rows) const;
  Task<Result<void>> close(std::string id) const;                   // hangs up; absent is fine
  Task<Result<void>> type(std::string id, std::string text) const;  // without looking: "kubectl get nodes\n"
  Task<Result<std::unique_ptr<Attachment>>> attach(std::string id, std::uint64_t from) const;
  Task<Result<std::unique_ptr<Watch>>> watch() const;  // Unavailable where no keeper runs; does not keep it alive

 private:
  std::string profile_, socket_;
};

// Ends the lab's keeper with all its terminals, and removes its files. Blocking; repeatable; absent is fine. For
// whoever has deleted the lab: a keeper whose lab is gone ends by itself, but some seconds later.
Result<void> end_keeper(const std::string& profile);

}  // namespace lab::terminal
