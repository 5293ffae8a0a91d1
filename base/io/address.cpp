#include "base/io/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

#include "base/io/descriptor.h"
#include "base/io/oneshot.h"
#include "base/io/pool.h"

namespace lab {

std::string SocketAddress::text() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, buffer, sizeof buffer);
  } else if (storage.ss_family == AF_INET6) {
    const auto& addr = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&addr)) {
      inet_ntop(AF_INET, addr.s6_addr + 12, buffer, sizeof buffer);
    } else {
      inet_ntop(AF_INET6, &addr, buffer, sizeof buffer);
    }
  } else {
    return {};
  }
  return host_port(buffer, port());
}

int SocketAddress::port() const {
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  return 0;
}

bool is_ip_literal(const std::string& host) {
  in6_addr scratch;
  return inet_pton(AF_INET, host.c_str(), &scratch) == 1 || inet_pton(AF_INET6, host.c_str(), &scratch) == 1;
}

std::string host_port(const std::string& host, int port) {
  bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

SocketAddress local_address(int fd) {
  SocketAddress out;
  out.length = sizeof out.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&out.storage), &out.length) != 0) out.length = 0;
  return out;
}

SocketAddress peer_address(int fd) {
  SocketAddress out;
  out.length = sizeof out.storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&out.storage), &out.length) != 0) out.length = 0;
  return out;
}

Result<std::vector<SocketAddress>> resolve_blocking(const std::string& host, int port, bool literal_only) {
  addrinfo want{};
  want.ai_family = AF_UNSPEC;
  want.ai_socktype = SOCK_STREAM;
  want.ai_flags = AI_NUMERICSERV | (literal_only ? AI_NUMERICHOST : 0);
  addrinfo* list = nullptr;
  int rc = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &want, &list);
  if (rc != 0) {
    std::string why = rc == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(rc);
    return fail(Code::kUnavailable, "resolve " + host + ": " + why,
                "check the name, and the name servers in /etc/resolv.conf");
  }
  std::vector<SocketAddress> out;
  for (addrinfo* a = list; a; a = a->ai_next) {
    SocketAddress one;
    std::memcpy(&one.storage, a->ai_addr, a->ai_addrlen);
    one.length = a->ai_addrlen;
    out.push_back(one);
  }
  freeaddrinfo(list);
  if (out.empty()) return fail(Code::kUnavailable, "resolve " + host + ": no addresses");
  return out;
}

Task<Result<std::vector<SocketAddress>>> resolve(std::string host, int port, Duration timeout) {
  if (is_ip_literal(host)) co_return resolve_blocking(host, port, true);
  static Pool pool("resolve", 4);
  OneShot<Result<std::vector<SocketAddress>>> done;
  pool.submit([done, host, port]() mutable { done.set(resolve_blocking(host, port, false)); });
  Deadline deadline(timeout, [done, host]() mutable {
    done.set(fail(Code::kTimeout, "resolve " + host + ": the name servers did not answer in time",
                  "check the name servers in /etc/resolv.conf"));
  });
  co_return co_await done.wait();
}

}  // namespace lab
