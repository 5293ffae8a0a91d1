// Terminals: made, ended and looked at; the shells themselves are held by the lab's keeper (labs/terminal).
#include "base/http/websocket.h"
#include "labs/classroom/server/routes.h"
#include "labs/terminal/client.h"
#include "labs/terminal/socket.h"

namespace lab::classroom {

namespace {

// Passes everything on, and notes that the student is at work when something is typed. Who may not type any more,
// because the class has ended or stands still, finds it closed at the next key.
class TypedSocket final : public http::WebSocket {
 public:
  TypedSocket(std::unique_ptr<http::WebSocket> inner, const Call& call)
      : inner_(std::move(inner)), seat_(call.seat), service_(call.service), teacher_(call.is_teacher()) {}
  const std::string& subprotocol() const override { return inner_->subprotocol(); }
  Task<Result<std::optional<Message>>> read() override {
    auto message = co_await inner_->read();
    if (!message || !*message || !(**message).binary) co_return message;
    if (!teacher_ && !service_.closed_to_students(seat_->class_name).empty()) co_return std::nullopt;
    seat_->touch();
    co_return message;
  }
  Task<Result<void>> send(bool binary, std::string_view data) override { return inner_->send(binary, data); }
  Task<Result<void>> ping() override { return inner_->ping(); }
  Task<Result<void>> close(int code, std::string reason) override { return inner_->close(code, std::move(reason)); }
  void abort() override { inner_->abort(); }
  int close_code() const override { return inner_->close_code(); }

 private:
  std::unique_ptr<http::WebSocket> inner_;
  SeatPtr seat_;
  Service& service_;
  bool teacher_;
};

Task<Result<http::Response>> open(Call& call) {
  call.seat->touch();
  LAB_CO_TRY(const auto body, call.body());
  LAB_CO_TRY(auto id,
             co_await terminal::Terminals(call.seat->profile)
                 .open(std::string(json::str(body, "node")), static_cast<int>(json::as_int(json::at(body, "cols"), 80)),
                       static_cast<int>(json::as_int(json::at(body, "rows"), 24))));
  call.service.look_at(call.seat);
  co_return json_answer(json::Object{{"id", id}}, 201);
}

Task<Result<http::Response>> close(Call& call) {
  LAB_CO_CHECK(co_await terminal::Terminals(call.seat->profile).close(call.param("id")));
  co_return no_content();
}

Task<Result<http::Response>> stream(Call& call) {
  std::uint64_t from = 0;
  for (char c : call.query("from")) {
    if (c < '0' || c > '9' || from > UINT64_MAX / 16) co_return fail(Code::kBadRequest, "\"from\" is no number");
    from = from * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (!http::is_websocket_request(call.request)) co_return fail(Code::kBadRequest, "a terminal is a WebSocket");
  LAB_CO_TRY(auto view, co_await terminal::Terminals(call.seat->profile).attach(call.param("id"), from));
  auto socket = co_await http::accept_websocket(call.request, call.writer);
  if (!socket) {
    view->close();
    co_return answered();
  }
  co_await terminal::serve(std::make_unique<TypedSocket>(std::move(*socket), call), std::move(view),
                           call.writer.closed());
  co_return answered();
}

}  // namespace

void add_terminal_routes(Router& router) {
  const std::string terminals = "/api/students/{student}/terminals";
  router.add("POST", terminals, Who::kStudent, open);
  router.add("DELETE", terminals + "/{id}", Who::kStudent, close);
  router.add("GET", terminals + "/{id}/stream", Who::kStudent, stream);
}

}  // namespace lab::classroom
