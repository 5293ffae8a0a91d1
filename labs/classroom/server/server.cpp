#include "labs/classroom/server/server.h"

#include <atomic>

#include "base/http/server.h"
#include "base/http/websocket.h"
#include "base/log.h"
#include "labs/classroom/server/auth.h"
#include "labs/classroom/server/files.h"
#include "labs/classroom/server/ports.h"
#include "labs/classroom/server/routes.h"
#include "labs/classroom/server/teacher.h"
#include "labs/classroom/server/throttle.h"
#include "labs/classroom/server/upload.h"

namespace lab::classroom {

namespace {

constexpr int kThreads = 2;
constexpr auto kGrace = std::chrono::seconds(1);

bool is_safe(const http::Request& request) {
  return (request.method == "GET" || request.method == "HEAD") && !request.headers.has("upgrade");
}

// Nothing of another origin runs in the page or sees it. Styles are inline where xterm.js draws.
void secure(http::Response& response, bool api) {
  auto add = [&](const char* name, const char* value) {
    if (!response.headers.has(name)) response.headers.add(name, value);
  };
  add("Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
      "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
  add("X-Content-Type-Options", "nosniff");
  add("X-Frame-Options", "DENY");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Opener-Policy", "same-origin");
  add("Cross-Origin-Resource-Policy", "same-origin");
  if (api) add("Cache-Control", "no-store");
}

// HTTP/1.1 alone: WebSockets are upgrades of it, and what nodes answer is passed on as it comes.
std::function<Result<TlsServerConfig>()> tls_of(const ClassroomOptions& options) {
  if (!options.tls) return {};
  return [certificate = *options.tls]() -> Result<TlsServerConfig> {
    return TlsServerConfig{
        .certificate_chain_pem = certificate.chain_pem, .private_key_pem = certificate.key_pem, .alpn = {"http/1.1"}};
  };
}

http::Response leads_nowhere() {
  return {.status = 403,
          .headers = {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}},
          .body = {http::buffer("<!doctype html><meta charset=utf-8><title>lab</title><h1>This link leads nowhere</h1>"
                                "<p>Ask your teacher for the link of your card, and copy it whole.</p>\n")}};
}

}  // namespace

struct ClassroomServer::Impl {
  std::unique_ptr<Service> service;
  Router router;
  Files files;
  Throttle throttle;
  std::atomic<bool> open = false;  // all of it is there
  // Last made, first ended: their handlers use all of the above.
  std::unique_ptr<http::Server> page, ports;

  // A wrong secret: the answer comes later every time, and in the same words.
  static Task<void> refuse(Impl& self, const http::Request& request, http::ResponseWriter& writer,
                           http::Response answer) {
    const auto from = client_key(request.peer.address);
    const auto delay = self.throttle.wrong(from, std::chrono::steady_clock::now());
    if (delay) {
      co_await sleep_for(*delay, writer.closed());
      self.throttle.done(from);
    } else {
      answer =
          http::error_response({Code::kTooManyRequests, "too many wrong links from this address", "wait a moment"});
      answer.headers.add("Retry-After", "5");
    }
    secure(answer, true);
    (void)co_await writer.send(std::move(answer));
  }

  static Task<void> answer_link(Impl& self, const http::Request& request, http::ResponseWriter& writer) {
    const bool teacher = request.path().starts_with("/t/");
    const auto visitor = self.service->visitor(std::string(request.path().substr(3)));
    const auto cookie =
        visitor && visitor->student.empty() == teacher ? self.service->cookie_for(*visitor) : std::nullopt;
    if (!cookie) {
      co_await refuse(self, request, writer, leads_nowhere());
      co_return;
    }
    http::Response out{.status = 303,
                       .headers = {{"Location", "/"}, {"Set-Cookie", set_cookie(*cookie, self.service->tls())}},
                       .body = {}};
    secure(out, true);
    (void)co_await writer.send(std::move(out));
  }

  // What may be asked by whom; the error is what is answered otherwise.
  static Result<void> admit(Impl& self, Call& call, Who who) {
    if (!is_safe(call.request) && !same_origin(call.request.headers, self.service->tls()))
      return fail(Code::kForbidden,
                  "the request does not come from a page of this server: its Origin is not this host");
    if (who == Who::kAnyone) return {};
    const bool teacher = call.visitor.student.empty();
    if (who == Who::kTeacher && !teacher) return fail(Code::kForbidden, "only the teacher may do this");
    if (who != Who::kStudent) return {};
    const auto& student = call.param("student");
    if (!teacher && call.visitor.student != student) return fail(Code::kForbidden, "this is another student's");
    call.seat = self.service->seat(call.visitor.class_name, student);
    if (!call.seat) return fail(Code::kNotFound, "there is no student \"" + student + "\" in this class");
    if (teacher || is_safe(call.request)) return {};
    if (auto closed = self.service->closed_to_students(call.visitor.class_name); !closed.empty())
      return fail(Code::kConflict, closed);
    return {};
  }

  static Task<void> answer_api(Impl& self, http::Request& request, http::ResponseWriter& writer) {
    const std::string_view method = request.method == "HEAD" ? std::string_view("GET") : request.method;
    auto match = self.router.find(method, request.path());
    Call call{
        .service = *self.service, .request = request, .writer = writer, .visitor = {}, .seat = nullptr, .params = {}};
    const auto cookie = session_cookie(request.headers);
    const auto visitor = cookie ? self.service->admitted(*cookie) : std::nullopt;
    if (!visitor && (!match || match->who != Who::kAnyone)) {
      auto refusal =
          http::error_response({Code::kUnauthorized, "open your link first: this browser is not known here"});
      if (cookie) {
        co_await refuse(self, request, writer, std::move(refusal));
      } else {
        secure(refusal, true);
        (void)co_await writer.send(std::move(refusal));
      }
      co_return;
    }
    if (visitor) call.visitor = *visitor;
    Result<http::Response> out = answered();
    if (!match) {
      out = std::unexpected(std::move(match).error());
    } else {
      call.params = std::move(match->params);
      if (auto admitted = admit(self, call, match->who); !admitted)
        out = std::unexpected(std::move(admitted).error());
      else
        out = co_await match->handler(call);
    }
    http::Response response = out ? std::move(*out) : http::error_response(out.error());
    if (is_answered(response)) co_return;
    secure(response, true);
    (void)co_await writer.send(std::move(response));
  }

  static Task<void> answer(Impl& self, http::Request request, http::ResponseWriter& writer) {
    const auto path = request.path();
    if (path.starts_with("/api/")) {
      co_await answer_api(self, request, writer);
      co_return;
    }
    if (request.method != "GET" && request.method != "HEAD") {
      auto refusal = http::error_response({Code::kMethodNotAllowed, request.method + " is not a method of this path"});
      secure(refusal, true);
      (void)co_await writer.send(std::move(refusal));
      co_return;
    }
    if (path.starts_with("/s/") || path.starts_with("/t/")) {
      co_await answer_link(self, request, writer);
      co_return;
    }
    auto response = self.files.answer(request);
    secure(response, false);
    (void)co_await writer.send(std::move(response));
  }

  static Task<void> answer_ports(Impl& self, http::Request request, http::ResponseWriter& writer) {
    if (!self.open) {
      (void)co_await writer.send(http::error_response({Code::kUnavailable, "the server is starting"}));
      co_return;
    }
    // A program may leave its Origin out; a browser that says another page's name is refused.
    if (!is_safe(request) && request.headers.has("origin") && !same_origin(request.headers, self.service->tls())) {
      (void)co_await writer.send(http::error_response({Code::kForbidden, "the request comes from another page"}));
      co_return;
    }
    co_await answer_port(*self.service, request, writer);
  }
};

ClassroomServer::ClassroomServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ClassroomServer::~ClassroomServer() {
  if (impl_->page) impl_->page->shutdown(kGrace);
  if (impl_->ports) impl_->ports->shutdown(kGrace);
}

Result<std::unique_ptr<ClassroomServer>> ClassroomServer::start(ClassroomOptions options) {
  auto impl = std::make_unique<Impl>();
  auto* self = impl.get();
  self->files = Files::load(options.page);
  add_common_routes(self->router);
  add_student_routes(self->router);
  add_terminal_routes(self->router);
  add_teacher_routes(self->router);
  // The second port first: links to it stand in students' states. Nobody comes before the service is there.
  LAB_TRY(self->ports, http::Server::start({.address = options.ports_address,
                                            .port = options.ports_port,
                                            .threads = kThreads,
                                            .max_body_bytes = kMostUpload,
                                            .tls = tls_of(options)},
                                           [self](http::Request request, http::ResponseWriter& writer) {
                                             return Impl::answer_ports(*self, std::move(request), writer);
                                           }));
  LAB_TRY(self->service,
          Service::open(
              {.only_class = options.only_class, .ports_port = self->ports->port(), .tls = options.tls.has_value()}));
  LAB_TRY(self->page, http::Server::start({.address = options.address,
                                           .port = options.port,
                                           .threads = kThreads,
                                           .max_body_bytes = kMostUpload,
                                           .tls = tls_of(options)},
                                          [self](http::Request request, http::ResponseWriter& writer) {
                                            return Impl::answer(*self, std::move(request), writer);
                                          }));
  self->open = true;
  return std::unique_ptr<ClassroomServer>(new ClassroomServer(std::move(impl)));
}

int ClassroomServer::port() const {
  return impl_->page->port();
}
int ClassroomServer::ports_port() const {
  return impl_->ports->port();
}
bool ClassroomServer::has_page() const {
  return !impl_->files.empty();
}
Service& ClassroomServer::service() {
  return *impl_->service;
}

}  // namespace lab::classroom
