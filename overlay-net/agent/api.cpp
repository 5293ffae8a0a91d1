#include "overlay-net/agent/api.h"

namespace lab::overlay {
namespace {

constexpr std::string_view kPods = "/v1/pods";

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

// The plugin hears of the address when the policies that concern the pod are in force.
Task<http::Response> add_pod(AgentCore& core, policy::PolicyAgent* policy, std::string text) {
  auto body = json::parse(text);
  if (!body) co_return error_response(body.error());
  auto pod = pod_request_from(*body);
  if (!pod) co_return error_response(pod.error());
  auto network = core.add_pod(*pod);
  // Another peer is being asked for space: soon there may be some.
  for (int i = 0; i < 50 && !network && network.error().code == Code::kTooManyRequests && core.may_get_space(); ++i) {
    (void)co_await sleep_for(std::chrono::milliseconds(100));
    network = core.add_pod(*pod);
  }
  if (network && policy && !pod->pod_name.empty()) {
    co_await policy->pod_wired({pod->pod_namespace, pod->pod_name, network->address.address});
  }
  co_return network_response(std::move(network));
}

// /v1/pods/CONTAINER/IFNAME
http::Response one_pod(AgentCore& core, policy::PolicyAgent* policy, const http::Request& request,
                       std::string_view rest) {
  auto slash = rest.find('/');
  if (slash == std::string_view::npos) return error_response(fail(Code::kNotFound, "no such path").error());
  std::string container(rest.substr(0, slash)), ifname = http::percent_decode(rest.substr(slash + 1));
  if (request.method == "GET") return network_response(core.find_pod(container, ifname));
  if (request.method != "DELETE") return error_response(fail(Code::kMethodNotAllowed, "GET or DELETE").error());
  auto network = core.find_pod(container, ifname);
  auto done = core.remove_pod(container, ifname);
  if (done && network && policy) policy->pod_unwired(network->address.address);
  return done ? json_response(200, json::Object{}) : error_response(done.error());
}

http::Response answer(AgentCore& core, policy::PolicyAgent* policy, const http::Request& request) {
  auto path = request.path();
  if (path == "/v1/status") return json_response(200, core.status());
  if (path.starts_with("/v1/pods/")) return one_pod(core, policy, request, path.substr(kPods.size() + 1));
  return error_response(fail(Code::kNotFound, "no such path: " + std::string(path)).error());
}

}  // namespace

Task<void> serve_agent_api(AgentCore& core, policy::PolicyAgent* policy, http::Request request,
                           http::ResponseWriter& writer) {
  http::Response response;
  if (request.path() == kPods && request.method == "POST") {
    response = co_await add_pod(core, policy, std::move(request.body));
  } else {
    response = answer(core, policy, request);
  }
  (void)co_await writer.send(std::move(response));  // a plugin that went away asks again
}

}  // namespace lab::overlay
