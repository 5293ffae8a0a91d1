#include "labs/classroom/model/capacity.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <thread>

#include "base/fs.h"

namespace lab::classroom {

namespace {

constexpr double kMiB = 1024.0 * 1024;

// docs/density.md has the figures: a lab of three nodes takes 84 MiB and 10 millicores while nobody does anything, 139
// MiB in the midst of a lesson; 40 such labs work on two cores. Threads: 107 and 148; the rest is for what a student
// adds: pods, files, images that are loaded or built.
constexpr Machine kPerLab{
    .memory_bytes = 60 * kMiB, .disk_bytes = 100 * kMiB, .threads = 100, .inotify_watches = 8, .millicores = 20};
constexpr Machine kPerNode{
    .memory_bytes = 40 * kMiB, .disk_bytes = 10 * kMiB, .threads = 50, .inotify_watches = 4, .millicores = 4};
// The image set and the prepared lab that all start from; the server of the classroom.
constexpr Machine kOnce{
    .memory_bytes = 100 * kMiB, .disk_bytes = 400 * kMiB, .threads = 60, .inotify_watches = 8, .millicores = 50};

// Left to the machine itself, so that a full class does not end in the OOM killer.
constexpr double kMemoryKept = 512 * kMiB;
constexpr double kDiskKept = 1024 * kMiB;
constexpr double kThreadsKept = 500;
// Students work while labs idle: so much of the processors may be spoken for by idling.
constexpr double kIdleShare = 0.7;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// The first number in a file; none where it cannot be read or says "max".
double number_in(const std::string& path) {
  auto text = fs::read_file(path);
  if (!text || text->empty() || !std::isdigit(static_cast<unsigned char>(text->front()))) return kNoLimit;
  return std::strtod(text->c_str(), nullptr);
}

double memory_free(const std::string& root) {
  double out = kNoLimit;
  std::istringstream lines(fs::read_file(root + "/proc/meminfo").value_or(""));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("MemAvailable:")) out = std::strtod(line.c_str() + 13, nullptr) * 1024;
  // Inside a container the machine's memory is not ours. Page cache counts as used there, so this is on the safe side.
  const std::string v1 = root + "/sys/fs/cgroup/memory/memory.", v2 = root + "/sys/fs/cgroup/memory.";
  for (const auto& [limit, used] :
       {std::pair{v1 + "limit_in_bytes", v1 + "usage_in_bytes"}, std::pair{v2 + "max", v2 + "current"}})
    if (const double most = number_in(limit); most < 0x1p60) out = std::min(out, most - number_in(used));
  return out - kMemoryKept;
}

// "0.10 0.20 0.30 2/431 9999": 431 threads exist.
double threads_now(const std::string& root) {
  const std::string text = fs::read_file(root + "/proc/loadavg").value_or("");
  const auto slash = text.find('/');
  return slash == std::string::npos ? 0 : std::strtod(text.c_str() + slash + 1, nullptr);
}

double threads_free(const std::string& root) {
  const std::string kernel = root + "/proc/sys/kernel/", group = root + "/sys/fs/cgroup/";
  double out = std::min(number_in(kernel + "pid_max"), number_in(kernel + "threads-max")) - threads_now(root);
  for (const auto& place : {group + "pids/pids.", group + "pids."})
    if (const double most = number_in(place + "max"); most < kNoLimit)
      out = std::min(out, most - number_in(place + "current"));
  return out - kThreadsKept;
}

std::vector<std::string> names_in(const std::string& directory) {
  auto names = fs::list_dir(directory);
  return names ? *names : std::vector<std::string>();
}

// What root's processes watch: each instance is a descriptor that leads to anon_inode:inotify.
double inotify_watches_used(const std::string& root) {
  double out = 0;
  for (const auto& pid : names_in(root + "/proc")) {
    if (!std::isdigit(static_cast<unsigned char>(pid.front()))) continue;
    const std::string process = root + "/proc/" + pid;
    for (const auto& fd : names_in(process + "/fd")) {
      char target[64];
      const ssize_t n = ::readlink((process + "/fd/" + fd).c_str(), target, sizeof target);
      if (n < 0 || !std::string_view(target, static_cast<std::size_t>(n)).ends_with("inotify")) continue;
      const std::string info = fs::read_file(process + "/fdinfo/" + fd).value_or("");
      for (auto at = info.find("inotify wd"); at != std::string::npos; at = info.find("inotify wd", at + 1)) ++out;
    }
  }
  return out;
}

std::string size_text(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, bytes >= 1024 * kMiB ? "%.1f GiB" : "%.0f MiB",
                bytes / kMiB / (bytes >= 1024 * kMiB ? 1024 : 1));
  return text;
}
std::string count_text(double n) {
  return std::to_string(std::llround(n));
}
std::string core_text(double millicores) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f cores", millicores / 1000);
  return text;
}

struct Kind {
  const char* name;
  double Machine::* amount;
  std::string (*text)(double);
  const char* advice;
};
constexpr Kind kKinds[] = {
    {"memory", &Machine::memory_bytes, size_text, "take fewer nodes for each student, or a machine with more memory"},
    {"disk", &Machine::disk_bytes, size_text, "free some space below /var/lib/lab"},
    {"threads", &Machine::threads, count_text, "raise the number of processes: sysctl -w kernel.pid_max=4194304"},
    {"inotify watches", &Machine::inotify_watches, count_text,
     "raise it: sysctl -w fs.inotify.max_user_watches=1048576"},
    {"processors", &Machine::millicores, core_text,
     "take fewer nodes for each student, or a machine with more processors"},
};

}  // namespace

Machine look_at_machine(const std::string& root, const std::string& disk) {
  std::string there = disk;
  while (there.size() > 1 && !fs::exists(there)) there = there.substr(0, std::max<std::size_t>(there.rfind('/'), 1));
  auto free = fs::free_bytes(there);
  return {.memory_bytes = memory_free(root),
          .disk_bytes = free ? static_cast<double>(*free) - kDiskKept : kNoLimit,
          .threads = threads_free(root),
          .inotify_watches = number_in(root + "/proc/sys/fs/inotify/max_user_watches") - inotify_watches_used(root),
          .millicores = kIdleShare * 1000 * std::max(1u, std::thread::hardware_concurrency())};
}

Need need_of(int nodes) {
  Need out{.lab = kPerLab, .once = kOnce};
  for (const auto& kind : kKinds) out.lab.*kind.amount += nodes * (kPerNode.*kind.amount);
  return out;
}

Capacity capacity_of(const Machine& machine, const Need& need) {
  Capacity out;
  for (const auto& kind : kKinds) {
    const double free = machine.*kind.amount, each = need.lab.*kind.amount;
    if (free == kNoLimit || each <= 0) continue;
    const double left = std::max(free - need.once.*kind.amount, 0.0);
    out.resources.push_back({.name = kind.name,
                             .per_lab = kind.text(each),
                             .free = kind.text(std::max(free, 0.0)),
                             .labs = static_cast<std::int64_t>(left / each),
                             .advice = kind.advice});
  }
  std::ranges::sort(out.resources, {}, &Resource::labs);
  out.labs = out.resources.empty() ? std::numeric_limits<std::int64_t>::max() : out.resources.front().labs;
  return out;
}

std::string capacity_table(const Capacity& capacity) {
  char line[128];
  std::snprintf(line, sizeof line, "%-18s %-12s %-12s %s\n", "RESOURCE", "PER STUDENT", "FREE", "ROOM FOR");
  std::string out = line;
  for (const auto& r : capacity.resources) {
    std::snprintf(line, sizeof line, "%-18s %-12s %-12s %lld\n", r.name.c_str(), r.per_lab.c_str(), r.free.c_str(),
                  static_cast<long long>(r.labs));
    out += line;
  }
  return out;
}

Result<void> check_limits(const Limits& limits, int nodes) {
  const Machine need = need_of(nodes).lab;
  auto too_low = [&](const std::string& flag, const std::string& given, const std::string& least) {
    return fail(Code::kInvalid,
                "--" + flag + " " + given + " is too little: a lab of " + std::to_string(nodes) + " nodes takes " +
                    least + " by itself",
                "give more, or leave it out for no limit");
  };
  if (limits.memory_bytes > 0 && static_cast<double>(limits.memory_bytes) < need.memory_bytes)
    return too_low("memory", size_text(static_cast<double>(limits.memory_bytes)), size_text(need.memory_bytes));
  if (limits.pids > 0 && static_cast<double>(limits.pids) < need.threads)
    return too_low("pids", std::to_string(limits.pids), count_text(need.threads));
  if (limits.disk_bytes > 0 && static_cast<double>(limits.disk_bytes) < need.disk_bytes)
    return too_low("disk", size_text(static_cast<double>(limits.disk_bytes)), size_text(need.disk_bytes));
  return {};
}

}  // namespace lab::classroom
