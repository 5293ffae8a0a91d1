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
#include <stop_token>
#include <string>

#include "base/io/loop.h"
#include "base/result.h"

namespace lab::rpc {

class Channel {
 public:
  static std::shared_ptr<Channel> to_unix(const std::string& path);
  static std::shared_ptr<Channel> to_host(const std::string& address, int port);  // without TLS
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
