// HTTP/2 frame by frame (RFC 9113): resets, windows, floods, garbage; what well-behaved clients never send.
#include <atomic>
#include <random>

#include "tests/unit/base/http/fixture.h"

namespace lab::http::test {
namespace {

using namespace std::chrono_literals;

constexpr int kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7;
constexpr int kEndStream = 1, kEndHeaders = 4;

std::string frame(int type, int flags, unsigned stream, std::string payload) {
  std::string out;
  for (int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out + payload;
}

std::string preface() {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, "");
}
// GET https://x/ in HPACK's static table.
std::string get(unsigned stream) {
  return frame(kHeaders, kEndStream | kEndHeaders, stream, "\x82\x87\x84\x41\x01x");
}
std::string reset(unsigned stream) {
  return frame(kReset, 0, stream, std::string("\0\0\0\x8", 4));
}

struct Frame {
  int type = -1, flags = 0;
  unsigned stream = 0;
  std::string payload;
};

class RawH2 {
 public:
  explicit RawH2(std::unique_ptr<Stream> s) : stream_(std::move(s)) {}
  Task<bool> send(std::string bytes) { co_return (co_await stream_->write(bytes)).has_value(); }
  // The next frame; type -1 at the end.
  Task<Frame> next() {
    while (in_.size() < 9 || in_.size() < 9 + length()) {
      char buffer[16384];
      auto n = co_await stream_->read(buffer);
      if (!n || *n == 0) co_return Frame{};
      in_.append(buffer, *n);
    }
    Frame f{.type = byte(3), .flags = byte(4), .payload = in_.substr(9, length())};
    for (std::size_t i = 5; i < 9; ++i) f.stream = f.stream << 8 | static_cast<unsigned>(byte(i));
    in_.erase(0, 9 + f.payload.size());
    co_return f;
  }
  Task<Frame> next_of(int type, unsigned stream) {
    while (true) {
      Frame f = co_await next();
      if (f.type == -1 || (f.type == type && f.stream == stream)) co_return f;
    }
  }
  Stream& stream() { return *stream_; }

 private:
  int byte(std::size_t i) const { return static_cast<unsigned char>(in_[i]); }
  std::size_t length() const { return static_cast<std::size_t>(byte(0) << 16 | byte(1) << 8 | byte(2)); }
  std::unique_ptr<Stream> stream_;
  std::string in_;
};

class H2Frames : public HttpTest {
 protected:
  void with_h2(std::function<Task<void>(RawH2&)> body) {
    run_task([](std::string ca, int port, std::function<Task<void>(RawH2&)> f) -> Task<void> {
      auto dialed = co_await dial_tls("127.0.0.1", port, TlsClientConfig{.ca_pem = ca, .alpn = {"h2"}}, 10s);
      EXPECT_TRUE(dialed) << dialed.error().text();
      if (!dialed) co_return;
      EXPECT_EQ(dialed->alpn, "h2");
      RawH2 raw(std::move(dialed->stream));
      Deadline limit(60s, [&raw] { raw.stream().close(); });
      co_await f(raw);
    }(ca_.pem(), server_->port(), std::move(body)));
  }
  void expect_serving() {
    with_h2([](RawH2& h) -> Task<void> {
      co_await h.send(preface() + get(1));
      EXPECT_EQ((co_await h.next_of(kHeaders, 1)).type, kHeaders);
    });
  }
};

template <class F>
bool eventually(F condition) {
  for (int i = 0; i < 4000 && !condition(); ++i) std::this_thread::sleep_for(5ms);
  return condition();
}

TEST_F(H2Frames, AResetEndsItsHandlerAndOnlyThat) {
  std::atomic<int> waiting = 0, ended = 0;
  serve(tls_options(), [&](Request, ResponseWriter& w) -> Task<void> {
    (void)co_await w.begin(200, {});
    ++waiting;
    co_await sleep_for(1h, w.closed());
    ++ended;
    EXPECT_FALSE(co_await w.write(buffer("too late")));
  });
  with_h2([&](RawH2& h) -> Task<void> {
    co_await h.send(preface() + get(1) + get(3));
    co_await h.next_of(kHeaders, 1);
    while (waiting < 2) co_await sleep_for(1ms);
    co_await h.send(reset(1));
    while (ended < 1) co_await sleep_for(1ms);
    co_await h.send(frame(kPing, 0, 0, "12345678"));  // the connection lives on
    EXPECT_EQ((co_await h.next_of(kPing, 0)).payload, "12345678");
    EXPECT_EQ(ended, 1);
  });
  EXPECT_TRUE(eventually([&] { return ended == 2; })) << "the end of the connection ends the other";
}

// The client opens no window beyond the first 65,535 bytes: the writer waits, other streams go on.
TEST_F(H2Frames, AClosedWindowHoldsTheWriterBack) {
  std::atomic<int> written = 0;
  std::atomic<bool> ended = false;
  serve(tls_options(), [&](Request, ResponseWriter& w) -> Task<void> {
    auto piece = buffer(std::string(16'000, 'x'));
    (void)co_await w.begin(200, {});
    while (co_await w.write(piece)) ++written;
    ended = true;
  });
  with_h2([&](RawH2& h) -> Task<void> {
    co_await h.send(preface() + get(1));
    std::size_t got = 0;
    while (got < 65'535) got += (co_await h.next_of(kData, 1)).payload.size();
    EXPECT_EQ(got, 65'535u);
    for (int before = -1; before != written;) {
      before = written;
      co_await sleep_for(50ms);
    }
    EXPECT_LE(written, 12) << "at most the window and the queue of 64 KiB";
    co_await h.send(frame(8, 0, 1, std::string("\0\x1\0\0", 4)) + frame(8, 0, 0, std::string("\0\x1\0\0", 4)));
    got = 0;
    while (got < 65'536) got += (co_await h.next_of(kData, 1)).payload.size();
    EXPECT_EQ(got, 65'536u);
  });
  EXPECT_TRUE(eventually([&] { return ended.load(); }));
}

TEST_F(H2Frames, AFloodOfResetsEndsTheConnection) {
  std::atomic<int> asked = 0;
  serve(tls_options(), [&](Request, ResponseWriter& w) -> Task<void> {
    ++asked;
    co_await sleep_for(1ms);
    (void)co_await w.send({});
  });
  with_h2([](RawH2& h) -> Task<void> {
    std::string flood = preface();
    for (unsigned id = 1; id < 20'000; id += 2) flood += get(id) + reset(id);
    co_await h.send(std::move(flood));
    bool told = false;  // an idle-looking GOAWAY without an error would not do
    while (true) {
      auto f = co_await h.next();
      if (f.type == -1) break;
      if (f.type == kGoAway) told = f.payload.substr(4, 4) != std::string(4, '\0');
    }
    EXPECT_TRUE(told);
  });
  EXPECT_LT(asked, 9'000);
  expect_serving();
}

TEST_F(H2Frames, SurvivesGarbage) {
  serve(tls_options(),
        [](Request, ResponseWriter& w) -> Task<void> { (void)co_await w.send({.body = {buffer("ok")}}); });
  std::mt19937 random(7540);
  for (int i = 0; i < 150; ++i) {
    std::string bytes = preface();
    for (int k = 0; k < 6; ++k) {
      std::string payload(random() % 60, '\0');
      for (char& c : payload) c = static_cast<char>(random());
      bytes += random() % 3 ? get(1 + 2 * (random() % 4)) : frame(random() % 11, random() % 64, random() % 6, payload);
    }
    if (i % 4 == 0) bytes[random() % bytes.size()] ^= 0x41;
    with_h2([&](RawH2& h) -> Task<void> {
      co_await h.send(bytes);
      (void)co_await h.stream().shutdown_write();
      while ((co_await h.next()).type != -1) {
      }
    });
  }
  expect_serving();
}

}  // namespace
}  // namespace lab::http::test
