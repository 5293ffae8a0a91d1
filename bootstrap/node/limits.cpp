#include "bootstrap/node/limits.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>

#include "base/fs.h"
#include "bootstrap/node/cgroups.h"

namespace lab::bootstrap {

namespace {

constexpr int kCpuPeriod = 100000;  // microseconds

bool has(const Hierarchy& h, const std::string& controller) {
  return std::find(h.controllers.begin(), h.controllers.end(), controller) != h.controllers.end();
}

Result<void> write(const std::string& dir, const std::string& name, const std::string& value, const char* hint) {
  const std::string path = fs::join(dir, name);
  if (!fs::exists(path)) return {};  // a controller that this machine has elsewhere, or not at all
  auto done = fs::write_in_place(path, value);
  if (done) return {};
  auto error = std::move(done).error();
  // EBUSY: memory that cannot be reclaimed; EINVAL: a cgroup below has a higher limit (v1's processors).
  if (error.sys_errno == EBUSY || error.sys_errno == EINVAL) {
    error.code = Code::kConflict;
    error.hint = hint;
  }
  return std::unexpected(std::move(error).with_context("limit " + path + " to " + value));
}

std::string number_or(std::uint64_t value, const char* none) {
  return value > 0 ? std::to_string(value) : none;
}

// v1: memory with swap can never be below memory alone, so it goes out of the way first.
Result<void> limit_memory(const Hierarchy& h, const std::string& dir, std::uint64_t bytes) {
  constexpr const char* kHint = "the lab holds more than that now: stop it first, or choose a higher limit";
  if (h.v2) {
    LAB_CHECK(write(dir, "memory.max", number_or(bytes, "max"), kHint));
    return write(dir, "memory.swap.max", bytes > 0 ? "0" : "max", kHint);
  }
  if (!has(h, "memory")) return {};
  LAB_CHECK(write(dir, "memory.memsw.limit_in_bytes", "-1", kHint));
  LAB_CHECK(write(dir, "memory.limit_in_bytes", number_or(bytes, "-1"), kHint));
  return write(dir, "memory.memsw.limit_in_bytes", number_or(bytes, "-1"), kHint);
}

Result<void> limit_cpus(const Hierarchy& h, const std::string& dir, double cpus) {
  constexpr const char* kHint = "a node or pod of the lab has a higher limit of its own: stop the lab first";
  const auto quota = std::to_string(std::llround(cpus * kCpuPeriod));
  if (h.v2) return write(dir, "cpu.max", (cpus > 0 ? quota : "max") + " " + std::to_string(kCpuPeriod), kHint);
  return has(h, "cpu") ? write(dir, "cpu.cfs_quota_us", cpus > 0 ? quota : "-1", kHint) : Result<void>{};
}

Result<void> limit_pids(const Hierarchy& h, const std::string& dir, std::uint64_t pids) {
  return h.v2 || has(h, "pids") ? write(dir, "pids.max", number_or(pids, "max"), "") : Result<void>{};
}

std::uint64_t number_in(const std::string& path) {
  return std::strtoull(fs::read_file(path).value_or("0").c_str(), nullptr, 10);
}

// "NAME VALUE" among a file's lines.
std::uint64_t field_of(const std::string& path, const std::string& name) {
  const std::string text = "\n" + fs::read_file(path).value_or("");
  const auto at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + name.size() + 2, nullptr, 10);
}

std::uint64_t oom_kills_below(const std::string& dir, int depth) {  // v1 counts where it happened, not above
  std::uint64_t out = field_of(fs::join(dir, "memory.oom_control"), "oom_kill");
  if (depth == 0) return out;
  if (auto names = fs::list_dir(dir))
    for (const auto& name : *names)
      if (fs::exists(fs::join(fs::join(dir, name), "memory.oom_control")))
        out += oom_kills_below(fs::join(dir, name), depth - 1);
  return out;
}

}  // namespace

Result<void> limit_cgroup(const std::string& path, const LabLimits& limits) {
  LAB_TRY(auto all, cgroup_hierarchies());
  for (const auto& h : all) {
    const std::string dir = fs::join(h.mount_point, path);
    LAB_CHECK(limit_memory(h, dir, limits.memory_bytes));
    LAB_CHECK(limit_cpus(h, dir, limits.cpus));
    LAB_CHECK(limit_pids(h, dir, limits.pids));
  }
  return {};
}

Result<LabUsage> cgroup_usage(const std::string& path) {
  constexpr int kDepth = 8;
  LAB_TRY(auto all, cgroup_hierarchies());
  LabUsage out;
  for (const auto& h : all) {
    const std::string dir = fs::join(h.mount_point, path);
    auto take = [&](std::uint64_t& to, std::uint64_t value) { to = std::max(to, value); };
    if (h.v2) {
      take(out.memory_bytes, number_in(fs::join(dir, "memory.current")));
      take(out.cpu_microseconds, unified_only(all) ? field_of(fs::join(dir, "cpu.stat"), "usage_usec") : 0);
      take(out.oom_kills, field_of(fs::join(dir, "memory.events"), "oom_kill"));
      take(out.pids, number_in(fs::join(dir, "pids.current")));
    }
    if (has(h, "memory")) {
      take(out.memory_bytes, number_in(fs::join(dir, "memory.usage_in_bytes")));
      take(out.oom_kills, oom_kills_below(dir, kDepth));
    }
    if (has(h, "cpuacct")) take(out.cpu_microseconds, number_in(fs::join(dir, "cpuacct.usage")) / 1000);
    if (has(h, "pids")) take(out.pids, number_in(fs::join(dir, "pids.current")));
  }
  return out;
}

}  // namespace lab::bootstrap
