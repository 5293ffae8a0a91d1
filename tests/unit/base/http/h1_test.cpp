// HTTP/1.1 of the server on the wire: framing, limits, garbage, slow and vanishing clients.
#include <algorithm>
#include <atomic>
#include <random>

#include "tests/unit/base/http/fixture.h"

namespace lab::http::test {
namespace {

using namespace std::chrono_literals;

// Answers with what it was asked: method, target, size of the body and the body's start.
Task<void> describe(Request r, ResponseWriter& w) {
  std::string text = r.method + " " + r.target + " " + std::to_string(r.body.size()) + " " + r.body.substr(0, 20);
  (void)co_await w.send({.headers = {{"Content-Type", "text/plain"}}, .body = {buffer(text)}});
}

Task<void> count_to_five(Request, ResponseWriter& w) {
  if (!co_await w.begin(200, {{"Content-Type", "text/plain"}})) co_return;
  for (int i = 0; i < 5; ++i) (void)co_await w.write(buffer("piece" + std::to_string(i) + "\n"));
  (void)co_await w.end();
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}

using H1 = HttpTest;

TEST_F(H1, PipelinedRequestsAreAnsweredInOrder) {
  serve({}, describe);
  auto out =
      raw("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
          "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
          "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: "
          "t\r\n\r\n"
          "GET /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(count(out, "HTTP/1.1 200 OK"), 4u) << out;
  auto a = out.find("GET /a 0"), b = out.find("POST /b 5 hello"), c = out.find("POST /c 7 abcdefg"),
       d = out.find("GET /d");
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
  EXPECT_LT(c, d);
  EXPECT_NE(d, out.npos) << out;
}

TEST_F(H1, HeadHttp10AndStreaming) {
  serve({}, [](Request r, ResponseWriter& w) { return r.path() == "/s" ? count_to_five(r, w) : describe(r, w); });
  auto head = raw("HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 12"), head.npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  auto old = raw("GET /abc HTTP/1.0\r\n\r\n");
  EXPECT_NE(old.find("Connection: close"), old.npos) << old;
  auto streamed = raw("GET /s HTTP/1.0\r\n\r\n");
  EXPECT_EQ(count(streamed, "chunked"), 0u);
  EXPECT_TRUE(streamed.ends_with("piece4\n")) << streamed;
  auto chunked = raw("GET /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(chunked.find("7\r\npiece0\n\r\n"), chunked.npos) << chunked;
  EXPECT_TRUE(chunked.ends_with("0\r\n\r\n")) << chunked;
}

TEST_F(H1, MalformedInputGets400AndTheEnd) {
  serve({}, describe);
  for (std::string bad :
       {"garbage\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/3.7\r\n\r\n", "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    auto out = raw(bad);
    EXPECT_TRUE(out.starts_with("HTTP/1.1 400 ")) << bad << "\n--> " << out;
    EXPECT_NE(out.find("Connection: close"), out.npos) << out;
  }
}

TEST_F(H1, LimitsOfHeadAndBody) {
  ServerOptions o;
  o.max_body_bytes = 1000;
  serve(o, describe);
  auto head = raw("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(70000, 'a') + "\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 431 ")) << head.substr(0, 200);
  auto long_line = raw("GET /" + std::string(200000, 'a'));
  EXPECT_TRUE(long_line.starts_with("HTTP/1.1 431 ")) << long_line.substr(0, 200);
  auto body = raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'a'));
  EXPECT_TRUE(body.starts_with("HTTP/1.1 413 ")) << body;
  EXPECT_NE(body.find("Request entity too large: limit is 1000"), body.npos);
  auto chunked =
      raw("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + std::string(4095, 'a') + "\r\n");
  EXPECT_TRUE(chunked.starts_with("HTTP/1.1 413 ")) << chunked;
  auto fits =
      raw("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'a'));
  EXPECT_TRUE(fits.starts_with("HTTP/1.1 200 ")) << fits;
}

TEST_F(H1, HandlersThatThrowOrForgetGet500) {
  serve({}, [](Request r, ResponseWriter&) -> Task<void> {
    if (r.path() == "/throw") throw std::runtime_error("secret detail");
    co_return;
  });
  auto forgot = raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(forgot.starts_with("HTTP/1.1 500 ")) << forgot;
  auto threw = raw("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(threw.starts_with("HTTP/1.1 500 ")) << threw;
  EXPECT_EQ(threw.find("secret"), threw.npos);
}

// Random bytes, and random damage to good requests: the server answers or closes, and goes on serving.
TEST_F(H1, SurvivesGarbage) {
  serve({}, describe);
  std::mt19937 random(20240607);
  const std::string good =
      "POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
      "7\r\n\r\n{\"a\":1}"
      "GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (int i = 0; i < 600; ++i) {
    std::string bytes = good;
    if (i % 3 == 0) {
      bytes.assign(random() % 500, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
    } else {
      for (unsigned k = 0; k <= random() % 6; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
      if (i % 3 == 1) bytes.resize(random() % bytes.size());
    }
    auto out = raw(bytes, true);
    EXPECT_TRUE(out.empty() || out.starts_with("HTTP/1.1 ")) << i;
  }
  auto still = raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(still.starts_with("HTTP/1.1 200 OK")) << still;
}

Task<void> drip(int port, std::string bytes, std::string* out) {
  auto s = co_await dial_tcp("127.0.0.1", port, 10s);
  for (char c : bytes) {
    if (!co_await (*s)->write({&c, 1})) break;
    co_await sleep_for(1ms);
  }
  char buffer[1000];
  auto n = co_await (*s)->read(buffer);
  if (n) out->assign(buffer, *n);
}

TEST_F(H1, ARequestMayComeByteByByte) {
  serve({}, describe);
  std::string out;
  run_task(drip(server_->port(),
                "POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", &out));
  EXPECT_NE(out.find("POST /slow 3 abc"), out.npos) << out;
}

TEST_F(H1, ExpectContinueIsAnswered) {
  serve({}, describe);
  std::string out = run_task([](int port) -> Task<std::string> {
    auto s = co_await dial_tcp("127.0.0.1", port, 10s);
    (void)co_await (*s)->write("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    char buffer[1000];
    auto n = co_await (*s)->read(buffer);
    std::string first(buffer, *n);
    (void)co_await (*s)->write("abc");
    n = co_await (*s)->read(buffer);
    co_return first + std::string(buffer, *n);
  }(server_->port()));
  EXPECT_TRUE(out.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")) << out;
}

// A watch learns that its client has gone while it waits for events.
TEST_F(H1, ClosedFiresWhenTheClientLeaves) {
  std::atomic<int> left = 0;
  serve({}, [&](Request, ResponseWriter& w) -> Task<void> {
    (void)co_await w.begin(200, {});
    co_await sleep_for(1h, w.closed());
    if (w.closed().stop_requested()) ++left;
    (void)co_await w.end();
  });
  run_task([](int port) -> Task<void> {
    auto s = co_await dial_tcp("127.0.0.1", port, 10s);
    (void)co_await (*s)->write("GET /watch HTTP/1.1\r\nHost: x\r\n\r\n");
    char buffer[1000];
    (void)co_await (*s)->read(buffer);
  }(server_->port()));
  for (int i = 0; i < 2000 && left == 0; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(left, 1);
}

TEST_F(H1, ASlowReaderHoldsTheWriterBack) {
  std::atomic<int> pieces = 0;
  std::atomic<bool> ended = false;
  serve({}, [&](Request, ResponseWriter& w) -> Task<void> {
    auto piece = buffer(std::string(256 * 1024, 'x'));
    (void)co_await w.begin(200, {});
    while (co_await w.write(piece)) ++pieces;
    ended = true;
  });
  int stalled = 0;
  run_task([](int port, std::atomic<int>* written, int* out) -> Task<void> {
    auto s = co_await dial_tcp("127.0.0.1", port, 10s);
    (void)co_await (*s)->write("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    int before = -1;
    while (*written == 0 || *written != before) {  // until the writer no longer gets on
      before = *written;
      co_await sleep_for(100ms);
    }
    *out = *written;
  }(server_->port(), &pieces, &stalled));
  EXPECT_LT(stalled, 200) << "50 MB went into the buffers of a client that reads nothing";
  for (int i = 0; i < 2000 && !ended; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_TRUE(ended) << "the write must fail once the client has gone";
}

TEST_F(H1, IdleConnectionsAreClosed) {
  ServerOptions o;
  o.idle_timeout = 100ms;
  serve(o, describe);
  EXPECT_EQ(raw(""), "");
  EXPECT_EQ(raw("GET / HT"), "");
  EXPECT_TRUE(raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
}

TEST_F(H1, UpgradeHandsOverTheRawStreamWithEarlyBytes) {
  serve({}, [](Request r, ResponseWriter& w) -> Task<void> {
    auto s = co_await w.upgrade({.status = 101, .headers = {{"Upgrade", "echo"}, {"Connection", "Upgrade"}}});
    EXPECT_TRUE(s);
    char buffer[100];
    while (true) {
      auto n = co_await (*s)->read(buffer);
      if (!n || *n == 0) break;
      (void)co_await (*s)->write("<" + std::string(buffer, *n) + ">");
    }
    (void)co_await (*s)->shutdown_write();
  });
  std::string out = run_task([](int port) -> Task<std::string> {
    auto s = co_await dial_tcp("127.0.0.1", port, 10s);
    (void)co_await (*s)->write("POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly");
    std::string got;
    char buffer[1000];
    bool second = false;
    while (true) {
      auto n = co_await (*s)->read(buffer);
      if (!n || *n == 0) break;
      got.append(buffer, *n);
      if (!second && got.ends_with("<early>")) {
        second = true;
        (void)co_await (*s)->write("late");
        (void)co_await (*s)->shutdown_write();  // one direction ends, the other goes on
      }
    }
    co_return got;
  }(server_->port()));
  EXPECT_TRUE(out.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << out;
  EXPECT_TRUE(out.ends_with("<early><late>")) << out;
}

// The connection reads on while the handler is busy elsewhere: what the handler takes meanwhile must not move the place
// where the next bytes arrive. Every piece is taken while the read of the next one is pending.
TEST_F(H1, UpgradedStreamBringsEveryByteInItsPlaceToASlowReader) {
  constexpr std::size_t kPiece = 1000;
  constexpr int kPieces = 26;
  std::atomic<int> taken = 0;
  serve({}, [&](Request r, ResponseWriter& w) -> Task<void> {
    auto s = co_await w.upgrade({.status = 101, .headers = {{"Upgrade", "echo"}, {"Connection", "Upgrade"}}});
    EXPECT_TRUE(s);
    char buffer[kPiece];
    while (true) {
      co_await sleep_for(20ms);  // the piece arrives, and the connection waits for the next one
      auto n = co_await (*s)->read(buffer);
      if (!n || *n == 0) break;
      (void)co_await (*s)->write({buffer, *n});
      taken += static_cast<int>(*n);
    }
    (void)co_await (*s)->shutdown_write();
  });
  auto out = run_task([](int port, std::atomic<int>* taken) -> Task<std::string> {
    auto s = co_await dial_tcp("127.0.0.1", port, 10s);
    (void)co_await (*s)->write("POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    for (int i = 0; i < kPieces; ++i) {
      (void)co_await (*s)->write(std::string(kPiece, static_cast<char>('a' + i)));
      for (int tries = 0; tries < 5000 && *taken < (i + 1) * static_cast<int>(kPiece); ++tries) co_await sleep_for(2ms);
    }
    (void)co_await (*s)->shutdown_write();
    std::string got;
    char buffer[4000];
    while (true) {
      auto n = co_await (*s)->read(buffer);
      if (!n || *n == 0) break;
      got.append(buffer, *n);
    }
    co_return got.substr(got.find("\r\n\r\n") + 4);
  }(server_->port(), &taken));
  std::string expected;
  for (int i = 0; i < kPieces; ++i) expected += std::string(kPiece, static_cast<char>('a' + i));
  EXPECT_TRUE(out == expected) << out.size() << " bytes came back, wrong from byte "
                               << std::ranges::mismatch(out, expected).in1 - out.begin();
}

// Reads on until `what` has come, or the end.
Task<std::string> read_until(Stream& from, std::string what) {
  std::string got;
  char buffer[4000];
  while (got.find(what) == got.npos) {
    auto n = co_await from.read(buffer);
    if (!n || *n == 0) break;
    got.append(buffer, *n);
  }
  co_return got;
}

// The same for requests: the third one arrives while the second one, read ahead, waits for the first one's answer.
TEST_F(H1, RequestsReadAheadOfASlowHandlerStayWhole) {
  serve({}, [](Request r, ResponseWriter& w) -> Task<void> {
    co_await sleep_for(30ms);
    co_await describe(std::move(r), w);
  });
  auto out = run_task([](int port) -> Task<std::string> {
    auto s = co_await dial_tcp("127.0.0.1", port, 10s);
    (void)co_await (*s)->write("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await sleep_for(10ms);
    (void)co_await (*s)->write("GET /two HTTP/1.1\r\nHost: x\r\n\r\n");
    auto got = co_await read_until(**s, "GET /one");
    co_await sleep_for(10ms);
    (void)co_await (*s)->write("GET /three HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    got += co_await read_until(**s, "no answer has this");
    co_return got;
  }(server_->port()));
  for (auto path : {"GET /one 0", "GET /two 0", "GET /three 0"}) EXPECT_EQ(count(out, path), 1u) << path << "\n" << out;
}

TEST_F(H1, ShutdownLetsRequestsFinishAndEndsStreams) {
  std::atomic<int> running = 0, finished = 0, ended = 0;
  serve({}, [&](Request r, ResponseWriter& w) -> Task<void> {
    ++running;
    if (r.path() == "/watch") {
      (void)co_await w.begin(200, {});
      co_await sleep_for(1h, w.closed());
      (void)co_await w.end();
      ++ended;
    } else {
      co_await sleep_for(200ms, w.closed());
      if (co_await w.send({.body = {buffer("done")}})) ++finished;
    }
  });
  std::string answers[3];
  std::thread clients[3];
  const char* paths[3] = {"/watch", "/work", "/work"};
  for (int i = 0; i < 3; ++i) {
    clients[i] =
        std::thread([&, i] { answers[i] = raw("GET " + std::string(paths[i]) + " HTTP/1.1\r\nHost: x\r\n\r\n"); });
  }
  for (int i = 0; i < 2000 && running < 3; ++i) std::this_thread::sleep_for(5ms);
  server_->shutdown(20s);
  for (auto& c : clients) c.join();
  EXPECT_EQ(finished, 2);
  EXPECT_EQ(ended, 1);
  EXPECT_TRUE(answers[0].ends_with("0\r\n\r\n")) << answers[0];
  EXPECT_TRUE(answers[1].ends_with("done")) << answers[1];
  EXPECT_NE(answers[1].find("Connection: close"), answers[1].npos);
  EXPECT_TRUE(raw("GET / HTTP/1.1\r\n\r\n").starts_with("error: connect")) << "it no longer listens";
}

TEST_F(H1, AddressInUseIsAnErrorAtStart) {
  serve({}, describe);
  ServerOptions o;
  o.port = server_->port();
  auto second = Server::start(o, describe);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text().find("Address already in use"), std::string::npos);
}

}  // namespace
}  // namespace lab::http::test
