#include "bootstrap/init/reset.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "base/fs.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/init/init.h"
#include "bootstrap/phases/phase.h"
#include "bootstrap/services/service_manager.h"

namespace lab::bootstrap {

namespace {

struct ResetContext {
  const ResetOptions& options;
  std::unique_ptr<ServiceManager> services;
  Progress progress;
};

// In the order in which nothing re-makes what the next step removes.
constexpr const char* kServices[] = {"lab-agent", "lab-overlay", "lab-server"};

constexpr const char* kFiles[] = {
    "/etc/kubernetes/admin.conf",     "/etc/kubernetes/super-admin.conf", "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf", "/etc/kubernetes/controller-manager.conf", "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/discovery.conf", "/etc/cni/net.d/10-lab.conflist",   "/opt/cni/bin/lab-cni",
    "/etc/lab/node.json"};
constexpr const char* kDirectories[] = {"/etc/kubernetes/pki", "/etc/kubernetes/addons", "/etc/kubernetes/manifests",
                                        "/var/lib/kubelet",    "/var/lib/lab/server",    "/var/lib/lab/overlay",
                                        "/var/log/pods",       "/var/log/containers"};
// Removed only when nothing of somebody else is in them. /etc/cni/net.d stays: runtimes watch it from their start on,
// and would not see what comes into a new one.
constexpr const char* kEmptyDirectories[] = {"/etc/kubernetes", "/etc/lab/units", "/etc/lab", "/opt/cni/bin", "/opt/cni"};

Result<void> stop_services(ResetContext& c) {
  for (const char* name : kServices) LAB_CHECK(c.services->remove(name));
  return {};
}

Result<void> remove_pods(ResetContext& c) {
  const std::string socket = c.options.cri_socket.empty() ? find_cri_socket() : c.options.cri_socket;
  if (!socket_answers(socket)) {
    c.progress.note("[remove-pods] No container runtime answers on " + socket + "; its containers, if any, are left to it");
    return {};
  }
  return c.options.remove_pods(socket);
}

Result<void> unmount_volumes(ResetContext&) {
  LAB_TRY(auto mounts, fs::read_file("/proc/self/mounts"));
  std::vector<std::string> below;
  std::istringstream lines(mounts);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string source, target;
    fields >> source >> target;
    if (target.starts_with("/var/lib/kubelet/")) below.push_back(target);
  }
  std::sort(below.rbegin(), below.rend());   // deepest first
  for (const auto& target : below)
    if (::umount2(target.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) return fail_errno("unmount " + target);
  return {};
}

Result<void> clean_network(ResetContext& c) { return c.options.clean_network(); }

// The loopback plugin is ours only where it is a link to this binary.
Result<void> remove_own_loopback() {
  const std::string path = "/opt/cni/bin/loopback";
  char target[4096];
  ssize_t n = ::readlink(path.c_str(), target, sizeof target);
  if (n > 0 && std::string(target, static_cast<std::size_t>(n)) == fs::self_exe()) return fs::remove_file(path);
  return {};
}

Result<void> remove_files(ResetContext&) {
  LAB_CHECK(remove_own_loopback());
  for (const char* file : kFiles) LAB_CHECK(fs::remove_file(file));
  for (const char* dir : kDirectories) LAB_CHECK(fs::remove_all(dir));
  for (const char* dir : kEmptyDirectories) ::rmdir(dir);
  return {};
}

const std::vector<Phase<ResetContext>>& reset_phases() {
  static const std::vector<Phase<ResetContext>> phases{
      {"stop-services", "Stopping the daemons", stop_services},
      {"remove-pods", "Removing pods and their containers", remove_pods},
      {"unmount", "Unmounting volumes under /var/lib/kubelet", unmount_volumes},
      {"network", "Removing links, routes and nftables rules of the pod network and the service proxy", clean_network},
      {"files", "Removing files under /etc/kubernetes, /var/lib/kubelet and /var/lib/lab", remove_files},
  };
  return phases;
}

}  // namespace

Result<void> run_reset(const ResetOptions& options) {
  ResetContext c{.options = options, .services = ServiceManager::detect()};
  RunOptions run;
  run.on_start = [&](const std::string& path, const std::string& summary) { c.progress.step(path, summary); };
  LAB_CHECK(run_phases(reset_phases(), c, run));
  c.progress.done();
  return {};
}

}  // namespace lab::bootstrap
