// lab compose: docker compose's verbs over labs/compose.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/fs.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/node/network_namespace.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "labs/compose/logs.h"
#include "labs/compose/project.h"

namespace lab::cli {

namespace {

constexpr auto kUpLimit = std::chrono::seconds(180);

const Option kProfile{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "P"};
const Option kFile{
    .name = "file", .value = "FILE", .help = "Default: compose.yaml or docker-compose.yml here", .letter = "f"};
const Option kName{.name = "project-name", .value = "NAME", .help = "Default: the directory's name", .letter = "p"};

Result<compose::Project> project_of(const Invocation& in) {
  std::string file = in.get("file");
  for (const char* usual : {"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"})
    if (file.empty() && fs::exists(usual)) file = usual;
  if (file.empty())
    return fail(Code::kNotFound, "there is no compose file in this directory", "name one: lab compose -f FILE");
  LAB_TRY(auto project, compose::read_project(file, in.get("project-name")));
  for (const auto& w : project.warnings) std::fprintf(stderr, "warning: %s: %s\n", file.c_str(), w.c_str());
  return project;
}

// SIGINT and SIGTERM wait in the process until somebody takes them; threads that come later inherit that.
sigset_t hold_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

// "worker  | line", each service in a colour of its own.
compose::LogFollower::Line printer(const compose::Project& project) {
  const bool colour = ::isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR");
  std::size_t width = 0;
  std::map<std::string, int> colours;
  for (const auto& s : project.services) {
    width = std::max(width, s.name.size());
    colours[s.name] = 31 + static_cast<int>(colours.size() % 6);
  }
  return [=](const std::string& service, const std::string& text) {
    const std::string name = service + std::string(width - std::min(width, service.size()), ' ') + " | ";
    if (colour)
      std::printf("\033[%dm%s\033[0m%s\n", colours.contains(service) ? colours.at(service) : 37, name.c_str(),
                  text.c_str());
    else
      std::printf("%s%s\n", name.c_str(), text.c_str());
    std::fflush(stdout);
  };
}

Result<void> print_states(compose::Runner& runner, const std::string& project) {
  LAB_TRY(auto states, runner.states(project));
  std::printf("%-20s %-18s %s\n", "SERVICE", "STATUS", "PORTS");
  for (const auto& s : states) std::printf("%-20s %-18s %s\n", s.service.c_str(), s.state.c_str(), s.ports.c_str());
  return {};
}

Result<void> up(const Invocation& in) {
  LAB_TRY(auto project, project_of(in));
  const auto signals = hold_signals();
  LAB_TRY(auto runner, compose::Runner::open(in.get("profile")));
  LAB_CHECK(runner.up(project, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }));
  if (in.flag("detach")) {
    LAB_CHECK(runner.wait(project, kUpLimit));
    return print_states(runner, project.name);
  }
  {
    LAB_TRY(auto inside, bootstrap::InNetwork::enter(runner.network()));
    compose::LogFollower logs(runner.cluster().config(), project.name, {}, printer(project));
    int signal = 0;
    sigwait(&signals, &signal);
  }
  std::printf("\nStopping %s; what is left goes with: lab compose down\n", project.name.c_str());
  return runner.stop(project.name);
}

Result<void> down(const Invocation& in) {
  LAB_TRY(auto project, project_of(in));
  LAB_TRY(auto runner, compose::Runner::open(in.get("profile")));
  LAB_CHECK(runner.down(project.name, in.flag("volumes")));
  std::printf("Removed project %s.\n", project.name.c_str());
  return {};
}

Result<void> ps(const Invocation& in) {
  LAB_TRY(auto project, project_of(in));
  LAB_TRY(auto runner, compose::Runner::open(in.get("profile")));
  return print_states(runner, project.name);
}

Result<void> logs(const Invocation& in) {
  LAB_TRY(auto project, project_of(in));
  const auto signals = hold_signals();
  LAB_TRY(auto runner, compose::Runner::open(in.get("profile")));
  const auto print = printer(project);
  if (in.flag("follow")) {
    LAB_TRY(auto inside, bootstrap::InNetwork::enter(runner.network()));
    compose::LogFollower follower(runner.cluster().config(), project.name, in.arguments(), print);
    int signal = 0;
    sigwait(&signals, &signal);
    return {};
  }
  return compose::print_logs(runner.cluster(), project.name, in.arguments(), print);
}

}  // namespace

Commands compose_commands() {
  const std::vector<Option> common{kFile, kName, kProfile};
  auto with = [&](std::vector<Option> more) {
    more.insert(more.begin(), common.begin(), common.end());
    return more;
  };
  return {
      {.path = "compose", .summary = "Run a compose file on the lab"},
      {.path = "compose up",
       .summary = "Start its services and follow their logs until Ctrl-C",
       .options = with({{.name = "detach", .help = "Return when they run", .letter = "d"}}),
       .run = [](const Invocation& in) { return finish(up(in)); }},
      {.path = "compose down",
       .summary = "Remove all that it started",
       .options = with({{.name = "volumes", .help = "Named volumes, too", .letter = "v"}}),
       .run = [](const Invocation& in) { return finish(down(in)); }},
      {.path = "compose ps",
       .summary = "Show its services",
       .options = common,
       .run = [](const Invocation& in) { return finish(ps(in)); }},
      {.path = "compose logs",
       .summary = "Print what its services said",
       .arguments = {{"SERVICE", "default: all", false, true}},
       .options = {{.name = "file", .value = "FILE", .help = kFile.help},
                   kName,
                   kProfile,
                   {.name = "follow", .help = "Go on until Ctrl-C", .letter = "f"}},
       .run = [](const Invocation& in) { return finish(logs(in)); }},
  };
}

}  // namespace lab::cli
