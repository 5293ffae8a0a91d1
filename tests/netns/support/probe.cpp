#include "tests/netns/support/probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

namespace lab::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string said(int error) {
  return std::strerror(error);
}

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(what + ": " + said(errno));
}

sockaddr_in address_of(const std::string& text, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  if (::inet_pton(AF_INET, text.c_str(), &out.sin_addr) != 1) throw std::runtime_error("no IPv4 address: " + text);
  return out;
}
sockaddr_in target_of(const std::string& text) {
  auto colon = text.find(':');
  return address_of(text.substr(0, colon), static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1))));
}

int open_socket(int type, std::uint16_t port) {
  int fd = ::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) give_up("socket");
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto any = address_of("0.0.0.0", port);
  if (port && ::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) {
    ::close(fd);
    give_up("bind port " + std::to_string(port));
  }
  return fd;
}

// A socket of that namespace: it stays there, whoever uses it.
int open_in(const NetNs& ns, int type, std::uint16_t port = 0) {
  int fd = -1;
  if (auto entered = run_in_netns(ns, [&] { fd = open_socket(type, port); }); !entered) {
    throw std::runtime_error(entered.error().text());
  }
  return fd;
}

bool wait_until_ready(int fd, short events, Clock::time_point deadline) {
  while (true) {
    auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd p{fd, events, 0};
    int n = ::poll(&p, 1, static_cast<int>(std::max<long long>(left, 0)));
    if (n > 0) return true;
    if (n == 0 && Clock::now() >= deadline) return false;
  }
}

// 0, or what the connection attempt came to.
int connect_within(int fd, const sockaddr_in& to, Clock::time_point deadline) {
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait_until_ready(fd, POLLOUT, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

std::string greeting(const std::string& word, const sockaddr_in& client) {
  char text[INET_ADDRSTRLEN];
  return word + " " + ::inet_ntop(AF_INET, &client.sin_addr, text, sizeof text) + "\n";
}

}  // namespace

AnswerServer::AnswerServer(const NetNs& ns, Options options) : options_(std::move(options)) {
  if (options_.tcp) {
    tcp_ = open_in(ns, SOCK_STREAM, options_.tcp);
    if (::listen(tcp_, 128) != 0) give_up("listen");
  }
  if (options_.udp) udp_ = open_in(ns, SOCK_DGRAM, options_.udp);
  wake_ = ::eventfd(0, EFD_CLOEXEC);
  thread_ = std::jthread([this](std::stop_token stop) { serve(std::move(stop)); });
}

AnswerServer::~AnswerServer() {
  thread_.request_stop();
  ::eventfd_write(wake_, 1);
  thread_.join();
  for (int fd : {tcp_, udp_, wake_}) {
    if (fd >= 0) ::close(fd);
  }
}

void AnswerServer::serve(std::stop_token stop) {
  std::vector<pollfd> fds{{wake_, POLLIN, 0}, {tcp_, POLLIN, 0}, {udp_, POLLIN, 0}};
  while (!stop.stop_requested()) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    for (std::size_t i = 3; i < fds.size(); ++i) {
      if (!fds[i].revents) continue;
      char buffer[4096];
      auto n = ::recv(fds[i].fd, buffer, sizeof buffer, 0);
      if (n > 0 && ::send(fds[i].fd, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL) == n) continue;
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      ::close(std::exchange(fds[i].fd, -1));
    }
    fds.erase(std::remove_if(fds.begin() + 3, fds.end(), [](const pollfd& p) { return p.fd < 0; }), fds.end());
    if (fds[2].revents) answer_datagram();
    if (!fds[1].revents) continue;
    sockaddr_in client{};
    socklen_t size = sizeof client;
    int fd = ::accept4(tcp_, reinterpret_cast<sockaddr*>(&client), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) continue;
    auto hello = greeting(options_.word, client);
    (void)::send(fd, hello.data(), hello.size(), MSG_NOSIGNAL);
    fds.push_back({fd, POLLIN, 0});
  }
  for (std::size_t i = 3; i < fds.size(); ++i) ::close(fds[i].fd);
}

void AnswerServer::answer_datagram() {
  sockaddr_in client{};
  socklen_t size = sizeof client;
  char buffer[512];
  if (::recvfrom(udp_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&client), &size) < 0) return;
  auto answer = greeting(options_.word, client);
  (void)::sendto(udp_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&client), size);
}

Connection::Connection(const NetNs& from, const std::string& to, milliseconds limit) : fd_(open_in(from, SOCK_STREAM)) {
  if (int e = connect_within(fd_, target_of(to), Clock::now() + limit)) error_ = said(e);
}

Connection::~Connection() {
  ::close(fd_);
}

std::string Connection::line(milliseconds limit) {
  if (!error_.empty()) return error_;
  auto deadline = Clock::now() + limit;
  while (true) {
    if (auto end = buffered_.find('\n'); end != std::string::npos) {
      auto out = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return out;
    }
    if (!wait_until_ready(fd_, POLLIN, deadline)) return "no answer";
    char chunk[4096];
    auto n = ::recv(fd_, chunk, sizeof chunk, 0);
    if (n > 0) {
      buffered_.append(chunk, static_cast<std::size_t>(n));
    } else if (n == 0) {
      return "closed";
    } else if (errno != EAGAIN && errno != EINTR) {
      return said(errno);
    }
  }
}

void Connection::say(const std::string& line) {
  auto text = line + "\n";
  if (::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) < 0 && error_.empty()) error_ = said(errno);
}

std::string ask_tcp(const NetNs& from, const std::string& to, milliseconds limit) {
  return Connection(from, to, limit).line(limit);
}

std::string ask_udp(const NetNs& from, const std::string& to, std::uint16_t from_port, milliseconds limit) {
  int fd = open_in(from, SOCK_DGRAM, from_port);
  auto target = target_of(to);
  std::string out;
  char buffer[512];
  if (::connect(fd, reinterpret_cast<sockaddr*>(&target), sizeof target) != 0 || ::send(fd, "q\n", 2, 0) < 0) {
    out = said(errno);
  } else if (!wait_until_ready(fd, POLLIN, Clock::now() + limit)) {
    out = "no answer";
  } else if (auto n = ::recv(fd, buffer, sizeof buffer, 0); n < 0) {
    out = said(errno);
  } else {
    out.assign(buffer, static_cast<std::size_t>(n));
    if (out.ends_with('\n')) out.pop_back();
  }
  ::close(fd);
  return out;
}

}  // namespace lab::test
