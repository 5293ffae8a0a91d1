#include "labs/terminal/protocol.h"

#include <array>

namespace lab::terminal {

namespace {

constexpr std::size_t kPiece = 64 * 1024;

std::uint64_t offset_of(const json::Value& v, std::string_view key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(json::num(v, key), 0));
}

json::Value with_type(const char* type, json::Object fields) {
  fields.insert_or_assign("type", type);
  return fields;
}

Failure not_understood(std::string what) {
  return fail(Code::kBadRequest, "terminal: " + std::move(what));
}

}  // namespace

std::string frame_head(const Frame& frame) {
  const auto n = static_cast<std::uint32_t>(frame.data.size());
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n),
          frame.binary ? 'B' : 'T'};
}

Task<Result<std::optional<Frame>>> FrameReader::read() {
  std::array<char, kPiece> piece;
  std::size_t need = kFrameHead;
  while (true) {
    if (in_.size() >= kFrameHead) {
      std::uint32_t n = 0;
      for (int i = 0; i < 4; ++i) n = n << 8 | static_cast<unsigned char>(in_[static_cast<std::size_t>(i)]);
      if (n > kMaxFrame) co_return not_understood("a frame of " + std::to_string(n) + " bytes is too long");
      if (in_[4] != 'B' && in_[4] != 'T') co_return not_understood("a frame of unknown kind");
      need = kFrameHead + n;
      if (in_.size() >= need) break;
    }
    auto n = co_await stream_.read(piece);
    if (!n || *n == 0) {
      if (!n && n.error().code == Code::kCancelled) co_return std::unexpected(std::move(n).error());
      co_return std::nullopt;
    }
    in_.append(piece.data(), *n);
  }
  Frame out{in_[4] == 'B', in_.substr(kFrameHead, need - kFrameHead)};
  in_.erase(0, need);
  co_return std::optional(std::move(out));
}

Task<Result<void>> FrameWriter::send(Frame frame) {
  while (busy_) co_await free_.wait();
  busy_ = true;
  // One piece: several calls would let a reader see the head alone, and cost a call each.
  const std::string bytes = frame_head(frame) + frame.data;
  auto done = co_await stream_.write(bytes);
  busy_ = false;
  free_.notify();
  co_return done;
}

Frame text_frame(const json::Value& value) {
  return {false, json::dump(value)};
}

Frame event_frame(const Event& event) {
  struct Make {
    Frame operator()(const Start& s) {
      return text_frame(with_type("start", {{"offset", s.offset}, {"end", s.end}, {"cols", s.cols}, {"rows", s.rows}}));
    }
    Frame operator()(const Output& o) { return {true, o.bytes}; }
    Frame operator()(const Resized& r) { return text_frame(with_type("size", {{"cols", r.cols}, {"rows", r.rows}})); }
    Frame operator()(const Exited& e) { return text_frame(with_type("exit", {{"code", e.code}})); }
  };
  return std::visit(Make{}, event);
}

Result<Event> decode_event(const Frame& frame) {
  if (frame.binary) return Output{frame.data};
  LAB_TRY(auto v, json::parse(frame.data));
  const auto type = json::str(v, "type");
  const int cols = static_cast<int>(json::num(v, "cols")), rows = static_cast<int>(json::num(v, "rows"));
  if (type == "start") return Start{offset_of(v, "offset"), offset_of(v, "end"), cols, rows};
  if (type == "size") return Resized{cols, rows};
  if (type == "exit") return Exited{static_cast<int>(json::num(v, "code"))};
  return not_understood("the keeper sent \"" + std::string(type) + "\"");
}

Frame command_frame(const Command& command) {
  struct Make {
    Frame operator()(const Input& i) { return {true, i.bytes}; }
    Frame operator()(const Resize& r) { return text_frame(with_type("resize", {{"cols", r.cols}, {"rows", r.rows}})); }
    Frame operator()(const Ack& a) { return text_frame(with_type("ack", {{"offset", a.offset}})); }
  };
  return std::visit(Make{}, command);
}

Result<Command> decode_command(Frame frame) {
  if (frame.binary) return Input{std::move(frame.data)};
  LAB_TRY(auto v, json::parse(frame.data));
  const auto type = json::str(v, "type");
  if (type == "ack" && json::as_int(json::at(v, "offset"), -1) >= 0) return Ack{offset_of(v, "offset")};
  if (type == "resize") {
    LAB_CHECK(check_size(json::num(v, "cols"), json::num(v, "rows")));
    return Resize{static_cast<int>(json::num(v, "cols")), static_cast<int>(json::num(v, "rows"))};
  }
  return not_understood("\"" + std::string(type) + "\" is none of: resize, ack");
}

Result<void> check_size(std::int64_t cols, std::int64_t rows) {
  if (cols >= 1 && cols <= kMaxColumns && rows >= 1 && rows <= kMaxRows) return {};
  return not_understood("a terminal has 1 to " + std::to_string(kMaxColumns) + " columns and 1 to " +
                        std::to_string(kMaxRows) + " rows");
}

json::Value encode_error(const Error& error) {
  json::Object fields{{"reason", reason_of(error.code)}, {"status", http_status_of(error.code)}};
  std::string message = error.message;  // the system's reason is part of it: numbers mean nothing to a page
  if (error.sys_errno != 0)
    message = Error{.code = error.code, .message = error.message, .sys_errno = error.sys_errno}.text();
  fields["message"] = message;
  fields["hint"] = error.hint;
  return json::Object{{"error", std::move(fields)}};
}

Result<void> decode_answer(const json::Value& v) {
  const auto& e = json::at(v, "error");
  if (!e.is_object()) return {};
  return fail(code_of(static_cast<int>(json::num(e, "status")), json::str(e, "reason")),
              std::string(json::str(e, "message")), std::string(json::str(e, "hint")));
}

json::Value encode_terminal(const Terminal& one) {
  json::Object out{{"id", one.id},     {"node", one.node}, {"title", one.title}, {"exited", nullptr},
                   {"cols", one.cols}, {"rows", one.rows}, {"end", one.end}};
  if (one.exited) out["exited"] = *one.exited;
  return out;
}

Terminal decode_terminal(const json::Value& v) {
  Terminal out{.id = std::string(json::str(v, "id")),
               .node = std::string(json::str(v, "node")),
               .title = std::string(json::str(v, "title")),
               .cols = static_cast<int>(json::num(v, "cols")),
               .rows = static_cast<int>(json::num(v, "rows")),
               .end = offset_of(v, "end")};
  if (json::at(v, "exited").is_int64()) out.exited = static_cast<int>(json::num(v, "exited"));
  return out;
}

}  // namespace lab::terminal
