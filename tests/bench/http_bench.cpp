// A server of small answers over TLS, measured with h2load: requests per second over HTTP/1.1 and HTTP/2, beside the
// time one handshake takes. Usage: http_bench [--serve SECONDS] (then any client may be used against it)
#include <cstdlib>

#include <cstdio>
#include <cstring>
#include <thread>

#include "base/http/server.h"
#include "base/subprocess.h"
#include "tests/unit/base/io/test_certs.h"

namespace lab::http {
namespace {

const Buffer kPod = buffer(std::string(1500, 'p'));

Task<void> answer(Request request, ResponseWriter& writer) {
  Response out{.headers = {{"Content-Type", "application/json"}}, .body = {kPod}};
  if (request.path() == "/list") out.body.assign(300, kPod);
  (void)co_await writer.send(std::move(out));
}

void load(const std::string& name, std::vector<std::string> args, const std::string& url) {
  args.insert(args.begin(), {"h2load", "-t", "1"});
  args.push_back(url);
  auto out = run_checked({.argv = std::move(args), .timeout = std::chrono::minutes(2)});
  if (!out) {
    std::printf("%-44s %s\n", name.c_str(), out.error().text().c_str());
    return;
  }
  for (const char* key : {"finished in", "requests:", "time for request:"}) {
    auto at = out->find(key);
    if (at == out->npos) continue;
    std::printf("%-44s %s\n", name.c_str(), out->substr(at, out->find('\n', at) - at).c_str());
  }
}

int bench(int serve_seconds) {
  test::TestCa ca;
  auto leaf = ca.issue({.cn = "bench"});
  ServerOptions options{.threads = 1};
  options.tls = [&]() -> Result<TlsServerConfig> {
    return TlsServerConfig{.certificate_chain_pem = leaf.certificate, .private_key_pem = leaf.key};
  };
  auto server = Server::start(options, answer);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().text().c_str());
    return 1;
  }
  std::string url = "https://127.0.0.1:" + std::to_string((*server)->port());
  if (serve_seconds > 0) {
    std::printf("%s\n%s", url.c_str(), ca.pem().c_str());
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::seconds(serve_seconds));
    return 0;
  }
  load("h1, 1 connection, 1.5 KB", {"--h1", "-n", "20000", "-c", "1"}, url + "/pod");
  load("h1, 32 connections, 1.5 KB", {"--h1", "-n", "60000", "-c", "32"}, url + "/pod");
  load("h2, 1 connection, 1 stream, 1.5 KB", {"-n", "20000", "-c", "1", "-m", "1"}, url + "/pod");
  load("h2, 4 connections of 32 streams, 1.5 KB", {"-n", "100000", "-c", "4", "-m", "32"}, url + "/pod");
  load("h1, 4 connections, 450 KB lists", {"--h1", "-n", "1000", "-c", "4"}, url + "/list");
  load("h2, 4 connections, 450 KB lists", {"-n", "1000", "-c", "4", "-m", "4"}, url + "/list");
  load("h1, a connection each (handshakes), 1.5 KB", {"--h1", "-n", "1000", "-c", "1000"}, url + "/pod");
  return 0;
}

}  // namespace
}  // namespace lab::http

int main(int argc, char** argv) {
  return lab::http::bench(argc == 3 && std::strcmp(argv[1], "--serve") == 0 ? std::atoi(argv[2]) : 0);
}
