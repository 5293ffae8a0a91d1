// lab reset: the clean-up of pods, network, proxy and name server is known to those parts; it is put together here.
#include "bootstrap/init/reset.h"

#include <cstdio>

#include "base/io/scope.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/init/from_config.h"
#include "cli/config_flag.h"
#include "cli/confirm.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "orchestrator/agent/cgroups.h"
#include "orchestrator/agent/cri.h"
#include "orchestrator/dns/server.h"
#include "orchestrator/proxy/proxy.h"
#include "overlay-net/agent/agent.h"

namespace lab::cli {

namespace {

Task<Result<void>> remove_sandboxes(std::string socket) {
  agent::cri::CriClient runtime(socket);
  LAB_CO_TRY(auto sandboxes, co_await runtime.list_sandboxes());
  for (const auto& s : sandboxes) {
    LAB_CO_CHECK(co_await runtime.stop_sandbox(s.id));
    LAB_CO_CHECK(co_await runtime.remove_sandbox(s.id));
  }
  runtime.shutdown();
  co_return Result<void>{};
}

Result<void> clean_network(const Result<bootstrap::NodeServices>& node) {
  LAB_CHECK(proxy::ServiceProxy::clean_up());
  auto address = IpAddress::parse(node ? node->dns_address : "");
  if (address) LAB_CHECK(dns::DnsServer::clean_up(*address));
  return overlay::OverlayAgent::clean_up();
}

Result<bootstrap::ResetOptions> read_reset(const Invocation& in) {
  bootstrap::ResetOptions o;
  for (const auto& word : in.arguments()) o.run.only += (o.run.only.empty() ? "" : "/") + word;
  o.force = in.flag("force");
  o.cri_socket = in.get("cri-socket");
  o.cert_dir = in.get("cert-dir");
  o.cleanup_tmp = in.flag("cleanup-tmp-dir");
  o.ignore_preflight = in.all("ignore-preflight-errors");
  o.run.skip = in.all("skip-phases");
  o.run.dry_run = in.flag("dry-run");
  LAB_CHECK(with_config(in, [&](auto& file) { return bootstrap::apply_config(file, o); }));
  return o;
}

int reset(const Invocation& in) {
  auto read = read_reset(in);
  if (!read) {
    report(read.error());
    return kUsage;
  }
  auto& options = *read;
  if (!options.force && !options.run.dry_run &&
      !confirmed("Changes made by 'lab init' or 'lab join' to this machine will be undone. Proceed?", "--force"))
    return kFailed;
  const auto node = bootstrap::read_node_record();
  options.remove_pods = [](const std::string& socket) -> Result<void> {
    LAB_CHECK(run_task(remove_sandboxes(socket)));
    for (const char* driver : {"cgroupfs", "systemd"}) LAB_CHECK(agent::Cgroups({.driver = driver}).remove_all());
    return {};
  };
  options.clean_network = [&] { return clean_network(node); };
  return finish(bootstrap::run_reset(std::move(options)));
}

}  // namespace

Commands reset_commands() {
  const std::vector<Option> options{
      {.name = "force", .help = "Do not ask", .letter = "f"},
      kConfigOption,
      {.name = "cri-socket", .value = "SOCKET", .help = "Socket of the container runtime; default: the one found"},
      {.name = "cert-dir", .value = "DIR", .help = "Where certificates are kept", .fallback = "/etc/kubernetes/pki"},
      {.name = "cleanup-tmp-dir", .help = "Remove /etc/kubernetes/tmp too"},
      {.name = "ignore-preflight-errors", .value = "NAMES", .help = "Checks whose errors become warnings; 'all' for all", .repeated = true},
      {.name = "skip-phases", .value = "PHASES", .help = "Phases to leave out", .repeated = true},
      {.name = "dry-run", .help = "Only tell what would be done"}};
  std::vector<std::string> names;
  bootstrap::list_phases(bootstrap::reset_phases(), names);
  std::string phases = "Phases:\n";
  for (const auto& n : names) phases += "  " + n + "\n";
  return {{.path = "reset", .summary = "Undo what init or join did to this machine", .details = phases, .options = options, .run = reset},
          {.path = "reset phase",
           .summary = "Run one phase of reset alone",
           .details = "As in: lab reset phase cleanup-node network --force\n\n" + phases,
           .arguments = {{"PHASE", "the phase, and below it the sub-phase", true, true}},
           .options = options,
           .run = reset}};
}

}  // namespace lab::cli
