// The client: pooling, stale connections, timeouts, streams, upgrades, errors.
#include <atomic>

#include "base/io/listener.h"
#include "tests/unit/base/http/fixture.h"

namespace lab::http::test {
namespace {

using namespace std::chrono_literals;

class ClientTest : public HttpTest {
 protected:
  // Runs a task with a client on a fresh loop.
  void with_client(Endpoint endpoint, ClientOptions options, std::function<Task<void>(Client&)> body) {
    run_task([](Endpoint e, ClientOptions o, std::function<Task<void>(Client&)> f) -> Task<void> {
      auto client = Client::make(std::move(e), o);
      co_await f(*client);
    }(std::move(endpoint), options, std::move(body)));
  }
};

Task<void> echo_body(Request r, ResponseWriter& w) {
  Response out{.headers = {{"X-Peer", r.peer.address}, {"X-User", r.peer.certificate_subject_cn}}};
  out.body = {buffer(r.method + " " + r.target + ":"), buffer(std::move(r.body))};
  (void)co_await w.send(std::move(out));
}

TEST_F(ClientTest, OneConnectionServesManyRequests) {
  serve(tls_options(), echo_body);
  with_client(tls_endpoint(), {}, [](Client& c) -> Task<void> {
    std::string peer;
    for (int i = 0; i < 20; ++i) {
      auto r = co_await c.send({.method = "POST", .target = "/x", .body = std::string(100000, 'b')});
      EXPECT_EQ(dump(r).size(), 100000 + 12);
      if (!r) co_return;
      if (i > 0) EXPECT_EQ(r->headers.get("x-peer"), peer);
      peer = r->headers.get("x-peer");
    }
  });
}

TEST_F(ClientTest, ConcurrentRequestsUseOwnConnections) {
  serve(tls_options(), [](Request r, ResponseWriter& w) -> Task<void> {
    co_await sleep_for(20ms);
    co_await echo_body(std::move(r), w);
  });
  with_client(tls_endpoint(), {.max_idle_connections = 3}, [](Client& c) -> Task<void> {
    Scope scope(*Loop::current());
    int ok = 0;
    for (int i = 0; i < 30; ++i) {
      scope.spawn("get", [&c, &ok, i]() -> Task<void> {
        auto r = co_await c.send({.target = "/" + std::to_string(i)});
        if (dump(r) == "200 GET /" + std::to_string(i) + ":") ++ok;
      });
    }
    while (ok < 30) co_await sleep_for(2ms);
    co_await scope.close();
  });
}

TEST_F(ClientTest, ClientCertificateReachesTheHandler) {
  serve(tls_options(), echo_body);
  Pem me = ca_.issue({.cn = "system:node:a", .organizations = {"system:nodes"}, .names = "", .client = true});
  Endpoint e = tls_endpoint();
  e.tls->certificate_pem = me.certificate;
  e.tls->private_key_pem = me.key;
  with_client(e, {}, [](Client& c) -> Task<void> {
    auto r = co_await c.send({});
    EXPECT_TRUE(r) << dump(r);
    if (r) EXPECT_EQ(r->headers.get("x-user"), "system:node:a");
  });
}

TEST_F(ClientTest, LargeAnswersAreZippedOnTheWay) {
  serve(tls_options(), [](Request r, ResponseWriter& w) -> Task<void> {
    std::string size = r.headers.has("accept-encoding") ? std::string(500'000, 'z') : "no gzip asked";
    (void)co_await w.send({.body = {buffer(size)}});
  });
  with_client(tls_endpoint(), {}, [](Client& c) -> Task<void> {
    auto r = co_await c.send({});
    EXPECT_TRUE(r && r->text() == std::string(500'000, 'z'));
    if (r) EXPECT_EQ(r->headers.get("vary"), "Accept-Encoding");
  });
}

TEST_F(ClientTest, StreamsArriveInPiecesAndTheConnectionGoesOn) {
  serve(tls_options(), [](Request, ResponseWriter& w) -> Task<void> {
    (void)co_await w.begin(200, {{"Content-Type", "application/json"}});
    for (int i = 0; i < 3; ++i) {
      (void)co_await w.write(buffer("event" + std::to_string(i) + "\n"));
      co_await sleep_for(10ms);
    }
    (void)co_await w.end();
  });
  with_client(tls_endpoint(), {}, [](Client& c) -> Task<void> {
    for (int round = 0; round < 2; ++round) {
      auto s = co_await c.open({.target = "/watch"});
      EXPECT_TRUE(s) << s.error().text();
      if (!s) co_return;
      EXPECT_EQ((*s)->status(), 200);
      EXPECT_EQ((*s)->headers().get("content-type"), "application/json");
      std::string all;
      int pieces = 0;
      while (true) {
        auto piece = co_await (*s)->read();
        EXPECT_TRUE(piece) << piece.error().text();
        if (!piece || piece->empty()) break;
        all += *piece;
        ++pieces;
      }
      EXPECT_EQ(all, "event0\nevent1\nevent2\n");
      EXPECT_GE(pieces, 2) << "pieces must come as they are written";
    }
  });
}

TEST_F(ClientTest, AnAnswerWithoutEndTakesNoMemoryWithoutEnd) {
  serve({}, [](Request, ResponseWriter& w) -> Task<void> {
    const auto piece = buffer(std::string(1 << 20, 'x'));
    if (!co_await w.begin(200, {})) co_return;
    for (int i = 0; i < 1000; ++i)
      if (!co_await w.write(piece)) co_return;
    (void)co_await w.end();
  });
  with_client(plain_endpoint(), {}, [](Client& c) -> Task<void> {
    auto endless = co_await c.send({.target = "/endless"});
    EXPECT_FALSE(endless);
    if (!endless) EXPECT_EQ(endless.error().code, Code::kTooLarge) << endless.error().text();
  });
}

TEST_F(ClientTest, ClosingAStreamEndsItsReadAndTheHandler) {
  std::atomic<int> ended = 0;
  serve(tls_options(), [&](Request, ResponseWriter& w) -> Task<void> {
    (void)co_await w.begin(200, {});
    co_await sleep_for(1h, w.closed());
    ++ended;
  });
  with_client(tls_endpoint(), {}, [](Client& c) -> Task<void> {
    auto s = co_await c.open({});
    Loop& loop = *Loop::current();
    loop.call_at(loop.now() + 20ms, [&] { (*s)->close(); });
    auto piece = co_await (*s)->read();
    EXPECT_FALSE(piece);
    EXPECT_EQ(piece.error().code, Code::kCancelled);
  });
  for (int i = 0; i < 2000 && ended == 0; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(ended, 1);
}

TEST_F(ClientTest, TimeoutsSayWhatWasAskedOfWhom) {
  serve(tls_options(), [](Request, ResponseWriter& w) -> Task<void> {
    co_await sleep_for(1h, w.closed());
    (void)co_await w.send({});
  });
  with_client(tls_endpoint(), {.request_timeout = 100ms}, [this](Client& c) -> Task<void> {
    auto r = co_await c.send({.target = "/slow"});
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error().code, Code::kTimeout);
    EXPECT_EQ(r.error().text(), "GET " + url("/slow") + ": no answer within 0.1 s");
  });
}

TEST_F(ClientTest, ErrorsNameTheRequestAndTheCause) {
  serve(tls_options(), echo_body);
  Endpoint wrong = tls_endpoint();
  wrong.tls->ca_pem = TestCa("other").pem();
  with_client(wrong, {}, [](Client& c) -> Task<void> {
    auto r = co_await c.send({.target = "/api"});
    EXPECT_NE(dump(r).find("was issued by CN=test-ca, expected was CN=other"), std::string::npos) << dump(r);
    EXPECT_NE(dump(r).find("GET https://127.0.0.1:"), std::string::npos) << dump(r);
  });
  Endpoint gone = plain_endpoint();
  server_.reset();
  with_client(gone, {}, [](Client& c) -> Task<void> {
    auto r = co_await c.send({});
    EXPECT_NE(dump(r).find("Connection refused"), std::string::npos) << dump(r);
    EXPECT_EQ(r.error().code, Code::kUnavailable);
  });
}

// A server that closes kept connections: the next request goes out on a fresh one.
TEST_F(ClientTest, StaleConnectionsAreReplaced) {
  ServerOptions o = tls_options();
  o.idle_timeout = 50ms;
  serve(o, echo_body);
  with_client(tls_endpoint(), {}, [](Client& c) -> Task<void> {
    for (int i = 0; i < 4; ++i) {
      auto r = co_await c.send({.method = i % 2 ? "POST" : "GET", .target = "/x"});
      EXPECT_TRUE(r) << dump(r);
      co_await sleep_for(150ms);
    }
  });
}

// One that closes just when the second request comes, without an answer: safe methods are sent again, others not.
Task<void> close_on_second(Listener* listener, int* connections) {
  while (true) {
    auto fd = co_await listener->accept();
    if (!fd) co_return;
    ++*connections;
    auto s = accept_plain(fd->release()).stream;
    char buffer[4096];
    auto n = co_await s->read(buffer);
    if (!n || *n == 0) continue;
    (void)co_await s->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    (void)co_await s->read(buffer);
  }
}

TEST_F(ClientTest, ARequestLostWithItsConnectionIsSentAgainOnlyWhenThatIsSafe) {
  run_task([]() -> Task<void> {
    auto listener = Listener::bind("127.0.0.1", 0);
    int connections = 0;
    Scope scope(*Loop::current());
    scope.spawn("server", close_on_second(listener->get(), &connections));
    {
      auto client = Client::make({.host = "127.0.0.1", .port = (*listener)->port()});
      EXPECT_EQ(dump(co_await client->send({})), "200 ok");
      EXPECT_EQ(dump(co_await client->send({})), "200 ok");
      EXPECT_EQ(connections, 2);
      auto post = co_await client->send({.method = "POST", .body = "x"});
      EXPECT_FALSE(post) << "a POST that the server may have acted on";
      EXPECT_EQ(connections, 2);
    }
    (*listener)->close();
    co_await scope.close();
  }());
}

TEST_F(ClientTest, UpgradeGivesAStreamOrTheRefusal) {
  serve(tls_options(), [](Request r, ResponseWriter& w) -> Task<void> {
    if (r.path() == "/no") {
      (void)co_await w.send(error_response({Code::kForbidden, "not you"}));
      co_return;
    }
    auto s = co_await w.upgrade({.status = 101, .headers = {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}}});
    (void)co_await (*s)->write("first");
    char buffer[100];
    auto n = co_await (*s)->read(buffer);
    if (n) (void)co_await (*s)->write(std::string(buffer, *n));
  });
  with_client(tls_endpoint(), {}, [](Client& c) -> Task<void> {
    auto no = co_await c.upgrade({.method = "POST", .target = "/no", .headers = {{"Upgrade", "SPDY/3.1"}}});
    EXPECT_TRUE(no);
    EXPECT_FALSE(no->stream);
    EXPECT_EQ(no->head.status, 403);
    EXPECT_NE(no->head.text().find("not you"), std::string::npos);
    auto up = co_await c.upgrade({.method = "POST", .target = "/yes", .headers = {{"Upgrade", "SPDY/3.1"}}});
    EXPECT_TRUE(up && up->stream);
    if (!up || !up->stream) co_return;
    EXPECT_EQ(up->head.headers.get("upgrade"), "SPDY/3.1");
    (void)co_await up->stream->write("second");
    std::string got;
    char buffer[100];
    while (true) {
      auto n = co_await up->stream->read(buffer);
      if (!n || *n == 0) break;
      got.append(buffer, *n);
    }
    EXPECT_EQ(got, "firstsecond");
  });
}

TEST_F(ClientTest, UnixSockets) {
  ServerOptions o;
  o.address = "unix:" + dir_ + "/api.sock";
  serve(o, echo_body);
  with_client({.unix_path = dir_ + "/api.sock"}, {},
              [](Client& c) -> Task<void> { EXPECT_EQ(dump(co_await c.send({.target = "/u"})), "200 GET /u:"); });
}

TEST_F(ClientTest, ReloadedCertificatesServeNewConnections) {
  serve(tls_options(), echo_body);
  Endpoint e = tls_endpoint();
  e.tls->server_name = "renewed.lab";
  with_client(e, {}, [](Client& c) -> Task<void> { EXPECT_FALSE(co_await c.send({})); });
  identity_ = ca_.issue({.cn = "kube-apiserver", .names = "DNS:renewed.lab"});
  ASSERT_TRUE(server_->reload_tls());
  with_client(e, {}, [](Client& c) -> Task<void> { EXPECT_TRUE(co_await c.send({})); });
  identity_.key = "broken";
  EXPECT_FALSE(server_->reload_tls());
  with_client(e, {}, [](Client& c) -> Task<void> { EXPECT_TRUE(co_await c.send({})) << "the old one stays"; });
}

}  // namespace
}  // namespace lab::http::test
