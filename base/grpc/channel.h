// Channel: gRPC calls by method name, messages as encoded bytes. It hides gRPC, whose headers no other folder includes.
//
//   auto channel = rpc::Channel::to_unix("/run/containerd/containerd.sock");
//   auto bytes = co_await channel->call("/runtime.v1.RuntimeService/Version", request.SerializeAsString(), 5s);
//
// The connection is made at the first call and made anew (100 ms to 1 s back-off) whenever it was lost; a call never
// waits for it: without a server it fails at once with kUnavailable. Calls may be made from any loop and resume on it.
// The status codes of gRPC map to ours: NOT_FOUND is kNotFound, DEADLINE_EXCEEDED kTimeout, UNIMPLEMENTED
// kMethodNotAllowed, UNAVAILABLE kUnavailable, ALREADY_EXISTS kAlreadyExists, INVALID_ARGUMENT kBadRequest.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/io/loop.h"
#include "base/result.h"

namespace lab::rpc {

// Whom to trust, and the client's own certificate (both empty: none).
struct ChannelTls {
  std::string ca_pem, certificate_pem, private_key_pem;
};

struct ChannelOptions {
  std::optional<ChannelTls> tls;  // none: plain text
  std::string hint;               // what to do when nothing answers
  bool keepalive = false;         // ask an idle connection every 6 s whether its peer is still there; 3 s to answer
};

class Channel {
 public:
  static std::shared_ptr<Channel> to_unix(const std::string& path);
  // `address` is an IP address or, with TLS checked against it as well, a host name.
  static std::shared_ptr<Channel> to_host(const std::string& address, int port, ChannelOptions options = {});
  virtual ~Channel() = default;
  // One request, one answer. `timeout` bounds the whole call; zero means no bound.
  virtual Task<Result<std::string>> call(std::string method, std::string request, Duration timeout,
                                         std::stop_token stop = {}) = 0;
  // One request, any number of answers until the server ends the stream (success), it breaks, or `stop`.
  // on_message runs on a thread of gRPC: it only posts.
  virtual Task<Result<void>> stream(std::string method, std::string request,
                                    std::function<void(std::string)> on_message, std::stop_token stop) = 0;
  // Ends every call in flight with kCancelled, and refuses later ones. Any thread.
  virtual void shutdown() = 0;
};

}  // namespace lab::rpc
