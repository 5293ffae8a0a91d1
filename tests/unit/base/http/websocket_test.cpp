// WebSocket against our own client end, and against raw frames.
#include "base/http/websocket.h"

#include "tests/unit/base/http/fixture.h"

namespace lab::http::test {
namespace {

using namespace std::chrono_literals;

class WebSocketTest : public HttpTest {
 protected:
  void serve_echo(std::vector<std::string> protocols) {
    serve(tls_options(), [protocols](Request r, ResponseWriter& w) -> Task<void> {
      auto ws = co_await accept_websocket(r, w, protocols);
      if (!ws) co_return;
      while (true) {
        auto m = co_await (*ws)->read();
        if (!m || !*m) break;
        if ((*m)->data == "bye") {
          (void)co_await (*ws)->close(1001, "going away");
        } else {
          (void)co_await (*ws)->send((*m)->binary, (*m)->data);
        }
      }
    });
  }
};

TEST_F(WebSocketTest, MessagesOfAllSizesComeBackAndTheCloseIsOrderly) {
  serve_echo({"v5.channel.k8s.io", "v4.channel.k8s.io"});
  run_task([](Endpoint e) -> Task<void> {
    auto client = Client::make(std::move(e));
    auto ws = co_await connect_websocket(*client, {.target = "/exec"}, {"v4.channel.k8s.io", "other"});
    EXPECT_TRUE(ws) << ws.error().text();
    if (!ws) co_return;
    EXPECT_EQ((*ws)->subprotocol(), "v4.channel.k8s.io");
    for (std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 1'000'000u}) {
      std::string data(size, 'w');
      EXPECT_TRUE(co_await (*ws)->send(size % 2 == 0, data));
      auto m = co_await (*ws)->read();
      EXPECT_TRUE(m && *m && (*m)->data == data && (*m)->binary == (size % 2 == 0)) << size;
    }
    EXPECT_TRUE(co_await (*ws)->ping());
    EXPECT_TRUE(co_await (*ws)->send(false, "bye"));
    auto end = co_await (*ws)->read();
    EXPECT_TRUE(end && !*end);
    EXPECT_EQ((*ws)->close_code(), 1001);
  }(tls_endpoint()));
}

TEST_F(WebSocketTest, HandshakesThatDoNotFitAreRefused) {
  serve_echo({"v5.channel.k8s.io"});
  run_task([](Endpoint e) -> Task<void> {
    auto client = Client::make(std::move(e));
    auto plain = co_await client->send({});
    EXPECT_TRUE(plain && plain->status == 400) << dump(plain);
    auto unknown = co_await connect_websocket(*client, {}, {"v9"});
    EXPECT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::kForbidden) << unknown.error().text();
    Request old{.headers = {{"Upgrade", "websocket"},
                            {"Connection", "Upgrade"},
                            {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                            {"Sec-WebSocket-Version", "8"}}};
    auto version = co_await client->upgrade(old);
    EXPECT_TRUE(version && version->head.status == 426);
  }(tls_endpoint()));
}

Task<std::string> converse(std::string frames) {
  auto [a, b] = stream_pair();
  auto ws = WebSocket::server(std::move(b));
  (void)co_await a->write(frames);
  (void)co_await a->shutdown_write();
  std::string out;
  while (true) {
    auto m = co_await ws->read();
    if (!m) {
      out += "!" + m.error().message;
      break;
    }
    if (!*m) break;
    out += "[" + (*m)->data + "]";
  }
  ws.reset();
  char buffer[1000];
  auto n = co_await a->read(buffer);
  co_return out + " sent:" + (n ? std::string(buffer, *n) : "");
}

// Frames with a mask of zeroes read as they are.
std::string frame(unsigned char first, std::string payload) {
  return std::string(1, static_cast<char>(first)) + static_cast<char>(0x80 | payload.size()) + std::string(4, '\0') +
         payload;
}

TEST(WebSocketFrames, FragmentsAreJoinedAndPingsAnsweredInBetween) {
  auto out = run_task(converse(frame(0x01, "Hel") + frame(0x89, "p") + frame(0x80, "lo")));
  EXPECT_EQ(out, "[Hello] sent:\x8a\x01p");
}

TEST(WebSocketFrames, ViolationsEndTheConnectionWithTheReason) {
  std::string unmasked = "\x81\x02hi";
  auto out = run_task(converse(unmasked));
  EXPECT_TRUE(out.starts_with("!the WebSocket peer broke the protocol")) << out;
  EXPECT_NE(out.find("\x88\x02\x03\xea"), out.npos) << "close code 1002";
  auto utf8 = run_task(converse(frame(0x81, "\xff\xfe")));
  EXPECT_TRUE(utf8.starts_with("!")) << utf8;
  EXPECT_NE(utf8.find("\x03\xef"), utf8.npos) << "close code 1007";
}

TEST(WebSocketFrames, ACloseIsAnsweredWithItsCode) {
  EXPECT_EQ(run_task(converse(frame(0x88, "\x03\xe9"))), " sent:\x88\x02\x03\xe9");
}

TEST(WebSocketFrames, AnEndWithoutACloseFrameIsTheEnd) {
  EXPECT_EQ(run_task(converse(frame(0x82, "x"))), "[x] sent:");
}

}  // namespace
}  // namespace lab::http::test
