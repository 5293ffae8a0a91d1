// --config FILE of init, join and reset: read, judged, and kept apart from the flags that say the same.
#pragma once

#include "bootstrap/config/file.h"
#include "cli/command.h"

namespace lab::cli {

inline const Option kConfigOption{
    .name = "config", .value = "FILE", .help = "A kubeadm configuration file (kubeadm.k8s.io v1beta4 or v1beta3)"};

// Invalid when --config stands beside a flag that has a field in the file, as kubeadm has it.
Result<void> check_mixed(const Invocation& in);

// Reads the file that --config names, and hands it to `apply` (Result<void>(File&)); its warnings go to standard error.
// Nothing happens without --config.
template <class Apply>
Result<void> with_config(const Invocation& in, Apply apply);

void show_warnings(const bootstrap::config::File& file);
// Whether the agent can be set up as the file's KubeletConfiguration says; what it cannot take becomes a warning.
Result<void> judge_kubelet(bootstrap::config::File& file);

template <class Apply>
Result<void> with_config(const Invocation& in, Apply apply) {
  if (!in.has("config")) return {};
  LAB_CHECK(check_mixed(in));
  LAB_TRY(auto file, bootstrap::config::read_file(in.get("config")));
  LAB_CHECK(judge_kubelet(file));
  LAB_CHECK(apply(file));
  show_warnings(file);
  return {};
}

}  // namespace lab::cli
