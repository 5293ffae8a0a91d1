// lab reset: undoes what init or join did to this machine. Repeatable; each step goes on where the last run ended.
//
// What pods, network and proxy leave in the kernel is known to those parts; the command hands their clean-up in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bootstrap/common/progress.h"
#include "bootstrap/phases/phase.h"
#include "bootstrap/services/service_manager.h"

namespace lab::bootstrap {

struct ResetOptions {
  bool force = false;                                                 // the command does not ask
  std::string cert_dir = "/etc/kubernetes/pki";
  bool cleanup_tmp = false;                                           // /etc/kubernetes/tmp goes too
  std::vector<std::string> unmount_flags;                             // MNT_DETACH, MNT_FORCE, ...; default: MNT_DETACH
  std::vector<std::string> ignore_preflight;
  RunOptions run;
  std::string cri_socket;                                             // empty: found
  std::function<Result<void>(const std::string& socket)> remove_pods; // all sandboxes and containers of the runtime
  std::function<Result<void>()> clean_network;                        // overlay, service proxy, name server
};
struct ResetContext {
  ResetOptions options;
  std::unique_ptr<ServiceManager> services;
  std::string plugins;         // where the CNI plugins were linked
  Progress progress;
};

const std::vector<Phase<ResetContext>>& reset_phases();
Result<void> run_reset(ResetOptions options);

}  // namespace lab::bootstrap
