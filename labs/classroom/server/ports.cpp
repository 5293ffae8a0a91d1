#include "labs/classroom/server/ports.h"

#include "base/http/client_connection.h"
#include "base/io/descriptor.h"
#include "labs/classroom/server/auth.h"
#include "labs/classroom/server/dial.h"
#include "labs/classroom/server/rewrite.h"

namespace lab::classroom {

namespace {

constexpr auto kConnect = std::chrono::seconds(5);
constexpr auto kHead = std::chrono::seconds(60);

http::Response plain(int status, const std::string& text) {
  return {.status = status,
          .headers = {{"Content-Type", "text/plain; charset=utf-8"},
                      {"Cache-Control", "no-store"},
                      {"X-Content-Type-Options", "nosniff"}},
          .body = {http::buffer(text + "\n")}};
}

int status_for(const Error& error) {
  return error.code == Code::kNotFound ? 404 : error.code == Code::kTimeout ? 504 : 502;
}

std::string encode(const http::Request& request) {
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\n";
  for (const auto& [name, value] : request.headers.fields()) {
    out.append(name).append(": ");
    for (char c : value) out += c == '\r' || c == '\n' ? ' ' : c;
    out.append("\r\n");
  }
  return out.append("\r\n").append(request.body);
}

// Whom the request may reach; else why not.
Result<SeatPtr> seat_for(Service& service, const http::Request& request, const PortPath& path) {
  const auto cookie = session_cookie(request.headers);
  const auto visitor = cookie ? service.admitted(*cookie) : std::nullopt;
  if (!visitor) return fail(Code::kUnauthorized, "Open your link first: this browser is not known here.");
  const bool teacher = visitor->student.empty();
  if (!teacher && visitor->student != path.student) return fail(Code::kForbidden, "This is not your lab.");
  auto seat = service.seat(visitor->class_name, path.student);
  if (!seat) return fail(Code::kNotFound, "There is no such student.");
  if (teacher && seat->followers == 0)
    return fail(Code::kForbidden,
                "Open this student in the teacher's page first; ports of the student you look at can be reached.");
  if (!teacher)
    if (auto closed = service.closed_to_students(visitor->class_name); !closed.empty())
      return fail(Code::kForbidden, closed);
  return seat;
}

// Copies the answer's body as it comes; whichever side goes first ends it.
Task<void> pass_body(http::ClientConnection& node, http::ResponseWriter& writer) {
  while (true) {
    auto piece = co_await node.read_body();
    if (!piece) co_return;  // the browser sees that the end is missing
    if (piece->empty()) break;
    if (!co_await writer.write(http::buffer(std::move(*piece)))) co_return;
  }
  (void)co_await writer.end();
}

Task<void> pass_on(http::Request& request, const PortPath& path, NodeConnection connected, bool tls,
                   http::ResponseWriter& writer) {
  http::ClientConnection node(std::move(connected.stream));
  node.start(request.method == "HEAD");
  auto stream = &node.stream();
  const auto inside = inward(request, path, connected.address, tls);
  std::optional<std::stop_callback<std::function<void()>>> gone(std::in_place, writer.closed(),
                                                                [stream] { stream->close(); });
  bool late = false;
  Result<void> head;
  {
    Deadline deadline(kHead, [stream, &late] {
      late = true;
      stream->close();
    });
    auto sent = co_await stream->write(encode(inside));
    head = co_await node.read_head();  // also after a failed write: it may have refused the body
    if (!head && !sent) head = std::unexpected(std::move(sent).error());
  }
  if (!head) {
    (void)co_await writer.send(plain(late ? 504 : 502, "The node's port did not answer: " + head.error().text()));
    co_return;
  }
  const auto& message = node.message();
  auto headers = outward(message.headers, path, connected.address);
  if (message.status != 101) {
    if (co_await writer.begin(message.status, std::move(headers))) co_await pass_body(node, writer);
    co_return;
  }
  headers.set("Connection", "Upgrade");
  headers.set("Upgrade", std::string(message.headers.get("upgrade")));
  auto outside = co_await writer.upgrade({.status = 101, .headers = std::move(headers), .body = {}});
  gone.reset();
  if (outside) co_await splice(std::move(*outside), node.release(), writer.closed());
}

}  // namespace

Task<void> answer_port(Service& service, http::Request& request, http::ResponseWriter& writer) {
  const auto path = parse_port_path(request.path());
  if (!path) {
    if (auto from = prefix_of_referer(request.headers)) {
      (void)co_await writer.send(
          {.status = 307,
           .headers = {{"Location", from->prefix() + request.target}, {"Cache-Control", "no-store"}},
           .body = {}});
    } else {
      (void)co_await writer.send(plain(404, "Ports of labs are at /STUDENT/NODE/PORT/ here."));
    }
    co_return;
  }
  auto seat = seat_for(service, request, *path);
  if (!seat) {
    (void)co_await writer.send(plain(http_status_of(seat.error().code), seat.error().message));
    co_return;
  }
  (*seat)->touch();
  // Without its slash relative links of the page would lead beside it.
  const auto whole = request.path();
  if (whole == path->prefix()) {
    const auto query = request.raw_query();
    (void)co_await writer.send(
        {.status = 308,
         .headers = {{"Location", path->prefix() + "/" + (query.empty() ? "" : "?" + std::string(query))}},
         .body = {}});
    co_return;
  }
  auto connected = co_await dial_node(service.pool(), (*seat)->profile, path->node, path->port, kConnect);
  if (!connected) {
    (void)co_await writer.send(plain(status_for(connected.error()), "Port " + std::to_string(path->port) + " of " +
                                                                        path->node + ": " + connected.error().text()));
    co_return;
  }
  co_await pass_on(request, *path, std::move(*connected), service.tls(), writer);
}

}  // namespace lab::classroom
