#include "labs/terminal/socket.h"

#include "base/io/descriptor.h"
#include "base/io/scope.h"
#include "labs/terminal/protocol.h"

namespace lab::terminal {

namespace {

constexpr int kDone = 1000, kGoingAway = 1001, kViolated = 1008;  // RFC 6455, section 7.4.1
constexpr auto kPing = std::chrono::seconds(30);                  // proxies between forget silent connections
constexpr auto kFarewell = std::chrono::seconds(3);

struct Bridge {
  std::unique_ptr<http::WebSocket> socket;
  std::unique_ptr<Attachment> view;
  int code = kDone;
  std::string reason;
};

Task<Result<void>> pass_on(Bridge& bridge, Command command) {
  if (auto* typed = std::get_if<Input>(&command)) co_return co_await bridge.view->input(std::move(typed->bytes));
  if (auto* size = std::get_if<Resize>(&command)) co_return co_await bridge.view->resize(size->cols, size->rows);
  co_return co_await bridge.view->ack(std::get<Ack>(command).offset);
}

Task<void> from_browser(Bridge& bridge) {
  while (true) {
    auto message = co_await bridge.socket->read();
    if (!message || !*message) break;
    auto command = decode_command(Frame{(*message)->binary, std::move((*message)->data)});
    if (!command) {
      bridge.code = kViolated;
      bridge.reason = command.error().message;
      break;
    }
    if (!co_await pass_on(bridge, std::move(*command))) break;
  }
  bridge.view->close();
}

Task<void> keep_open(Bridge& bridge, std::stop_token stop) {
  while (co_await sleep_for(kPing, stop))
    if (!co_await bridge.socket->ping()) co_return;
}

Task<void> to_browser(Bridge& bridge) {
  while (true) {
    auto event = co_await bridge.view->read();
    if (!event || !*event) co_return;
    const Frame frame = event_frame(**event);
    if (!co_await bridge.socket->send(frame.binary, frame.data)) co_return;
  }
}

}  // namespace

Task<void> serve(std::unique_ptr<http::WebSocket> socket, std::unique_ptr<Attachment> view, std::stop_token stop) {
  Bridge bridge{std::move(socket), std::move(view), kDone, {}};
  Loop& loop = *Loop::current();
  Scope scope(loop);
  {
    std::stop_callback on_stop(stop, [&bridge] {
      bridge.code = kGoingAway;
      bridge.view->close();
    });
    scope.start("terminal input", from_browser(bridge));
    scope.spawn("terminal ping", keep_open(bridge, scope.token()));
    co_await to_browser(bridge);
  }
  bridge.view->close();
  // The peer answers the close frame; one that does not is left.
  Deadline farewell(kFarewell, [&bridge] { bridge.socket->abort(); });
  (void)co_await bridge.socket->close(bridge.code, bridge.reason);
  co_await scope.close();
}

}  // namespace lab::terminal
