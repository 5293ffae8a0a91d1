// One HTTP/1.1 connection of the server.
//
// Two tasks: the pump reads all the time, so that a client that leaves is noticed while a handler runs; serve() takes
// requests from what the pump read and answers them in order. The pump resumes serve() directly, without a trip through
// the loop. It stops reading while more than kUnreadLimit bytes wait (a pipelining client, a slow upgraded reader).
#pragma once

#include <coroutine>
#include <vector>

#include "base/http/connection.h"
#include "base/http/h1_parser.h"

namespace lab::http {

// Bytes read and not yet used. What prepare() gave out is filled while others consume: only prepare() moves anything,
// so that commit() finds the new bytes where they were put.
class InBuffer {
 public:
  std::string_view view() const { return {data_.data() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  void consume(std::size_t n) { begin_ += n; }
  std::span<char> prepare(std::size_t room);
  void commit(std::size_t n) { end_ += n; }

 private:
  std::vector<char> data_;
  std::size_t begin_ = 0, end_ = 0;
};

// One waiter, resumed on the spot; a wake() that comes first is kept.
class Wakeup {
 public:
  void wake() {
    if (waiter_) {
      std::exchange(waiter_, {}).resume();
    } else {
      set_ = true;
    }
  }
  bool await_ready() { return std::exchange(set_, false); }
  void await_suspend(std::coroutine_handle<> h) { waiter_ = h; }
  void await_resume() { set_ = false; }

 private:
  std::coroutine_handle<> waiter_;
  bool set_ = false;
};

class H1Connection final : public Connection, public std::enable_shared_from_this<H1Connection> {
 public:
  H1Connection(Worker& worker, std::unique_ptr<Stream> stream, Peer peer);
  static Task<void> pump(std::shared_ptr<H1Connection> self);
  static Task<void> serve(std::shared_ptr<H1Connection> self);

  void drain() override;
  void abort() override;
  bool overdue(TimePoint now) const override;

  // For the writer and the upgraded stream.
  Task<Result<void>> write(std::string_view bytes);
  Task<Result<std::size_t>> read_upgraded(std::span<char> into);
  void close_upgraded();
  Stream& stream() { return *stream_; }
  Shared& shared() { return worker_.shared; }
  std::stop_token closed() const { return stop_.get_token(); }
  bool draining() const { return draining_; }
  void mark_streaming(bool on);
  void mark_upgraded() { phase_ = Phase::kUpgraded; }

 private:
  enum class Phase { kIdle, kHead, kBody, kHandler, kUpgraded, kClosing };
  Task<bool> read_request(H1Parser& parser, const ParsedMessage& message);
  Task<bool> refill();
  Task<void> refuse(int status, Response response);
  Task<bool> answer(Request request, bool http10, bool keep_alive);
  Task<void> linger();
  void touch() { since_ = worker_.loop().now(); }

  std::unique_ptr<Stream> stream_;
  Peer peer_;
  InBuffer in_;
  Wakeup data_;  // serve() or the upgraded stream waits for the pump
  Wakeup room_;  // the pump waits for them
  bool ended_ = false, draining_ = false, streaming_ = false, writing_ = false;
  std::optional<Error> broken_;
  std::stop_source stop_;
  Phase phase_ = Phase::kIdle;
  TimePoint since_;  // of the phase's last progress
};

}  // namespace lab::http
