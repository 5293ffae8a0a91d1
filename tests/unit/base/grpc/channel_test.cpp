#include "base/grpc/channel.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io/scope.h"

namespace lab::rpc {
namespace {

using namespace std::chrono_literals;

Task<Result<std::string>> call(std::shared_ptr<Channel> channel, Duration timeout, std::stop_token stop = {}) {
  co_return co_await channel->call("/runtime.v1.RuntimeService/Version", "", timeout, stop);
}

TEST(Channel, NobodyThereIsUnavailableAtOnceAndSaysWhere) {
  auto r = run_task(call(Channel::to_unix("/nonexistent/runtime.sock"), 30s));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kUnavailable);
  EXPECT_NE(r.error().text().find("/nonexistent/runtime.sock"), std::string::npos);
  EXPECT_FALSE(r.error().hint.empty());
}

TEST(Channel, AfterShutdownCallsAreRefused) {
  auto channel = Channel::to_unix("/nonexistent/runtime.sock");
  channel->shutdown();
  auto r = run_task(call(channel, 30s));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kCancelled);
}

// A server that accepts and never speaks: what bounds a call is its own limit, or the caller's stop.
class Silent {
 public:
  Silent();
  ~Silent();
  int port = 0;

 private:
  int fd_ = -1;
};

Silent::Silent() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof a;
  EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  EXPECT_EQ(::listen(fd_, 8), 0);
  EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &length), 0);
  port = ntohs(a.sin_port);
}
Silent::~Silent() {
  ::close(fd_);
}

TEST(Channel, ADeadlineEndsACallToASilentServer) {
  Silent server;
  auto r = run_task(call(Channel::to_host("127.0.0.1", server.port), 300ms));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kTimeout) << r.error().text();
}

TEST(Channel, AStopEndsACallToASilentServer) {
  Silent server;
  auto work = [](int port) -> Task<Result<std::string>> {
    std::stop_source stop;
    auto* loop = Loop::current();
    loop->call_at(loop->now() + 50ms, [stop]() mutable { stop.request_stop(); });
    co_return co_await call(Channel::to_host("127.0.0.1", port), 60s, stop.get_token());
  };
  auto r = run_task(work(server.port));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kCancelled) << r.error().text();
}

}  // namespace
}  // namespace lab::rpc
