#include "base/http/h2_callbacks.h"

#include <algorithm>
#include <cstring>

namespace lab::http {

namespace {

constexpr std::size_t kDiscardLimit = 64 * 1024 * 1024;

H2Connection& self(void* user) {
  return *static_cast<H2Connection*>(user);
}

std::string_view text(const std::uint8_t* data, std::size_t length) {
  return {reinterpret_cast<const char*>(data), length};
}

std::string lowered(std::string_view name) {
  std::string out(name);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

nghttp2_nv field(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view s) { return reinterpret_cast<std::uint8_t*>(const_cast<char*>(s.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// Fields of one hop, which HTTP/2 forbids (RFC 9113, 8.2.2).
bool of_one_hop(std::string_view name) {
  return same_name(name, "connection") || same_name(name, "keep-alive") || same_name(name, "transfer-encoding") ||
         same_name(name, "upgrade") || same_name(name, "proxy-connection") || same_name(name, "date");
}

}  // namespace

nghttp2_session* H2Callbacks::make_session(H2Connection* connection) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_chunk);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
  nghttp2_session* session = nullptr;
  nghttp2_session_server_new(&session, callbacks, connection);
  nghttp2_session_callbacks_del(callbacks);
  return session;
}

int H2Callbacks::begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  auto stream = std::make_shared<H2Stream>();
  stream->id = frame->hd.stream_id;
  nghttp2_session_set_stream_user_data(session, stream->id, stream.get());
  self(user).streams_.emplace(stream->id, std::move(stream));
  return 0;
}

int H2Callbacks::header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                        std::size_t name_length, const std::uint8_t* value, std::size_t value_length, std::uint8_t,
                        void*) {
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;  // trailers
  auto* stream = static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
  if (!stream) return 0;
  stream->head_bytes += name_length + value_length + 32;
  if (stream->head_bytes > 64 * 1024) {
    stream->refused = 431;
    return 0;
  }
  auto n = text(name, name_length), v = text(value, value_length);
  if (!n.starts_with(':')) {
    // Cookie and friends may come in parts; the parts stay apart here, readers take the first.
    stream->request.headers.add(n, std::string(v));
  } else if (n == ":method") {
    stream->request.method = v;
  } else if (n == ":path") {
    stream->request.target = v;
  } else if (n == ":authority") {
    stream->request.headers.add("host", std::string(v));
  }
  return 0;
}

void H2Callbacks::dispatch(H2Connection& connection, const std::shared_ptr<H2Stream>& stream) {
  if (std::exchange(stream->dispatched, true)) return;
  connection.ready_.push_back(stream);
}

int H2Callbacks::data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                            std::size_t length, void* user) {
  auto& streams = self(user).streams_;
  auto found = streams.find(id);
  if (found == streams.end()) return 0;
  auto& stream = found->second;
  if (stream->dispatched || stream->refused) {
    // What follows a refusal is dropped, as clients commonly read the answer only when they have sent all; but not for
    // ever (RFC 9113, 8.1).
    stream->discarded += length;
    if (stream->discarded > kDiscardLimit) nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    return 0;
  }
  auto& body = stream->request.body;
  if (body.size() + length > self(user).shared().options.max_body_bytes) {
    stream->refused = 413;
    std::string().swap(body);
    dispatch(self(user), stream);
    return 0;
  }
  body.append(reinterpret_cast<const char*>(data), length);
  return 0;
}

int H2Callbacks::frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& connection = self(user);
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  auto found = connection.streams_.find(frame->hd.stream_id);
  if (found == connection.streams_.end()) return 0;
  auto& stream = found->second;
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    dispatch(connection, stream);
  } else if (frame->hd.type == NGHTTP2_HEADERS) {
    if (stream->refused) {
      dispatch(connection, stream);
    } else if (same_name(stream->request.headers.get("expect"), "100-continue")) {
      nghttp2_nv status = field(":status", "100");
      nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, stream->id, nullptr, &status, 1, nullptr);
    }
  }
  return 0;
}

int H2Callbacks::stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
  auto& connection = self(user);
  auto found = connection.streams_.find(id);
  if (found == connection.streams_.end()) return 0;
  connection.ended_.push_back(std::move(found->second));
  connection.streams_.erase(found);
  return 0;
}

ssize_t H2Callbacks::read_body(nghttp2_session*, std::int32_t id, std::uint8_t* into, std::size_t length,
                               std::uint32_t* flags, nghttp2_data_source*, void* user) {
  auto& connection = self(user);
  auto found = connection.streams_.find(id);
  if (found == connection.streams_.end()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  H2Stream& s = *found->second;
  std::size_t done = 0;
  bool was_full = s.queued > kH2Queue;
  while (done < length && !s.pieces.empty()) {
    const std::string& piece = *s.pieces.front();
    std::size_t n = std::min(length - done, piece.size() - s.offset);
    std::memcpy(into + done, piece.data() + s.offset, n);
    done += n;
    s.offset += n;
    s.queued -= n;
    if (s.offset == piece.size()) {
      s.pieces.pop_front();
      s.offset = 0;
    }
  }
  if (was_full && s.queued <= kH2Queue) connection.drained_.push_back(found->second);
  if (s.pieces.empty() && s.finished) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  } else if (done == 0) {
    s.deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  return static_cast<ssize_t>(done);
}

bool H2Callbacks::submit(nghttp2_session* session, H2Stream& stream, int status, const Headers& headers,
                         bool has_body) {
  std::string code = std::to_string(status);
  std::vector<std::string> names;
  names.reserve(headers.fields().size());
  std::vector<nghttp2_nv> fields{field(":status", code)};
  fields.reserve(headers.fields().size() + 2);
  for (const auto& [name, value] : headers.fields()) {
    if (of_one_hop(name)) continue;
    names.push_back(lowered(name));
    fields.push_back(field(names.back(), value));
  }
  std::string date(date_value());
  fields.push_back(field("date", date));
  nghttp2_data_provider provider{};
  provider.read_callback = read_body;
  return nghttp2_submit_response(session, stream.id, fields.data(), fields.size(), has_body ? &provider : nullptr) == 0;
}

}  // namespace lab::http
