// Streams in memory, and copying between streams.
#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/io/scope.h"
#include "base/io/socket.h"
#include "base/io/sync.h"

namespace lab {

namespace {

constexpr std::size_t kRoom = 64 * 1024;

struct Pipe {
  std::string data;
  bool ended = false;   // the writer will send no more
  bool broken = false;  // the reader has gone
  Event changed;
};

class PairStream final : public Stream {
 public:
  PairStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out) : in_(std::move(in)), out_(std::move(out)) {}
  ~PairStream() override { close(); }

  Task<Result<std::size_t>> read(std::span<char> into) override {
    auto pipe = in_;
    while (true) {
      if (pipe->broken) co_return stream_cancelled();
      if (!pipe->data.empty() || pipe->ended) break;
      co_await pipe->changed.wait();
    }
    std::size_t n = std::min(into.size(), pipe->data.size());
    std::copy_n(pipe->data.data(), n, into.data());
    pipe->data.erase(0, n);
    pipe->changed.notify();
    co_return n;
  }

  Task<Result<void>> write(std::string_view bytes) override {
    auto pipe = out_;
    while (!bytes.empty()) {
      if (closed_ || pipe->ended) co_return stream_cancelled();
      if (pipe->broken) co_return stream_error("write to", "the other end", EPIPE);
      if (pipe->data.size() >= kRoom) {
        co_await pipe->changed.wait();
        continue;
      }
      std::size_t n = std::min(bytes.size(), kRoom - pipe->data.size());
      pipe->data.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
      pipe->changed.notify();
    }
    co_return Result<void>();
  }

  Task<Result<void>> shutdown_write() override {
    if (closed_) co_return stream_cancelled();
    out_->ended = true;
    out_->changed.notify();
    co_return Result<void>();
  }

  void close() override {
    closed_ = true;
    in_->broken = true;
    in_->changed.notify();
    out_->ended = true;
    out_->changed.notify();
  }

  bool quiet() const override { return !closed_ && in_->data.empty() && !in_->ended; }

 private:
  std::shared_ptr<Pipe> in_, out_;
  bool closed_ = false;
};

constexpr Duration kLinger = std::chrono::seconds(10);  // for one end to leave in order when the other is gone

struct End {
  Stream* stream;
  bool ended = false;   // nothing more comes from it, and what came is with the other
  bool broken = false;  // nothing more can be sent to it
};

// Once an end is gone both ways the other one has kLinger to leave by itself: closing it at once, with input unread,
// would reset its connection and could take back what it was sent last.
class Leaving {
 public:
  Leaving(End& a, End& b) : a_(a), b_(b) {}
  ~Leaving() {
    if (timer_) loop_.cancel_timer(*timer_);
  }
  void check() {
    if (timer_ || !((a_.ended && a_.broken) || (b_.ended && b_.broken))) return;
    timer_ = loop_.call_at(loop_.now() + kLinger, [this] {
      a_.stream->close();
      b_.stream->close();
    });
  }

 private:
  End &a_, &b_;
  Loop& loop_ = *Loop::current();
  std::optional<Loop::TimerId> timer_;
};

// What an end sent before it went is delivered: the reset of a peer that has answered and gone may reach the writer
// before the reader has its last bytes. What cannot be delivered is read nevertheless, so that the sender comes to its
// own end.
Task<void> copy_one_way(End& from, End& to, Leaving& leaving, bool pass_the_end) {
  std::array<char, 32 * 1024> buffer;
  while (true) {
    auto n = co_await from.stream->read(buffer);
    if (!n || *n == 0) {
      from.ended = true;
      if (!n || !pass_the_end) from.broken = true;
      break;
    }
    if (!to.broken && !co_await to.stream->write({buffer.data(), *n})) {
      to.broken = true;
      leaving.check();
    }
  }
  leaving.check();
  if (pass_the_end) (void)co_await to.stream->shutdown_write();
}

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> stream_pair() {
  auto forth = std::make_shared<Pipe>(), back = std::make_shared<Pipe>();
  return {std::make_unique<PairStream>(back, forth), std::make_unique<PairStream>(forth, back)};
}

Task<void> splice(std::unique_ptr<Stream> a, std::unique_ptr<Stream> b, std::stop_token stop, EndOfSecond end) {
  Loop& loop = *Loop::current();
  auto both = std::make_shared<std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>>(std::move(a), std::move(b));
  std::stop_callback on_stop(stop, [&loop, weak = std::weak_ptr(both)] {
    loop.post([weak] {
      if (auto streams = weak.lock()) {
        streams->first->close();
        streams->second->close();
      }
    });
  });
  End first{both->first.get()}, second{both->second.get()};
  Leaving leaving(first, second);
  Scope scope(loop);
  scope.start("splice", copy_one_way(first, second, leaving, true));
  co_await copy_one_way(second, first, leaving, end == EndOfSecond::kPassedOn);
  // Not close() at once: it would ask the other direction to stop before it has ended by itself.
  co_await scope.close();
  both->first->close();
  both->second->close();
}

}  // namespace lab
