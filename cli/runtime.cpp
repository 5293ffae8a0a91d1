#include "cli/runtime.h"

#include "base/io/scope.h"
#include "orchestrator/agent/cri.h"

namespace lab::cli {

namespace {

Task<Result<agent::cri::Settings>> settings_of(std::string socket) {
  agent::cri::CriClient runtime(socket);
  auto settings = co_await runtime.settings();
  runtime.shutdown();
  co_return settings;
}

}  // namespace

Result<bootstrap::RuntimeSettings> ask_runtime(const std::string& socket) {
  LAB_TRY(auto told, run_task(settings_of(socket)));
  bootstrap::RuntimeSettings out;
  if (!told.cni_bin_directory.empty()) out.cni_bin_directory = told.cni_bin_directory;
  out.sandbox_image = told.sandbox_image;
  out.systemd_cgroups = told.systemd_cgroups;
  return out;
}

}  // namespace lab::cli
