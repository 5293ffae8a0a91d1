#include "base/http/h2_connection.h"

#include <algorithm>
#include <array>

#include "base/http/gzip.h"
#include "base/http/h2_callbacks.h"

namespace lab::http {

namespace {
constexpr std::size_t kReadSize = 32 * 1024;
constexpr std::size_t kWriteBatch = 128 * 1024;
constexpr int kMaxStreams = 250;  // as Go's server
}  // namespace

void serve_h2(Worker& worker, std::unique_ptr<Stream> stream, Peer peer) {
  auto connection = std::make_shared<H2Connection>(worker, std::move(stream), std::move(peer));
  worker.scope.start("h2 connection", H2Connection::pump(std::move(connection)));
}

H2Connection::H2Connection(Worker& worker, std::unique_ptr<Stream> stream, Peer peer)
    : Connection(worker), stream_(std::move(stream)), peer_(std::move(peer)) {
  since_ = worker.loop().now();
  session_ = H2Callbacks::make_session(this);
  std::array<nghttp2_settings_entry, 3> settings{{{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
                                                  {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 256 * 1024},
                                                  {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 64 * 1024}}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1024 * 1024);
}

H2Connection::~H2Connection() {
  nghttp2_session_del(session_);
}

Task<void> H2Connection::pump(std::shared_ptr<H2Connection> self) {
  std::vector<char> buffer(kReadSize);
  if (self->worker_.draining) self->drain();
  self->flush();
  while (!self->lost_ && !self->finished()) {
    auto n = co_await self->stream_->read(buffer);
    if (!n || *n == 0) break;
    self->since_ = self->worker_.loop().now();
    auto used = nghttp2_session_mem_recv(self->session_, reinterpret_cast<const std::uint8_t*>(buffer.data()), *n);
    self->settle();
    if (used < 0) {  // not HTTP/2 at all; protocol errors end with a GOAWAY instead
      nghttp2_session_terminate_session(self->session_, NGHTTP2_PROTOCOL_ERROR);
      self->flush();
      break;
    }
  }
  // A write that is under way gets a moment to take the last words (GOAWAY) out.
  auto until = self->worker_.loop().now() + std::chrono::seconds(2);
  while (self->writing_ && !self->lost_ && self->worker_.loop().now() < until) {
    co_await sleep_for(std::chrono::milliseconds(5));
  }
  self->lose();
}

// Acts on what the callbacks noted, then sends what there is to send.
void H2Connection::settle() {
  if (settling_) return;
  settling_ = true;
  while (!ready_.empty() || !ended_.empty() || !drained_.empty()) {
    for (auto& s : std::exchange(ended_, {})) {
      s->gone = true;
      s->pieces.clear();
      s->queued = 0;
      s->stop.request_stop();
      s->drained.notify();
    }
    for (auto& s : std::exchange(drained_, {})) s->drained.notify();
    for (auto& s : std::exchange(ready_, {})) {
      if (!s->gone) worker_.scope.start("h2 handler", run_stream(shared_from_this(), s));
    }
  }
  // A client that resets as fast as it asks (CVE-2023-44487). nghttp2 limits the rate of resets; this, the handlers
  // that still run for streams that are gone.
  if (running_ > 4 * kMaxStreams) nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  settling_ = false;
  flush();
}

Task<void> H2Connection::run_stream(std::shared_ptr<H2Connection> self, std::shared_ptr<H2Stream> stream) {
  ++self->running_;
  Request request = std::move(stream->request);
  request.peer = self->peer_;
  H2Writer writer(self, stream, request.method == "HEAD", accepts_gzip(request.headers.get("accept-encoding")));
  std::size_t limit = self->shared().options.max_body_bytes;
  if (stream->refused == 413) {
    (void)co_await writer.send(
        error_response({Code::kTooLarge, "Request entity too large: limit is " + std::to_string(limit)}));
  } else if (stream->refused != 0) {
    (void)co_await writer.send({.status = stream->refused});
  } else if (auto decoded = decode_body(request, limit); !decoded) {
    (void)co_await writer.send(error_response(decoded.error()));
  } else {
    bool ok = co_await run_handler(self->shared().handler, std::move(request), writer);
    if (!writer.answered()) {
      (void)co_await writer.send(
          error_response({Code::kInternal, ok ? "the handler gave no answer" : "internal error"}));
    } else if (!writer.complete() && !stream->gone) {
      nghttp2_submit_rst_stream(self->session_, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
      self->flush();
    }
  }
  --self->running_;
  self->since_ = self->worker_.loop().now();
}

bool H2Connection::submit(H2Stream& stream, int status, const Headers& headers, bool has_body) {
  if (stream.gone || lost_) return false;
  bool ok = H2Callbacks::submit(session_, stream, status, headers, has_body);
  flush();
  return ok;
}

void H2Connection::more(H2Stream& stream) {
  if (stream.gone || lost_) return;
  if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session_, stream.id);
  flush();
}

// Takes from the session what it wants to send, up to a batch.
void H2Connection::collect() {
  while (out_.size() < kWriteBatch) {
    const std::uint8_t* data = nullptr;
    auto n = nghttp2_session_mem_send(session_, &data);
    if (n <= 0) break;
    out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
  }
}

void H2Connection::flush() {
  // While settle() runs, answers gather: it flushes at its end.
  if (writing_ || settling_ || lost_) return;
  writing_ = true;
  worker_.scope.start("h2 write", write_out(shared_from_this()));
}

Task<void> H2Connection::write_out(std::shared_ptr<H2Connection> self) {
  while (!self->lost_) {
    self->out_.clear();
    self->collect();
    if (self->out_.empty()) break;
    auto done = co_await self->stream_->write(self->out_);
    self->since_ = self->worker_.loop().now();
    if (!done) {
      self->writing_ = false;
      self->lose();
      co_return;
    }
    self->settle();  // streams that have room again, or ended
  }
  if (self->out_.capacity() > 2 * kReadSize) std::string().swap(self->out_);
  self->writing_ = false;
  if (self->finished() && !self->lost_) self->lose();
}

bool H2Connection::finished() const {
  return !nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_);
}

void H2Connection::lose() {
  if (std::exchange(lost_, true)) return;
  stream_->close();
  for (auto& [id, s] : std::exchange(streams_, {})) {
    nghttp2_session_set_stream_user_data(session_, id, nullptr);
    ended_.push_back(s);
  }
  settle();
}

void H2Connection::drain() {
  if (std::exchange(draining_, true)) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  for (auto& [id, s] : streams_)
    if (s->streaming) s->stop.request_stop();
  flush();
  if (streams_.empty() && !writing_) lose();
}

void H2Connection::abort() {
  lose();
}

bool H2Connection::overdue(TimePoint now) const {
  // Nothing runs here (a request that never becomes complete, an answer that is not read), or a write does not get on.
  bool stuck = writing_ && !out_.empty();
  return (running_ == 0 || stuck) && now - since_ > worker_.shared.options.idle_timeout;
}

}  // namespace lab::http
