// Names without NSS: a static program cannot load what getaddrinfo would need. RFC 1035, A records over UDP.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "labs/dockercoins/src/net.h"

namespace coins {

namespace {

constexpr int kAttempts = 2;
constexpr int kTimeoutSeconds = 2;
constexpr std::uint16_t kTypeA = 1, kClassIn = 1;

struct Config {
  std::vector<std::string> servers, search;
  int ndots = 1;
};

Config read_config() {
  Config config;
  std::ifstream file("/etc/resolv.conf");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    if (key == "search") config.search.clear();
    while (words >> word) {
      if (key == "nameserver") config.servers.push_back(word);
      if (key == "search") config.search.push_back(word);
      if (key == "options" && word.rfind("ndots:", 0) == 0) config.ndots = std::atoi(word.c_str() + 6);
    }
  }
  return config;
}

std::string from_hosts(const std::string& host) {
  std::ifstream file("/etc/hosts");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address, name;
    words >> address;
    in_addr parsed;
    if (inet_pton(AF_INET, address.c_str(), &parsed) != 1) continue;
    while (words >> name)
      if (name == host) return address;
  }
  return {};
}

void put16(std::string& out, unsigned v) {
  out += static_cast<char>(v >> 8);
  out += static_cast<char>(v & 255);
}

std::string question(const std::string& name, std::uint16_t id) {
  std::string q;
  put16(q, id);
  put16(q, 0x0100);   // recursion desired
  for (unsigned count : {1u, 0u, 0u, 0u}) put16(q, count);
  std::istringstream labels(name);
  std::string label;
  while (std::getline(labels, label, '.'))
    if (!label.empty() && label.size() < 64) q += static_cast<char>(label.size()) + label;
  q += '\0';
  put16(q, kTypeA);
  put16(q, kClassIn);
  return q;
}

// First A record of an answer; "" when there is none. Every step checks that the packet is long enough.
std::string first_address(const std::string& packet, std::uint16_t id) {
  auto byte = [&](std::size_t i) { return i < packet.size() ? static_cast<unsigned char>(packet[i]) : 0u; };
  auto word = [&](std::size_t i) { return byte(i) << 8 | byte(i + 1); };
  if (packet.size() < 12 || word(0) != id) return {};
  auto skip_name = [&](std::size_t i) {
    while (i < packet.size() && byte(i) != 0 && byte(i) < 0xc0) i += byte(i) + 1;
    return byte(i) >= 0xc0 ? i + 2 : i + 1;
  };
  std::size_t at = 12;
  for (unsigned n = word(4); n > 0; --n) at = skip_name(at) + 4;
  for (unsigned n = word(6); n > 0 && at < packet.size(); --n) {
    at = skip_name(at);
    unsigned type = word(at), length = word(at + 8);
    if (type == kTypeA && length == 4 && at + 14 <= packet.size()) {
      char text[INET_ADDRSTRLEN];
      inet_ntop(AF_INET, packet.data() + at + 10, text, sizeof text);
      return text;
    }
    at += 10 + length;
  }
  return {};
}

std::string ask(const std::string& server, const std::string& name) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  timeval limit{.tv_sec = kTimeoutSeconds, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(53);
  inet_pton(AF_INET, server.c_str(), &to.sin_addr);
  const auto id = static_cast<std::uint16_t>(std::rand());
  std::string q = question(name, id), found;
  char answer[1500];
  ssize_t n = 0;
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 && send(fd, q.data(), q.size(), 0) > 0 &&
      (n = recv(fd, answer, sizeof answer, 0)) > 0)
    found = first_address(std::string(answer, static_cast<std::size_t>(n)), id);
  close(fd);
  return found;
}

}  // namespace

std::string resolve(const std::string& host) {
  in_addr parsed;
  if (inet_pton(AF_INET, host.c_str(), &parsed) == 1) return host;
  if (auto address = from_hosts(host); !address.empty()) return address;
  const Config config = read_config();
  std::vector<std::string> names;
  for (const auto& suffix : config.search) names.push_back(host + "." + suffix);
  names.push_back(host);
  for (int attempt = 0; attempt < kAttempts; ++attempt)
    for (const auto& name : names)
      for (const auto& server : config.servers)
        if (auto address = ask(server, name); !address.empty()) return address;
  throw NetError("the name \"" + host + "\" is not known to the name servers");
}

}  // namespace coins
