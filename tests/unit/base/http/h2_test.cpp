// HTTP/2 and HTTP/1.1 over TLS with the tools of others: curl and h2load.
#include <atomic>
#include <fstream>
#include <regex>

#include "tests/unit/base/http/fixture.h"

namespace lab::http::test {
namespace {

using namespace std::chrono_literals;

class Tools : public HttpTest {
 protected:
  std::vector<std::string> curl(std::vector<std::string> args) {
    std::vector<std::string> out{"curl", "-sS", "--max-time", "30", "--noproxy", "*", "--cacert", dir_ + "/ca.pem"};
    out.insert(out.end(), args.begin(), args.end());
    return out;
  }
  std::string write_file(const std::string& name, const std::string& content) {
    EXPECT_TRUE(fs::write_file(dir_ + "/" + name, content));
    return dir_ + "/" + name;
  }
};

Task<void> mixed(Request r, ResponseWriter& w) {
  if (r.path() == "/stream") {
    (void)co_await w.begin(200, {{"Content-Type", "text/plain"}});
    for (int i = 0; i < 50; ++i) (void)co_await w.write(buffer(std::string(20000, static_cast<char>('a' + i % 26))));
    (void)co_await w.end();
  } else if (r.path() == "/large") {
    auto piece = buffer(std::string(1'000'000, 'L'));
    (void)co_await w.send({.body = {piece, piece, piece}});
  } else if (r.path() == "/none") {
    (void)co_await w.send({.status = 204});
  } else {
    Response out{.headers = {{"X-Host", std::string(r.headers.get("host"))}, {"X-Alpn", r.peer.alpn}}};
    out.body = {buffer(r.method + " " + r.target + " " + std::to_string(r.body.size()))};
    (void)co_await w.send(std::move(out));
  }
}

class BothVersions : public Tools, public ::testing::WithParamInterface<const char*> {};

TEST_P(BothVersions, Curl) {
  serve(tls_options(), mixed);
  std::string version = GetParam();
  std::string host = "127.0.0.1:" + std::to_string(server_->port());
  auto get = run(curl({version, "-i", url("/hello?x=1")}));
  EXPECT_TRUE(get.ends_with("GET /hello?x=1 0")) << get;
  std::regex protocol(version == "--http2" ? "^HTTP/2 200" : "^HTTP/1.1 200 OK");
  EXPECT_TRUE(std::regex_search(get, protocol)) << get;
  EXPECT_TRUE(std::regex_search(get, std::regex("x-host: " + host, std::regex::icase))) << get;
  EXPECT_TRUE(std::regex_search(get, std::regex("date: ... ?, ..", std::regex::icase)) || get.find("GMT") != get.npos);

  EXPECT_EQ(run(curl({version, url("/stream")})).size(), 1'000'000u);
  EXPECT_EQ(run(curl({version, url("/large")})), std::string(3'000'000, 'L'));
  EXPECT_EQ(run(curl({version, "--compressed", url("/large")})), std::string(3'000'000, 'L'));
  auto zipped =
      run(curl({version, "-H", "Accept-Encoding: gzip", "-o", dir_ + "/z", "-w", "%{size_download}", url("/large")}));
  EXPECT_LT(std::stoul(zipped), 100'000u);
  auto head = run(curl({version, "-I", url("/large")}));
  EXPECT_TRUE(std::regex_search(head, std::regex("content-length: 3000000", std::regex::icase))) << head;
  EXPECT_EQ(run(curl({version, "-w", "%{http_code}", url("/none")})), "204");

  auto file = write_file("body", std::string(2'000'000, 'p'));
  EXPECT_EQ(run(curl({version, "--data-binary", "@" + file, url("/post")})), "POST /post 2000000");
  EXPECT_EQ(
      run(curl({version, "-X", "PUT", "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + file, url("/c")})),
      "PUT /c 2000000");
  EXPECT_EQ(run(curl({version, "-H", "Expect: 100-continue", "--data-binary", "@" + file, url("/e")})),
            "POST /e 2000000");
  run({"gzip", "-kf", file});
  EXPECT_EQ(run(curl({version, "-H", "Content-Encoding: gzip", "--data-binary", "@" + file + ".gz", url("/gz")})),
            "POST /gz 2000000");
}

TEST_P(BothVersions, CurlBodyOverTheLimit) {
  ServerOptions o = tls_options();
  o.max_body_bytes = 10'000;
  serve(o, mixed);
  auto file = write_file("body", std::string(5'000'000, 'p'));
  auto answer = run(curl({GetParam(), "-H", "Expect:", "--data-binary", "@" + file, "-w", "%{http_code}", url("/")}));
  EXPECT_TRUE(answer.ends_with("413")) << answer;
  EXPECT_NE(answer.find("Request entity too large: limit is 10000"), answer.npos) << answer;
  // A bomb: small on the wire, large when unzipped.
  auto bomb = write_file("bomb", std::string(5'000'000, '\0'));
  run({"gzip", "-kf", bomb});
  answer = run(curl({GetParam(), "-H", "Content-Encoding: gzip", "--data-binary", "@" + bomb + ".gz", "-w",
                     "%{http_code}", url("/")}));
  EXPECT_TRUE(answer.ends_with("413")) << answer;
  EXPECT_EQ(run(curl({GetParam(), url("/after")})), "GET /after 0");
}

TEST_P(BothVersions, AWatchEndsWhenCurlIsKilled) {
  std::atomic<int> left = 0;
  serve(tls_options(), [&](Request, ResponseWriter& w) -> Task<void> {
    (void)co_await w.begin(200, {});
    for (int i = 0; !w.closed().stop_requested(); ++i) {
      (void)co_await w.write(buffer("event " + std::to_string(i) + "\n"));
      co_await sleep_for(20ms, w.closed());
    }
    ++left;
    (void)co_await w.end();
  });
  auto out = run(curl({GetParam(), "-N", "--max-time", "1", url("/watch")}), {}, 28);
  EXPECT_TRUE(out.starts_with("event 0\nevent 1\n")) << out;
  for (int i = 0; i < 2000 && left == 0; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(left, 1);
}

INSTANTIATE_TEST_SUITE_P(Curl, BothVersions, ::testing::Values("--http1.1", "--http2"),
                         [](const auto& info) { return std::string(info.param) == "--http2" ? "h2" : "h1"; });

class H2load : public Tools, public ::testing::WithParamInterface<const char*> {};

TEST_P(H2load, ManyStreamsOverFewConnections) {
  serve(tls_options(), mixed);
  std::vector<std::string> argv{"h2load", "-n", "5000", "-c", "5", "-t", "1"};
  if (std::string(GetParam()) == "h1") {
    argv.push_back("--h1");
  } else {
    argv.insert(argv.end(), {"-m", "50"});
  }
  argv.push_back(url("/small"));
  auto out = run(argv);
  EXPECT_NE(out.find("5000 succeeded, 0 failed, 0 errored, 0 timeout"), out.npos) << out;
  EXPECT_NE(out.find("5000 2xx"), out.npos) << out;
}

TEST_P(H2load, LargeAnswersWithSmallWindows) {
  serve(tls_options(), mixed);
  std::vector<std::string> argv{"h2load", "-n", "60", "-c", "3", "-t", "1"};
  if (std::string(GetParam()) == "h1") {
    argv.push_back("--h1");
  } else {
    argv.insert(argv.end(), {"-m", "10", "-w", "14", "-W", "15"});
  }
  argv.push_back(url("/stream"));
  auto out = run(argv);
  EXPECT_NE(out.find("60 succeeded, 0 failed"), out.npos) << out;
}

INSTANTIATE_TEST_SUITE_P(H2load, H2load, ::testing::Values("h1", "h2"), [](const auto& info) { return info.param; });

TEST_F(Tools, PlainHttpOnTheTlsPortIsTold) {
  serve(tls_options(), mixed);
  auto out = run({"curl", "-sS", "--http0.9", "--noproxy", "*", "--max-time", "20",
                  "http://127.0.0.1:" + std::to_string(server_->port()) + "/"});
  EXPECT_EQ(out, "Client sent an HTTP request to an HTTPS server.\n");
}

TEST_F(Tools, UpgradeOnH2IsRefusedAndTheHandlerCanSaySo) {
  serve(tls_options(), [](Request, ResponseWriter& w) -> Task<void> {
    auto s = co_await w.upgrade({.status = 101});
    EXPECT_FALSE(s);
    (void)co_await w.send(error_response(s.error()));
  });
  auto out = run(curl({"--http2", "-w", "%{http_code}", url("/exec")}));
  EXPECT_TRUE(out.ends_with("400")) << out;
}

TEST_F(Tools, ShutdownOverH2FinishesStreams) {
  std::atomic<int> running = 0;
  serve(tls_options(), [&](Request, ResponseWriter& w) -> Task<void> {
    ++running;
    co_await sleep_for(300ms);
    (void)co_await w.send({.body = {buffer("finished")}});
  });
  std::string out;
  std::thread client([&] { out = run(curl({"--http2", url("/")})); });
  for (int i = 0; i < 2000 && running == 0; ++i) std::this_thread::sleep_for(5ms);
  server_->shutdown(20s);
  client.join();
  EXPECT_EQ(out, "finished");
}

}  // namespace
}  // namespace lab::http::test
