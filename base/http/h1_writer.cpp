#include "base/http/h1_writer.h"

#include <charconv>

namespace lab::http {

namespace {

constexpr std::size_t kJoin = 64 * 1024;  // up to this, head and body go out as one piece

void append_number(std::string& out, std::size_t n, int base = 10) {
  char digits[24];
  auto [end, ec] = std::to_chars(digits, digits + sizeof digits, n, base);
  out.append(digits, end);
}

// What an upgrade hands over: the connection's pump goes on reading, and its unread bytes come first.
class UpgradedStream final : public Stream {
 public:
  explicit UpgradedStream(std::shared_ptr<H1Connection> connection) : connection_(std::move(connection)) {}
  ~UpgradedStream() override { close(); }
  Task<Result<std::size_t>> read(std::span<char> into) override {
    if (closed_) co_return fail(Code::kCancelled, "the stream was closed");
    co_return co_await connection_->read_upgraded(into);
  }
  Task<Result<void>> write(std::string_view bytes) override { return connection_->write(bytes); }
  Task<Result<void>> shutdown_write() override { return connection_->stream().shutdown_write(); }
  void close() override {
    closed_ = true;
    connection_->close_upgraded();
  }

 private:
  std::shared_ptr<H1Connection> connection_;
  bool closed_ = false;
};

bool ours_to_set(std::string_view name) {
  return same_name(name, "content-length") || same_name(name, "transfer-encoding") || same_name(name, "connection") ||
         same_name(name, "date");
}

// A value that came from outside must not start a line of its own.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (char c : value) out += c == '\r' || c == '\n' ? ' ' : c;
  out.append("\r\n");
}

}  // namespace

std::string H1Writer::head(int status, const Headers& headers, std::optional<std::size_t> length) {
  std::string out;
  out.reserve(512);
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::size_t>(status));
  out.append(" ").append(reason_phrase(status)).append("\r\n");
  for (const auto& [name, value] : headers.fields())
    if (!ours_to_set(name)) append_field(out, name, value);
  out.append("Date: ").append(date_value()).append("\r\n");
  if (connection_->draining()) keep_ = false;
  if (length) {
    out.append("Content-Length: ");
    append_number(out, *length);
    out.append("\r\n");
  } else if (chunked_) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  if (!keep_) {
    out.append("Connection: close\r\n");
  } else if (http10_) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
  return out;
}

Task<Result<void>> H1Writer::put(std::string bytes) {
  if (failed_) co_return client_gone();
  auto done = co_await connection_->write(bytes);
  if (!done) failed_ = true;
  co_return done;
}

Task<Result<void>> H1Writer::put_shared(Buffer piece) {
  if (failed_) co_return client_gone();
  auto done = co_await connection_->write(*piece);
  if (!done) failed_ = true;
  co_return done;
}

Task<Result<void>> H1Writer::send(Response response) {
  if (state_ != State::kNothing) co_return fail(Code::kInternal, "bug: a request was answered twice");
  state_ = State::kDone;
  if (!head_only_) co_await encode_body(connection_->shared(), gzip_, response);
  bodyless_ = has_no_body(response.status);
  std::size_t size = 0;
  for (const auto& b : response.body) size += b ? b->size() : 0;
  std::string out =
      head(response.status, response.headers, bodyless_ ? std::nullopt : std::optional<std::size_t>(size));
  if (head_only_ || bodyless_) co_return co_await put(std::move(out));
  // A list is hundreds of small pieces: they go out together, large ones as they are.
  out.reserve(out.size() + std::min(size, kJoin));
  for (const auto& b : response.body) {
    if (!b) continue;
    if (out.size() + b->size() > kJoin) {
      LAB_CO_CHECK(co_await put(std::exchange(out, {})));
      if (b->size() > kJoin / 2) {
        LAB_CO_CHECK(co_await put_shared(b));
        continue;
      }
      out.reserve(kJoin);
    }
    out += *b;
  }
  if (out.empty()) co_return Result<void>();
  co_return co_await put(std::move(out));
}

Task<Result<void>> H1Writer::begin(int status, Headers headers) {
  if (state_ != State::kNothing) co_return fail(Code::kInternal, "bug: a request was answered twice");
  state_ = State::kStreaming;
  bodyless_ = has_no_body(status) || head_only_;
  chunked_ = !has_no_body(status) && !http10_;
  if (http10_) keep_ = false;  // the end of the connection is the end of the body
  connection_->mark_streaming(true);
  co_return co_await put(head(status, headers, std::nullopt));
}

Task<Result<void>> H1Writer::write(Buffer piece) {
  if (state_ != State::kStreaming) co_return fail(Code::kInternal, "bug: write() outside of begin() and end()");
  if (failed_) co_return client_gone();
  if (!piece || piece->empty() || bodyless_) co_return Result<void>();
  std::string out;
  if (chunked_) {
    append_number(out, piece->size(), 16);
    out.append("\r\n");
  }
  if (piece->size() <= kJoin) {
    out.append(*piece);
    if (chunked_) out.append("\r\n");
    co_return co_await put(std::move(out));
  }
  LAB_CO_CHECK(co_await put(std::move(out)));
  LAB_CO_CHECK(co_await put_shared(std::move(piece)));
  if (chunked_) LAB_CO_CHECK(co_await put("\r\n"));
  co_return Result<void>();
}

Task<Result<void>> H1Writer::end() {
  if (state_ != State::kStreaming) co_return fail(Code::kInternal, "bug: end() without begin()");
  state_ = State::kDone;
  connection_->mark_streaming(false);
  if (!chunked_ || bodyless_) co_return Result<void>();
  co_return co_await put("0\r\n\r\n");
}

Task<Result<std::unique_ptr<Stream>>> H1Writer::upgrade(Response response) {
  if (state_ != State::kNothing) co_return fail(Code::kInternal, "bug: a request was answered twice");
  state_ = State::kUpgraded;
  std::string out = "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(response.status));
  out.append(" ").append(reason_phrase(response.status)).append("\r\n");
  for (const auto& [name, value] : response.headers.fields()) append_field(out, name, value);
  out.append("\r\n");
  out += response.text();
  connection_->mark_upgraded();
  std::unique_ptr<Stream> stream = std::make_unique<UpgradedStream>(connection_);
  LAB_CO_CHECK(co_await put(std::move(out)));
  co_return stream;
}

}  // namespace lab::http
