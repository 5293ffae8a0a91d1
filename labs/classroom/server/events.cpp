// /api/events: one page's connection. A reader takes what it asks for, the writer sends the newest of each topic.
#include <vector>

#include "base/http/websocket.h"
#include "base/io/scope.h"
#include "labs/classroom/server/node_ports.h"
#include "labs/classroom/server/routes.h"

namespace lab::classroom {

namespace {

constexpr auto kPing = std::chrono::seconds(25);  // what stands between drops connections that are silent for longer

// A page that looks at a seat: while one does, the seat is kept current.
class Looking {
 public:
  Looking(Service& service, SeatPtr seat, std::atomic<int> Seat::* as) : seat_(std::move(seat)), as_(as) {
    ++((*seat_).*as_);
    service.look_at(seat_);
  }
  ~Looking() { --((*seat_).*as_); }
  Looking(const Looking&) = delete;

 private:
  SeatPtr seat_;
  std::atomic<int> Seat::* as_;
};

struct Shown {
  Shown(std::shared_ptr<Topic> topic, std::shared_ptr<Bell> bell, std::uint64_t from)
      : reading(std::move(topic), std::move(bell)), sent(from) {}
  Reading reading;
  std::uint64_t sent;  // version
};

// One connection, on its loop.
struct Page {
  Service& service;
  Visitor visitor;
  std::string host;
  std::unique_ptr<http::WebSocket> socket;
  std::shared_ptr<Bell> bell = std::make_shared<Bell>();
  std::stop_source over;
  std::vector<std::unique_ptr<Shown>> shown;
  // A teacher's choice.
  std::unique_ptr<Shown> followed;
  std::unique_ptr<Looking> looking;

  void show(std::shared_ptr<Topic> topic, std::uint64_t from = 0) {
    if (topic) shown.push_back(std::make_unique<Shown>(std::move(topic), bell, from));
  }

  // A notice that was given before this page came is old.
  void show_news(std::shared_ptr<Topic> topic) {
    const auto now = topic ? topic->latest().version : 0;
    show(std::move(topic), now);
  }

  void follow(const std::string& student) {
    followed.reset();
    looking.reset();
    auto seat = service.seat(visitor.class_name, student);
    if (!seat) return;
    looking = std::make_unique<Looking>(service, seat, &Seat::followers);
    followed = std::make_unique<Shown>(seat->topic(), bell, 0);
  }

  Task<Result<void>> send_news(Shown& one) {
    const auto value = one.reading.topic().latest();
    if (value.version == one.sent || !value.text) co_return Result<void>();
    one.sent = value.version;
    co_return co_await socket->send(false, for_host(*value.text, host, service.tls()));
  }
};

Task<void> read_page(Page& page) {
  while (true) {
    auto message = co_await page.socket->read();
    if (!message || !*message) break;
    auto said = json::parse((**message).data);
    if (!said || json::str(*said, "type") != "follow" || !page.visitor.student.empty()) continue;
    page.follow(std::string(json::str(*said, "student")));
  }
  page.over.request_stop();
}

// What is followed may change while a frame is being sent: the frame's own subscription stays until it is out.
Task<Result<void>> send_followed(Page& page) {
  if (!page.followed) co_return Result<void>();
  const auto value = page.followed->reading.topic().latest();
  if (value.version == page.followed->sent || !value.text) co_return Result<void>();
  page.followed->sent = value.version;
  co_return co_await page.socket->send(false, for_host(*value.text, page.host, page.service.tls()));
}

Task<void> write_page(Page& page) {
  const auto stop = page.over.get_token();
  while (!stop.stop_requested()) {
    const bool rung = co_await page.bell->wait(kPing, stop);
    if (stop.stop_requested()) break;
    for (const auto& one : page.shown)
      if (!co_await page.send_news(*one)) co_return;
    if (!co_await send_followed(page)) co_return;
    // The class, or this student in it, may have gone; the last words are out by now.
    const bool still = page.visitor.student.empty()
                           ? page.service.find_class(page.visitor.class_name).has_value()
                           : page.service.seat(page.visitor.class_name, page.visitor.student) != nullptr;
    if (!still) {
      (void)co_await page.socket->close(1000, "the class has ended");
      co_return;
    }
    if (!rung && !co_await page.socket->ping()) co_return;
  }
}

}  // namespace

Task<Result<http::Response>> events(Call& call) {
  auto socket = co_await http::accept_websocket(call.request, call.writer);
  if (!socket) co_return answered();
  Page page{.service = call.service,
            .visitor = call.visitor,
            .host = std::string(call.request.headers.get("host")),
            .socket = std::move(*socket)};
  std::unique_ptr<Looking> own;
  if (call.is_teacher()) {
    page.show(call.service.class_topic(call.visitor.class_name));
  } else if (auto seat = call.service.seat(call.visitor.class_name, call.visitor.student)) {
    own = std::make_unique<Looking>(call.service, seat, &Seat::pages);
    seat->touch();
    page.show(seat->topic());
    page.show_news(call.service.notices(call.visitor.class_name, call.visitor.student));
  }
  page.show_news(call.service.notices(call.visitor.class_name, ""));
  std::stop_callback on_closed(call.writer.closed(), [&] { page.over.request_stop(); });
  Scope reading(*Loop::current());
  reading.spawn("events read", read_page(page));
  co_await write_page(page);
  page.socket->abort();
  co_await reading.close();
  co_return answered();
}

}  // namespace lab::classroom
