#include "bootstrap/init/reset.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <sstream>

#include "base/fs.h"
#include "bootstrap/common/images.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/etcd/member.h"
#include "bootstrap/init/init.h"
#include "bootstrap/phases/phase.h"
#include "bootstrap/preflight/preflight.h"
#include "bootstrap/services/service_manager.h"

namespace lab::bootstrap {

namespace {

// In the order in which nothing re-makes what the next step removes.
constexpr const char* kServices[] = {"lab-agent", "lab-server", "lab-etcd"};
// Ends after the pods: the runtime's network plugin asks it to take each of them off the network.
constexpr const char* kNetworkService = "lab-overlay";

constexpr const char* kFiles[] = {
    "/etc/kubernetes/admin.conf",     "/etc/kubernetes/super-admin.conf", "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf", "/etc/kubernetes/controller-manager.conf", "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/discovery.conf", "/etc/cni/net.d/10-lab.conflist",   kNodeRecord, kImagesMark};
constexpr const char* kTmpDirectory = "/etc/kubernetes/tmp";
constexpr const char* kDirectories[] = {"/etc/kubernetes/addons", "/etc/kubernetes/manifests",
                                        "/var/lib/kubelet",    "/var/lib/lab/server",    "/var/lib/lab/upgrade", etcd::kDataDirectory, "/var/lib/lab/overlay",
                                        "/var/log/pods",       "/var/log/containers"};
// Removed only when nothing of somebody else is in them. /etc/cni/net.d stays: runtimes watch it from their start on,
// and would not see what comes into a new one.
constexpr const char* kEmptyDirectories[] = {"/etc/kubernetes", "/etc/lab/units", "/etc/lab", "/opt/cni/bin", "/opt/cni",
                                             "/var/lib/lab/local", "/var/lib/lab",
                                             // Of the runtime, for pods' networks.
                                             "/var/lib/cni/results", "/var/lib/cni", "/run/netns"};

Result<void> preflight(ResetContext& c) {
  std::vector<std::string> warnings;
  auto verdict = judge_preflight(run_reset_preflight(), c.options.ignore_preflight, warnings);
  for (const auto& w : warnings) c.progress.warn(w);
  return verdict;
}

std::string socket_of(const ResetContext& c) { return c.options.cri_socket.empty() ? find_cri_socket() : c.options.cri_socket; }

// A master leaves the masters' etcd before it stops. One that cannot (the others are gone) is reset all the same.
Result<void> remove_etcd_member(ResetContext& c) {
  if (auto left = etcd::leave(c.options.cert_dir); !left)
    c.progress.warn("this machine is still a member of the masters' etcd: " + left.error().text());
  return {};
}

Result<void> stop_services(ResetContext& c) {
  for (const char* name : kServices) LAB_CHECK(c.services->remove(name));
  return {};
}

Result<void> remove_pods(ResetContext& c) {
  const std::string socket = socket_of(c);
  if (!socket_answers(socket)) {
    c.progress.note("[remove-pods] No container runtime answers on " + socket + "; its containers, if any, are left to it");
    return {};
  }
  return c.options.remove_pods(socket);
}

Result<int> unmount_flags(const ResetOptions& o) {
  static const std::map<std::string, int> known{
      {"MNT_FORCE", MNT_FORCE}, {"MNT_DETACH", MNT_DETACH}, {"MNT_EXPIRE", MNT_EXPIRE}, {"UMOUNT_NOFOLLOW", UMOUNT_NOFOLLOW}};
  int flags = o.unmount_flags.empty() ? MNT_DETACH : 0;
  for (const auto& name : o.unmount_flags) {
    auto it = known.find(name);
    if (it == known.end())
      return fail(Code::kInvalid, "unmountFlags: there is no flag " + name, "MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW");
    flags |= it->second;
  }
  return flags;
}

// Deepest first.
Result<std::vector<std::string>> volume_mounts() {
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
  std::sort(below.rbegin(), below.rend());
  return below;
}

Result<void> unmount_volumes(ResetContext& c) {
  LAB_TRY(const int flags, unmount_flags(c.options));
  LAB_TRY(auto below, volume_mounts());
  for (const auto& target : below)
    if (::umount2(target.c_str(), flags) != 0 && errno != EINVAL && errno != ENOENT) return fail_errno("unmount " + target);
  return {};
}

Result<void> clean_network(ResetContext& c) {
  LAB_CHECK(c.services->remove(kNetworkService));
  return c.options.clean_network();
}

// Links to this binary are ours; a plugin of somebody else under the same name stays.
Result<void> remove_plugins(const std::string& directory) {
  for (const char* name : {"lab-cni", "loopback"}) {
    const std::string path = fs::join(directory, name);
    char target[4096];
    ssize_t n = ::readlink(path.c_str(), target, sizeof target);
    if (n > 0 && std::string(target, static_cast<std::size_t>(n)) == fs::self_exe()) LAB_CHECK(fs::remove_file(path));
  }
  ::rmdir(directory.c_str());   // only when nothing is left in it
  return {};
}

Result<void> release_services(ResetContext& c) { return c.services->release(); }

std::vector<std::string> directories_of(const ResetContext& c) {
  std::vector<std::string> out(std::begin(kDirectories), std::end(kDirectories));
  out.push_back(c.options.cert_dir);
  if (c.options.cleanup_tmp) out.emplace_back(kTmpDirectory);
  return out;
}

// What runs have left that were killed while they wrote a file: NAME.tmp-XXXXXX, of names that begin so.
Result<void> remove_halves(const std::string& directory, const std::string& name) {
  if (!fs::exists(directory)) return {};
  LAB_TRY(auto names, fs::list_dir(directory));
  for (const auto& n : names)
    if (n.starts_with(name) && n.find(".tmp-") != std::string::npos) LAB_CHECK(fs::remove_file(fs::join(directory, n)));
  return {};
}

Result<void> remove_with_halves(const std::string& path) {
  LAB_CHECK(fs::remove_file(path));
  const auto slash = path.rfind('/');
  return remove_halves(path.substr(0, slash), path.substr(slash + 1));
}

Result<void> remove_files(ResetContext& c) {
  LAB_CHECK(remove_plugins(c.plugins));
  for (const char* file : kFiles) LAB_CHECK(remove_with_halves(file));
  for (const char* units : {kUnitDirectory, "/etc/systemd/system"}) LAB_CHECK(remove_halves(units, "lab-"));
  for (const auto& dir : directories_of(c)) LAB_CHECK(fs::remove_all(dir));
  for (const char* dir : kEmptyDirectories) ::rmdir(dir);
  return {};
}

using Plan = std::vector<std::string>;

Plan plan_services(ResetContext& c) {
  Plan out;
  const auto running = c.services->list();
  for (const char* name : kServices)
    for (const auto& state : running ? *running : std::vector<ServiceState>())
      if (state.name == name) out.push_back("stop and remove the service " + state.name);
  return out;
}

Plan plan_pods(ResetContext& c) {
  const std::string socket = socket_of(c);
  if (!socket_answers(socket)) return {};
  return {"remove all pods and containers of the runtime behind " + socket};
}

Plan plan_unmount(ResetContext&) {
  Plan out;
  const auto mounts = volume_mounts();
  for (const auto& target : mounts ? *mounts : std::vector<std::string>()) out.push_back("unmount \"" + target + "\"");
  return out;
}

Plan plan_network(ResetContext&) {
  return {"stop and remove the service " + std::string(kNetworkService),
          "remove the links lab0 and those of pods, their routes, and the nftables tables of the service proxy and the pod network"};
}

Plan plan_files(ResetContext& c) {
  Plan out;
  for (const char* file : kFiles)
    if (fs::exists(file)) out.push_back("remove the file \"" + std::string(file) + "\"");
  for (const auto& dir : directories_of(c))
    if (fs::exists(dir)) out.push_back("remove the directory \"" + dir + "\" with all that is in it");
  return out;
}

}  // namespace

const std::vector<Phase<ResetContext>>& reset_phases() {
  using P = Phase<ResetContext>;
  static const std::vector<P> phases{
      P{.name = "preflight", .summary = "Running pre-flight checks", .run = preflight, .reads_only = true},
      P{.name = "cleanup-node", .summary = "Undoing what init or join did", .children = {
          P{.name = "remove-etcd-member", .summary = "Removing this machine from the masters' etcd", .run = remove_etcd_member,
            .plan = [](ResetContext&) { return std::vector<std::string>{"take this machine's member, if it has one, out of the masters' etcd"}; }},
          P{.name = "stop-services", .summary = "Stopping the daemons", .run = stop_services, .plan = plan_services},
          P{.name = "remove-pods", .summary = "Removing pods and their containers", .run = remove_pods, .plan = plan_pods},
          P{.name = "unmount", .summary = "Unmounting volumes under /var/lib/kubelet", .run = unmount_volumes, .plan = plan_unmount},
          P{.name = "network", .summary = "Removing links, routes and nftables rules of the pod network and the service proxy", .run = clean_network, .plan = plan_network},
          P{.name = "supervisor", .summary = "Ending the supervisor, where there is no init system", .run = release_services},
          P{.name = "files", .summary = "Removing files under /etc/kubernetes, /var/lib/kubelet and /var/lib/lab", .run = remove_files, .plan = plan_files},
      }},
  };
  return phases;
}

Result<void> run_reset(ResetOptions options) {
  ResetContext c{.options = std::move(options), .services = ServiceManager::detect()};
  LAB_CHECK(resolve_phases(reset_phases(), "lab reset", c.options.run));
  LAB_CHECK(unmount_flags(c.options));
  const auto record = read_node_record();
  c.plugins = record ? record->runtime.cni_bin_directory : RuntimeSettings().cni_bin_directory;
  c.options.run.on_start = [&](const std::string& path, const std::string& summary) {
    c.progress.step(path.substr(path.rfind('/') + 1), summary);
  };
  c.options.run.on_plan = [&](const std::string& line) { c.progress.note("[dryrun] Would " + line); };
  LAB_CHECK(run_phases(reset_phases(), c, c.options.run));
  c.progress.done();
  return {};
}

}  // namespace lab::bootstrap
