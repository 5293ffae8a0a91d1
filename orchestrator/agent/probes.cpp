#include "orchestrator/agent/probes.h"

#include "base/grpc/channel.h"
#include "base/http/client.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

int port_number(const json::Value& port, const json::Value& pod, const std::string& container) {
  if (!port.is_string()) return static_cast<int>(json::as_int(port));
  auto text = json::as_str(port);
  auto c = find_container(pod, container);
  if (c)
    for (const auto& p : json::list(*c->spec, "ports"))
      if (json::str(p, "name") == text) return static_cast<int>(json::num(p, "containerPort"));
  return std::atoi(std::string(text).c_str());
}

std::string excerpt(std::string text) {
  constexpr std::size_t kMax = 1024;
  if (text.size() > kMax) text.resize(kMax);
  return text;
}

Task<ProbeVerdict> try_exec(cri::CriClient* cri, json::Value spec, std::string id, Duration timeout) {
  std::vector<std::string> command;
  for (const auto& word : json::list(spec, "command")) command.emplace_back(json::as_str(word));
  auto r = co_await cri->exec_sync(id, std::move(command), timeout);
  if (!r && r.error().code == Code::kTimeout)
    co_return ProbeVerdict{false, "command timed out: " + std::to_string(timeout / 1s) + "s"};
  if (!r) co_return ProbeVerdict{false, r.error().text()};
  co_return ProbeVerdict{r->exit_code == 0, excerpt(r->out + r->err)};
}

Task<ProbeVerdict> try_http(json::Value spec, ObjectPtr pod, std::string container, std::string pod_ip,
                            Duration timeout) {
  http::Endpoint endpoint;
  endpoint.host = std::string(json::str(spec, "host"));
  if (endpoint.host.empty()) endpoint.host = pod_ip;
  endpoint.port = port_number(json::at(spec, "port"), *pod, container);
  bool tls = json::str(spec, "scheme") == "HTTPS";
  if (tls) endpoint.tls = TlsClientConfig{.insecure = true};  // as the kubelet: probes do not verify
  std::string path(json::str(spec, "path"));
  if (!path.starts_with("/")) path = "/" + path;
  http::Request request;
  request.target = path;
  std::string bracketed = endpoint.host.find(':') == std::string::npos ? endpoint.host : "[" + endpoint.host + "]";
  std::string authority = bracketed + ":" + std::to_string(endpoint.port);
  request.headers.set("Host", authority);
  request.headers.set("User-Agent", "kube-probe/1.32");
  request.headers.set("Accept", "*/*");
  request.headers.set("Connection", "close");
  for (const auto& h : json::list(spec, "httpHeaders"))
    request.headers.set(json::str(h, "name"), std::string(json::str(h, "value")));
  auto client = http::Client::make(endpoint, {.connect_timeout = timeout, .request_timeout = timeout});
  auto r = co_await client->send(std::move(request));
  std::string url = std::string(tls ? "https://" : "http://") + authority + path;
  if (!r) co_return ProbeVerdict{false, "Get \"" + url + "\": " + r.error().text()};
  if (r->status >= 200 && r->status < 400) co_return ProbeVerdict{true, ""};
  co_return ProbeVerdict{false, "HTTP probe failed with statuscode: " + std::to_string(r->status)};
}

Task<ProbeVerdict> try_tcp(json::Value spec, ObjectPtr pod, std::string container, std::string pod_ip,
                           Duration timeout) {
  std::string host(json::str(spec, "host"));
  if (host.empty()) host = pod_ip;
  auto stream = co_await dial_tcp(host, port_number(json::at(spec, "port"), *pod, container), timeout);
  if (!stream) co_return ProbeVerdict{false, stream.error().text()};
  (*stream)->close();
  co_return ProbeVerdict{true, ""};
}

// grpc.health.v1.Health/Check: request { string service = 1; }, answer { ServingStatus status = 1; } with SERVING = 1.
Task<ProbeVerdict> try_grpc(json::Value spec, std::string pod_ip, Duration timeout) {
  std::string service(json::str(spec, "service")), request;
  if (!service.empty()) request = std::string("\x0a") + static_cast<char>(service.size()) + service;
  auto channel = rpc::Channel::to_host(pod_ip, static_cast<int>(json::num(spec, "port")));
  auto r = co_await channel->call("/grpc.health.v1.Health/Check", request, timeout);
  if (!r) co_return ProbeVerdict{false, r.error().text()};
  bool serving = r->size() >= 2 && (*r)[0] == '\x08' && (*r)[1] == '\x01';
  co_return ProbeVerdict{serving, serving ? "" : "service unhealthy (responded with \"NOT_SERVING\")"};
}

}  // namespace

Task<ProbeVerdict> try_handler(cri::CriClient* cri, json::Value handler, ObjectPtr pod, std::string container,
                               std::string id, std::string pod_ip, Duration timeout) {
  if (json::has(handler, "exec")) co_return co_await try_exec(cri, json::at(handler, "exec"), id, timeout);
  if (json::has(handler, "httpGet"))
    co_return co_await try_http(json::at(handler, "httpGet"), pod, container, pod_ip, timeout);
  if (json::has(handler, "tcpSocket"))
    co_return co_await try_tcp(json::at(handler, "tcpSocket"), pod, container, pod_ip, timeout);
  if (json::has(handler, "grpc")) co_return co_await try_grpc(json::at(handler, "grpc"), pod_ip, timeout);
  if (json::has(handler, "sleep")) {
    co_await sleep_for(std::min<Duration>(std::chrono::seconds(json::num(handler, "sleep", "seconds")), timeout));
    co_return ProbeVerdict{true, ""};
  }
  co_return ProbeVerdict{false, "the handler names no action"};
}

// What is known of one container (one id): shared by its tasks, dropped with the container.
struct Prober::State {
  std::string id;
  bool has_startup = false, has_readiness = false;
  bool startup_passed = false, ready = false;
  std::string given_up;
  std::stop_source stop;
  Event startup_done;
};

Prober::Prober(cri::CriClient& cri, Scope& scope, std::function<void()> changed, EventFn event)
    : cri_(cri), scope_(scope), changed_(std::move(changed)), event_(std::move(event)) {}
Prober::~Prober() {
  stop_all();
}

void Prober::stop_all() {
  for (auto& [name, state] : containers_) state->stop.request_stop();
  containers_.clear();
}

bool Prober::ready(const std::string& name) const {
  auto it = containers_.find(name);
  return it == containers_.end() || !it->second->has_readiness || it->second->ready;
}
bool Prober::started(const std::string& name) const {
  auto it = containers_.find(name);
  return it == containers_.end() || !it->second->has_startup || it->second->startup_passed;
}
std::string Prober::given_up(const std::string& id) const {
  for (const auto& [name, state] : containers_)
    if (state->id == id) return state->given_up;
  return "";
}

void Prober::sync(const ObjectPtr& pod, const PodRuntime& runtime, const std::string& pod_ip) {
  for (const auto& c : containers_of(*pod)) {
    const auto* now = runtime.latest(c.name);
    bool running = now && now->state == cri::ContainerState::kRunning && c.long_lived();
    auto it = containers_.find(c.name);
    if (it != containers_.end() && (!running || it->second->id != now->id)) {
      it->second->stop.request_stop();
      containers_.erase(it);
      it = containers_.end();
    }
    if (!running || it != containers_.end()) continue;
    auto state = std::make_shared<State>();
    state->id = now->id;
    state->has_startup = json::has(*c.spec, "startupProbe");
    state->has_readiness = json::has(*c.spec, "readinessProbe");
    // A container that an earlier agent found ready is so until a probe says otherwise.
    for (const char* list : {"containerStatuses", "initContainerStatuses"})
      for (const auto& s : json::list(*pod, "status", list))
        if (json::str(s, "containerID").ends_with(now->id)) {
          state->ready = json::flag(s, "ready");
          state->startup_passed = json::flag(s, "started");
        }
    containers_[c.name] = state;
    for (const char* type : {"startup", "readiness", "liveness"})
      if (!(state->startup_passed && std::string_view(type) == "startup") &&
          json::has(*c.spec, std::string(type) + "Probe"))
        scope_.spawn(std::string(type) + " probe", run(state, pod, c, type, pod_ip));
  }
}

Task<void> Prober::run(std::shared_ptr<State> state, ObjectPtr pod, ContainerRef container, std::string type,
                       std::string pod_ip) {
  json::Value spec = json::at(*container.spec, type + "Probe");
  auto number = [&](std::string_view field, std::int64_t fallback) {
    auto n = json::as_int(json::at(spec, field), fallback);
    return n > 0 ? n : fallback;
  };
  const Duration period = std::chrono::seconds(number("periodSeconds", 10));
  const Duration timeout = std::chrono::seconds(number("timeoutSeconds", 1));
  const auto success_at = number("successThreshold", 1), failure_at = number("failureThreshold", 3);
  std::stop_source both;  // the container's end, or the agent's
  std::stop_callback on_container(state->stop.get_token(), [&] { both.request_stop(); });
  std::stop_callback on_agent(scope_.token(), [&] { both.request_stop(); });
  auto stop = both.get_token();

  if (type != "startup" && state->has_startup)
    while (!state->startup_passed)
      if (!co_await state->startup_done.wait(stop)) co_return;
  if (auto delay = number("initialDelaySeconds", 0); delay > 0)
    if (!co_await sleep_for(std::chrono::seconds(delay), stop)) co_return;

  std::int64_t good = 0, bad = 0;
  while (!stop.stop_requested()) {
    auto verdict = co_await try_handler(&cri_, spec, pod, container.name, state->id, pod_ip, timeout);
    if (stop.stop_requested()) co_return;
    if (verdict.ok) {
      ++good;
      bad = 0;
    } else {
      ++bad;
      good = 0;
      std::string name = type;
      name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
      event_(pod, container, name + " probe failed: " + verdict.output);
    }
    if (type == "readiness") {
      bool now = state->ready ? bad < failure_at : good >= success_at;
      if (now != state->ready) {
        state->ready = now;
        changed_();
      }
    } else if (bad >= failure_at) {
      state->given_up = type;
      changed_();
      co_return;
    } else if (type == "startup" && good >= success_at) {
      state->startup_passed = true;
      state->startup_done.notify();
      changed_();
      co_return;
    }
    // A container that is about to be ready is asked more often at first, so that it is found ready soon.
    bool eager = type == "readiness" && !state->ready && bad < 5;
    co_await sleep_for(eager ? Duration(std::min<Duration>(period, 1s)) : period, stop);
  }
}

}  // namespace lab::agent
