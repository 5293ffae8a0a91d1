#include "base/http/h1_connection.h"

#include "base/http/gzip.h"
#include "base/http/h1_writer.h"
#include "base/io/descriptor.h"

namespace lab::http {

namespace {
constexpr std::size_t kReadSize = 16 * 1024;
constexpr std::size_t kUnreadLimit = kMaxHeadBytes + kReadSize;
constexpr auto kHeadTimeout = std::chrono::seconds(30);

Response plain_text(std::string text) {
  return {.headers = {{"Content-Type", "text/plain; charset=utf-8"}}, .body = {buffer(std::move(text))}};
}

}  // namespace

std::span<char> InBuffer::prepare(std::size_t room) {
  if (empty()) begin_ = end_ = 0;
  if (data_.size() - end_ < room && begin_ > 0) {
    std::copy(data_.begin() + static_cast<std::ptrdiff_t>(begin_), data_.begin() + static_cast<std::ptrdiff_t>(end_),
              data_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (data_.size() - end_ < room) data_.resize(end_ + room);
  return {data_.data() + end_, data_.size() - end_};
}

void serve_h1(Worker& worker, std::unique_ptr<Stream> stream, Peer peer) {
  auto connection = std::make_shared<H1Connection>(worker, std::move(stream), std::move(peer));
  worker.scope.start("h1 serve", H1Connection::serve(connection));
  worker.scope.start("h1 read", H1Connection::pump(connection));
}

H1Connection::H1Connection(Worker& worker, std::unique_ptr<Stream> stream, Peer peer)
    : Connection(worker), stream_(std::move(stream)), peer_(std::move(peer)) {
  draining_ = worker.draining;
  touch();
}

Task<void> H1Connection::pump(std::shared_ptr<H1Connection> self) {
  while (!self->ended_) {
    if (self->in_.size() > kUnreadLimit) {
      co_await self->room_;
      continue;
    }
    auto n = co_await self->stream_->read(self->in_.prepare(kReadSize));
    if (n && *n > 0) {
      self->in_.commit(*n);
      self->touch();
    } else {
      self->ended_ = true;
      // An upgraded protocol may end one direction and go on with the other.
      if (!n || self->phase_ != Phase::kUpgraded) self->stop_.request_stop();
      if (!n && !self->broken_) self->broken_ = std::move(n).error();
    }
    self->data_.wake();
  }
}

// Waits until the pump has brought something; false when there will be no more.
Task<bool> H1Connection::refill() {
  room_.wake();
  if (!ended_) co_await data_;
  co_return !ended_;
}

Task<void> H1Connection::serve(std::shared_ptr<H1Connection> self) {
  bool keep = true;
  while (keep && self->phase_ != Phase::kUpgraded) {
    ParsedMessage message;
    H1Parser parser = H1Parser::request(message, self->shared().options.max_body_bytes);
    if (!co_await self->read_request(parser, message)) break;
    Request request;
    request.method = std::move(message.method);
    request.target = std::move(message.target);
    request.headers = std::move(message.headers);
    request.body = std::move(message.body);
    request.peer = self->peer_;
    self->phase_ = Phase::kHandler;
    keep = co_await self->answer(std::move(request), message.http10, parser.keep_alive());
  }
  if (self->phase_ != Phase::kUpgraded) {
    self->phase_ = Phase::kClosing;
    self->ended_ = true;
    self->stream_->close();
    self->room_.wake();
  }
}

// True with a whole request; false when the connection is over (an answer to bad input has been sent).
Task<bool> H1Connection::read_request(H1Parser& parser, const ParsedMessage& message) {
  phase_ = Phase::kIdle;
  touch();
  while (true) {
    if (phase_ == Phase::kIdle) {
      while (in_.view().starts_with("\r\n")) in_.consume(2);  // RFC 9112, 2.2
      if (in_.empty() && draining_) co_return false;
      if (!in_.empty()) phase_ = Phase::kHead;
    }
    H1Parser::Fed fed{H1Parser::Status::kNeedMore, 0, {}};
    if (!in_.empty()) {
      fed = parser.feed(in_.view());
      in_.consume(fed.consumed);
    }
    if (fed.status == H1Parser::Status::kNeedMore && !parser.head_done() && in_.size() > kMaxHeadBytes) {
      fed.status = H1Parser::Status::kHeadTooLarge;
    }
    switch (fed.status) {
      case H1Parser::Status::kDone:
        if (message.http10 || message.headers.has("host")) co_return true;
        co_await refuse(400, plain_text("400 Bad Request: missing required Host header\n"));
        co_return false;
      case H1Parser::Status::kHead:
        phase_ = Phase::kBody;
        if (in_.empty() && same_name(message.headers.get("expect"), "100-continue")) {
          if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
        }
        continue;
      case H1Parser::Status::kNeedMore:
        if (!co_await refill()) co_return false;
        continue;
      case H1Parser::Status::kMalformed:
        co_await refuse(400, plain_text("400 Bad Request: " + fed.why + "\n"));
        co_return false;
      case H1Parser::Status::kHeadTooLarge:
        co_await refuse(431, plain_text("431 Request Header Fields Too Large: limit is 65536 bytes\n"));
        co_return false;
      case H1Parser::Status::kBodyTooLarge: {
        auto limit = std::to_string(shared().options.max_body_bytes);
        co_await refuse(413, error_response({Code::kTooLarge, "Request entity too large: limit is " + limit}));
        co_return false;
      }
    }
  }
}

// Answers what never became a request, and ends the connection.
Task<void> H1Connection::refuse(int status, Response response) {
  phase_ = Phase::kClosing;
  touch();
  response.status = status;
  H1Writer writer(shared_from_this(), "GET", false, false, false);
  if (co_await writer.send(std::move(response))) co_await linger();
}

// A close with unread input would reset the connection and take the answer away: let the client finish for a while.
Task<void> H1Connection::linger() {
  if (!co_await stream_->shutdown_write()) co_return;
  Deadline deadline(std::chrono::seconds(5), [this] { stream_->close(); });
  std::size_t dropped = 0;
  while (dropped < 64 * 1024 * 1024) {
    dropped += in_.size();
    in_.consume(in_.size());
    if (!co_await refill()) co_return;
  }
}

// True when the connection can take another request.
Task<bool> H1Connection::answer(Request request, bool http10, bool keep_alive) {
  H1Writer writer(shared_from_this(), request.method, http10, keep_alive,
                  accepts_gzip(request.headers.get("accept-encoding")));
  if (auto decoded = decode_body(request, shared().options.max_body_bytes); !decoded) {
    (void)co_await writer.send(error_response(decoded.error()));
    co_return writer.reusable();
  }
  bool ok = co_await run_handler(shared().handler, std::move(request), writer);
  mark_streaming(false);
  if (writer.upgraded()) co_return false;
  if (!writer.answered()) {
    (void)co_await writer.send(error_response({Code::kInternal, ok ? "the handler gave no answer" : "internal error"}));
  }
  co_return ok&& writer.reusable();
}

Task<Result<void>> H1Connection::write(std::string_view bytes) {
  writing_ = true;
  touch();
  auto done = co_await stream_->write(bytes);
  writing_ = false;
  touch();
  if (!done) stop_.request_stop();
  co_return done;
}

Task<Result<std::size_t>> H1Connection::read_upgraded(std::span<char> into) {
  while (in_.empty()) {
    if (ended_) {
      if (broken_) co_return std::unexpected(*broken_);
      co_return std::size_t{0};
    }
    co_await refill();
  }
  std::size_t n = std::min(into.size(), in_.size());
  std::copy_n(in_.view().data(), n, into.data());
  in_.consume(n);
  if (in_.size() <= kUnreadLimit) room_.wake();
  co_return n;
}

void H1Connection::close_upgraded() {
  stream_->close();
  ended_ = true;
  if (!broken_) broken_ = Error{.code = Code::kCancelled, .message = "the stream was closed"};
  room_.wake();
  // A pending read is resumed by the pump, whose own read now fails.
}

void H1Connection::mark_streaming(bool on) {
  streaming_ = on;
  if (on && draining_) stop_.request_stop();
}

void H1Connection::drain() {
  draining_ = true;
  if (phase_ == Phase::kIdle && in_.empty()) stream_->close();
  if (streaming_ || phase_ == Phase::kUpgraded) stop_.request_stop();
}

void H1Connection::abort() {
  draining_ = true;
  stop_.request_stop();
  stream_->close();
}

bool H1Connection::overdue(TimePoint now) const {
  auto idle = worker_.shared.options.idle_timeout;
  switch (phase_) {
    case Phase::kHead:
    case Phase::kClosing:
      return now - since_ > std::min<Duration>(idle, kHeadTimeout);
    case Phase::kIdle:
    case Phase::kBody:
      return now - since_ > idle;
    case Phase::kHandler:
      return writing_ && now - since_ > idle;
    case Phase::kUpgraded:
      return false;
  }
  return false;
}

}  // namespace lab::http
