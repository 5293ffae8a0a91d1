#include "overlay-net/agent/api.h"

namespace lab::overlay {
namespace {

http::Response json_response(int status, const json::Value& body) {
  return {status, {{"Content-Type", "application/json"}}, {http::buffer(json::dump(body))}};
}

http::Response error_response(const Error& e) {
  return json_response(http_status_of(e.code), json::Object{{"message", e.text()}});
}

template <class T>
http::Response network_response(Result<T> network) {
  if (!network) return error_response(network.error());
  return json_response(200, to_json(*network));
}

http::Response add_pod(AgentCore& core, const http::Request& request) {
  auto body = json::parse(request.body);
  if (!body) return error_response(body.error());
  auto pod = pod_request_from(*body);
  if (!pod) return error_response(pod.error());
  return network_response(core.add_pod(*pod));
}

// /v1/pods/CONTAINER/IFNAME
http::Response one_pod(AgentCore& core, const http::Request& request, std::string_view rest) {
  auto slash = rest.find('/');
  if (slash == std::string_view::npos) return error_response(fail(Code::kNotFound, "no such path").error());
  std::string container(rest.substr(0, slash)), ifname = http::percent_decode(rest.substr(slash + 1));
  if (request.method == "GET") return network_response(core.find_pod(container, ifname));
  if (request.method != "DELETE") return error_response(fail(Code::kMethodNotAllowed, "GET or DELETE").error());
  auto done = core.remove_pod(container, ifname);
  return done ? json_response(200, json::Object{}) : error_response(done.error());
}

http::Response answer(AgentCore& core, const http::Request& request) {
  constexpr std::string_view kPods = "/v1/pods";
  auto path = request.path();
  if (path == "/v1/status") return json_response(200, core.status());
  if (path == "/metrics") return {200, {{"Content-Type", "text/plain; version=0.0.4"}}, {http::buffer(core.metrics())}};
  if (path == kPods && request.method == "POST") return add_pod(core, request);
  if (path.starts_with("/v1/pods/")) return one_pod(core, request, path.substr(kPods.size() + 1));
  return error_response(fail(Code::kNotFound, "no such path: " + std::string(path)).error());
}

}  // namespace

Task<void> serve_agent_api(AgentCore& core, http::Request request, http::ResponseWriter& writer) {
  auto response = answer(core, request);
  (void)co_await writer.send(std::move(response));  // a plugin that went away asks again
}

}  // namespace lab::overlay
