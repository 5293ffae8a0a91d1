// Phases: what init, join and reset do, as data with one runner. Each phase can be run alone, skipped, or only told.
//
// A phase is idempotent: run again after a crash at any point, it completes what is missing and keeps what is right.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

template <class Context>
struct Phase {
  std::string name;                      // "certs", below it "apiserver"
  std::string summary;                   // shown in help and by --dry-run
  Result<void> (*run)(Context&) = nullptr;      // null: only a group
  std::vector<Phase<Context>> children = {};
  bool (*skip)(const Context&) = nullptr;       // e.g. an addon that is switched off
  // What run would change, a line each ("write the file ..."): shown by a dry run.
  std::vector<std::string> (*plan)(Context&) = nullptr;
  bool reads_only = false;               // run changes nothing, so a dry run runs it too
};

struct RunOptions {
  std::vector<std::string> skip;         // "certs", "addon/dns"
  std::string only;                      // "certs/apiserver"; empty: all
  bool dry_run = false;
  // Told before each phase that runs or, in a dry run, would.
  std::function<void(const std::string& path, const std::string& summary)> on_start;
  std::function<void(const std::string& line)> on_plan;   // dry runs: each line of a phase's plan
};

template <class Context>
Result<void> run_phases(const std::vector<Phase<Context>>& phases, Context& context, const RunOptions& options,
                        const std::string& above = {}) {
  for (const auto& phase : phases) {
    const std::string path = above.empty() ? phase.name : above + "/" + phase.name;
    bool skipped = false;
    for (const auto& s : options.skip) skipped = skipped || s == path;
    if (skipped || (phase.skip && phase.skip(context))) continue;
    const bool on_the_way = options.only.empty() || options.only == path || path.starts_with(options.only + "/") ||
                            options.only.starts_with(path + "/");
    if (!on_the_way) continue;
    const bool exact = options.only.empty() || !options.only.starts_with(path + "/");
    if (phase.run && exact) {
      if (options.on_start) options.on_start(path, phase.summary);
      if (options.dry_run && phase.plan && options.on_plan)
        for (const auto& line : phase.plan(context)) options.on_plan(line);
      if (!options.dry_run || phase.reads_only) {
        if (auto r = phase.run(context); !r)
          return std::unexpected(std::move(r).error().with_context("phase " + path));
      }
    }
    LAB_CHECK(run_phases(phase.children, context, options, path));
  }
  return {};
}

// "certs", "certs/ca", ...: every path, for --help and for checking what --skip-phases names.
template <class Context>
void list_phases(const std::vector<Phase<Context>>& phases, std::vector<std::string>& out, const std::string& above = {}) {
  for (const auto& phase : phases) {
    const std::string path = above.empty() ? phase.name : above + "/" + phase.name;
    out.push_back(path);
    list_phases(phase.children, out, path);
  }
}

// Makes what people wrote into paths of the table: "certs/all" is "certs", and kubeadm's names of what is called
// otherwise here are in `aliases`. Invalid names the first that is no phase; `command` is the one whose --help lists them.
template <class Context>
Result<void> resolve_phases(const std::vector<Phase<Context>>& phases, const std::string& command, RunOptions& options,
                            const std::map<std::string, std::string>& aliases = {}) {
  std::vector<std::string> known;
  list_phases(phases, known);
  auto resolve = [&](std::string& name) -> Result<void> {
    const std::string given = name;
    if (auto it = aliases.find(name); it != aliases.end()) name = it->second;
    if (name.ends_with("/all")) name.erase(name.size() - 4);
    if (name.empty() || std::find(known.begin(), known.end(), name) != known.end()) return {};
    return fail(Code::kInvalid, "invalid phase name: " + given, command + " --help lists the phases");
  };
  for (auto& name : options.skip) LAB_CHECK(resolve(name));
  return resolve(options.only);
}

}  // namespace lab::bootstrap
