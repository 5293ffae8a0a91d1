#include "base/http/websocket.h"

#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>

#include "base/crypto/digest.h"
#include "base/io/sync.h"

namespace lab::http {

namespace {

constexpr std::size_t kSendLimit = 256 * 1024;  // a writer waits while more than this waits to be sent

class WebSocketImpl final : public WebSocket {
 public:
  WebSocketImpl(std::unique_ptr<Stream> stream, std::string subprotocol, bool is_server)
      : stream_(std::move(stream)), subprotocol_(std::move(subprotocol)) {
    wslay_event_callbacks callbacks{};
    callbacks.recv_callback = on_recv;
    callbacks.send_callback = on_send;
    callbacks.genmask_callback = on_mask;
    callbacks.on_msg_recv_callback = on_message;
    (is_server ? wslay_event_context_server_init : wslay_event_context_client_init)(&context_, &callbacks, this);
    wslay_event_config_set_max_recv_msg_length(context_, kMaxMessage);
  }
  ~WebSocketImpl() override {
    stream_->close();
    wslay_event_context_free(context_);
  }

  const std::string& subprotocol() const override { return subprotocol_; }

  Task<Result<std::optional<Message>>> read() override {
    std::array<char, 16 * 1024> buffer;
    while (messages_.empty()) {
      if (violated_) co_return fail(Code::kBadRequest, "the WebSocket peer broke the protocol");
      if (wslay_event_get_close_received(context_) || ended_) co_return std::nullopt;
      auto n = co_await stream_->read(buffer);
      if (!n) co_return std::unexpected(std::move(n).error().with_context("WebSocket"));
      if (*n == 0) {
        ended_ = true;
        continue;
      }
      input_ = {buffer.data(), *n};
      int rc = wslay_event_recv(context_);
      // After a violation wslay has queued the close frame that says so, and reads no more.
      violated_ = rc != 0 || (!wslay_event_get_read_enabled(context_) && !wslay_event_get_close_received(context_));
      input_ = {};
      LAB_CO_CHECK(co_await pump());
    }
    Message out = std::move(messages_.front());
    messages_.pop_front();
    co_return std::optional<Message>(std::move(out));
  }

  Task<Result<void>> send(bool binary, std::string_view data) override {
    wslay_event_msg message{static_cast<std::uint8_t>(binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME),
                            reinterpret_cast<const std::uint8_t*>(data.data()), data.size()};
    if (wslay_event_queue_msg(context_, &message) != 0) co_return closed_error();
    co_return co_await pump();
  }

  Task<Result<void>> ping() override {
    wslay_event_msg message{WSLAY_PING, nullptr, 0};
    if (wslay_event_queue_msg(context_, &message) != 0) co_return closed_error();
    co_return co_await pump();
  }

  Task<Result<void>> close(int code, std::string reason) override {
    reason.resize(std::min<std::size_t>(reason.size(), 120));
    wslay_event_queue_close(context_, static_cast<std::uint16_t>(code),
                            reinterpret_cast<const std::uint8_t*>(reason.data()), reason.size());
    co_return co_await pump();
  }

  void abort() override { stream_->close(); }
  int close_code() const override { return wslay_event_get_status_code_received(context_); }

 private:
  static Failure closed_error() { return fail(Code::kCancelled, "the WebSocket is closed"); }

  // Sends what is queued. Whoever comes while another sends leaves it to that one, and waits only if much is waiting.
  Task<Result<void>> pump() {
    if (broken_) co_return std::unexpected(*broken_);
    while (sending_) {
      if (output_.size() + wslay_event_get_queued_msg_length(context_) <= kSendLimit) co_return Result<void>();
      co_await sent_.wait();
      if (broken_) co_return std::unexpected(*broken_);
    }
    sending_ = true;
    Result<void> result;
    while (result) {
      wslay_event_send(context_);
      if (output_.empty()) break;
      std::string bytes = std::exchange(output_, {});
      result = co_await stream_->write(bytes);
    }
    sending_ = false;
    if (!result) broken_ = result.error();
    sent_.notify();
    co_return result;
  }

  static WebSocketImpl* self(void* user) { return static_cast<WebSocketImpl*>(user); }

  static ssize_t on_recv(wslay_event_context_ptr context, std::uint8_t* into, std::size_t length, int, void* user) {
    auto& input = self(user)->input_;
    if (input.empty()) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    std::size_t n = std::min(length, input.size());
    std::memcpy(into, input.data(), n);
    input.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }

  static ssize_t on_send(wslay_event_context_ptr context, const std::uint8_t* data, std::size_t length, int,
                         void* user) {
    auto& output = self(user)->output_;
    if (output.size() >= kSendLimit) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    output.append(reinterpret_cast<const char*>(data), length);
    return static_cast<ssize_t>(length);
  }

  static int on_mask(wslay_event_context_ptr, std::uint8_t* into, std::size_t length, void*) {
    std::memcpy(into, crypto::random_bytes(length).data(), length);
    return 0;
  }

  static void on_message(wslay_event_context_ptr, const wslay_event_on_msg_recv_arg* message, void* user) {
    if (wslay_is_ctrl_frame(message->opcode)) return;  // wslay answers pings and closes by itself
    self(user)->messages_.push_back(
        {message->opcode == WSLAY_BINARY_FRAME, {reinterpret_cast<const char*>(message->msg), message->msg_length}});
  }

  std::unique_ptr<Stream> stream_;
  std::string subprotocol_;
  wslay_event_context_ptr context_ = nullptr;
  std::string_view input_;
  std::string output_;
  std::deque<Message> messages_;
  bool ended_ = false, violated_ = false, sending_ = false;
  std::optional<Error> broken_;
  Event sent_;
};

}  // namespace

std::unique_ptr<WebSocket> WebSocket::server(std::unique_ptr<Stream> stream, std::string subprotocol) {
  return std::make_unique<WebSocketImpl>(std::move(stream), std::move(subprotocol), true);
}

std::unique_ptr<WebSocket> WebSocket::client(std::unique_ptr<Stream> stream, std::string subprotocol) {
  return std::make_unique<WebSocketImpl>(std::move(stream), std::move(subprotocol), false);
}

}  // namespace lab::http
