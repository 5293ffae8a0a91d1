#include "cli/control_plane.h"

#include "base/fs.h"

namespace lab::cli {

using bootstrap::Cluster;
using bootstrap::ServiceManager;

namespace {

constexpr auto kRestartLimit = std::chrono::seconds(30);

Result<const bootstrap::ServiceState*> find(const std::vector<bootstrap::ServiceState>& all, const std::string& name) {
  for (const auto& s : all)
    if (s.name == name) return &s;
  return nullptr;
}

}  // namespace

std::string own_admin_kubeconfig() {
  const char* super = "/etc/kubernetes/super-admin.conf";
  return fs::exists(super) ? super : "/etc/kubernetes/admin.conf";
}

Result<bool> restart_and_see(ServiceManager& services, const std::string& name) {
  LAB_TRY(auto before, services.list());
  LAB_TRY(const auto* there, find(before, name));
  if (!there) return false;
  const int old_pid = there->pid;
  LAB_CHECK(services.restart(name));
  LAB_CHECK(bootstrap::wait_until(
      kRestartLimit, "a new process of " + name, "see its log: " + services.log_hint(name), [&]() -> Result<void> {
        LAB_TRY(auto now, services.list());
        LAB_TRY(const auto* s, find(now, name));
        if (s && s->running && s->pid != 0 && s->pid != old_pid) return {};
        return fail(Code::kUnavailable, s && s->running ? "the old one still runs" : "none runs");
      }));
  return true;
}

Result<void> wait_api_ready(ServiceManager& services, const std::string& kubeconfig, std::chrono::seconds limit) {
  return bootstrap::wait_until(limit, "a ready API server", "see its log: " + services.log_hint("lab-server"),
                               [&]() -> Result<void> {
                                 LAB_TRY(auto cluster, Cluster::open(kubeconfig));
                                 LAB_TRY(auto answer, cluster->raw({.target = "/readyz"}));
                                 if (answer.status == 200) return {};
                                 return fail(Code::kUnavailable, "/readyz answers " + std::to_string(answer.status));
                               });
}

}  // namespace lab::cli
