// The answer to one HTTP/1.1 request, and the stream that an upgrade hands over.
#pragma once

#include "base/http/h1_connection.h"

namespace lab::http {

class H1Writer final : public ResponseWriter {
 public:
  H1Writer(std::shared_ptr<H1Connection> connection, std::string_view method, bool http10, bool keep_alive, bool gzip)
      : connection_(std::move(connection)),
        head_only_(method == "HEAD"),
        http10_(http10),
        keep_(keep_alive),
        gzip_(gzip) {}

  Task<Result<void>> send(Response response) override;
  Task<Result<void>> begin(int status, Headers headers) override;
  Task<Result<void>> write(Buffer piece) override;
  Task<Result<void>> end() override;
  Task<Result<std::unique_ptr<Stream>>> upgrade(Response head) override;
  std::stop_token closed() override { return connection_->closed(); }

  bool answered() const { return state_ != State::kNothing; }
  bool upgraded() const { return state_ == State::kUpgraded; }
  bool reusable() const { return state_ == State::kDone && keep_ && !failed_; }

 private:
  enum class State { kNothing, kStreaming, kDone, kUpgraded };
  std::string head(int status, const Headers& headers, std::optional<std::size_t> length);
  Task<Result<void>> put(std::string bytes);
  Task<Result<void>> put_shared(Buffer piece);

  std::shared_ptr<H1Connection> connection_;
  bool head_only_, http10_, keep_, gzip_;
  bool failed_ = false, chunked_ = false, bodyless_ = false;
  State state_ = State::kNothing;
};

}  // namespace lab::http
