// The few commands of Redis that the application uses, over RESP2 (redis.io/docs/reference/protocol-spec).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "labs/dockercoins/src/net.h"

namespace coins {

class Redis {
 public:
  explicit Redis(const std::string& host, int port = 6379) : connection_(host, port) {}
  // The reply as text: an integer's digits, a string, or nothing for nil. NetError on an error reply.
  std::optional<std::string> call(const std::vector<std::string>& command);

 private:
  std::string line();
  Connection connection_;
  std::string buffer_;
};

}  // namespace coins
