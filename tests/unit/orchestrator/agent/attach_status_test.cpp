#include "orchestrator/agent/attach_status.h"

#include <gtest/gtest.h>

#include "base/io/loop.h"
#include "base/io/scope.h"

namespace lab::agent {
namespace {

constexpr std::string_view kSuccess = R"({"metadata":{},"status":"Success"})";

std::string head(unsigned char first, unsigned char second, unsigned char stream, unsigned char flags, std::size_t n) {
  return {static_cast<char>(first),         static_cast<char>(second),  0,
          static_cast<char>(stream),        static_cast<char>(flags),   static_cast<char>(n >> 16),
          static_cast<char>(n >> 8 & 0xff), static_cast<char>(n & 0xff)};
}
std::string data(unsigned char stream, std::string_view text, bool fin = false) {
  return head(0, 0, stream, fin ? 1 : 0, text.size()) + std::string(text);
}
std::string control(unsigned char type, std::string_view text) {
  return head(0x80, 3, type, 0, text.size()) + std::string(text);
}

Task<bool> answer(bool unseen, int* asked) {
  ++*asked;
  co_return unseen;
}

// What a client reads when the runtime sends `sent` in pieces of `piece` bytes, and how often the log was looked at.
std::string through(std::string sent, bool unseen, std::size_t piece, int* asked) {
  return run_task([](std::string sent, bool unseen, std::size_t piece, int* asked) -> Task<std::string> {
    auto [runtime, ours] = stream_pair();
    auto stream = telling_unseen_output(std::move(ours), [=] { return answer(unseen, asked); });
    Scope scope(*Loop::current());
    Stream* from = runtime.get();
    scope.spawn("send", [&]() -> Task<void> {
      for (std::size_t at = 0; at < sent.size(); at += piece) {
        (void)co_await from->write(std::string_view(sent).substr(at, piece));
        co_await sleep_for(std::chrono::microseconds(50));
      }
      (void)co_await from->shutdown_write();
    });
    std::string got;
    char buffer[64];
    while (true) {
      auto n = co_await stream->read(buffer);
      if (!n || *n == 0) break;
      got.append(buffer, *n);
    }
    co_await scope.close();
    co_return got;
  }(std::move(sent), unseen, piece, asked));
}

const std::string kBegin = control(2, std::string(300, 'r')) + data(5, "", true) + data(7, "", true);
const std::string kEnd = control(3, "reset it") + control(7, "go away!");

TEST(AttachStatus, SuccessWithoutTheOutputThatTheLogHasBecomesAFailure) {
  for (std::size_t piece : {1, 7, 8, 64, 4096}) {
    int asked = 0;
    auto got = through(kBegin + data(1, kSuccess) + kEnd, true, piece, &asked);
    EXPECT_EQ(asked, 1);
    EXPECT_TRUE(got.starts_with(kBegin)) << piece;
    EXPECT_TRUE(got.ends_with(kEnd)) << piece;
    auto status = got.substr(kBegin.size(), got.size() - kBegin.size() - kEnd.size());
    ASSERT_GT(status.size(), 8u);
    EXPECT_EQ(status.substr(0, 8), head(0, 0, 1, 0, status.size() - 8));
    EXPECT_NE(status.find(R"("status":"Failure")"), status.npos) << status;
  }
}

TEST(AttachStatus, ASilentContainersSuccessStays) {
  int asked = 0;
  std::string sent = kBegin + data(1, kSuccess) + kEnd;
  EXPECT_EQ(through(sent, false, 13, &asked), sent);
  EXPECT_EQ(asked, 1);
}

TEST(AttachStatus, ASessionWithOutputPassesAsItIs) {
  for (std::size_t piece : {1, 11, 4096}) {
    int asked = 0;
    for (const std::string& output : {std::string("hello\n"), std::string(100'000, 'x'), std::string(200, 's')}) {
      std::string sent = control(2, "reply") + data(5, output) + data(5, "", true) + data(1, kSuccess) + kEnd;
      if (piece == 1 && output.size() > 1000) continue;
      EXPECT_TRUE(through(sent, true, piece, &asked) == sent) << piece << " " << output.size();
    }
    EXPECT_EQ(asked, 0);
  }
}

TEST(AttachStatus, AnEndInTheMiddleOfAFramePasses) {
  int asked = 0;
  std::string sent = data(1, kSuccess).substr(0, 20);
  EXPECT_EQ(through(sent, true, 4096, &asked), sent);
  EXPECT_EQ(through("abc", true, 1, &asked), "abc");
  EXPECT_EQ(asked, 0);
}

}  // namespace
}  // namespace lab::agent
