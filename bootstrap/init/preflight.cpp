#include "bootstrap/preflight/preflight.h"

#include "bootstrap/common/images.h"
#include "bootstrap/init/init.h"

namespace lab::bootstrap {

Result<void> preflight_phase(InitContext& c) {
  PreflightInput input{.api_port = c.options.bind_port, .cri_socket = c.options.cri_socket,
                       .node_name = c.options.node_name, .data_directory = kDataDirectory,
                       .image_directory = image_destination(c.options.cri_socket), .ranges = {c.options.pod_network_cidr, c.options.service_cidr}, .dns_address = c.dns_address,
                       .may_change = !c.options.run.dry_run};
  std::vector<std::string> warnings;
  auto verdict = judge_preflight(run_preflight(input), c.options.ignore_preflight, warnings);
  for (const auto& w : warnings) c.progress.warn(w);
  return verdict;
}

}  // namespace lab::bootstrap
