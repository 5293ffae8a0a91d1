// What the keeper and its clients say to each other on the unix socket, and which of it browsers say as well.
//
// A connection carries frames, both ways: four bytes of length (big-endian, of the data alone), one of kind ('T' text,
// 'B' bytes), the data. A text is JSON. The client begins with requests, {"do": "list" | "open" | "close" | "type" |
// "attach" | "watch" | "end", ...}; each is answered by {"ok": true, ...} or {"error": {reason, message, hint}}. After
// "attach" the keeper sends events and the client commands, in the very form of docs/classroom-api.md; after "watch"
// the keeper sends lists. What cannot be understood ends the connection.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/io/stream.h"
#include "base/io/sync.h"
#include "base/json.h"
#include "labs/terminal/client.h"

namespace lab::terminal {

inline constexpr std::size_t kMaxFrame = 256 * 1024;
inline constexpr std::size_t kFrameHead = 5;

struct Frame {
  bool binary = false;
  std::string data;
};

// Both refer to a stream that outlives them.
class FrameReader {
 public:
  explicit FrameReader(Stream& stream) : stream_(stream) {}
  Task<Result<std::optional<Frame>>> read();  // nothing at the end, in order or not; BadRequest for what is no frame

 private:
  Stream& stream_;
  std::string in_;
};

// Whole frames of any number of writers, one after the other.
class FrameWriter {
 public:
  explicit FrameWriter(Stream& stream) : stream_(stream) {}
  Task<Result<void>> send(Frame frame);

 private:
  Stream& stream_;
  bool busy_ = false;
  lab::Event free_;
};

std::string frame_head(const Frame& frame);

Frame text_frame(const json::Value& value);
Frame event_frame(const Event& event);
Result<Event> decode_event(const Frame& frame);

// What a viewer says. `Input` bytes go to the shell as they are.
struct Input {
  std::string bytes;
};
struct Resize {
  int cols = 80, rows = 24;
};
struct Ack {
  std::uint64_t offset = 0;
};
using Command = std::variant<Input, Resize, Ack>;
Frame command_frame(const Command& command);
Result<Command> decode_command(Frame frame);  // BadRequest
Result<void> check_size(std::int64_t cols, std::int64_t rows);

json::Value encode_error(const Error& error);      // {"error": ...}
Result<void> decode_answer(const json::Value& v);  // the error that it carries, if any
json::Value encode_terminal(const Terminal& one);
Terminal decode_terminal(const json::Value& v);

}  // namespace lab::terminal
