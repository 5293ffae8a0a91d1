// Probes: servers and clients on real sockets inside namespaces, without a process of their own.
//
// A program started per connection has to win races on a busy machine (socat, for one, drops the answer of a command
// that ended before its transfer loop began). Here a server listens when its constructor returns, and a client waits
// for the answer itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <thread>

#include "base/netlink/netns.h"

namespace lab::test {

// Greets every TCP connection with "WORD CLIENT-ADDRESS\n" and then sends back what it gets; answers every UDP datagram
// with the greeting. Port 0: not this protocol. Throws when a port cannot be bound.
class AnswerServer {
 public:
  struct Options {
    std::string word;
    std::uint16_t tcp = 0, udp = 0;
  };
  AnswerServer(const NetNs& ns, Options options);
  ~AnswerServer();
  AnswerServer(const AnswerServer&) = delete;
  AnswerServer& operator=(const AnswerServer&) = delete;

 private:
  void serve(std::stop_token stop);
  void answer_datagram();

  Options options_;
  int tcp_ = -1, udp_ = -1, wake_ = -1;
  std::jthread thread_;
};

inline constexpr std::chrono::seconds kGenerous{30};

// One end of a TCP connection; `to` is "ADDRESS:PORT". Lines come without their end; what went wrong comes as text in
// their place, as the system words it ("Connection refused", "Connection timed out").
class Connection {
 public:
  Connection(const NetNs& from, const std::string& to, std::chrono::milliseconds limit = kGenerous);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::string line(std::chrono::milliseconds limit = kGenerous);
  void say(const std::string& line);

 private:
  int fd_ = -1;
  std::string error_, buffered_;
};

// The greeting of a new connection.
std::string ask_tcp(const NetNs& from, const std::string& to, std::chrono::milliseconds limit = kGenerous);
// The answer to one datagram, sent from this port (0: any).
std::string ask_udp(const NetNs& from, const std::string& to, std::uint16_t from_port = 0,
                    std::chrono::milliseconds limit = kGenerous);

}  // namespace lab::test
