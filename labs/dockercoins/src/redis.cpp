#include "labs/dockercoins/src/redis.h"

#include <cstdlib>

namespace coins {

std::string Redis::line() {
  std::size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    std::string more = connection_.read_some();
    if (more.empty()) throw NetError("redis closed the connection");
    buffer_ += more;
  }
  std::string out = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return out;
}

std::optional<std::string> Redis::call(const std::vector<std::string>& command) {
  std::string out = "*" + std::to_string(command.size()) + "\r\n";
  for (const auto& word : command) out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  connection_.write(out);
  std::string reply = line();
  switch (reply.empty() ? ' ' : reply[0]) {
    case '+':
    case ':': return reply.substr(1);
    case '-': throw NetError("redis: " + reply.substr(1));
    case '$': {
      long size = std::atol(reply.c_str() + 1);
      if (size < 0) return std::nullopt;
      while (buffer_.size() < static_cast<std::size_t>(size) + 2) {
        std::string more = connection_.read_some();
        if (more.empty()) throw NetError("redis closed the connection");
        buffer_ += more;
      }
      std::string value = buffer_.substr(0, static_cast<std::size_t>(size));
      buffer_.erase(0, static_cast<std::size_t>(size) + 2);
      return value;
    }
    default: throw NetError("redis sent a reply that was not asked for: " + reply);
  }
}

}  // namespace coins
