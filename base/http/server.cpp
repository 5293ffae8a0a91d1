#include "base/http/server.h"

#include <future>
#include <mutex>

#include "base/http/connection.h"
#include "base/io/descriptor.h"
#include "base/io/listener.h"
#include "base/io/tls_context.h"
#include "base/log.h"

namespace lab::http {

namespace {

constexpr auto kHandshakeTimeout = std::chrono::seconds(15);

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, Handler handler) {
    shared_.options = std::move(options);
    shared_.handler = std::move(handler);
  }
  ~ServerImpl() override { stop(std::chrono::seconds(0)); }

  Result<void> start() {
    if (shared_.options.tls) LAB_CHECK(reload_tls());
    LAB_TRY(listener_, Listener::bind(shared_.options.address, shared_.options.port));
    port_ = listener_->port();
    int threads = std::max(1, shared_.options.threads);
    for (int i = 0; i < threads; ++i) {
      workers_.push_back(std::make_unique<Worker>(shared_, i));
      auto& w = *workers_.back();
      w.scope.spawn("http sweep", sweep(w));
    }
    workers_[0]->scope.spawn("http accept", accept_all());
    return {};
  }

  int port() const override { return port_; }

  Result<void> reload_tls() override {
    LAB_TRY(auto config, shared_.options.tls());
    LAB_TRY(auto context, TlsContext::server(std::move(config)));
    std::lock_guard lock(mutex_);
    tls_ = std::move(context);
    return {};
  }

  void shutdown(Duration grace) override { stop(grace); }

 private:
  std::shared_ptr<TlsContext> tls() {
    std::lock_guard lock(mutex_);
    return tls_;
  }

  Task<void> accept_all() {
    std::size_t next = 0;
    auto stop = workers_[0]->scope.token();
    while (true) {
      auto fd = co_await listener_->accept();
      if (!fd && fd.error().code == Code::kCancelled) co_return;
      if (!fd) {
        log::error("cannot accept connections", {{"address", listener_->name()}, {"error", fd.error().text()}});
        if (!co_await sleep_for(std::chrono::milliseconds(100), stop)) co_return;
        continue;
      }
      Worker& w = *workers_[next++ % workers_.size()];
      if (&w == workers_[0].get()) {
        w.scope.start("http connection", serve(w, std::move(*fd)));
      } else {
        w.loop().post(
            [this, &w, fd = std::move(*fd)]() mutable { w.scope.start("http connection", serve(w, std::move(fd))); });
      }
    }
  }

  Task<void> serve(Worker& w, OwnedFd fd) {
    auto context = tls();
    if (!context) {
      auto plain = accept_plain(fd.release());
      serve_h1(w, std::move(plain.stream), std::move(plain.peer));
      co_return;
    }
    auto accepted = co_await accept_tls(fd.release(), context, kHandshakeTimeout, w.scope.token());
    if (!accepted) {
      log::debug("a connection was not taken", {{"error", accepted.error().text()}});
    } else if (accepted->peer.alpn == "h2") {
      serve_h2(w, std::move(accepted->stream), std::move(accepted->peer));
    } else {
      serve_h1(w, std::move(accepted->stream), std::move(accepted->peer));
    }
  }

  // Closes connections on which nothing happens. One timer per thread, instead of one per request.
  Task<void> sweep(Worker& w) {
    auto stop = w.scope.token();
    Duration idle = shared_.options.idle_timeout;
    auto every = std::clamp<Duration>(idle / 4, std::chrono::milliseconds(20), std::chrono::seconds(1));
    while (co_await sleep_for(every, stop))
      for_each(w, [now = w.loop().now()](Connection& c) {
        if (c.overdue(now)) c.abort();
      });
  }

  // A connection may end, and others with it, while it is being told something.
  static void for_each(Worker& w, auto&& act) {
    std::vector<Connection*> all(w.connections.begin(), w.connections.end());
    for (auto* c : all)
      if (w.connections.contains(c)) act(*c);
  }

  static void on_loop(Worker& w, std::move_only_function<void()> act) {
    std::promise<void> done;
    auto future = done.get_future();
    w.loop().post([&] {
      act();
      done.set_value();
    });
    future.wait();
  }

  bool wait_for_end(Duration limit) {
    auto until = std::chrono::steady_clock::now() + limit;
    while (shared_.connections > 0 && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return shared_.connections == 0;
  }

  void stop(Duration grace) {
    if (std::exchange(stopped_, true) || workers_.empty()) return;
    on_loop(*workers_[0], [this] { listener_->close(); });
    for (auto& w : workers_) {
      on_loop(*w, [&] {
        w->draining = true;
        for_each(*w, [](Connection& c) { c.drain(); });
      });
    }
    wait_for_end(grace);
    for (auto& w : workers_) on_loop(*w, [&] { for_each(*w, [](Connection& c) { c.abort(); }); });
    if (!wait_for_end(std::chrono::seconds(30))) {
      log::error("bug: HTTP handlers ignore that the server stops", {{"connections", shared_.connections.load()}});
    }
    for (auto& w : workers_) w->scope.request_stop();
    finish_tasks();
  }

  // Waits until the accept, sweep and handshake tasks have ended, so that their threads can go.
  void finish_tasks() {
    for (auto& w : workers_) {
      auto done = std::make_shared<std::promise<void>>();
      auto future = done->get_future();
      Scope closer(w->loop());
      closer.spawn("http close", [&w, done]() -> Task<void> {
        co_await w->scope.close();
        done->set_value();
      });
      if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
        log::error("bug: tasks of the HTTP server do not end");
      }
    }
    on_loop(*workers_[0], [this] { listener_.reset(); });  // on the loop that accepted with it
    workers_.clear();
  }

  Shared shared_;
  std::mutex mutex_;
  std::shared_ptr<TlsContext> tls_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Worker>> workers_;
  int port_ = 0;
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler) {
  auto server = std::make_unique<ServerImpl>(std::move(options), std::move(handler));
  LAB_CHECK(server->start());
  return server;
}

}  // namespace lab::http
