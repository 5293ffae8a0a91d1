#include "overlay-net/cni/agent_call.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace lab::overlay {
namespace {

constexpr int kTimeoutSeconds = 20;
constexpr std::size_t kMaxAnswer = 4u << 20;

struct Descriptor {
  int fd;
  ~Descriptor() { ::close(fd); }
};

Failure unreachable(int err, const std::string& socket_path) {
  auto e = fail_errno(err, "the overlay agent does not answer on " + socket_path,
                      "check that 'lab agent' or 'lab overlay' runs on this node")
               .error();
  e.code = Code::kUnavailable;
  return Failure(std::move(e));
}

Result<std::string> talk(const std::string& socket_path, const std::string& request) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    return fail(Code::kInvalid, "socket path too long: " + socket_path);
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  Descriptor s{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (s.fd < 0) return fail_errno("cannot make a socket");
  timeval limit{.tv_sec = kTimeoutSeconds, .tv_usec = 0};
  ::setsockopt(s.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(s.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(s.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return unreachable(errno, socket_path);
  for (std::size_t sent = 0; sent < request.size();) {
    ssize_t n = ::send(s.fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return unreachable(errno, socket_path);
    sent += static_cast<std::size_t>(n);
  }
  std::string answer;
  char buffer[16384];
  while (answer.size() < kMaxAnswer) {
    ssize_t n = ::recv(s.fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unreachable(errno, socket_path);
    if (n == 0) break;
    answer.append(buffer, static_cast<std::size_t>(n));
  }
  return answer;
}

}  // namespace

Result<json::Value> call_agent(const std::string& socket_path, const std::string& method, const std::string& path,
                               const std::string& body) {
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: overlay\r\nConnection: close\r\n";
  if (!body.empty()) request += "Content-Type: application/json\r\n";
  request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  LAB_TRY(auto answer, talk(socket_path, request));
  auto head_end = answer.find("\r\n\r\n");
  int status = 0;
  if (answer.starts_with("HTTP/1.1 ") && head_end != std::string::npos) {
    std::from_chars(answer.data() + 9, answer.data() + 12, status);
  }
  if (status == 0) return unreachable(EPROTO, socket_path);
  auto text = answer.substr(head_end + 4);
  json::Value value;
  if (!text.empty()) {
    auto parsed = json::parse(text);
    if (!parsed) return unreachable(EPROTO, socket_path);
    value = std::move(*parsed);
  }
  if (status >= 200 && status < 300) return value;
  std::string message(json::str(value, "message"));
  if (message.empty()) message = "the overlay agent answered " + std::to_string(status);
  return fail(code_of(status, {}), message);
}

}  // namespace lab::overlay
