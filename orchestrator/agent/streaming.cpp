// exec, attach and port-forward: the upgraded connection is tunnelled to the runtime's streaming server, which speaks
// SPDY/3.1 and WebSocket up to v4.channel.k8s.io itself.
#include <algorithm>

#include "base/http/client.h"
#include "base/log.h"
#include "orchestrator/agent/attach_status.h"
#include "orchestrator/agent/server.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> offered_protocols(const http::Headers& headers) {
  std::vector<std::string> out;
  for (auto line : headers.all("Sec-WebSocket-Protocol"))
    while (!line.empty()) {
      auto comma = line.find(',');
      auto one = line.substr(0, comma);
      while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
      while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
      if (!one.empty()) out.emplace_back(one);
      line = comma == line.npos ? std::string_view{} : line.substr(comma + 1);
    }
  return out;
}

Task<void> refuse(http::ResponseWriter& writer, int status, std::string text) {
  http::Response r;
  r.status = status;
  r.headers.set("Content-Type", "text/plain; charset=utf-8");
  r.body.push_back(http::buffer(std::move(text)));
  (void)co_await writer.send(std::move(r));
}

}  // namespace

Task<void> proxy_stream(http::Request request, http::ResponseWriter& writer, std::string url,
                        std::function<Task<bool>()> output_unseen) {
  if (lower(request.headers.get("Connection")).find("upgrade") == std::string::npos) {
    co_await refuse(writer, 400, "Upgrade request required\n");
    co_return;
  }
  // The runtime knows neither v5 (which half-closes stdin) nor SPDY inside WebSocket: offered alone they are refused,
  // so that the client falls back; beside others they are left out.
  auto protocols = offered_protocols(request.headers);
  std::string usable;
  for (const auto& p : protocols)
    if (!p.starts_with("v5.") && !p.starts_with("SPDY/")) usable += (usable.empty() ? "" : ", ") + p;
  if (!protocols.empty() && usable.empty()) {
    co_await refuse(writer, 403, "unable to upgrade: none of the offered WebSocket protocols is supported\n");
    co_return;
  }
  auto to = http::parse_url(url);
  if (!to) {
    co_await refuse(writer, 500, to.error().text() + "\n");
    co_return;
  }
  http::Request upstream;
  upstream.method = request.method;
  upstream.target = to->path;
  for (const auto& [name, value] : request.headers.fields()) {
    auto key = lower(name);
    if (key == "host" || key == "authorization" || key == "sec-websocket-protocol" || key == "content-length" ||
        key == "accept-encoding" || key == "te" || key == "transfer-encoding")
      continue;
    upstream.headers.add(name, value);
  }
  if (!usable.empty()) upstream.headers.set("Sec-WebSocket-Protocol", usable);
  upstream.headers.set("Host", to->host + ":" + std::to_string(to->port));

  auto client = http::Client::make(http::Endpoint{.host = to->host, .port = to->port},
                                   {.connect_timeout = 10s, .request_timeout = 60s});
  auto upgraded = co_await client->upgrade(std::move(upstream));
  if (!upgraded) {
    co_await refuse(writer, 502, "the container runtime's streaming server: " + upgraded.error().text() + "\n");
    co_return;
  }
  if (!upgraded->stream) {
    (void)co_await writer.send(std::move(upgraded->head));
    co_return;
  }
  bool spdy = lower(upgraded->head.headers.get("Upgrade")).starts_with("spdy/");
  auto down = co_await writer.upgrade(std::move(upgraded->head));
  if (!down) {
    upgraded->stream->close();
    co_return;
  }
  if (spdy && output_unseen)
    upgraded->stream = telling_unseen_output(std::move(upgraded->stream), std::move(output_unseen));
  // The runtime closes right behind its last frame. A SPDY client drops the frames that it has not handled by then, and
  // would show no output and no error: it is let finish, and closes when its streams have ended.
  co_await splice(std::move(*down), std::move(upgraded->stream), {},
                  spdy ? EndOfSecond::kHeldBack : EndOfSecond::kPassedOn);
}

}  // namespace lab::agent
