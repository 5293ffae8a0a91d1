#include "base/http/h2_callbacks.h"

namespace lab::http {

Task<Result<void>> H2Writer::send(Response response) {
  if (state_ != State::kNothing) co_return fail(Code::kInternal, "bug: a request was answered twice");
  state_ = State::kDone;
  if (!head_only_) co_await encode_body(connection_->shared(), gzip_, response);
  std::size_t size = 0;
  for (auto& b : response.body) {
    if (!b || b->empty()) continue;
    size += b->size();
    if (!head_only_) stream_->pieces.push_back(std::move(b));
  }
  bool bodyless = has_no_body(response.status);
  if (bodyless) {
    stream_->pieces.clear();
  } else {
    response.headers.set("content-length", std::to_string(size));
  }
  if (!stream_->pieces.empty()) stream_->queued = size;
  stream_->finished = true;
  bool ok = connection_->submit(*stream_, response.status, response.headers, !stream_->pieces.empty());
  if (!ok) co_return client_gone();
  co_return Result<void>();
}

Task<Result<void>> H2Writer::begin(int status, Headers headers) {
  if (state_ != State::kNothing) co_return fail(Code::kInternal, "bug: a request was answered twice");
  state_ = State::kStreaming;
  stream_->streaming = true;
  if (connection_->draining()) stream_->stop.request_stop();
  if (!connection_->submit(*stream_, status, headers, !head_only_)) co_return client_gone();
  co_return Result<void>();
}

Task<Result<void>> H2Writer::write(Buffer piece) {
  if (state_ != State::kStreaming) co_return fail(Code::kInternal, "bug: write() outside of begin() and end()");
  if (stream_->gone) co_return client_gone();
  if (!piece || piece->empty() || head_only_) co_return Result<void>();
  stream_->queued += piece->size();
  stream_->pieces.push_back(std::move(piece));
  connection_->more(*stream_);
  while (stream_->queued > kH2Queue && !stream_->gone) co_await stream_->drained.wait();
  if (stream_->gone) co_return client_gone();
  co_return Result<void>();
}

Task<Result<void>> H2Writer::end() {
  if (state_ != State::kStreaming) co_return fail(Code::kInternal, "bug: end() without begin()");
  state_ = State::kDone;
  stream_->streaming = false;
  stream_->finished = true;
  if (stream_->gone) co_return client_gone();
  connection_->more(*stream_);
  co_return Result<void>();
}

Task<Result<std::unique_ptr<Stream>>> H2Writer::upgrade(Response) {
  co_return fail(Code::kBadRequest, "HTTP/2 connections cannot be upgraded", "ask with HTTP/1.1");
}

}  // namespace lab::http
