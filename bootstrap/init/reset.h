// lab reset: undoes what init or join did to this machine. Repeatable; each step goes on where the last run ended.
//
// What pods, network and proxy leave in the kernel is known to those parts; the command hands their clean-up in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bootstrap/common/progress.h"

namespace lab::bootstrap {

struct ResetOptions {
  std::string cri_socket;                                             // empty: found
  std::function<Result<void>(const std::string& socket)> remove_pods; // all sandboxes and containers of the runtime
  std::function<Result<void>()> clean_network;                        // overlay, service proxy, name server
};
Result<void> run_reset(const ResetOptions& options);

}  // namespace lab::bootstrap
