#include "orchestrator/apiserver/in_process.h"

#include <deque>

#include "base/io/scope.h"
#include "base/io/sync.h"

namespace lab::apiserver {
namespace {

// What one request and its reader share. All on one loop.
struct Exchange {
  // A watcher that is not read from holds at most this much; its writer waits.
  static constexpr std::size_t kMaxQueuedBytes = 1 << 20;

  int status = 0;  // 0: no head yet
  http::Headers headers;
  std::deque<http::Buffer> pieces;
  std::size_t queued = 0;
  bool ended = false;
  std::unique_ptr<Stream> upgraded;
  Event changed, drained;
  std::stop_source closed;

  void end() {
    ended = true;
    changed.notify();
  }
};
using ExchangePtr = std::shared_ptr<Exchange>;

class ExchangeWriter final : public http::ResponseWriter {
 public:
  explicit ExchangeWriter(ExchangePtr exchange) : x_(std::move(exchange)) {}

  Task<Result<void>> send(http::Response response) override {
    x_->status = response.status;
    x_->headers = std::move(response.headers);
    for (auto& piece : response.body) x_->pieces.push_back(std::move(piece));
    x_->end();
    co_return Result<void>();
  }
  Task<Result<void>> begin(int status, http::Headers headers) override {
    x_->status = status;
    x_->headers = std::move(headers);
    x_->changed.notify();
    co_return Result<void>();
  }
  Task<Result<void>> write(http::Buffer piece) override {
    while (x_->queued > Exchange::kMaxQueuedBytes && !x_->closed.stop_requested())
      co_await x_->drained.wait(x_->closed.get_token());
    if (x_->closed.stop_requested()) co_return fail(Code::kCancelled, "the reader has gone");
    x_->queued += piece->size();
    x_->pieces.push_back(std::move(piece));
    x_->changed.notify();
    co_return Result<void>();
  }
  Task<Result<void>> end() override {
    x_->end();
    co_return Result<void>();
  }
  Task<Result<std::unique_ptr<Stream>>> upgrade(http::Response head) override {
    auto [ours, theirs] = stream_pair();
    x_->status = head.status;
    x_->headers = std::move(head.headers);
    x_->upgraded = std::move(theirs);
    x_->changed.notify();
    co_return std::move(ours);
  }
  std::stop_token closed() override { return x_->closed.get_token(); }

 private:
  ExchangePtr x_;
};

class ExchangeStream final : public http::ResponseStream {
 public:
  explicit ExchangeStream(ExchangePtr exchange) : x_(std::move(exchange)) {}
  ~ExchangeStream() override { close(); }
  int status() const override { return x_->status; }
  const http::Headers& headers() const override { return x_->headers; }
  Task<Result<std::string>> read() override {
    auto x = x_;
    while (x->pieces.empty()) {
      if (x->closed.stop_requested()) co_return fail(Code::kCancelled, "the stream is closed");
      if (x->ended) co_return std::string();
      co_await x->changed.wait(x->closed.get_token());
    }
    std::string out;
    for (const auto& piece : x->pieces) out += *piece;
    x->pieces.clear();
    x->queued = 0;
    x->drained.notify();
    co_return out;
  }
  void close() override { x_->closed.request_stop(); }

 private:
  ExchangePtr x_;
};

class InProcessTransport final : public client::Transport {
 public:
  InProcessTransport(ServeAs serve, Identity user, Loop& loop, std::shared_ptr<void> keep)
      : serve_(std::make_shared<ServeAs>(std::move(serve))),
        user_(std::move(user)),
        keep_(std::move(keep)),
        scope_(loop) {}

  Task<Result<http::Response>> send(http::Request request) override {
    auto x = start(std::move(request));
    while (!x->ended) co_await x->changed.wait();
    http::Response out;
    out.status = x->status;
    out.headers = std::move(x->headers);
    out.body.assign(x->pieces.begin(), x->pieces.end());
    co_return out;
  }
  Task<Result<std::unique_ptr<http::ResponseStream>>> open(http::Request request) override {
    auto x = start(std::move(request));
    while (x->status == 0 && !x->ended) co_await x->changed.wait();
    co_return std::make_unique<ExchangeStream>(std::move(x));
  }
  Task<Result<http::Upgraded>> upgrade(http::Request request) override {
    auto x = start(std::move(request));
    while (!x->ended && !x->upgraded) co_await x->changed.wait();
    http::Upgraded out;
    out.head.status = x->status;
    out.head.headers = std::move(x->headers);
    out.head.body.assign(x->pieces.begin(), x->pieces.end());
    out.stream = std::move(x->upgraded);
    co_return out;
  }

 private:
  ExchangePtr start(http::Request request) {
    auto x = std::make_shared<Exchange>();
    scope_.start("in-process request", run(serve_, std::move(request), x, user_, keep_, scope_.token()));
    return x;
  }
  static Task<void> run(std::shared_ptr<ServeAs> serve, http::Request request, ExchangePtr x, Identity user,
                        std::shared_ptr<void> keep, std::stop_token stop) {
    ExchangeWriter writer(x);
    std::stop_callback on_stop(stop, [x] { x->closed.request_stop(); });
    co_await (*serve)(std::move(request), writer, std::move(user));
    x->end();
  }

  std::shared_ptr<ServeAs> serve_;
  Identity user_;
  std::shared_ptr<void> keep_;
  Scope scope_;
};

}  // namespace

std::unique_ptr<client::Transport> make_in_process_transport(ServeAs serve, Identity user, Loop& loop,
                                                             std::shared_ptr<void> keep) {
  return std::make_unique<InProcessTransport>(std::move(serve), std::move(user), loop, std::move(keep));
}

}  // namespace lab::apiserver
