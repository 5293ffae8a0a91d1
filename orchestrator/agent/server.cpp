#include "orchestrator/agent/server.h"

#include <algorithm>
#include <filesystem>

#include "base/io/pool.h"
#include "orchestrator/agent/logs.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

http::Response text_response(int status, std::string text, const char* type = "text/plain; charset=utf-8") {
  http::Response r;
  r.status = status;
  r.headers.set("Content-Type", type);
  r.body.push_back(http::buffer(std::move(text)));
  return r;
}

http::Response error_response(const Error& e) {
  return text_response(http_status_of(e.code), e.message + (e.hint.empty() ? "" : " (" + e.hint + ")") + "\n");
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    auto slash = path.find('/');
    if (slash > 0) out.push_back(http::percent_decode(path.substr(0, slash)));
    if (slash == path.npos) break;
    path.remove_prefix(slash + 1);
  }
  return out;
}

bool wants(const http::Query& q, const char* a, const char* b) {
  return q.flag(a) || q.flag(b);
}

Result<std::optional<std::int64_t>> number(const http::Query& q, const char* name) {
  if (!q.has(name)) return std::optional<std::int64_t>{};
  std::string text(q.get(name));
  char* end = nullptr;
  std::int64_t n = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end || n < 0)
    return fail(Code::kBadRequest, std::string(name) + " must be a number that is not negative, not \"" + text + "\"");
  return std::optional<std::int64_t>(n);
}

Result<LogOptions> log_options(const http::Query& q, WallTime now) {
  LogOptions o;
  o.follow = q.flag("follow");
  o.timestamps = q.flag("timestamps");
  LAB_TRY(o.tail_lines, number(q, "tailLines"));
  LAB_TRY(o.limit_bytes, number(q, "limitBytes"));
  LAB_TRY(auto seconds, number(q, "sinceSeconds"));
  if (seconds) o.since = now - std::chrono::seconds(*seconds);
  if (auto text = q.get("sinceTime"); !text.empty()) {
    auto t = api::parse_time(text);
    if (!t) return fail(Code::kBadRequest, "sinceTime is no RFC 3339 time: " + std::string(text));
    o.since = *t;
  }
  if (auto s = q.get("stream"); !s.empty()) o.stream = std::string(s);
  return o;
}

}  // namespace

Result<std::unique_ptr<AgentServer>> AgentServer::start(const AgentOptions& options, ServerBackend backend) {
  if (options.port < 0 || options.serving_certificate_pem.empty()) return std::unique_ptr<AgentServer>();
  std::unique_ptr<AgentServer> self(new AgentServer(options, std::move(backend)));
  self->certificate_pem_ = options.serving_certificate_pem;
  self->key_pem_ = options.serving_key_pem;
  self->client_ca_pem_ = options.client_ca_pem;
  http::ServerOptions http;
  http.address = options.listen_address;
  http.port = options.port;
  http.threads = 1;
  http.tls = [agent = self.get()]() -> Result<TlsServerConfig> {
    std::lock_guard lock(agent->tls_mutex_);
    TlsServerConfig c;
    c.certificate_chain_pem = agent->certificate_pem_;
    c.private_key_pem = agent->key_pem_;
    c.client_ca_pem = agent->client_ca_pem_;
    return c;
  };
  LAB_TRY(self->server_,
          http::Server::start(std::move(http), [agent = self.get()](http::Request r, http::ResponseWriter& w) {
            return agent->handle(std::move(r), w);
          }));
  return self;
}

AgentServer::~AgentServer() = default;

Result<void> AgentServer::reload_tls(std::string certificate_pem, std::string key_pem) {
  {
    std::lock_guard lock(tls_mutex_);
    certificate_pem_ = std::move(certificate_pem);
    key_pem_ = std::move(key_pem);
  }
  return server_->reload_tls();
}

Result<void> AgentServer::reload_client_ca(std::string ca_pem) {
  {
    std::lock_guard lock(tls_mutex_);
    client_ca_pem_ = std::move(ca_pem);
  }
  return server_->reload_tls();
}

template <class T>
Task<T> AgentServer::ask(std::function<T()> question) {
  OneShot<T> answer;
  backend_.loop.post([answer, question = std::move(question)]() mutable { answer.set(question()); });
  co_return co_await answer.wait();
}

Task<Result<void>> AgentServer::admit(const http::Request& request, std::string verb, std::string subresource) {
  const Peer& peer = request.peer;
  if (!peer.certificate_subject_cn.empty()) {
    bool master =
        std::ranges::find(peer.certificate_organizations, "system:masters") != peer.certificate_organizations.end();
    if (master || peer.certificate_subject_cn == "kube-apiserver-kubelet-client" ||
        peer.certificate_subject_cn == "system:kube-apiserver")
      co_return Result<void>{};
    co_return fail(Code::kForbidden, "Forbidden (user=" + peer.certificate_subject_cn + ", verb=" + verb +
                                         ", resource=nodes, subresource=" + subresource + ")");
  }
  auto bearer = request.headers.get("Authorization");
  if (bearer.starts_with("Bearer ") && backend_.authorize) {
    // The API client lives on the agent's loop.
    OneShot<Result<bool>> answer;
    std::string token(bearer.substr(7));
    auto review = [](std::function<Task<Result<bool>>(std::string, std::string, std::string)> f, std::string t,
                     std::string v, std::string s, OneShot<Result<bool>> a) -> Task<void> {
      a.set(co_await f(std::move(t), std::move(v), std::move(s)));
    };
    Scope scope(backend_.loop);
    scope.spawn("authorize", review(backend_.authorize, token, verb, subresource, answer));
    auto allowed = co_await answer.wait();
    co_await scope.close();
    if (!allowed) co_return std::unexpected(std::move(allowed).error());
    if (*allowed) co_return Result<void>{};
    co_return fail(Code::kForbidden, "Forbidden (verb=" + verb + ", resource=nodes, subresource=" + subresource + ")");
  }
  co_return fail(Code::kUnauthorized, "Unauthorized");
}

Task<void> AgentServer::handle(http::Request request, http::ResponseWriter& writer) {
  auto parts = split_path(request.path());
  std::string first = parts.empty() ? "" : parts[0];
  if (first == "healthz") {
    bool healthy = co_await ask<bool>(backend_.healthy);
    co_await writer.send(text_response(healthy ? 200 : 500, healthy ? "ok" : "the container runtime does not answer"));
    co_return;
  }
  std::string subresource = first == "stats"           ? "stats"
                            : first == "metrics"       ? "metrics"
                            : first == "containerLogs" ? "log"
                                                       : "proxy";
  std::string verb = request.method == "POST" ? "create" : "get";
  if (auto allowed = co_await admit(request, verb, subresource); !allowed) {
    co_await writer.send(error_response(allowed.error()));
    co_return;
  }
  if (request.path() == "/lab/node" && options_.node_call) {
    auto answer = options_.node_call(request.method, request.body);
    co_await writer.send(answer ? text_response(200, std::move(*answer), "application/json")
                                : error_response(answer.error()));
  } else if (first == "pods" || first == "runningpods") {
    auto pods = co_await ask<std::vector<ObjectPtr>>(backend_.pods);
    json::Value list{{"kind", "PodList"}, {"apiVersion", "v1"}, {"metadata", json::Object()}};
    json::Array items;
    for (const auto& p : pods) items.push_back(*p);
    json::set(list, std::move(items), "items");
    co_await writer.send(text_response(200, json::dump(list), "application/json"));
  } else if (first == "containerLogs" && parts.size() == 4) {
    co_await logs(std::move(request), writer, std::move(parts));
  } else if (first == "exec" || first == "attach" || first == "portForward") {
    co_await stream(std::move(request), writer, std::move(parts));
  } else if (first == "run" && parts.size() >= 4) {
    co_await run_command(std::move(request), writer, std::move(parts));
  } else if (first == "stats" || first == "metrics") {
    auto pods = co_await ask<std::vector<ObjectPtr>>(backend_.pods);
    auto containers = co_await backend_.cri.list_container_stats();
    if (!containers) {
      co_await writer.send(error_response(containers.error()));
      co_return;
    }
    if (first == "stats") {
      auto body = co_await backend_.pool.run([this, &pods, &containers] { return stats_.summary(pods, *containers); });
      co_await writer.send(text_response(200, json::dump(body), "application/json"));
    } else {
      auto body = co_await backend_.pool.run([this, &pods, &containers] { return stats_.metrics(pods, *containers); });
      co_await writer.send(text_response(200, std::move(body), "text/plain; version=0.0.4; charset=utf-8"));
    }
  } else if (request.path() == "/lab/server" && request.method == "PUT" && options_.follow_master) {
    // The master itself, by its certificate: a token that may reach nodes may not lead one to another master.
    Result<void> followed = fail(Code::kForbidden, "only the API server's certificate may say this");
    if (!request.peer.certificate_subject_cn.empty())
      followed = co_await backend_.pool.run([this, &request] { return options_.follow_master(request.body); });
    co_await writer.send(followed ? text_response(200, "ok") : error_response(followed.error()));
  } else {
    co_await writer.send(text_response(404, "404 page not found\n"));
  }
}

// An agent that has just started does not know yet what runs here: that is waited for, and not called absent.
Task<Result<FoundContainer>> AgentServer::find(std::string ns, std::string pod, std::string container, bool previous) {
  constexpr int kTries = 100;
  std::function<bool()> known = [this, ns, pod] { return backend_.knows(ns, pod); };
  for (int i = 0; i < kTries; ++i) {
    bool now = co_await ask<bool>(known);
    if (now) break;
    co_await sleep_for(50ms);
  }
  std::function<Result<FoundContainer>()> question = [this, ns, pod, container, previous] {
    return backend_.find(ns, pod, container, previous);
  };
  co_return co_await ask<Result<FoundContainer>>(question);
}

Task<void> AgentServer::logs(http::Request request, http::ResponseWriter& writer, std::vector<std::string> parts) {
  http::Query query(request.raw_query());
  auto options = log_options(query, Loop::current()->wall());
  if (!options) {
    co_await writer.send(error_response(options.error()));
    co_return;
  }
  bool previous = query.flag("previous");
  auto found = co_await find(parts[1], parts[2], parts[3], previous);
  if (found && found->container_id.empty())
    found = fail(Code::kBadRequest,
                 "container \"" + parts[3] + "\" in pod \"" + parts[2] + "\" is waiting to start: " + found->state);
  if (!found) {
    co_await writer.send(error_response(found.error()));
    co_return;
  }
  auto begun = co_await writer.begin(200, {{"Content-Type", "text/plain"}});
  if (!begun) co_return;
  std::string id = found->container_id;
  std::function<Task<Result<bool>>()> running = [this, id, previous]() -> Task<Result<bool>> {
    return [](cri::CriClient* cri, std::string i, bool p) -> Task<Result<bool>> {
      if (p) co_return false;
      auto status = co_await cri->container_status(i);
      if (!status && status.error().code == Code::kNotFound) co_return false;
      if (!status) co_return std::unexpected(std::move(status).error());
      co_return status->state == cri::ContainerState::kRunning;
    }(&backend_.cri, id, previous);
  };
  http::ResponseWriter* out = &writer;
  std::function<Task<Result<void>>(std::string)> send = [out](std::string piece) {
    return out->write(http::buffer(std::move(piece)));
  };
  auto done = co_await stream_log(found->log_path, *options, backend_.pool, running, send, writer.closed());
  if (!done && !writer.closed().stop_requested()) (void)co_await writer.write(http::buffer(done.error().text() + "\n"));
  (void)co_await writer.end();
}

Task<void> AgentServer::stream(http::Request request, http::ResponseWriter& writer, std::vector<std::string> parts) {
  http::Query query(request.raw_query());
  std::string kind = parts[0];
  bool forward = kind == "portForward";
  // exec and attach: NS/POD[/UID]/CONTAINER; portForward: NS/POD[/UID].
  if (parts.size() < (forward ? 3u : 4u)) {
    co_await writer.send(text_response(404, "404 page not found\n"));
    co_return;
  }
  std::string ns = parts[1], pod = parts[2], container = forward ? "" : parts.back();
  auto found = co_await find(ns, pod, container, false);
  if (found && !forward && !found->running)
    found = fail(Code::kNotFound,
                 "container \"" + container + "\" in pod \"" + pod + "\" is not running (" + found->state + ")");
  if (found && forward && found->sandbox_id.empty())
    found = fail(Code::kNotFound, "pod \"" + pod + "\" is not running");
  if (!found) {
    co_await writer.send(error_response(found.error()));
    co_return;
  }
  Result<std::string> url = std::string();
  if (forward) {
    std::vector<int> ports;
    for (const char* name : {"port", "ports"})
      for (auto text : query.all(name)) ports.push_back(std::atoi(std::string(text).c_str()));
    url = co_await backend_.cri.port_forward(found->sandbox_id, ports);
  } else {
    cri::ExecOptions o;
    for (auto word : query.all("command")) o.command.emplace_back(word);
    o.tty = query.flag("tty");
    o.stdin_open = wants(query, "input", "stdin");
    o.stdout_open = wants(query, "output", "stdout");
    o.stderr_open = wants(query, "error", "stderr");
    if (!o.stdin_open && !o.stdout_open && !o.stderr_open)
      url = fail(Code::kBadRequest, "you must specify at least 1 of stdin, stdout, stderr");
    else if (kind == "exec")
      url = co_await backend_.cri.exec(found->container_id, o);
    else
      url = co_await backend_.cri.attach(found->container_id, o);
  }
  if (!url) {
    co_await writer.send(error_response(url.error()));
    co_return;
  }
  std::function<Task<bool>()> unseen;
  if (kind == "attach" && found->stdin_once)
    unseen = [this, parts, id = found->container_id] { return output_unseen(parts, id); };
  co_await proxy_stream(std::move(request), writer, std::move(*url), std::move(unseen));
}

// Of an attach session that brought nothing: whether the container has ended and its log is not empty. The session ends
// a little before the runtime says that the container did, by when it has written the log.
Task<bool> AgentServer::output_unseen(std::vector<std::string> parts, std::string container_id) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    auto found = co_await find(parts[1], parts[2], parts.back(), false);
    if (!found || found->container_id != container_id) co_return false;
    if (!found->running) {
      co_return co_await backend_.pool.run([path = found->log_path] {
        std::error_code ec;
        auto size = std::filesystem::file_size(path, ec);
        return !ec && size > 0;
      });
    }
    co_await sleep_for(20ms);
  }
  co_return false;
}

Task<void> AgentServer::run_command(http::Request request, http::ResponseWriter& writer,
                                    std::vector<std::string> parts) {
  http::Query query(request.raw_query());
  std::string ns = parts[1], pod = parts[2], container = parts.back();
  auto found = co_await find(ns, pod, container, false);
  if (!found || !found->running) {
    co_await writer.send(found ? text_response(404, "container is not running\n") : error_response(found.error()));
    co_return;
  }
  std::vector<std::string> command;
  for (auto word : query.all("command")) command.emplace_back(word);
  std::string line(query.get("cmd"));
  for (std::size_t at = 0; at < line.size();) {  // split at spaces, as the kubelet does
    auto space = std::min(line.find(' ', at), line.size());
    if (space > at) command.push_back(line.substr(at, space - at));
    at = space + 1;
  }
  auto r = co_await backend_.cri.exec_sync(found->container_id, std::move(command), 2min);
  co_await writer.send(r ? text_response(200, r->out + r->err) : error_response(r.error()));
}

}  // namespace lab::agent
