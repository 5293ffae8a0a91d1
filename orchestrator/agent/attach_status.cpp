#include "orchestrator/agent/attach_status.h"

#include <algorithm>
#include <vector>

namespace lab::agent {

namespace {

constexpr std::size_t kHead = 8;             // of a frame: stream or type, flags, length of the rest
constexpr std::size_t kLongestStatus = 200;  // of a status of success
constexpr std::string_view kFailure =
    R"({"metadata":{},"status":"Failure","message":"the container had ended","reason":"InternalError","code":500})";

std::size_t length_of(std::string_view frame) {
  auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(frame[i])); };
  return byte(5) << 16 | byte(6) << 8 | byte(7);
}

bool is_control(std::string_view frame) {
  return static_cast<unsigned char>(frame[0]) & 0x80;
}

class SessionEnd final : public Stream {
 public:
  SessionEnd(std::unique_ptr<Stream> below, std::function<Task<bool>()> output_unseen)
      : below_(std::move(below)), output_unseen_(std::move(output_unseen)) {}

  Task<Result<std::size_t>> read(std::span<char> into) override {
    if (decided_ && ready_.empty()) co_return co_await below_->read(into);
    while (ready_.empty()) {
      std::size_t at = held_.size();
      held_.resize(at + into.size());
      auto n = co_await below_->read({held_.data() + at, into.size()});
      held_.resize(at + (n ? *n : 0));
      if (n && *n > 0) {
        co_await sift();
        continue;
      }
      if (held_.empty()) co_return n;
      pass(held_.size());  // the end of the connection, in the middle of a frame
    }
    std::size_t n = std::min(into.size(), ready_.size());
    std::copy_n(ready_.data(), n, into.data());
    ready_.erase(0, n);
    co_return n;
  }

  Task<Result<void>> write(std::string_view bytes) override { return below_->write(bytes); }
  Task<Result<void>> shutdown_write() override { return below_->shutdown_write(); }
  void close() override { below_->close(); }

 private:
  void pass(std::size_t n) {
    ready_ += held_.substr(0, n);
    held_.erase(0, n);
  }

  // Lets through what is held, up to a frame that is not yet whole.
  Task<void> sift() {
    while (!held_.empty()) {
      if (decided_ || rest_ > 0) {
        std::size_t n = decided_ ? held_.size() : std::min(rest_, held_.size());
        rest_ -= std::min(rest_, n);
        pass(n);
        continue;
      }
      if (held_.size() < kHead) co_return;
      std::size_t length = length_of(held_);
      if (is_control(held_) || length == 0) {
        rest_ = kHead + length;
        continue;
      }
      if (length <= kLongestStatus && held_.size() < kHead + length) co_return;
      decided_ = true;
      if (length > kLongestStatus || held_.find(R"("status":"Success")", kHead) >= kHead + length) continue;
      if (co_await output_unseen_()) {
        held_.replace(kHead, length, kFailure);
        held_[5] = held_[6] = 0;
        held_[7] = static_cast<char>(kFailure.size());
      }
    }
  }

  std::unique_ptr<Stream> below_;
  std::function<Task<bool>()> output_unseen_;
  std::string held_, ready_;
  std::size_t rest_ = 0;  // bytes of the current frame that are still to pass
  bool decided_ = false;  // the first data has come
};

static_assert(kFailure.size() < 256);

}  // namespace

std::unique_ptr<Stream> telling_unseen_output(std::unique_ptr<Stream> runtime,
                                              std::function<Task<bool>()> output_unseen) {
  return std::make_unique<SessionEnd>(std::move(runtime), std::move(output_unseen));
}

}  // namespace lab::agent
