// nghttp2's callbacks for a server connection, and the forms it wants headers in.
#pragma once

#include "base/http/h2_connection.h"

namespace lab::http {

struct H2Callbacks {
  static nghttp2_session* make_session(H2Connection* connection);
  static bool submit(nghttp2_session* session, H2Stream& stream, int status, const Headers& headers, bool has_body);

  static int begin_headers(nghttp2_session*, const nghttp2_frame*, void* user);
  static int header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name, std::size_t name_length,
                    const std::uint8_t* value, std::size_t value_length, std::uint8_t flags, void* user);
  static int data_chunk(nghttp2_session*, std::uint8_t flags, std::int32_t id, const std::uint8_t* data,
                        std::size_t length, void* user);
  static int frame_received(nghttp2_session*, const nghttp2_frame*, void* user);
  static int stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user);
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* into, std::size_t length,
                           std::uint32_t* flags, nghttp2_data_source* source, void* user);
  static void dispatch(H2Connection& connection, const std::shared_ptr<H2Stream>& stream);
};

// A writer waits while more than this is queued for its stream.
constexpr std::size_t kH2Queue = 64 * 1024;

}  // namespace lab::http
