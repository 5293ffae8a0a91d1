#include "labs/classroom/server/listeners.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/fs.h"
#include "labs/classroom/server/node_ports.h"

namespace lab::classroom {

namespace {

constexpr std::size_t kMost = 20;           // of one node, of which a page makes a list
constexpr std::string_view kListen = "0A";  // TCP_LISTEN
// What runs on every node: DNS, etcd, the API server, the mesh, the kubelet and the control plane's health.
constexpr int kDaemons[] = {22, 53, 2379, 2380, 2381, 6443, 6783, 6784, 9153};
constexpr int kFirstOfKubernetes = 10248, kLastOfKubernetes = 10260;
constexpr int kFirstNodePort = 30000, kLastNodePort = 32767;

bool is_daemons(int port) {
  return std::ranges::find(kDaemons, port) != std::end(kDaemons) ||
         (port >= kFirstOfKubernetes && port <= kLastOfKubernetes) || (port >= kFirstNodePort && port <= kLastNodePort);
}

// As the kernel prints them: words of 32 bits in the machine's own order, which is little-endian.
bool is_loopback(std::string_view address) {
  if (address.size() == 8) return address.ends_with("7F");
  return address == "00000000000000000000000001000000" ||
         (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"));
}

std::string_view word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto end = std::min(line.find(' '), line.size());
  const auto out = line.substr(0, end);
  line.remove_prefix(end);
  return out;
}

void read_table(std::string_view table, std::set<int>& out) {
  while (!table.empty()) {
    const auto end = std::min(table.find('\n'), table.size());
    auto line = table.substr(0, end);
    table.remove_prefix(std::min(end + 1, table.size()));
    word(line);  // its number
    const auto local = word(line);
    word(line);  // the other end
    const auto colon = local.find(':');
    if (word(line) != kListen || colon == local.npos || is_loopback(local.substr(0, colon))) continue;
    int port = 0;
    const auto digits = local.substr(colon + 1);
    const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port, 16);
    if (error == std::errc() && last == digits.data() + digits.size() && port > 0 && port <= 65535 && !is_daemons(port))
      out.insert(port);
  }
}

}  // namespace

std::vector<int> listening_ports(std::string_view tcp, std::string_view tcp6) {
  std::set<int> out;
  read_table(tcp, out);
  read_table(tcp6, out);
  return {out.begin(), out.end()};
}

json::Array listeners(exercises::Evaluator& lab, const std::string& student, int ports_port) {
  json::Array out;
  const auto states = lab.driver().list();
  if (!states) return out;
  for (const auto& node : *states) {
    if (!node.running || node.pid <= 0) continue;
    const std::string net = "/proc/" + std::to_string(node.pid) + "/net/";
    auto ports = listening_ports(fs::read_file(net + "tcp").value_or(""), fs::read_file(net + "tcp6").value_or(""));
    if (ports.size() > kMost) ports.resize(kMost);
    for (const int port : ports) out.push_back(port_link(student, node.spec.name, port, "", ports_port));
  }
  return out;
}

}  // namespace lab::classroom
