#include "bootstrap/upgrade/services.h"

#include <optional>

namespace lab::bootstrap::upgrade {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLimit = std::chrono::seconds(20);
constexpr int kTries = 4;  // a daemon that ended so often will not stay
constexpr auto kSteady = std::chrono::seconds(2);

Result<ServiceState> state_of(ServiceManager& services, const std::string& name) {
  LAB_TRY(auto all, services.list());
  for (auto& s : all)
    if (s.name == name) return std::move(s);
  return fail(Code::kNotFound, "there is no service " + name + " on this machine");
}

}  // namespace

Result<void> restart_and_settle(ServiceManager& services, const std::string& name) {
  LAB_TRY(const auto before, state_of(services, name));
  LAB_CHECK(services.restart(name));
  int pid = 0, tries = 0;
  Clock::time_point since{};
  const std::string hint = "see its log: " + services.log_hint(name);
  std::string end;
  LAB_CHECK(wait_until(kLimit, "a process of " + name + " that stays", hint, [&]() -> Result<void> {
    LAB_TRY(auto now, state_of(services, name));
    end = now.last_end;
    tries = now.restarts - before.restarts;
    if (tries >= kTries) return {};
    if (!now.running || now.pid == 0 || now.pid == before.pid)
      return fail(Code::kUnavailable, end.empty() ? "it does not run" : "it ended: " + end);
    if (now.pid != pid) since = Clock::now();
    pid = now.pid;
    if (Clock::now() - since >= kSteady) return {};
    return fail(Code::kUnavailable, end.empty() ? "it has just begun" : "it ended: " + end);
  }));
  if (tries < kTries) return {};
  return fail(Code::kUnavailable, name + " ends as soon as it has begun: " + end, hint);
}

Result<void> api_ready(const std::string& kubeconfig) {
  LAB_TRY(auto cluster, Cluster::open(kubeconfig));
  LAB_TRY(auto answer, cluster->raw({.target = "/readyz"}));
  if (answer.status == 200) return {};
  return fail(Code::kUnavailable, "/readyz answers " + std::to_string(answer.status));
}

}  // namespace lab::bootstrap::upgrade
