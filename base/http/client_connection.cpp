#include "base/http/client_connection.h"

#include <algorithm>
#include <array>

namespace lab::http {

namespace {

class PrefixedStream final : public Stream {
 public:
  PrefixedStream(std::string prefix, std::unique_ptr<Stream> below)
      : prefix_(std::move(prefix)), below_(std::move(below)) {}
  Task<Result<std::size_t>> read(std::span<char> into) override {
    if (prefix_.empty()) return below_->read(into);
    return read_prefix(into);
  }
  Task<Result<void>> write(std::string_view bytes) override { return below_->write(bytes); }
  Task<Result<void>> shutdown_write() override { return below_->shutdown_write(); }
  void close() override {
    prefix_.clear();
    below_->close();
  }

 private:
  Task<Result<std::size_t>> read_prefix(std::span<char> into) {
    std::size_t n = std::min(into.size(), prefix_.size());
    std::copy_n(prefix_.data(), n, into.data());
    prefix_.erase(0, n);
    co_return n;
  }
  std::string prefix_;
  std::unique_ptr<Stream> below_;
};

}  // namespace

void ClientConnection::start(bool head_only) {
  head_only_ = head_only;
  message_ = std::make_unique<ParsedMessage>();
  parser_.emplace(H1Parser::response(*message_, head_only));
  saw_bytes_ = complete_ = keep_alive_ = false;
}

Task<Result<bool>> ClientConnection::fill() {
  std::size_t at = in_.size();
  in_.resize(at + 16 * 1024);
  auto n = co_await stream_->read({in_.data() + at, in_.size() - at});
  in_.resize(at + (n ? *n : 0));
  if (!n) co_return std::unexpected(std::move(n).error());
  if (*n > 0) saw_bytes_ = true;
  if (*n == 0) ended_ = true;
  co_return *n > 0;
}

Result<void> ClientConnection::advance() {
  while (!complete_) {
    auto fed = parser_->feed(in_);
    in_.erase(0, fed.consumed);
    switch (fed.status) {
      case H1Parser::Status::kDone:
        complete_ = true;
        keep_alive_ = parser_->keep_alive() && !ended_ && message_->status != 101;
        break;
      case H1Parser::Status::kHead:
        return {};
      case H1Parser::Status::kNeedMore:
        return {};
      default:
        return fail(Code::kUnavailable, "the answer is not HTTP/1.1" + (fed.why.empty() ? "" : ": " + fed.why));
    }
  }
  return {};
}

Task<Result<void>> ClientConnection::read_head() {
  while (true) {
    if (!in_.empty()) LAB_CO_CHECK(advance());
    if (parser_->head_done()) {
      if (message_->status >= 200 || message_->status == 101) co_return Result<void>();
      bool before = saw_bytes_;
      start(head_only_);  // 100 Continue, 103 Early Hints: the answer follows
      saw_bytes_ = before;
      continue;
    }
    LAB_CO_TRY(bool more, co_await fill());
    if (!more) co_return fail(Code::kUnavailable, "the server closed the connection before it answered");
  }
}

Task<Result<std::string>> ClientConnection::read_body() {
  while (true) {
    if (!in_.empty() && !complete_) LAB_CO_CHECK(advance());
    if (!message_->body.empty()) co_return std::exchange(message_->body, {});
    if (complete_) co_return std::string();
    LAB_CO_TRY(bool more, co_await fill());
    if (!more) {
      if (parser_->end() != H1Parser::Status::kDone) {
        co_return fail(Code::kUnavailable, "the server closed the connection in the middle of its answer");
      }
      complete_ = true;
    }
  }
}

Task<Result<std::string>> ClientConnection::read_all() {
  std::string out;
  while (true) {
    LAB_CO_TRY(auto piece, co_await read_body());
    if (piece.empty()) co_return out;
    if (out.empty()) {
      out = std::move(piece);
    } else {
      out += piece;
    }
    if (out.size() > kLongestAnswer)
      co_return fail(Code::kTooLarge, "the answer has more than " + std::to_string(kLongestAnswer >> 20) + " MiB");
  }
}

std::unique_ptr<Stream> ClientConnection::release() {
  if (in_.empty()) return std::move(stream_);
  return std::make_unique<PrefixedStream>(std::move(in_), std::move(stream_));
}

}  // namespace lab::http
