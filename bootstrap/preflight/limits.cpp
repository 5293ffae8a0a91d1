#include <algorithm>
#include <cstdlib>

#include "base/fs.h"
#include "bootstrap/preflight/checks.h"

namespace lab::bootstrap::preflight {

namespace {

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

// What a node with some dozens of pods watches; beyond it, `kubectl logs -f` and agents fail with "too many open
// files".
struct Limit {
  const char *check, *name;
  long least, advised;
};
constexpr Limit kLimits[] = {{"InotifyInstances", "max_user_instances", 128, 1024},
                             {"InotifyWatches", "max_user_watches", 16384, 524288}};

}  // namespace

void disk(const PreflightInput& in, Findings& out) {
  struct Place {
    std::string directory;
    std::uint64_t need;
  };
  for (const auto& place : {Place{in.data_directory, in.need_bytes}, Place{in.image_directory, in.need_image_bytes}}) {
    if (place.directory.empty()) continue;
    std::string path = place.directory;
    while (path.size() > 1 && !fs::exists(path)) path = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    auto free = fs::free_bytes(path);
    if (free && *free < place.need)
      out.push_back({"DiskSpace",
                     place.directory + " needs " + mebibytes(place.need) + " and its file system has " +
                         mebibytes(*free) + " free",
                     "free some space there (du -xh " + path + " | sort -h | tail), then run this again"});
  }
}

void inotify(const PreflightInput& in, Findings& out) {
  for (const auto& limit : kLimits) {
    const std::string value = line_of(in, std::string("/proc/sys/fs/inotify/") + limit.name);
    if (value.empty() || std::atol(value.c_str()) >= limit.least) continue;
    const std::string key = std::string("fs.inotify.") + limit.name;
    out.push_back({limit.check,
                   key + " is " + value + "; nodes with many pods need " + std::to_string(limit.least) + " and more",
                   "raise it: sysctl -w " + key + "=" + std::to_string(limit.advised), false});
  }
}

}  // namespace lab::bootstrap::preflight
