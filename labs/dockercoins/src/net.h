// What the four programs need of the network: names, connections, and HTTP/1.0-style exchanges (RFC 9112), one request a
// connection, so that the services' balancing shows. Plain blocking sockets; static linking, hence no getaddrinfo.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace coins {

// Anything that went wrong with a peer; what() names it and the reason.
struct NetError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// IPv4 address of a host name: an address itself, /etc/hosts, then the name servers and search list of /etc/resolv.conf.
std::string resolve(const std::string& host);

class Connection {
 public:
  Connection(const std::string& host, int port);
  explicit Connection(int fd) : fd_(fd) {}
  Connection(const Connection&) = delete;
  ~Connection();
  void write(std::string_view bytes);
  std::string read_some();          // "" at the end
  std::string read_all();

 private:
  int fd_;
};

struct Request {
  std::string method, path, body;
};
struct Response {
  int status = 200;
  std::string type = "text/plain";
  std::string body;
  std::string location;             // of a redirect
};

// Serves for ever. With `concurrent` each connection has a thread; without, one request is served after the other.
[[noreturn]] void serve(int port, bool concurrent, std::function<Response(const Request&)> handler);

// One exchange on a new connection. NetError on anything but 200.
std::string http(const std::string& method, const std::string& host, int port, const std::string& path,
                 const std::string& body = {});

std::string host_name();
void log_line(const std::string& text);   // with the time, to standard output, at once

}  // namespace coins
