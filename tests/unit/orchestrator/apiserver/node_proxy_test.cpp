#include "base/http/server.h"
#include "fixture.h"

namespace lab::apiserver {
namespace {

// What stands behind a pod's port: tells what it was asked, and echoes upgraded bytes.
Task<void> backend(http::Request request, http::ResponseWriter& writer) {
  if (request.headers.get("Upgrade") == "echo") {
    http::Response head;
    head.status = 101;
    head.headers = {{"Connection", "Upgrade"}, {"Upgrade", "echo"}};
    auto stream = co_await writer.upgrade(std::move(head));
    if (!stream) co_return;
    char bytes[64];
    auto got = co_await (*stream)->read(bytes);
    if (got && *got > 0) (void)co_await (*stream)->write(std::string_view(bytes, *got));
    (*stream)->close();
    co_return;
  }
  http::Response response;
  response.headers.set("X-Seen-Authorization", std::string(request.headers.get("Authorization")));
  response.body.push_back(http::buffer(request.method + " " + request.target + " " + request.body));
  (void)co_await writer.send(std::move(response));
}

class NodeProxyTest : public ServerTest {
 protected:
  NodeProxyTest() {
    auto started = http::Server::start({}, backend);
    EXPECT_TRUE(started);
    backend_ = std::move(*started);
    make(kPods, pod("p", "n1"));
    merge(kPods + "/p/status", *json::parse(R"({"status":{"podIP":"127.0.0.1","phase":"Running"}})"));
  }
  std::string proxied() const { return kPods + "/p:" + std::to_string(backend_->port()) + "/proxy"; }

  std::unique_ptr<http::Server> backend_;
};

TEST_F(NodeProxyTest, PassesRequestsOnToThePod) {
  auto answer = call("POST", proxied() + "/a/b?c=d", "body", {{"Content-Type", "text/plain"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.text, "POST /a/b?c=d body");
  EXPECT_EQ(answer.headers.get("X-Seen-Authorization"), "");  // the client's credentials stay here
}

TEST_F(NodeProxyTest, ProxiesEveryMethodAndLeadsTheRootToItsSlash) {
  for (const char* method : {"DELETE", "GET", "OPTIONS", "PATCH", "PUT"}) {
    auto answer = call(method, proxied() + "/x", "", {{"Content-Type", "text/plain"}});
    EXPECT_EQ(answer.status, 200) << method;
    EXPECT_EQ(answer.text, std::string(method) + " /x ") << method;
  }
  EXPECT_EQ(call("HEAD", proxied() + "/x").status, 200);
  auto moved = get(proxied() + "?a=b");
  EXPECT_EQ(moved.status, 301);
  EXPECT_EQ(moved.headers.get("Location"), proxied() + "/?a=b");
}

TEST_F(NodeProxyTest, TellsWhyNobodyAnswers) {
  auto none = get(kPods + "/p:1/proxy/");
  EXPECT_EQ(none.status, 503);
  EXPECT_NE(none.text.find("error trying to reach 127.0.0.1:1"), std::string::npos) << none.text;
  EXPECT_EQ(get(kPods + "/p/log").status, 404);  // its node is not known here
  make(kPods, pod("waiting"));
  auto waiting = get(kPods + "/waiting/log");
  EXPECT_EQ(waiting.status, 400);
  EXPECT_EQ(json::str(waiting.body, "message"), "pod waiting does not have a host assigned");
  EXPECT_EQ(call("POST", kPods + "/p/exec?command=ls").status, 400);  // no upgrade
}

Task<std::string> echo_through(int port, std::string target) {
  http::Endpoint endpoint;
  endpoint.host = "127.0.0.1";
  endpoint.port = port;
  auto client = http::Client::make(endpoint);
  http::Request request;
  request.target = std::move(target);
  request.headers = {{"Connection", "Upgrade"}, {"Upgrade", "echo"}, {"Authorization", "Bearer admin-token"}};
  auto upgraded = co_await client->upgrade(std::move(request));
  if (!upgraded) co_return upgraded.error().text();
  if (!upgraded->stream) co_return "refused: " + upgraded->head.text();
  (void)co_await upgraded->stream->write("ping");
  std::string out;
  char bytes[64];
  while (out.size() < 4) {
    auto got = co_await upgraded->stream->read(bytes);
    if (!got || *got == 0) break;
    out.append(bytes, *got);
  }
  upgraded->stream->close();
  co_return out;
}

TEST_F(NodeProxyTest, TunnelsUpgradedBytes) {
  EXPECT_EQ(run_task(echo_through(server_->port(), proxied() + "/")), "ping");
}

TEST_F(NodeProxyTest, RefusesTheWebSocketVersionNobodySpeaksYet) {
  auto refused =
      get(kPods + "/p/exec?command=ls",
          {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Protocol", "v5.channel.k8s.io"}});
  EXPECT_EQ(refused.status, 400) << refused.text;
}

}  // namespace
}  // namespace lab::apiserver
