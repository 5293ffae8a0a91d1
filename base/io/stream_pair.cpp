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

constexpr Duration kLinger = std::chrono::seconds(5);  // for what one end still has to say when the other is gone

struct Direction {
  bool over = false;
  Event changed;
};

// What an end sent before it went is delivered: a write that fails stops this direction only, as the reset of a peer
// that has answered and gone reaches the writer before the reader has its last bytes. A read that fails lets the other
// end finish in order.
Task<void> copy_one_way(Stream& from, Stream& to, Direction& here, Direction& back) {
  std::array<char, 32 * 1024> buffer;
  while (true) {
    auto n = co_await from.read(buffer);
    if (n && *n > 0) {
      if (co_await to.write({buffer.data(), *n})) continue;
    } else {
      (void)co_await to.shutdown_write();
    }
    here.over = true;
    here.changed.notify();
    if (n) co_return;
    from.close();
    if (!back.over) co_await back.changed.wait_for(kLinger);
    to.close();
    co_return;
  }
}

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> stream_pair() {
  auto forth = std::make_shared<Pipe>(), back = std::make_shared<Pipe>();
  return {std::make_unique<PairStream>(back, forth), std::make_unique<PairStream>(forth, back)};
}

Task<void> splice(std::unique_ptr<Stream> a, std::unique_ptr<Stream> b, std::stop_token stop) {
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
  Direction forth, back;
  Scope scope(loop);
  scope.start("splice", copy_one_way(*both->first, *both->second, forth, back));
  co_await copy_one_way(*both->second, *both->first, back, forth);
  // Not close() at once: it would ask the other direction to stop before it has ended by itself.
  co_await scope.close();
  both->first->close();
  both->second->close();
}

}  // namespace lab
