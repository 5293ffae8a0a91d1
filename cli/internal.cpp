// Commands that lab runs itself: the supervisor, and entering nodes.
#include <cstdio>
#include <map>

#include "base/json.h"
#include "bootstrap/node/process.h"
#include "bootstrap/services/service_manager.h"
#include "bootstrap/supervise/supervisor.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

int services(const Invocation& in) {
  auto listed = bootstrap::ServiceManager::detect()->list();
  if (!listed) return report(listed.error());
  if (in.get("output") == "json") {
    json::Array out;
    for (const auto& s : *listed)
      out.push_back(json::Object{{"name", s.name}, {"running", s.running}, {"restarts", s.restarts}, {"lastEnd", s.last_end}});
    std::printf("%s\n", json::dump_pretty(out).c_str());
    return kDone;
  }
  std::printf("%-16s %-9s %-9s %s\n", "NAME", "STATE", "RESTARTS", "LAST END");
  for (const auto& s : *listed)
    std::printf("%-16s %-9s %-9d %s\n", s.name.c_str(), s.running ? "Running" : "Stopped", s.restarts, s.last_end.c_str());
  return kDone;
}

// node-exec PID [NAME=VALUE...] -- PROGRAM ARGUMENTS...
int node_exec(const Invocation& in) {
  const auto& words = in.arguments();
  std::map<std::string, std::string> env;
  std::size_t i = 1;
  for (; i < words.size() && words[i] != "--"; ++i) {
    auto eq = words[i].find('=');
    env[words[i].substr(0, eq)] = eq == std::string::npos ? "" : words[i].substr(eq + 1);
  }
  if (i + 1 >= words.size()) {
    std::fprintf(stderr, "usage: lab node-exec PID [NAME=VALUE...] -- PROGRAM [ARGUMENTS...]\n");
    return kUsage;
  }
  auto code = bootstrap::exec_in_node(std::atoi(words[0].c_str()), {words.begin() + static_cast<long>(i) + 1, words.end()}, env);
  return code ? *code : report(code.error());
}

}  // namespace

Commands internal_commands() {
  return {
      {.path = "services", .summary = "Show the daemons of this node",
       .options = {{.name = "output", .value = "FORMAT", .help = "text or json", .fallback = "text", .letter = "o", .choices = {"text", "json"}}}, .run = services},
      {.path = "supervise", .summary = "Keep this node's daemons running where there is no systemd",
       .run = [](const Invocation&) { return finish(bootstrap::run_supervisor({})); }, .hidden = true},
      {.path = "node-run", .summary = "Become a node's first process", .arguments = {{"DIRECTORY", "the node's files"}, {"CGROUP", "its cgroup"}, {"USER", "the first of its own users; 0: none"}},
       .run = [](const Invocation& in) { return finish(bootstrap::run_node(in.argument(0), in.argument(1), {static_cast<std::uint32_t>(std::strtoul(in.argument(2).c_str(), nullptr, 10))})); }, .hidden = true},
      {.path = "node-exec", .summary = "Run a program inside a node", .run = node_exec, .passes_rest = true, .hidden = true},
  };
}

}  // namespace lab::cli
