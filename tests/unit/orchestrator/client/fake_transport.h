// A scripted server behind client::Transport, for what happens on the way: broken watches, pieces, refusals.
#pragma once

#include <deque>
#include <functional>

#include "base/io/sync.h"
#include "orchestrator/client/client.h"

namespace lab::client {

inline http::Response answer(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.body.push_back(http::buffer(std::move(body)));
  return response;
}

// A stream whose pieces the test hands out.
class FakeStream final : public http::ResponseStream {
 public:
  struct State {
    int status = 200;
    std::deque<Result<std::string>> pieces;  // "" ends it
    Event arrived;
    bool closed = false;
    void push(Result<std::string> piece) {
      pieces.push_back(std::move(piece));
      arrived.notify();
    }
  };
  explicit FakeStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  int status() const override { return state_->status; }
  const http::Headers& headers() const override { return headers_; }
  Task<Result<std::string>> read() override {
    while (state_->pieces.empty()) {
      if (state_->closed) co_return fail(Code::kCancelled, "closed");
      co_await state_->arrived.wait();
    }
    auto piece = std::move(state_->pieces.front());
    state_->pieces.pop_front();
    co_return piece;
  }
  void close() override {
    state_->closed = true;
    state_->arrived.notify();
  }

 private:
  std::shared_ptr<State> state_;
  http::Headers headers_;
};

class FakeTransport final : public Transport {
 public:
  struct Script {
    std::vector<http::Request> requests;
    std::function<Result<http::Response>(const http::Request&)> respond;
    std::function<Result<std::shared_ptr<FakeStream::State>>(const http::Request&)> open;
  };
  explicit FakeTransport(std::shared_ptr<Script> script) : script_(std::move(script)) {}

  Task<Result<http::Response>> send(http::Request request) override {
    script_->requests.push_back(request);
    co_return script_->respond(request);
  }
  Task<Result<std::unique_ptr<http::ResponseStream>>> open(http::Request request) override {
    script_->requests.push_back(request);
    LAB_CO_TRY(auto state, script_->open(request));
    std::unique_ptr<http::ResponseStream> stream = std::make_unique<FakeStream>(state);
    co_return std::move(stream);
  }
  Task<Result<http::Upgraded>> upgrade(http::Request) override { co_return fail(Code::kBadRequest, "no upgrades"); }

 private:
  std::shared_ptr<Script> script_;
};

}  // namespace lab::client
