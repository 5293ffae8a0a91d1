// Streams: sockets, pairs, splice, listener.
#include "base/io/stream.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/io/listener.h"
#include "base/io/scope.h"

namespace lab {
namespace {

using namespace std::chrono_literals;

Task<std::string> read_to_end(Stream& s) {
  std::string out;
  char buffer[4096];
  while (true) {
    auto n = co_await s.read(buffer);
    if (!n) co_return out + "!" + n.error().message;
    if (*n == 0) co_return out;
    out.append(buffer, *n);
  }
}

Task<void> echo(std::unique_ptr<Stream> s) {
  std::vector<char> buffer(65536);
  while (true) {
    auto n = co_await s->read(buffer);
    if (!n || *n == 0) break;
    if (!co_await s->write({buffer.data(), *n})) break;
  }
  (void)co_await s->shutdown_write();
}

Task<void> accept_and_echo(Listener* listener) {
  auto fd = co_await listener->accept();
  if (fd) co_await echo(accept_plain(fd->release()).stream);
}

Task<void> write_all(Stream* s, std::string data) {
  EXPECT_TRUE(co_await s->write(data));
  EXPECT_TRUE(co_await s->shutdown_write());
}

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + i % 23 + i / 4096 % 3);
  return out;
}

Task<void> echo_over(std::string address) {
  auto listener = Listener::bind(address, 0);
  EXPECT_TRUE(listener) << listener.error().text();
  if (!listener) co_return;
  Scope scope(*Loop::current());
  scope.spawn("echo", accept_and_echo(listener->get()));
  auto stream = address.starts_with("unix:") ? co_await dial_unix(address.substr(5))
                                             : co_await dial_tcp(address, (*listener)->port(), 10s);
  EXPECT_TRUE(stream) << stream.error().text();
  if (!stream) co_return;
  std::string data = pattern(3'000'000);
  scope.spawn("write", write_all(stream->get(), data));
  std::string got = co_await read_to_end(**stream);
  EXPECT_EQ(got == data, true) << got.size();
  co_await scope.close();
}

TEST(SocketStream, TcpCarriesMegabytesAndHalfCloses) {
  run_task(echo_over("127.0.0.1"));
}
TEST(SocketStream, Ipv6) {
  run_task(echo_over("::1"));
}
TEST(SocketStream, UnixSocket) {
  std::string path = "/tmp/lab-stream-" + std::to_string(getpid()) + ".sock";
  run_task(echo_over("unix:" + path));
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "the listener removes its socket";
}

TEST(SocketStream, RefusedConnectionsReadWell) {
  auto error = run_task([]() -> Task<std::string> {
    int port;
    {
      auto listener = Listener::bind("127.0.0.1", 0);
      port = (*listener)->port();
    }
    auto r = co_await dial_tcp("127.0.0.1", port, 5s);
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error().code, Code::kUnavailable);
    std::string expected = "connect 127.0.0.1:" + std::to_string(port) + ": Connection refused";
    EXPECT_EQ(r.error().text(), expected);
    co_return "";
  }());
}

TEST(SocketStream, NamesAreResolvedAndUnknownOnesSaySo) {
  run_task([]() -> Task<void> {
    auto r = co_await dial_tcp("no-such-host.invalid", 80, 20s);
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error().text().find("resolve no-such-host.invalid"), 0u) << r.error().text();
  }());
}

Task<void> read_once(Stream* s, std::string* out) {
  char byte;
  auto n = co_await s->read({&byte, 1});
  *out = n ? "data" : n.error().code == Code::kCancelled ? "cancelled" : n.error().text();
}

Task<void> close_cancels(bool pair) {
  Scope scope(*Loop::current());
  std::unique_ptr<Stream> a, b;
  std::unique_ptr<Listener> listener;
  if (pair) {
    std::tie(a, b) = stream_pair();
  } else {
    listener = std::move(*Listener::bind("127.0.0.1", 0));
    a = std::move(*co_await dial_tcp("127.0.0.1", listener->port(), 5s));
    auto fd = co_await listener->accept();
    b = accept_plain(fd->release()).stream;
  }
  std::string outcome, peer;
  scope.spawn("read", read_once(a.get(), &outcome));
  co_await sleep_for(2ms);
  a->close();
  while (outcome.empty()) co_await sleep_for(1ms);
  EXPECT_EQ(outcome, "cancelled");
  auto w = co_await a->write("x");
  EXPECT_FALSE(w);
  EXPECT_EQ(w.error().code, Code::kCancelled);
  EXPECT_EQ(co_await read_to_end(*b), "");
  co_await scope.close();
}

TEST(SocketStream, CloseCancelsAPendingRead) {
  run_task(close_cancels(false));
}
TEST(StreamPair, CloseCancelsAPendingRead) {
  run_task(close_cancels(true));
}

TEST(StreamPair, CarriesMoreThanItsRoomAndHalfCloses) {
  run_task([]() -> Task<void> {
    auto [a, b] = stream_pair();
    Scope scope(*Loop::current());
    std::string data = pattern(500'000);
    scope.spawn("write", write_all(a.get(), data));
    EXPECT_TRUE(co_await read_to_end(*b) == data);
    EXPECT_TRUE(co_await b->write("back"));
    EXPECT_TRUE(co_await b->shutdown_write());
    EXPECT_EQ(co_await read_to_end(*a), "back");
    co_await scope.close();
  }());
}

TEST(Splice, JoinsTwoStreamsBothWaysUntilBothEnd) {
  run_task([]() -> Task<void> {
    auto [a, a2] = stream_pair();
    auto [b, b2] = stream_pair();
    Scope scope(*Loop::current());
    scope.spawn("splice", splice(std::move(a2), std::move(b2)));
    scope.spawn("echo", echo(std::move(b)));
    std::string data = pattern(300'000);
    scope.spawn("write", write_all(a.get(), data));
    EXPECT_TRUE(co_await read_to_end(*a) == data);
    co_await scope.close();
  }());
}

// A server that answers and closes with input unread: the reset must not overtake the answer.
TEST(Splice, WhatAPeerSaidBeforeItBrokeArrives) {
  run_task([]() -> Task<void> {
    auto listener = Listener::bind("127.0.0.1", 0);
    EXPECT_TRUE(listener);
    for (int round = 0; round < 20; ++round) {
      auto dialed = co_await dial_tcp("127.0.0.1", (*listener)->port(), 5s);
      EXPECT_TRUE(dialed);
      auto fd = co_await (*listener)->accept();
      EXPECT_TRUE(fd);
      auto accepted = accept_plain(fd->release()).stream;
      auto [a, a2] = stream_pair();
      std::string answer = pattern(60'000);
      EXPECT_TRUE(co_await accepted->write(answer));
      EXPECT_TRUE(co_await (*dialed)->write("never read"));
      co_await sleep_for(2ms);
      accepted->close();  // unread input: this resets the connection
      EXPECT_TRUE(co_await a->write("more input, which cannot be delivered"));
      Scope scope(*Loop::current());
      scope.spawn("splice", splice(std::move(a2), std::move(*dialed)));
      EXPECT_TRUE(co_await read_to_end(*a) == answer) << "round " << round;
      EXPECT_TRUE(co_await a->shutdown_write());
      co_await scope.close();
    }
    (*listener)->close();
  }());
}

// A client of which much is still to come, and a server that has answered and gone: the client gets the answer and an
// orderly end, no reset, and what it goes on to send is taken from it.
TEST(Splice, AClientThatGoesOnSendingGetsTheAnswerWithoutAReset) {
  run_task([]() -> Task<void> {
    auto listener = Listener::bind("127.0.0.1", 0);
    EXPECT_TRUE(listener);
    auto client = co_await dial_tcp("127.0.0.1", (*listener)->port(), 5s);
    auto fd = co_await (*listener)->accept();
    EXPECT_TRUE(client && fd);
    auto [b, b2] = stream_pair();
    EXPECT_TRUE(co_await b->write("the answer"));
    b->close();
    Scope scope(*Loop::current());
    scope.spawn("splice", splice(accept_plain(fd->release()).stream, std::move(b2)));
    EXPECT_EQ(co_await read_to_end(**client), "the answer");
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await (*client)->write(std::string(100'000, 'x'))) << i;
    (*client)->close();
    co_await scope.close();
    (*listener)->close();
  }());
}

// The second end's close is not passed on where the first one shall leave by itself.
TEST(Splice, AnEndHeldBackLetsTheFirstLeaveByItself) {
  run_task([]() -> Task<void> {
    auto [a, a2] = stream_pair();
    auto [b, b2] = stream_pair();
    Scope scope(*Loop::current());
    EXPECT_TRUE(co_await b->write("last frame"));
    b->close();
    scope.spawn("splice", splice(std::move(a2), std::move(b2), {}, EndOfSecond::kHeldBack));
    char buffer[100];
    auto n = co_await a->read(buffer);
    EXPECT_TRUE(n && std::string(buffer, *n) == "last frame");
    bool ended = false;
    scope.spawn("end", [&]() -> Task<void> {
      (void)co_await a->read(buffer);
      ended = true;
    });
    co_await sleep_for(50ms);
    EXPECT_FALSE(ended) << "the connection closed under a client that may not have handled its last frames yet";
    EXPECT_TRUE(co_await a->write("still open"));
    EXPECT_TRUE(co_await a->shutdown_write());
    co_await scope.close();
    EXPECT_TRUE(ended);
  }());
}

TEST(Splice, StopEndsIt) {
  run_task([]() -> Task<void> {
    auto [a, a2] = stream_pair();
    auto [b, b2] = stream_pair();
    std::stop_source stop;
    Scope scope(*Loop::current());
    scope.spawn("splice", splice(std::move(a2), std::move(b2), stop.get_token()));
    co_await sleep_for(2ms);
    stop.request_stop();
    EXPECT_EQ(co_await read_to_end(*a), "");
    co_await scope.close();
  }());
}

TEST(Listener, APortInUseNamesItAndHowToFindItsOwner) {
  auto first = Listener::bind("127.0.0.1", 0);
  ASSERT_TRUE(first);
  auto second = Listener::bind("127.0.0.1", (*first)->port());
  ASSERT_FALSE(second);
  std::string port = std::to_string((*first)->port());
  EXPECT_NE(second.error().text().find("listen 127.0.0.1:" + port + ": Address already in use"), std::string::npos);
  EXPECT_NE(second.error().hint.find("ss -ltnp"), std::string::npos);
}

TEST(Listener, AUnixSocketThatNobodyServesIsReplacedAnotherIsNot) {
  std::string path = "unix:/tmp/lab-listen-" + std::to_string(getpid()) + ".sock";
  auto first = Listener::bind(path, 0);
  ASSERT_TRUE(first) << first.error().text();
  auto second = Listener::bind(path, 0);
  EXPECT_FALSE(second);
  EXPECT_EQ(access(path.substr(5).c_str(), F_OK), 0) << "a refused listener must not remove the other's socket";
  first->reset();
  // A crashed process leaves the file behind.
  EXPECT_EQ(std::system(("exec python3 -c \"import socket; s=socket.socket(socket.AF_UNIX); s.bind('" + path.substr(5) +
                         "'); s.listen()\"")
                            .c_str()),
            0);
  ASSERT_EQ(access(path.substr(5).c_str(), F_OK), 0);
  auto third = Listener::bind(path, 0);
  EXPECT_TRUE(third) << third.error().text();
}

}  // namespace
}  // namespace lab
