// One HTTP/1.1 connection of the client: one exchange at a time.
#pragma once

#include <optional>

#include "base/http/h1_parser.h"
#include "base/io/stream.h"

namespace lab::http {

// Bytes of an answer that is taken whole: a server that somebody else runs must not take all memory here.
inline constexpr std::size_t kLongestAnswer = std::size_t{256} << 20;

class ClientConnection {
 public:
  explicit ClientConnection(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  void start(bool head_only);             // a new exchange; then the request is written to stream()
  Task<Result<void>> read_head();         // passes over 1xx answers except 101
  Task<Result<std::string>> read_body();  // the next piece; "" at the end
  Task<Result<std::string>> read_all();   // the rest
  bool reusable() const { return complete_ && keep_alive_; }
  bool saw_bytes() const { return saw_bytes_; }
  ParsedMessage& message() { return *message_; }
  Stream& stream() { return *stream_; }
  // After 101: the raw stream, bytes that came behind the head first.
  std::unique_ptr<Stream> release();

 private:
  Task<Result<bool>> fill();  // false at the end of the connection
  Result<void> advance();     // parses what is there
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<ParsedMessage> message_;  // the parser points to it
  std::optional<H1Parser> parser_;
  std::string in_;
  bool head_only_ = false, saw_bytes_ = false, complete_ = false, keep_alive_ = false, ended_ = false;
};

}  // namespace lab::http
