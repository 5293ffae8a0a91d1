#include "orchestrator/agent/node_use.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

#include "base/fs.h"
#include "orchestrator/agent/machine.h"

namespace lab::agent {

namespace {

std::optional<std::int64_t> number(const std::string& path) {
  auto text = fs::read_file(path);
  std::int64_t out = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), out).ec != std::errc{}) return std::nullopt;
  return out;
}

// From a file of "name value" lines.
std::optional<std::int64_t> field(const std::string& path, const std::string& name) {
  auto text = fs::read_file(path);
  if (!text) return std::nullopt;
  std::istringstream lines(*text);
  std::string key;
  for (std::int64_t value = 0; lines >> key >> value;)
    if (key == name) return value;
  return std::nullopt;
}

std::optional<std::int64_t> cpu(const std::string& cgroups) {
  for (const char* controller : {"cpuacct", "cpu,cpuacct"})
    if (auto used = number(fs::join(cgroups, controller) + "/cpuacct.usage")) return used;
  if (auto used = field(fs::join(cgroups, "cpu.stat"), "usage_usec")) return *used * 1000;
  return std::nullopt;
}

std::optional<std::int64_t> working_set(const std::string& cgroups) {
  auto used = number(fs::join(cgroups, "memory/memory.usage_in_bytes"));
  auto idle = field(fs::join(cgroups, "memory/memory.stat"), "total_inactive_file");
  if (!used) {
    used = number(fs::join(cgroups, "memory.current"));  // version 2; the machine's own root has none
    idle = field(fs::join(cgroups, "memory.stat"), "inactive_file");
  }
  if (!used) return std::nullopt;
  return std::max<std::int64_t>(0, *used - idle.value_or(0));
}

}  // namespace

NodeUse read_node_use(const std::string& cgroups) {
  NodeUse out;
  if (auto used = cpu(cgroups))
    out.cpu_ns = *used;
  else
    out.cpu_ns = cpu_used_ns();
  if (auto set = working_set(cgroups)) {
    out.working_set = *set;
  } else {
    auto memory = read_memory();
    out.working_set = memory.total - memory.available;
  }
  return out;
}

}  // namespace lab::agent
