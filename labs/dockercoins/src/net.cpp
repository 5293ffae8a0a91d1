#include "labs/dockercoins/src/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

namespace coins {

namespace {

constexpr int kTimeoutSeconds = 10;
constexpr std::size_t kLargestRequest = 1 << 20;

void set_timeouts(int fd) {
  timeval limit{.tv_sec = kTimeoutSeconds, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

[[noreturn]] void throw_errno(const std::string& what) { throw NetError(what + ": " + std::strerror(errno)); }

std::size_t content_length(std::string head) {
  for (char& c : head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  auto at = head.find("\r\ncontent-length:");
  return at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + 17, nullptr, 10);
}

// Reads until the head and as much of the body as it announces are there.
std::string read_message(Connection& c, std::string& body) {
  std::string data;
  std::size_t end;
  while ((end = data.find("\r\n\r\n")) == std::string::npos) {
    std::string more = c.read_some();
    if (more.empty()) throw NetError("the peer closed the connection in the middle of a message");
    data += more;
    if (data.size() > kLargestRequest) throw NetError("the message is too large");
  }
  std::string head = data.substr(0, end + 2);
  body = data.substr(end + 4);
  std::size_t want = content_length(head);
  if (want > kLargestRequest) throw NetError("the message is too large");
  while (body.size() < want) {
    std::string more = c.read_some();
    if (more.empty()) throw NetError("the peer closed the connection in the middle of a message");
    body += more;
  }
  return head;
}

const char* reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 302: return "Found";
    case 404: return "Not Found";
    case 400: return "Bad Request";
    default: return "Internal Server Error";
  }
}

void answer(int fd, const std::function<Response(const Request&)>& handler) {
  Connection c(fd);
  try {
    Request request;
    std::string head = read_message(c, request.body);
    auto first = head.find(' '), second = head.find(' ', first + 1);
    if (second == std::string::npos) return;
    request.method = head.substr(0, first);
    request.path = head.substr(first + 1, second - first - 1);
    Response r = handler(request);
    std::string out = "HTTP/1.1 " + std::to_string(r.status) + " " + reason(r.status) + "\r\nContent-Type: " + r.type +
                      "\r\nContent-Length: " + std::to_string(r.body.size()) + "\r\nConnection: close\r\n";
    if (!r.location.empty()) out += "Location: " + r.location + "\r\n";
    c.write(out + "\r\n" + (request.method == "HEAD" ? "" : r.body));
  } catch (const std::exception&) {
    // A client that goes away or sends garbage concerns nobody else.
  }
}

}  // namespace

Connection::Connection(const std::string& host, int port) : fd_(-1) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, resolve(host).c_str(), &to.sin_addr);
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) throw_errno("make a socket");
  set_timeouts(fd_);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    int err = errno;
    close(fd_);
    errno = err;
    throw_errno("connect to " + host + ":" + std::to_string(port));
  }
}

Connection::~Connection() { close(fd_); }

void Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string Connection::read_some() {
  char chunk[4096];
  ssize_t n;
  while ((n = recv(fd_, chunk, sizeof chunk, 0)) < 0 && errno == EINTR) {
  }
  if (n < 0) throw_errno("receive");
  return std::string(chunk, static_cast<std::size_t>(n));
}

std::string Connection::read_all() {
  std::string out, more;
  while (!(more = read_some()).empty()) out += more;
  return out;
}

void serve(int port, bool concurrent, std::function<Response(const Request&)> handler) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, [](int) { _exit(0); });   // PID 1 of a container ends on TERM only when it says so
  signal(SIGINT, [](int) { _exit(0); });
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener, 128) != 0) {
    std::fprintf(stderr, "listen on port %d: %s\n", port, std::strerror(errno));
    std::exit(1);
  }
  log_line("listening on port " + std::to_string(port));
  while (true) {
    int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    set_timeouts(fd);
    if (concurrent)
      std::thread(answer, fd, handler).detach();
    else
      answer(fd, handler);
  }
}

std::string http(const std::string& method, const std::string& host, int port, const std::string& path, const std::string& body) {
  Connection c(host, port);
  c.write(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n" +
          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  std::string answer_body, head = read_message(c, answer_body);
  if (head.compare(8, 5, " 200 ") != 0) throw NetError(host + " answered " + head.substr(0, head.find('\r')));
  return answer_body;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

void log_line(const std::string& text) {
  std::time_t now = std::time(nullptr);
  std::tm tm{};
  gmtime_r(&now, &tm);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &tm);
  std::printf("%s %s\n", stamp, text.c_str());
  std::fflush(stdout);
}

}  // namespace coins
