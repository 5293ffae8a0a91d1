// lab reset: the clean-up of pods, network, proxy and name server is known to those parts; it is put together here.
#include "bootstrap/init/reset.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "base/io/scope.h"
#include "bootstrap/common/node_services.h"
#include "cli/groups.h"
#include "cli/report.h"
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

int reset(const Invocation& in) {
  if (!in.flag("force")) {
    if (!::isatty(STDIN_FILENO)) {
      std::fprintf(stderr, "error: reset removes this node's cluster data\n  what to do: give --force to do it without a terminal\n");
      return kFailed;
    }
    std::printf("Changes made by 'lab init' or 'lab join' to this machine will be undone. Proceed? [y/N] ");
    std::fflush(stdout);
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "y" && answer != "Y") return kFailed;
  }
  const auto node = bootstrap::read_node_record();
  bootstrap::ResetOptions options;
  options.cri_socket = in.get("cri-socket");
  options.remove_pods = [](const std::string& socket) { return run_task(remove_sandboxes(socket)); };
  options.clean_network = [&] { return clean_network(node); };
  return finish(bootstrap::run_reset(options));
}

}  // namespace

Commands reset_commands() {
  return {{.path = "reset",
           .summary = "Undo what init or join did to this machine",
           .options = {{.name = "force", .help = "Do not ask", .letter = "f"},
                       {.name = "cri-socket", .value = "SOCKET", .help = "Socket of the container runtime; default: the one found"}},
           .run = reset}};
}

}  // namespace lab::cli
