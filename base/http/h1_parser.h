// One HTTP/1 message taken from bytes (RFC 9112); Boost.Beast's parser behind it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/http/message.h"

namespace lab::http {

constexpr std::size_t kMaxHeadBytes = 64 * 1024;

// What the head said, filled in as parsing goes on. A client's body arrives in `body`, which the reader may empty.
struct ParsedMessage {
  std::string method, target;  // requests
  int status = 0;              // responses
  Headers headers;
  std::string body;
  bool http10 = false;
};

class H1Parser {
 public:
  enum class Status { kNeedMore, kHead, kDone, kMalformed, kHeadTooLarge, kBodyTooLarge };
  struct Fed {
    Status status;
    std::size_t consumed;  // the caller drops these, and gives the rest again together with more
    std::string why;       // kMalformed
  };

  static H1Parser request(ParsedMessage& into, std::optional<std::size_t> max_body);
  // head_only: the answer to HEAD, which announces a body that does not come.
  static H1Parser response(ParsedMessage& into, bool head_only);
  H1Parser(H1Parser&&) noexcept;
  ~H1Parser();

  // Returns kHead once, when the head is complete: call again with the rest for the body.
  Fed feed(std::string_view bytes);
  // The connection ended: kDone where the message may end so, else kMalformed.
  Status end();
  bool head_done() const;
  bool keep_alive() const;
  // From the head: what Content-Length announces.
  std::optional<std::uint64_t> content_length() const;

 private:
  struct Base;
  template <bool>
  struct Impl;
  explicit H1Parser(std::unique_ptr<Base> impl);
  std::unique_ptr<Base> impl_;
};

}  // namespace lab::http
