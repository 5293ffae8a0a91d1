#include "base/http/h1_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

namespace lab::http {

namespace beast = boost::beast;
using beast::error_code;
using BeastView = beast::string_view;

struct H1Parser::Base {
  virtual ~Base() = default;
  virtual Fed feed(std::string_view bytes) = 0;
  virtual Status end() = 0;
  virtual bool head_done() const = 0;
  virtual bool keep_alive() const = 0;
  virtual std::optional<std::uint64_t> content_length() const = 0;
};

namespace {

std::string_view view(BeastView s) {
  return {s.data(), s.size()};
}

H1Parser::Status status_of(const error_code& ec) {
  if (ec == beast::http::error::header_limit) return H1Parser::Status::kHeadTooLarge;
  if (ec == beast::http::error::body_limit) return H1Parser::Status::kBodyTooLarge;
  return H1Parser::Status::kMalformed;
}

}  // namespace

template <bool kRequest>
struct H1Parser::Impl final : Base, beast::http::basic_parser<kRequest> {
  using Parser = beast::http::basic_parser<kRequest>;

  explicit Impl(ParsedMessage& into) : message(into) { Parser::header_limit(kMaxHeadBytes); }

  Fed feed(std::string_view bytes) override {
    std::size_t total = 0;
    while (!Parser::is_done()) {
      bool had_head = Parser::is_header_done();
      error_code ec;
      std::size_t n = Parser::put(boost::asio::const_buffer(bytes.data() + total, bytes.size() - total), ec);
      total += n;
      if (ec == beast::http::error::need_more) return {Status::kNeedMore, total, {}};
      if (ec) return {status_of(ec), total, ec.message()};
      if (Parser::is_done()) break;
      if (!had_head && Parser::is_header_done()) return {Status::kHead, total, {}};
      if (n == 0 || total == bytes.size()) return {Status::kNeedMore, total, {}};
    }
    return {Status::kDone, total, {}};
  }

  Status end() override {
    error_code ec;
    if (!Parser::is_done()) Parser::put_eof(ec);
    return ec || !Parser::is_done() ? Status::kMalformed : Status::kDone;
  }

  bool head_done() const override { return Parser::is_header_done(); }
  bool keep_alive() const override { return Parser::keep_alive(); }
  std::optional<std::uint64_t> content_length() const override {
    auto n = Parser::content_length();
    return n ? std::optional<std::uint64_t>(*n) : std::nullopt;
  }

  void on_request_impl(beast::http::verb, BeastView method, BeastView target, int version, error_code&) override {
    message.method = view(method);
    message.target = view(target);
    message.http10 = version < 11;
  }
  void on_response_impl(int code, BeastView, int version, error_code&) override {
    message.status = code;
    message.http10 = version < 11;
  }
  void on_field_impl(beast::http::field, BeastView name, BeastView value, error_code&) override {
    if (!Parser::is_header_done()) message.headers.add(view(name), std::string(view(value)));  // trailers are dropped
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length && *length <= 4 * 1024 * 1024) message.body.reserve(*length);
  }
  std::size_t on_body_impl(BeastView piece, error_code&) override {
    message.body += view(piece);
    return piece.size();
  }
  void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView piece, error_code&) override {
    message.body += view(piece);
    return piece.size();
  }
  void on_finish_impl(error_code&) override {}

  ParsedMessage& message;
};

H1Parser::H1Parser(std::unique_ptr<Base> impl) : impl_(std::move(impl)) {}
H1Parser::H1Parser(H1Parser&&) noexcept = default;
H1Parser::~H1Parser() = default;

H1Parser H1Parser::request(ParsedMessage& into, std::optional<std::size_t> max_body) {
  auto impl = std::make_unique<Impl<true>>(into);
  if (max_body) {
    impl->body_limit(static_cast<std::uint64_t>(*max_body));
  } else {
    impl->body_limit(boost::none);
  }
  return H1Parser(std::move(impl));
}

H1Parser H1Parser::response(ParsedMessage& into, bool head_only) {
  auto impl = std::make_unique<Impl<false>>(into);
  impl->body_limit(boost::none);
  impl->skip(head_only);
  return H1Parser(std::move(impl));
}

H1Parser::Fed H1Parser::feed(std::string_view bytes) {
  return impl_->feed(bytes);
}
H1Parser::Status H1Parser::end() {
  return impl_->end();
}
bool H1Parser::head_done() const {
  return impl_->head_done();
}
bool H1Parser::keep_alive() const {
  return impl_->keep_alive();
}
std::optional<std::uint64_t> H1Parser::content_length() const {
  return impl_->content_length();
}

}  // namespace lab::http
