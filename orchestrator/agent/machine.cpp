#include "orchestrator/agent/machine.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sstream>

#include "base/fs.h"

namespace lab::agent {

namespace {

std::string first_line(const std::string& path) {
  auto text = fs::read_file(path).value_or("");
  return text.substr(0, text.find('\n'));
}

std::int64_t field_of(const std::string& text, const std::string& key) {
  auto at = text.find(key);
  return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + key.size(), nullptr, 10);
}

std::string pretty_os_name() {
  std::istringstream lines(fs::read_file("/etc/os-release").value_or(""));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("PRETTY_NAME=")) {
      auto value = line.substr(12);
      std::erase(value, '"');
      return value;
    }
  return "Linux";
}

}  // namespace

MachineInfo read_machine() {
  MachineInfo m;
  m.machine_id = first_line("/etc/machine-id");
  m.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
  if (m.system_uuid.empty()) m.system_uuid = m.machine_id;
  m.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  utsname u{};
  ::uname(&u);
  m.kernel_version = u.release;
  std::string arch = u.machine;
  m.architecture = arch == "x86_64" ? "amd64" : arch == "aarch64" ? "arm64" : arch;
  m.os_image = pretty_os_name();
  cpu_set_t set;
  CPU_ZERO(&set);
  m.cpus = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                         : static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  m.memory_total = read_memory().total;
  m.boot_time = field_of(fs::read_file("/proc/stat").value_or(""), "btime ");
  return m;
}

MemoryUse read_memory() {
  auto text = fs::read_file("/proc/meminfo").value_or("");
  MemoryUse m;
  m.total = field_of(text, "MemTotal:") * 1024;
  m.available = field_of(text, "MemAvailable:") * 1024;
  m.rss = field_of(text, "AnonPages:") * 1024;
  auto vm = fs::read_file("/proc/vmstat").value_or("");
  m.page_faults = field_of(vm, "pgfault ");
  m.major_page_faults = field_of(vm, "pgmajfault ");
  return m;
}

std::int64_t cpu_used_ns() {
  std::istringstream line(first_line("/proc/stat"));
  std::string skip;
  std::int64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
  line >> skip >> user >> nice >> system >> idle >> iowait >> irq >> softirq;
  return (user + nice + system + irq + softirq) * (1'000'000'000 / ::sysconf(_SC_CLK_TCK));
}

DiskUse read_disk(const std::string& path) {
  struct statvfs s{};
  DiskUse d;
  if (::statvfs(path.c_str(), &s) != 0) return d;
  d.capacity = static_cast<std::int64_t>(s.f_blocks) * static_cast<std::int64_t>(s.f_frsize);
  d.available = static_cast<std::int64_t>(s.f_bavail) * static_cast<std::int64_t>(s.f_frsize);
  d.inodes = static_cast<std::int64_t>(s.f_files);
  d.inodes_free = static_cast<std::int64_t>(s.f_ffree);
  return d;
}

PidUse read_pids() {
  PidUse p;
  p.max = std::strtoll(first_line("/proc/sys/kernel/pid_max").c_str(), nullptr, 10);
  auto threads = std::strtoll(first_line("/proc/sys/kernel/threads-max").c_str(), nullptr, 10);
  if (threads > 0 && threads < p.max) p.max = threads;
  auto load = first_line("/proc/loadavg");  // "0.1 0.1 0.1 2/345 6789": 345 tasks
  auto slash = load.find('/');
  if (slash != std::string::npos) p.used = std::strtoll(load.c_str() + slash + 1, nullptr, 10);
  return p;
}

std::string default_address() {
  // No packet is sent: connecting a datagram socket only asks the routing table.
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{}, from{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  ::inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
  socklen_t length = sizeof from;
  char text[INET_ADDRSTRLEN] = "";
  if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&from), &length) == 0)
    ::inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
  if (fd >= 0) ::close(fd);
  if (*text) return text;
  ifaddrs* all = nullptr;
  std::string found;
  if (::getifaddrs(&all) != 0) return "";
  for (auto* i = all; i && found.empty(); i = i->ifa_next) {
    if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP))
      continue;
    ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr, text, sizeof text);
    found = text;
  }
  ::freeifaddrs(all);
  return found;
}

}  // namespace lab::agent
