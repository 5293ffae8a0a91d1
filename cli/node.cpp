#include <cstdio>

#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

const Option kProfile{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"};

Result<void> add(const Invocation& in) {
  LAB_TRY(auto name, bootstrap::add_node(in.get("profile"), in.argument(0)));
  std::printf("Added node %s.\n", name.c_str());
  return {};
}

Result<void> list(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  LAB_TRY(auto states, driver->list());
  LAB_TRY(bool paused, driver->paused());
  const char* up = paused ? "Paused" : "Running";
  for (const auto& n : profile.nodes) {
    bool running = false;
    for (const auto& s : states) running = running || (s.spec.name == n.name && s.running);
    std::printf("%s\t%s\t%s\n", n.name.c_str(), n.address.c_str(), running ? up : "Stopped");
  }
  return {};
}

// lab shell [-p PROFILE] NODE [-- COMMAND...]: all that follows the node belongs to the node's program.
int shell(const Invocation& in) {
  auto words = in.arguments();
  std::string profile_name = "lab";
  if (words.size() >= 2 && (words[0] == "-p" || words[0] == "--profile")) {
    profile_name = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  auto run = [&]() -> Result<void> {
    LAB_TRY(auto profile, bootstrap::load_profile(profile_name));
    LAB_TRY(auto driver, bootstrap::make_driver(profile));
    std::string node = profile.nodes.empty() ? "" : profile.nodes[0].name;
    if (!words.empty()) {
      node = words[0];
      words.erase(words.begin());
    }
    if (!words.empty() && words[0] == "--") words.erase(words.begin());
    if (words.empty()) words = {"bash", "-l"};
    return driver->enter(node, words);
  };
  return finish(run());
}

}  // namespace

Commands node_commands() {
  const std::vector<Argument> node{{"NODE", "name of the node"}};
  return {
      {.path = "node", .summary = "Add, delete, stop, start and list nodes of the lab"},
      {.path = "node add", .summary = "Add a node", .arguments = {{"NODE", "its name; default: the next number", false, false}}, .options = {kProfile},
       .run = [](const Invocation& in) { return finish(add(in)); }},
      {.path = "node delete", .summary = "Delete a node", .arguments = node, .options = {kProfile},
       .run = [](const Invocation& in) { return finish(bootstrap::delete_node(in.get("profile"), in.argument(0))); }},
      {.path = "node start", .summary = "Start a stopped node", .arguments = node, .options = {kProfile},
       .run = [](const Invocation& in) { return finish(bootstrap::start_node(in.get("profile"), in.argument(0))); }},
      {.path = "node stop", .summary = "Stop a node", .arguments = node, .options = {kProfile},
       .run = [](const Invocation& in) { return finish(bootstrap::stop_node(in.get("profile"), in.argument(0))); }},
      {.path = "node list", .summary = "List the nodes", .options = {kProfile}, .run = [](const Invocation& in) { return finish(list(in)); }},
      {.path = "shell", .summary = "Open a shell in a node, or run a command there", .details = "lab shell [-p PROFILE] NODE [-- COMMAND...]",
       .run = shell, .passes_rest = true},
      {.path = "ssh", .summary = "The same as shell", .run = shell, .passes_rest = true},
  };
}

}  // namespace lab::cli
