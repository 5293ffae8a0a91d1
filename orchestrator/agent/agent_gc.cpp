// What the agent tidies: remains of pods on disk and in cgroups, logs that grew, images that nobody uses.
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "orchestrator/agent/agent_impl.h"
#include "orchestrator/agent/logs.h"

namespace lab::agent {

using namespace std::chrono_literals;

Task<void> Agent::Impl::gc_loop(std::stop_token stop) {
  TimePoint images_at = loop.now() + options.image_gc_interval;
  while (co_await sleep_for(options.gc_interval, stop)) {
    co_await collect_remains();
    co_await rotate_logs();
    if (loop.now() < images_at) continue;
    images_at = loop.now() + options.image_gc_interval;
    auto usage = co_await cri.image_fs_info();
    std::string mount = usage && !usage->empty() ? usage->front().mountpoint : options.root_dir;
    auto disk = co_await pool.run([mount] { return read_disk(mount); });
    double used = disk.capacity > 0
                      ? 100.0 * static_cast<double>(disk.capacity - disk.available) / static_cast<double>(disk.capacity)
                      : 0;
    co_await images.collect(used, disk.capacity);
  }
}

bool Agent::Impl::sources_known() const {
  return manifests_read && (!pod_informer || pod_informer->synced()) && runtime.listed_once();
}

Task<void> Agent::Impl::collect_remains() {
  if (!sources_known()) co_return;
  struct Found {
    std::vector<std::string> dirs, logs;
    std::set<std::string> cgroups;
  };
  auto found = co_await pool.run([this] {
    Found f;
    f.dirs = fs::list_dir(options.root_dir + "/pods").value_or(std::vector<std::string>{});
    f.logs = fs::list_dir(options.pod_log_dir).value_or(std::vector<std::string>{});
    f.cgroups = cgroups.pods();
    return f;
  });
  auto gone = [this](const std::string& uid) { return !workers.contains(uid) && !runtime.knows(uid); };
  for (const auto& uid : found.dirs)
    if (gone(uid))
      if (auto done = co_await volumes.tear_down(uid); !done)
        log::warn("the directory of a pod that is gone cannot be removed",
                  {{"uid", uid}, {"why", done.error().text()}});
  for (const auto& uid : found.cgroups)
    if (gone(uid)) co_await pool.run([this, uid] { (void)cgroups.remove_pod(uid); });
  for (const auto& name : found.logs) {
    auto uid = name.substr(name.rfind('_') + 1);
    std::string path = options.pod_log_dir + "/" + name;
    if (name.find('_') != std::string::npos && gone(uid)) co_await pool.run([path] { (void)fs::remove_all(path); });
  }
}

Task<void> Agent::Impl::rotate_logs() {
  struct Log {
    std::string path, id;
  };
  std::vector<Log> logs;
  for (const auto& [uid, worker] : workers)
    for (const auto& c : worker->runtime().containers)
      if (c.state == cri::ContainerState::kRunning)
        logs.push_back(
            {pod_log_directory(options, *worker->pod()) + "/" + c.name + "/" + std::to_string(c.attempt) + ".log",
             c.id});
  for (const auto& log : logs) {
    bool rotated = co_await pool.run([this, path = log.path] {
      struct stat st{};
      if (::stat(path.c_str(), &st) != 0 || st.st_size < options.log_max_bytes) return false;
      return rotate_log(path, options.log_max_files).has_value();
    });
    if (!rotated) continue;
    std::string id = log.id;
    if (auto done = co_await cri.reopen_log(id); !done)
      log::warn("a log that was rotated is not opened anew", {{"container", id}, {"why", done.error().text()}});
  }
}

}  // namespace lab::agent
