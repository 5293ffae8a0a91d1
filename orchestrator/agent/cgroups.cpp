#include "orchestrator/agent/cgroups.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <sstream>

#include "base/fs.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "orchestrator/agent/pod.h"

namespace lab::agent {

namespace {

// The controllers that the agent sets limits in, and those whose empty directories it must tidy.
constexpr auto kSystemdLimit = std::chrono::seconds(30);
const std::set<std::string> kLimited{"cpu", "memory", "pids"};

std::string slice_uid(std::string uid) {
  std::ranges::replace(uid, '-', '_');
  return uid;
}

// Removes the directory and those below it, deepest first: cgroup directories hold no removable files.
bool remove_tree(const std::string& dir) {
  if (auto names = fs::list_dir(dir))
    for (const auto& name : *names) {
      std::string below = fs::join(dir, name);
      struct stat st{};
      if (::lstat(below.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) remove_tree(below);
    }
  return ::rmdir(dir.c_str()) == 0 || errno == ENOENT;
}

}  // namespace

std::vector<std::string> slice_properties(const PodLimits& limits, std::int64_t pids) {
  std::vector<std::string> out{"CPUWeight=" + std::to_string(cpu_weight(limits.cpu_shares))};
  // In percent of one processor; rounded up, so that a small quota does not vanish.
  if (limits.cpu_quota)
    out.push_back("CPUQuota=" + std::to_string((*limits.cpu_quota * 100 + kCpuPeriod - 1) / kCpuPeriod) + "%");
  if (limits.memory) out.push_back("MemoryMax=" + std::to_string(*limits.memory));
  if (pids > 0) out.push_back("TasksMax=" + std::to_string(pids));
  return out;
}

Cgroups::Cgroups(CgroupOptions options) : options_(std::move(options)) {
  auto text = fs::read_file("/proc/self/mountinfo").value_or("");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream left(line.substr(0, dash)), right(line.substr(dash + 3));
    std::string skip, mount, type, source, super;
    left >> skip >> skip >> skip >> skip >> mount;
    right >> type >> source >> super;
    if (!mount.starts_with(options_.mounts)) continue;
    if (type == "cgroup2") {
      auto controllers = fs::read_file(mount + "/cgroup.controllers").value_or("");
      if (controllers.find("memory") != std::string::npos) v2_ = mount;
    } else if (type == "cgroup") {
      std::istringstream list(super);
      for (std::string option; std::getline(list, option, ',');) {
        if (option == "rw" || option == "ro" || option == "xattr" || option.empty()) continue;
        v1_.emplace(option.starts_with("name=") ? option.substr(5) : option, mount);
      }
    }
  }
  if (v1_.contains("memory")) v2_.clear();  // hybrid: the controllers are on v1
  if (!v2_.empty()) v1_.clear();
}

std::string Cgroups::slice_path(const std::string& uid, Qos qos) const {
  std::string sub = qos == Qos::kBurstable ? "burstable" : qos == Qos::kBestEffort ? "besteffort" : "";
  if (options_.driver == "systemd") {
    std::string path = "kubepods.slice", name = "kubepods";
    if (!sub.empty()) {
      name += "-" + sub;
      path += "/" + name + ".slice";
    }
    if (!uid.empty()) path += "/" + name + "-pod" + slice_uid(uid) + ".slice";
    return path;
  }
  std::string path = fs::join(options_.root, "kubepods");
  if (!sub.empty()) path = fs::join(path, sub);
  if (!uid.empty()) path = fs::join(path, "pod" + uid);
  return path;
}

std::string Cgroups::parent_of(const json::Value& pod) const {
  std::string path = slice_path(uid_of(pod), qos_of(pod));
  if (options_.driver == "systemd") return path.substr(path.rfind('/') + 1);
  return path;
}

std::string Cgroups::directory(const std::string& controller, const std::string& path) const {
  if (!v2_.empty()) return fs::join(v2_, path);
  auto it = v1_.find(controller);
  return it == v1_.end() ? "" : fs::join(it->second, path);
}

void Cgroups::set(const std::string& controller, const std::string& path, const std::string& file,
                  const std::string& value) const {
  auto dir = directory(controller, path);
  if (dir.empty()) return;
  if (auto done = fs::write_in_place(fs::join(dir, file), value); !done)
    log::debug("a cgroup limit is not set", {{"file", fs::join(dir, file)}, {"why", done.error().text()}});
}

void Cgroups::enable_controllers(const std::string& path) const {
  // v2: a controller works in a cgroup only when every one above hands it down.
  std::string at = v2_;
  std::istringstream parts(path);
  auto hand_down = [](const std::string& dir) {
    for (const char* c : {"+cpu", "+memory", "+pids", "+cpuset", "+io"})
      (void)fs::write_in_place(fs::join(dir, "cgroup.subtree_control"), c);
  };
  hand_down(at);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty()) continue;
    at = fs::join(at, part);
    (void)fs::make_dirs(at);
    hand_down(at);
  }
}

Result<void> Cgroups::make_slice(const std::string& name, const std::vector<std::string>& properties) const {
  std::vector<std::string> set{"systemctl", "set-property", "--runtime", name};
  set.insert(set.end(), properties.begin(), properties.end());
  LAB_CHECK(run_checked({.argv = std::move(set), .timeout = kSystemdLimit}));
  LAB_CHECK(run_checked({.argv = {"systemctl", "start", name}, .timeout = kSystemdLimit}));
  return {};
}

Result<void> Cgroups::make_pod(const json::Value& pod) const {
  Qos qos = qos_of(pod);
  std::string path = slice_path(uid_of(pod), qos);
  PodLimits limits = pod_limits(pod);
  if (by_systemd()) return make_slice(parent_of(pod), slice_properties(limits, options_.pod_pids));
  if (!v2_.empty()) {
    enable_controllers(path);
    LAB_CHECK(fs::make_dirs(fs::join(v2_, path)));
    if (qos == Qos::kBestEffort) set("cpu", slice_path("", qos), "cpu.weight", "1");
    set("cpu", path, "cpu.weight", std::to_string(cpu_weight(limits.cpu_shares)));
    if (limits.cpu_quota)
      set("cpu", path, "cpu.max", std::to_string(*limits.cpu_quota) + " " + std::to_string(kCpuPeriod));
    if (limits.memory) set("memory", path, "memory.max", std::to_string(*limits.memory));
    if (options_.pod_pids > 0) set("pids", path, "pids.max", std::to_string(options_.pod_pids));
    return {};
  }
  for (const auto& [controller, mount] : v1_)
    if (kLimited.contains(controller)) LAB_CHECK(fs::make_dirs(fs::join(mount, path)));
  if (qos == Qos::kBestEffort) set("cpu", slice_path("", qos), "cpu.shares", "2");
  set("cpu", path, "cpu.shares", std::to_string(limits.cpu_shares));
  if (limits.cpu_quota) {
    set("cpu", path, "cpu.cfs_period_us", std::to_string(kCpuPeriod));
    set("cpu", path, "cpu.cfs_quota_us", std::to_string(*limits.cpu_quota));
  }
  if (limits.memory) set("memory", path, "memory.limit_in_bytes", std::to_string(*limits.memory));
  if (options_.pod_pids > 0) set("pids", path, "pids.max", std::to_string(options_.pod_pids));
  return {};
}

std::set<std::string> Cgroups::all_mounts() const {
  std::set<std::string> mounts;
  if (!v2_.empty()) mounts.insert(v2_);
  for (const auto& [controller, mount] : v1_) mounts.insert(mount);
  // On a hybrid machine the runtime makes a directory on the unified tree too.
  mounts.insert(fs::join(options_.mounts, "unified"));
  return mounts;
}

Result<void> Cgroups::remove_all() const {
  const std::string tree = slice_path("", Qos::kGuaranteed);
  if (by_systemd() && fs::exists(fs::join(v2_, tree)))
    LAB_CHECK(run_checked({.argv = {"systemctl", "stop", tree}, .timeout = kSystemdLimit}));
  for (const auto& mount : all_mounts())
    if (std::string dir = fs::join(mount, tree); fs::exists(dir) && !remove_tree(dir))
      return fail(Code::kConflict, dir + " is still in use", "see which processes: systemd-cgls " + tree);
  return {};
}

Result<void> Cgroups::remove_pod(const std::string& uid) const {
  bool all = true;
  if (by_systemd())
    for (Qos qos : {Qos::kGuaranteed, Qos::kBurstable, Qos::kBestEffort}) {
      const std::string path = slice_path(uid, qos), name = path.substr(path.rfind('/') + 1);
      if (!fs::exists(fs::join(v2_, path))) continue;
      LAB_CHECK(run_checked({.argv = {"systemctl", "stop", name}, .timeout = kSystemdLimit}));
      LAB_CHECK(run_checked({.argv = {"systemctl", "revert", name}, .timeout = kSystemdLimit}));
    }
  for (const auto& mount : all_mounts())
    for (Qos qos : {Qos::kGuaranteed, Qos::kBurstable, Qos::kBestEffort}) {
      std::string dir = fs::join(mount, slice_path(uid, qos));
      if (fs::exists(dir) && !remove_tree(dir)) all = false;
    }
  if (!all) return fail(Code::kConflict, "cgroups of pod " + uid + " are still in use");
  return {};
}

std::set<std::string> Cgroups::pods() const {
  std::set<std::string> out;
  auto base = !v2_.empty() ? v2_ : directory("memory", "");
  if (base.empty()) return out;
  for (Qos qos : {Qos::kGuaranteed, Qos::kBurstable, Qos::kBestEffort})
    for (const auto& name : fs::list_dir(fs::join(base, slice_path("", qos))).value_or(std::vector<std::string>{})) {
      auto slice = name.find("-pod");
      if (name.starts_with("pod")) {
        out.insert(name.substr(3));
      } else if (slice != std::string::npos && name.ends_with(".slice")) {
        auto uid = name.substr(slice + 4, name.size() - slice - 10);
        std::ranges::replace(uid, '_', '-');
        out.insert(uid);
      }
    }
  return out;
}

std::int64_t Cgroups::memory_limit() const {
  auto file = !v2_.empty() ? fs::join(directory("memory", options_.root), "memory.max")
                           : fs::join(directory("memory", options_.root), "memory.limit_in_bytes");
  auto text = fs::read_file(file).value_or("");
  std::int64_t n = std::strtoll(text.c_str(), nullptr, 10);
  return n > 0 && n < (std::int64_t(1) << 60) ? n : 0;
}

std::int64_t Cgroups::cpu_limit_milli() const {
  std::int64_t quota = 0, period = kCpuPeriod;
  if (!v2_.empty()) {
    std::istringstream in(fs::read_file(fs::join(directory("cpu", options_.root), "cpu.max")).value_or(""));
    std::string first;
    in >> first >> period;
    quota = std::strtoll(first.c_str(), nullptr, 10);
  } else {
    auto dir = directory("cpu", options_.root);
    quota = std::strtoll(fs::read_file(fs::join(dir, "cpu.cfs_quota_us")).value_or("").c_str(), nullptr, 10);
    period = std::strtoll(fs::read_file(fs::join(dir, "cpu.cfs_period_us")).value_or("").c_str(), nullptr, 10);
  }
  return quota > 0 && period > 0 ? quota * 1000 / period : 0;
}

}  // namespace lab::agent
