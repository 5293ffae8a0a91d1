#include "orchestrator/apiserver/node_proxy.h"

#include <algorithm>
#include <charconv>

#include "base/crypto/encoding.h"
#include "base/http/websocket.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr int kDefaultAgentPort = 10250;
constexpr std::string_view kDefaultContainer = "kubectl.kubernetes.io/default-container";
// Headers that belong to one connection only (RFC 9110, 7.6.1), and what authenticated the client to this server.
constexpr std::string_view kNotForwarded[] = {
    "connection", "keep-alive",    "proxy-authenticate", "proxy-authorization",
    "te",         "trailer",       "transfer-encoding",  "upgrade",
    "host",       "authorization", "content-length",     "accept-encoding"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool wants_upgrade(const http::Request& request) {
  return lower(request.headers.get("Connection")).find("upgrade") != std::string::npos &&
         !request.headers.get("Upgrade").empty();
}

bool has_container(const json::Value& pod, std::string_view name) {
  for (auto list : {"containers", "initContainers", "ephemeralContainers"})
    for (const auto& c : json::list(pod, "spec", list))
      if (json::str(c, "name") == name) return true;
  return false;
}

std::string names_of(const json::Value& pod, std::string_view list) {
  std::string out;
  for (const auto& c : json::list(pod, "spec", list))
    out += (out.empty() ? "" : " ") + std::string(json::str(c, "name"));
  return out;
}

Result<std::string> choose_container(const json::Value& pod, std::string_view wanted) {
  auto pod_name = std::string(json::str(pod, "metadata", "name"));
  if (!wanted.empty()) {
    if (!has_container(pod, wanted))
      return Failure(bad_request("container " + std::string(wanted) + " is not valid for pod " + pod_name));
    return std::string(wanted);
  }
  const auto& containers = json::list(pod, "spec", "containers");
  if (containers.size() == 1) return std::string(json::str(containers[0], "name"));
  auto preferred = json::str(pod, "metadata", "annotations", kDefaultContainer);
  if (!preferred.empty() && has_container(pod, preferred)) return std::string(preferred);
  auto init = names_of(pod, "initContainers");
  return Failure(bad_request("a container name must be specified for pod " + pod_name + ", choose one of: [" +
                             names_of(pod, "containers") + "]" +
                             (init.empty() ? "" : " or one of the init containers: [" + init + "]")));
}

// The query of an API request as the node agent's endpoints spell it.
std::string agent_query(const http::Query& query, std::string_view subresource) {
  http::Query out;
  for (const auto& [name, value] : query.pairs()) {
    if (name == "container") continue;
    bool stream = subresource == "exec" || subresource == "attach";
    std::string to = name;
    if (stream && name == "stdin") to = "input";
    if (stream && name == "stdout") to = "output";
    if (stream && name == "stderr") to = "error";
    bool is_switch = to != name || name == "tty";
    bool on = value == "true" || value == "1";
    out.add(std::move(to), is_switch ? (on ? "1" : "0") : value);
  }
  auto text = out.encode();
  return text.empty() ? text : "?" + text;
}

// A WebSocket client that offers only what the agent cannot speak is refused; it then falls back to SPDY.
bool offers_only_unknown(const http::Request& request) {
  if (lower(request.headers.get("Upgrade")) != "websocket") return false;
  std::string_view offered = request.headers.get("Sec-WebSocket-Protocol");
  if (offered.empty()) return false;
  while (!offered.empty()) {
    auto comma = offered.find(',');
    auto one = offered.substr(0, comma);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    if (!one.starts_with("v5.") && !one.starts_with("SPDY/3.1+")) return false;
    offered = comma == std::string_view::npos ? std::string_view{} : offered.substr(comma + 1);
  }
  return true;
}

http::Request forwarded(const RequestContext& request, std::string target, bool upgrade) {
  http::Request out;
  out.method = request.request.method;
  out.target = std::move(target);
  out.body = request.request.body;
  for (const auto& [name, value] : request.request.headers.fields()) {
    auto key = lower(name);
    bool connection_level = std::ranges::find(kNotForwarded, std::string_view(key)) != std::end(kNotForwarded);
    bool kept_for_upgrade = upgrade && (key == "connection" || key == "upgrade");
    if (connection_level && !kept_for_upgrade) continue;
    out.headers.add(name, value);
  }
  return out;
}

// "[scheme:]name[:port]"
struct ProxyName {
  std::string scheme, name, port;
};
ProxyName parse_proxy_name(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (auto colon = text.find(':'); colon != std::string::npos; colon = text.find(':', at)) {
    parts.push_back(text.substr(at, colon - at));
    at = colon + 1;
  }
  parts.push_back(text.substr(at));
  if (parts.size() == 1) return {"", parts[0], ""};
  if (parts.size() == 2) return {"", parts[0], parts[1]};
  return {parts[0], parts[1], parts[2]};
}

int to_port(std::string_view text) {
  int port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  return port;
}

// The port of a pod by number, by name, or the first one it declares.
int pod_port(const json::Value& pod, const std::string& wanted) {
  if (int port = to_port(wanted); port > 0) return port;
  for (const auto& container : json::list(pod, "spec", "containers"))
    for (const auto& port : json::list(container, "ports"))
      if (wanted.empty() || json::str(port, "name") == wanted)
        return static_cast<int>(json::num(port, "containerPort"));
  return 80;
}

// A ready backend of a service: address and port.
Result<std::pair<std::string, int>> backend_of(const ObjectReader& reader, std::string_view ns,
                                               const ProxyName& wanted) {
  auto services = api::find_kind("", "v1", "services"), endpoints = api::find_kind("", "v1", "endpoints");
  auto service = reader.get(*services, ns, wanted.name);
  if (!service) return Failure(not_found(*services, wanted.name));
  std::string port_name = wanted.port;
  if (int number = to_port(wanted.port); number > 0)
    for (const auto& port : json::list(*service, "spec", "ports"))
      if (json::num(port, "port") == number) port_name = json::str(port, "name");
  auto found = reader.get(*endpoints, ns, wanted.name);
  if (found)
    for (const auto& subset : json::list(*found, "subsets"))
      for (const auto& port : json::list(subset, "ports")) {
        bool fits =
            json::str(port, "name") == port_name || (wanted.port.empty() && json::list(subset, "ports").size() == 1);
        const auto& addresses = json::list(subset, "addresses");
        if (fits && !addresses.empty())
          return std::pair(std::string(json::str(addresses[0], "ip")), static_cast<int>(json::num(port, "port")));
      }
  return fail(Code::kUnavailable, "no endpoints available for service \"" + wanted.name + "\"");
}

std::string rest_path(const RequestContext& request) {
  std::string out;
  for (const auto& part : request.info.rest) out += "/" + http::percent_encode(part);
  if (request.request.path().ends_with('/') || out.empty()) out += "/";
  auto query = request.request.raw_query();
  return query.empty() ? out : out + "?" + std::string(query);
}

}  // namespace

NodeProxy::NodeProxy(const ObjectReader& reader, KubeletClientConfig config)
    : reader_(reader), config_(std::move(config)) {}

bool NodeProxy::serves(const api::Kind& kind, std::string_view subresource) const {
  if (!kind.group.empty()) return false;
  if (kind.plural == "pods")
    return subresource == "log" || subresource == "exec" || subresource == "attach" || subresource == "portforward" ||
           subresource == "proxy";
  return (kind.plural == "services" || kind.plural == "nodes") && subresource == "proxy";
}

Result<http::Endpoint> NodeProxy::agent_endpoint(std::string_view node_name) const {
  auto nodes = api::find_kind("", "v1", "nodes");
  auto node = reader_.get(*nodes, "", node_name);
  if (!node) return Failure(not_found(*nodes, node_name));
  http::Endpoint out;
  for (auto type : {"InternalIP", "ExternalIP", "Hostname"})
    for (const auto& address : json::list(*node, "status", "addresses"))
      if (out.host.empty() && json::str(address, "type") == type) out.host = json::str(address, "address");
  if (out.host.empty())
    return fail(Code::kUnavailable, "node " + std::string(node_name) + " has told no address yet",
                "see `kubectl describe node`: its agent may not run");
  auto port = json::num(*node, "status", "daemonEndpoints", "kubeletEndpoint", "Port");
  out.port = port > 0 ? static_cast<int>(port) : kDefaultAgentPort;
  TlsClientConfig tls;
  tls.certificate_pem = config_.certificate_pem;
  tls.private_key_pem = config_.private_key_pem;
  tls.ca_pem = config_.ca_pem;
  tls.insecure = config_.ca_pem.empty();
  out.tls = std::move(tls);
  return out;
}

Result<NodeProxy::Destination> NodeProxy::streaming(const RequestContext& request) const {
  const auto& info = request.info;
  auto pods = api::find_kind("", "v1", "pods");
  auto pod = reader_.get(*pods, info.ns, info.name);
  if (!pod) return Failure(not_found(*pods, info.name));
  std::string path;
  if (info.subresource == "portforward") {
    path = "/portForward/" + info.ns + "/" + info.name;
  } else {
    LAB_TRY(auto container, choose_container(*pod, request.query.get("container")));
    path = (info.subresource == "log" ? "/containerLogs/" : "/" + info.subresource + "/") + info.ns + "/" + info.name +
           "/" + container;
  }
  auto node = json::str(*pod, "spec", "nodeName");
  if (node.empty()) return Failure(bad_request("pod " + info.name + " does not have a host assigned"));
  Destination out;
  LAB_TRY(out.endpoint, agent_endpoint(node));
  out.target = path + agent_query(request.query, info.subresource);
  return out;
}

Result<NodeProxy::Destination> NodeProxy::proxied(const RequestContext& request, const api::Kind& kind) const {
  const auto& info = request.info;
  auto wanted = parse_proxy_name(info.name);
  Destination out;
  if (kind.plural == "nodes") {
    LAB_TRY(out.endpoint, agent_endpoint(wanted.name));
    if (int port = to_port(wanted.port); port > 0) out.endpoint.port = port;
    if (wanted.scheme == "http") out.endpoint.tls.reset();
  } else {
    if (kind.plural == "pods") {
      auto pod = reader_.get(kind, info.ns, wanted.name);
      if (!pod) return Failure(not_found(kind, wanted.name));
      out.endpoint.host = json::str(*pod, "status", "podIP");
      if (out.endpoint.host.empty())
        return Failure(bad_request("address not allowed: pod " + wanted.name + " has no IP"));
      out.endpoint.port = pod_port(*pod, wanted.port);
    } else {
      LAB_TRY(auto backend, backend_of(reader_, info.ns, wanted));
      out.endpoint.host = backend.first;
      out.endpoint.port = backend.second;
    }
    if (wanted.scheme == "https") {
      TlsClientConfig tls;
      tls.insecure = true;  // as kube-apiserver: the pod's certificate is its own affair
      out.endpoint.tls = std::move(tls);
    }
  }
  out.target = rest_path(request);
  return out;
}

Task<Reply> NodeProxy::serve(RequestContext& request, const api::Kind& kind) {
  bool proxy = request.info.subresource == "proxy";
  bool upgrade = wants_upgrade(request.request);
  const auto& method = request.request.method;
  if (proxy && !upgrade && request.info.rest.empty() && !request.request.path().ends_with('/') &&
      (method == "GET" || method == "HEAD")) {
    // Links of a page at the root are relative to it: without the slash they would lead elsewhere.
    http::Response moved;
    moved.status = 301;
    auto query = request.request.raw_query();
    moved.headers.set("Location",
                      std::string(request.request.path()) + "/" + (query.empty() ? "" : "?" + std::string(query)));
    co_return moved;
  }
  if (!proxy && request.info.subresource != "log") {
    if (!upgrade) co_return Failure(bad_request("Upgrade request required"));
    if (offers_only_unknown(request.request))
      co_return Failure(
          bad_request("the offered WebSocket subprotocols are not spoken here: use v4.channel.k8s.io or SPDY/3.1"));
  }
  auto to = proxy ? proxied(request, kind) : streaming(request);
  if (!to) co_return std::unexpected(std::move(to).error());
  const bool log = request.info.subresource == "log" && !proxy;
  if (log && http::is_websocket_request(request.request)) co_return co_await log_messages(request, std::move(*to));
  if (upgrade) co_return co_await tunnel(request, std::move(*to));
  co_return co_await forward(request, std::move(*to));
}

Task<Reply> NodeProxy::pass_on(RequestContext& request, http::Endpoint endpoint, std::string target) {
  Destination to{std::move(endpoint), std::move(target)};
  if (wants_upgrade(request.request)) co_return co_await tunnel(request, std::move(to));
  co_return co_await forward(request, std::move(to));
}

// What an agent refuses in plain text, as an error of this server's own.
static Task<Reply> refusal(http::ResponseStream& from) {
  constexpr std::size_t kLongest = 10'000;
  Code code = Code::kInternal;
  for (auto known : {Code::kBadRequest, Code::kNotFound, Code::kForbidden, Code::kUnauthorized, Code::kUnavailable})
    if (http_status_of(known) == from.status()) code = known;
  std::string text;
  while (text.size() < kLongest) {
    auto piece = co_await from.read();
    if (!piece || piece->empty()) break;
    text += *piece;
  }
  while (text.ends_with('\n')) text.pop_back();
  co_return fail(code, text.empty() ? "the node's agent answered " + std::to_string(from.status()) : std::move(text));
}

// A plain exchange, its body passed on as it comes.
Task<Reply> NodeProxy::forward(RequestContext& request, Destination to) {
  auto host = to.endpoint.host + ":" + std::to_string(to.endpoint.port);
  auto client = http::Client::make(to.endpoint);
  auto out = forwarded(request, to.target, false);
  auto opened = co_await client->open(std::move(out));
  if (!opened) co_return fail(Code::kUnavailable, "error trying to reach " + host + ": " + opened.error().text());
  auto& from = **opened;
  // A refused log is this server's answer too: a Status that carries what the agent said.
  if (request.info.subresource == "log" && from.status() >= 300) co_return co_await refusal(from);
  http::Headers headers;
  for (const auto& [name, value] : from.headers().fields()) {
    auto key = lower(name);
    if (std::ranges::find(kNotForwarded, std::string_view(key)) == std::end(kNotForwarded)) headers.add(name, value);
  }
  if (auto begun = co_await request.writer.begin(from.status(), std::move(headers)); !begun)
    co_return std::optional<http::Response>();
  std::stop_callback on_gone(request.writer.closed(), [&from, loop = Loop::current()] {
    if (Loop::current() == loop) from.close();
  });
  while (true) {
    auto piece = co_await from.read();
    if (!piece || piece->empty()) break;
    if (auto sent = co_await request.writer.write(http::buffer(std::move(*piece))); !sent) break;
  }
  (void)co_await request.writer.end();
  co_return std::optional<http::Response>();
}

// A log as WebSocket messages: what the agent sends, piece by piece.
Task<Reply> NodeProxy::log_messages(RequestContext& request, Destination to) {
  constexpr std::string_view kPlain = "binary.k8s.io", kBase64 = "base64.binary.k8s.io";
  auto client = http::Client::make(to.endpoint);
  http::Request out;
  out.target = to.target;
  auto opened = co_await client->open(std::move(out));
  if (!opened)
    co_return fail(Code::kUnavailable, "error trying to reach " + to.endpoint.host + ": " + opened.error().text());
  auto& from = **opened;
  if (from.status() >= 300) co_return co_await refusal(from);
  std::vector<std::string> protocols;
  if (request.request.headers.has("Sec-WebSocket-Protocol")) protocols = {std::string(kPlain), std::string(kBase64)};
  auto socket = co_await http::accept_websocket(request.request, request.writer, std::move(protocols));
  if (!socket) co_return std::optional<http::Response>();  // it has been answered
  const bool encoded = (*socket)->subprotocol() == kBase64;
  while (true) {
    auto piece = co_await from.read();
    if (!piece || piece->empty()) break;
    const std::string text = encoded ? crypto::base64_encode(*piece) : std::string(*piece);
    if (auto sent = co_await (*socket)->send(!encoded, text); !sent) break;
  }
  (void)co_await (*socket)->close();
  co_return std::optional<http::Response>();
}

// An upgraded connection, as raw bytes both ways until both ends have closed.
Task<Reply> NodeProxy::tunnel(RequestContext& request, Destination to) {
  auto host = to.endpoint.host + ":" + std::to_string(to.endpoint.port);
  auto client = http::Client::make(to.endpoint);
  auto upgraded = co_await client->upgrade(forwarded(request, to.target, true));
  if (!upgraded) co_return fail(Code::kUnavailable, "error dialing backend: " + host + ": " + upgraded.error().text());
  if (!upgraded->stream) {  // refused: the refusal is the answer
    upgraded->head.headers.remove("Content-Length");
    upgraded->head.headers.remove("Transfer-Encoding");
    upgraded->head.headers.remove("Connection");
    co_return std::move(upgraded->head);
  }
  auto ours = co_await request.writer.upgrade(std::move(upgraded->head));
  if (!ours) {
    upgraded->stream->close();
    co_return std::unexpected(std::move(ours).error());
  }
  co_await splice(std::move(*ours), std::move(upgraded->stream));
  co_return std::optional<http::Response>();
}

}  // namespace lab::apiserver
