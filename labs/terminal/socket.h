// serve: one browser's view of a terminal, over a WebSocket (docs/classroom-api.md, "A terminal's stream").
#pragma once

#include <memory>
#include <stop_token>

#include "base/http/websocket.h"
#include "labs/terminal/client.h"

namespace lab::terminal {

// Passes on between the two until either side ends or `stop` is requested (give it ResponseWriter::closed() of the
// request), and closes both: 1000 when the terminal was closed, 1001 when the server or the keeper ends, 1008 when the
// client broke the protocol. A client that sends nothing for a long time is pinged. On the loop of both.
Task<void> serve(std::unique_ptr<http::WebSocket> socket, std::unique_ptr<Attachment> view, std::stop_token stop);

}  // namespace lab::terminal
