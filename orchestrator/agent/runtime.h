// What the runtime holds for each pod, and the news of it: the pod lifecycle event generator (PLEG).
//
// observe() reads one pod's sandboxes and containers now. Statuses of ended containers and stopped sandboxes never
// change and are kept, so that a look costs two lists and one call per running container. The relist loop compares all
// states at every wake-up and names the pods in which something changed. Wake-ups come from the runtime's own events
// where it has them (containerd), and from a timer: every second without events, every 10 s beside them. One loop.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/io/scope.h"
#include "base/io/sync.h"
#include "orchestrator/agent/cri.h"

namespace lab::agent {

struct PodRuntime {
  std::vector<cri::SandboxStatus> sandboxes;     // newest first
  std::vector<cri::ContainerStatus> containers;  // newest first

  const cri::SandboxStatus* sandbox() const { return sandboxes.empty() ? nullptr : &sandboxes.front(); }
  const cri::SandboxStatus* ready_sandbox() const;
  // The newest container of that name, and the one before it; null when there is none.
  const cri::ContainerStatus* latest(const std::string& name) const;
  const cri::ContainerStatus* previous(const std::string& name) const;
  bool anything_running() const;
  bool empty() const { return sandboxes.empty() && containers.empty(); }
};

struct KnownPod {  // from labels: what a restarted agent finds
  std::string uid, ns, name;
};

class Runtime {
 public:
  explicit Runtime(cri::CriClient& cri) : cri_(cri) {}

  Task<Result<PodRuntime>> observe(std::string uid);
  // Calls on_change(uid) for every pod whose containers or sandboxes changed since the last look.
  Task<void> relist_loop(std::function<void(const std::string& uid)> on_change, std::stop_token stop);
  // True after the first complete look at the runtime.
  bool listed_once() const { return listed_once_; }
  Task<bool> wait_listed(std::stop_token stop);
  // Everything that stands under a pod's name in the runtime, as of the last look.
  std::vector<KnownPod> known_pods() const;
  bool knows(const std::string& uid) const { return pods_.contains(uid); }
  // When the last look succeeded; the node is not Ready when it is long ago.
  TimePoint last_listed() const { return last_listed_; }
  const std::string& last_error() const { return last_error_; }
  // Waits until the runtime has begun or ceased to answer, or the time is over.
  Task<void> wait_health_change(Duration limit, std::stop_token stop) { (void)co_await health_.wait_for(limit, stop); }
  void look_soon() {
    wake_.notify();
    woken_ = true;
  }

 private:
  struct Entry {
    std::string ns, name;
    std::map<std::string, int> states;  // id -> state
  };
  Task<Result<void>> relist(std::function<void(const std::string&)>& on_change);
  Task<void> follow_events(std::stop_token stop);

  cri::CriClient& cri_;
  std::map<std::string, Entry> pods_;
  std::map<std::string, cri::ContainerStatus> ended_;    // by id: never changes again
  std::map<std::string, cri::SandboxStatus> sandboxes_;  // by id, while its state is the same
  bool listed_once_ = false, have_events_ = false, woken_ = false;
  TimePoint last_listed_{};
  std::string last_error_;
  Event wake_, listed_, health_;
};

}  // namespace lab::agent
