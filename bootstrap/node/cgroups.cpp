#include "bootstrap/node/cgroups.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "base/fs.h"

namespace lab::bootstrap {

namespace {

constexpr std::string_view kNotControllers[] = {"rw",
                                                "ro",
                                                "relatime",
                                                "noatime",
                                                "nosuid",
                                                "nodev",
                                                "noexec",
                                                "xattr",
                                                "clone_children",
                                                "nsdelegate",
                                                "memory_recursiveprot"};
constexpr const char* kInitCgroup = "init";
constexpr int kCpuPeriod = 100000;  // microseconds

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::istringstream in(text);
  std::string part;
  while (std::getline(in, part, separator))
    if (!part.empty()) out.push_back(part);
  return out;
}

std::string file(const std::string& dir, const std::string& name) {
  return fs::join(dir, name);
}

bool has(const Hierarchy& h, std::string_view controller) {
  return std::find(h.controllers.begin(), h.controllers.end(), controller) != h.controllers.end();
}

// A new cpuset cgroup has no processors and no memory nodes: nothing can enter it until it has.
Result<void> inherit_cpuset(const std::string& dir) {
  const std::string parent = dir.substr(0, dir.rfind('/'));
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    LAB_TRY(auto mine, fs::read_file(file(dir, name)));
    if (mine.find_first_not_of(" \n") != std::string::npos) continue;
    LAB_TRY(auto theirs, fs::read_file(file(parent, name)));
    LAB_CHECK(fs::write_in_place(file(dir, name), theirs));
  }
  // Its children begin as it is: a runtime in a user namespace leaves their cpusets to whoever made them.
  LAB_CHECK(fs::write_in_place(file(dir, "cgroup.clone_children"), "1"));
  // Those that are made below get the same from the kernel: runtimes in a user namespace cannot give it to them.
  if (const std::string clone = file(dir, "cgroup.clone_children"); fs::exists(clone)) LAB_CHECK(fs::write_in_place(clone, "1"));
  return {};
}

Result<void> hand_down(const std::string& dir) {
  LAB_TRY(auto available, fs::read_file(file(dir, "cgroup.controllers")));
  for (const auto& controller : split(available.substr(0, available.find('\n')), ' '))
    (void)fs::write_in_place(file(dir, "cgroup.subtree_control"), "+" + controller);  // one that is busy stays above
  return {};
}

Result<void> limit(const Hierarchy& h, const std::string& dir, std::uint64_t memory_bytes, double cpus) {
  const auto quota = static_cast<long long>(std::llround(cpus * kCpuPeriod));
  if (memory_bytes > 0) {
    if (h.v2 && fs::exists(file(dir, "memory.max")))
      LAB_CHECK(fs::write_in_place(file(dir, "memory.max"), std::to_string(memory_bytes)));
    if (has(h, "memory"))
      LAB_CHECK(fs::write_in_place(file(dir, "memory.limit_in_bytes"), std::to_string(memory_bytes)));
  }
  if (cpus > 0) {
    if (h.v2 && fs::exists(file(dir, "cpu.max")))
      LAB_CHECK(fs::write_in_place(file(dir, "cpu.max"), std::to_string(quota) + " " + std::to_string(kCpuPeriod)));
    if (has(h, "cpu")) LAB_CHECK(fs::write_in_place(file(dir, "cpu.cfs_quota_us"), std::to_string(quota)));
  }
  return {};
}

enum class Inside { kNamed, kEnded };  // what becomes of processes that are still there

void end_processes(const std::string& dir) {
  for (const auto& line : split(fs::read_file(file(dir, "cgroup.procs")).value_or(""), '\n'))
    if (const int pid = std::atoi(line.c_str()); pid > 1) ::kill(pid, SIGKILL);  // 0: of another PID namespace
}

Result<void> remove_tree(const std::string& dir, Inside inside) {
  if (!fs::exists(dir)) return {};
  LAB_TRY(auto names, fs::list_dir(dir));
  for (const auto& name : names) {
    struct stat st;
    const std::string path = file(dir, name);
    if (::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) LAB_CHECK(remove_tree(path, inside));
  }
  // Processes that were killed leave their cgroup a moment after their end; others may still be on their way in.
  for (int i = 0; i < 200; ++i) {
    if (::rmdir(dir.c_str()) == 0 || errno == ENOENT) return {};
    if (errno != EBUSY) break;
    if (inside == Inside::kEnded) end_processes(dir);
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  auto left = fs::read_file(file(dir, "cgroup.procs"));
  std::string pids = left ? *left : "";
  std::replace(pids.begin(), pids.end(), '\n', ' ');
  return fail_errno("remove cgroup " + dir, pids.empty() ? "" : "it still holds the processes " + pids);
}

}  // namespace

Result<std::vector<Hierarchy>> cgroup_hierarchies() {
  LAB_TRY(auto mounts, fs::read_file("/proc/self/mounts"));
  std::vector<Hierarchy> out;
  for (const auto& line : split(mounts, '\n')) {
    auto fields = split(line, ' ');
    if (fields.size() < 4) continue;
    if (fields[2] == "cgroup2") out.push_back({.mount_point = fields[1], .v2 = true});
    if (fields[2] != "cgroup") continue;
    Hierarchy h{.mount_point = fields[1]};
    for (const auto& option : split(fields[3], ',')) {
      bool plain =
          std::find(std::begin(kNotControllers), std::end(kNotControllers), option) != std::end(kNotControllers);
      if (!plain && !option.starts_with("release_agent")) h.controllers.push_back(option);
    }
    // The same hierarchy may be mounted twice; once is enough.
    bool seen = std::any_of(out.begin(), out.end(),
                            [&](const Hierarchy& o) { return !o.v2 && o.controllers == h.controllers; });
    if (!seen) out.push_back(std::move(h));
  }
  if (out.empty())
    return fail(Code::kNotFound, "no cgroup hierarchy is mounted on this machine",
                "mount -t cgroup2 none /sys/fs/cgroup");
  return out;
}

bool unified_only(const std::vector<Hierarchy>& all) {
  return std::none_of(all.begin(), all.end(), [](const Hierarchy& h) { return has(h, "memory") || has(h, "cpu"); });
}

Result<void> make_cgroups(const std::string& path, std::uint64_t memory_bytes, double cpus) {
  LAB_TRY(auto all, cgroup_hierarchies());
  const bool v2_alone = unified_only(all);
  for (const auto& h : all) {
    std::string dir = h.mount_point;
    for (const auto& part : split(path, '/')) {
      if (h.v2 && v2_alone) LAB_CHECK(hand_down(dir));
      dir = file(dir, part);
      LAB_CHECK(fs::make_dirs(dir));
      if (has(h, "cpuset")) LAB_CHECK(inherit_cpuset(dir));
    }
    LAB_CHECK(limit(h, dir, memory_bytes, cpus));
  }
  return {};
}

Result<void> delegate_cgroups(const std::string& path, std::uint32_t user) {
  LAB_TRY(auto all, cgroup_hierarchies());
  for (const auto& h : all) {
    const std::string dir = file(h.mount_point, path);
    if (::chown(dir.c_str(), user, user) != 0) return fail_errno("hand over cgroup " + dir);
    for (const char* name : {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"})
      if (const std::string one = file(dir, name); fs::exists(one) && ::chown(one.c_str(), user, user) != 0)
        return fail_errno("hand over " + one);
  }
  return {};
}

Result<void> enter_cgroups(const std::string& path) {
  LAB_TRY(auto all, cgroup_hierarchies());
  for (const auto& h : all)
    LAB_CHECK(fs::write_in_place(file(file(h.mount_point, path), "cgroup.procs"), std::to_string(::getpid())));
  return {};
}

Result<void> enter_cgroups_of(int pid) {
  LAB_TRY(auto all, cgroup_hierarchies());
  LAB_TRY(auto text, fs::read_file("/proc/" + std::to_string(pid) + "/cgroup"));
  for (const auto& line : split(text, '\n')) {
    // "7:cpu,cpuacct:/lab/..." or "0::/lab/..."
    auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = split(line.substr(first + 1, second - first - 1), ',');
    for (const auto& h : all) {
      const bool same = h.v2 ? controllers.empty() : !controllers.empty() && has(h, controllers[0]);
      if (same)
        LAB_CHECK(fs::write_in_place(file(h.mount_point + line.substr(second + 1), "cgroup.procs"),
                                     std::to_string(::getpid())));
    }
  }
  return {};
}

Result<void> mount_cgroups(const std::string& root, const std::vector<Hierarchy>& host) {
  const std::string top = file(root, "sys/fs/cgroup");
  if (unified_only(host)) {
    if (::mount("cgroup2", top.c_str(), "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
      return fail_errno("mount " + top);
    LAB_CHECK(fs::make_dirs(file(top, kInitCgroup)));
    LAB_CHECK(fs::write_in_place(file(file(top, kInitCgroup), "cgroup.procs"), "0"));
    return hand_down(top);
  }
  // On a hybrid machine v2 stays out of sight: runtimes choose by what they find, and v1 has the controllers here.
  if (::mount("tmpfs", top.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k") != 0)
    return fail_errno("mount " + top);
  for (const auto& h : host) {
    if (h.v2) continue;
    std::string options;
    for (const auto& c : h.controllers) options += (options.empty() ? "" : ",") + c;
    if (options.starts_with("name=")) options = "none," + options;
    const std::string dir = file(top, h.mount_point.substr(h.mount_point.rfind('/') + 1));
    LAB_CHECK(fs::make_dirs(dir));
    if (::mount("cgroup", dir.c_str(), "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0)
      return fail_errno("mount cgroup " + options + " on " + dir);
    for (const auto& c : h.controllers)
      if (const std::string link = file(top, c); h.controllers.size() > 1 && !fs::exists(link))
        LAB_CHECK(fs::symlink(h.mount_point.substr(h.mount_point.rfind('/') + 1), link));
  }
  return {};
}

Result<void> remove_cgroups(const std::string& path) {
  LAB_TRY(auto all, cgroup_hierarchies());
  for (const auto& h : all) LAB_CHECK(remove_tree(file(h.mount_point, path), Inside::kNamed));
  return {};
}

Result<void> end_cgroups(const std::string& path) {
  LAB_TRY(auto all, cgroup_hierarchies());
  for (const auto& h : all) LAB_CHECK(remove_tree(file(h.mount_point, path), Inside::kEnded));
  return {};
}

}  // namespace lab::bootstrap
