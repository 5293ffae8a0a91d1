// lab upgrade plan | apply | node: the commands over bootstrap/upgrade.
#include "bootstrap/upgrade/upgrade.h"

#include <algorithm>
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/config/defaults.h"
#include "cli/confirm.h"
#include "cli/control_plane.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/node_facts.h"
#include "cli/report.h"
#include "orchestrator/store/format.h"

namespace lab::cli {

namespace {

namespace upgrade = bootstrap::upgrade;
using bootstrap::Cluster;

int format_of_store(const std::string& path) {
  return store::format_of(path).value_or(0);
}

// An administrator's on masters; the node's own elsewhere, with which it sees itself.
std::string reach(const Invocation& in) {
  if (in.has("kubeconfig")) return in.get("kubeconfig");
  const auto admin = own_admin_kubeconfig();
  return fs::exists(admin) ? admin : "/etc/kubernetes/kubelet.conf";
}

Result<upgrade::Options> options_of(const Invocation& in) {
  upgrade::Options o;
  o.program = in.get("program");
  o.kubeconfig = reach(in);
  o.force = in.flag("force");
  o.drain = in.flag("drain");
  o.kubernetes_version = bootstrap::config::kKubernetesVersion;
  o.format_of_store = format_of_store;
  o.run.dry_run = in.flag("dry-run");
  o.run.skip = in.all("skip-phases");
  LAB_TRY(o.drain_timeout, parse_seconds("drain-timeout", in.get("drain-timeout")));
  LAB_TRY(o.health_timeout, parse_seconds("health-timeout", in.get("health-timeout")));
  LAB_CHECK(bootstrap::resolve_phases(upgrade::phases(), "lab upgrade apply", o.run));
  if (o.drain && o.kubeconfig.ends_with("kubelet.conf"))
    return fail(Code::kInvalid, "this node may not evict its own pods",
                "on the master: kubectl drain NODE --ignore-daemonsets; or give --kubeconfig of an administrator");
  return o;
}

using Line = std::vector<std::string>;

void print_table(const std::vector<Line>& lines) {
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i)
      text += line[i] + (i + 1 < line.size() ? std::string(widths[i] + 3 - line[i].size(), ' ') : "");
    std::printf("%s\n", text.c_str());
  }
}

// What runs on the other nodes is what their agents say.
std::vector<Line> other_nodes(const std::string& kubeconfig, const std::string& own, const upgrade::Program& fresh,
                              bool& behind) {
  std::vector<Line> out;
  auto cluster = Cluster::open(kubeconfig);
  if (!cluster) return out;
  auto nodes = ask_nodes(**cluster, false);
  if (!nodes) return out;
  for (const auto& n : *nodes) {
    if (n.name == own) continue;
    const std::string version =
        n.said ? "v" + std::string(json::str(*n.said, "version")) : "unknown: " + n.said.error().message;
    behind = behind || !n.said || upgrade::compare_versions(version, fresh.version) < 0;
    out.push_back({"lab-agent", n.name, version, fresh.version});
  }
  return out;
}

Result<void> plan(const Invocation& in) {
  LAB_TRY(auto options, options_of(in));
  std::printf("[upgrade] Comparing what runs with %s\n",
              options.program.empty() ? "this program" : options.program.c_str());
  std::fflush(stdout);
  LAB_TRY(auto now, upgrade::facts(options));
  LAB_TRY(auto record, bootstrap::read_node_record());
  const bool behind = now.installed.digest != now.fresh.digest;
  std::vector<Line> here{{"COMPONENT", "NODE", "CURRENT", "TARGET"}};
  if (now.server) here.push_back({"lab-server", record.node_name, now.installed.text(), now.fresh.text()});
  here.push_back({"lab-agent", record.node_name, now.installed.text(), now.fresh.text()});
  here.push_back({"lab-overlay", record.node_name, now.installed.text(), now.fresh.text()});
  if (now.data_format > 0)
    here.push_back({"store", record.node_name, "format " + std::to_string(now.data_format),
                    "format " + std::to_string(std::max(now.data_format, now.fresh.data_format))});
  bool others_behind = false;
  auto others =
      now.server ? other_nodes(options.kubeconfig, record.node_name, now.fresh, others_behind) : std::vector<Line>();
  if (!others.empty()) {
    std::printf(
        "\nComponents that must be upgraded on their nodes after the control plane, with 'lab upgrade node':\n");
    others.insert(others.begin(), here[0]);
    print_table(others);
  }
  std::printf("\nComponents of this machine:\n");
  print_table(here);
  if (now.under_way) std::printf("\nAn upgrade of this machine was cut off. The next run completes it.\n");
  if (now.data_format > now.fresh.data_format && now.fresh.data_format > 0)
    return fail(Code::kInvalid, "the store is of a format that " + now.fresh.version + " cannot read",
                "take a later program");
  if (!behind && !now.under_way) {
    std::printf("\nThis machine runs %s already.\n", now.fresh.text().c_str());
    return {};
  }
  std::printf("\nYou can now apply the upgrade by executing the following command:\n\n\t%s upgrade %s\n",
              (options.program.empty() ? fs::self_exe() : options.program).c_str(), now.server ? "apply" : "node");
  return {};
}

Result<void> upgrade_machine(const Invocation& in, bool apply) {
  LAB_TRY(auto options, options_of(in));
  options.control_plane = apply;
  const bool dry = options.run.dry_run;
  const bool sure = in.flag("yes") || in.flag("dry-run") || in.flag("force");
  if (apply && !sure && !confirmed("[upgrade] Are you sure you want to proceed?", "--yes"))
    return fail(Code::kInvalid, "the upgrade was not confirmed", "give --yes to do it without being asked");
  LAB_CHECK(upgrade::run_upgrade(std::move(options)));
  if (dry)
    std::printf("[dryrun] Finished dry-running successfully. Nothing on this machine was changed.\n");
  else if (apply)
    std::printf(
        "\n[upgrade/successful] SUCCESS! Your cluster's control plane was upgraded. Enjoy!\n\n"
        "[upgrade/nodes] Now proceed with the other nodes, one after the other: lab upgrade node\n");
  else
    std::printf("\n[upgrade] The configuration for this node was successfully updated!\n");
  return {};
}

std::vector<Option> upgrade_options(bool doing) {
  std::vector<Option> out{
      {.name = "program", .value = "FILE", .help = "The program to upgrade to; default: this one"},
      {.name = "kubeconfig",
       .value = "FILE",
       .help = "How to reach the cluster; default: the administrator's, or the node's own"},
      {.name = "drain-timeout",
       .value = "DURATION",
       .help = "How long to wait until the node's pods have gone",
       .fallback = "300s"},
      {.name = "health-timeout",
       .value = "DURATION",
       .help = "How long to wait for each part before going back",
       .fallback = "60s"},
  };
  if (!doing) return out;
  for (auto& o : std::vector<Option>{
           {.name = "yes", .help = "Do not ask", .letter = "y"},
           {.name = "force",
            .help = "Also to an earlier version, to the same one, and with nodes that are not Ready",
            .letter = "f"},
           {.name = "drain",
            .help = "Evict this node's pods before its daemons are restarted (they survive that anyway)"},
           {.name = "skip-phases", .value = "PHASES", .help = "Phases to leave out", .repeated = true},
           {.name = "dry-run", .help = "Only tell what would be done"}})
    out.push_back(std::move(o));
  return out;
}

std::string phase_list() {
  std::vector<std::string> names;
  bootstrap::list_phases(upgrade::phases(), names);
  std::string text = "Phases:\n";
  for (const auto& n : names) text += "  " + n + "\n";
  return text;
}

}  // namespace

Commands upgrade_commands() {
  const std::string how =
      "Run it with the new program, from wherever it lies: it replaces the one that the daemons run, and keeps that "
      "one "
      "beside it (.old). When a part does not become healthy, program and store are put back. A run that was cut off "
      "is "
      "completed by the next one. Pods run on meanwhile.\n\n" +
      phase_list();
  return {
      {.path = "upgrade", .summary = "Upgrade the control plane and the nodes to another version of this program"},
      {.path = "upgrade plan",
       .summary = "Check which versions run, and what apply would do",
       .options = upgrade_options(false),
       .run = [](const Invocation& in) { return finish(plan(in)); }},
      {.path = "upgrade apply",
       .summary = "Upgrade this master: program, store, control plane, node",
       .details = how,
       .options = upgrade_options(true),
       .run = [](const Invocation& in) { return finish(upgrade_machine(in, true)); }},
      {.path = "upgrade node",
       .summary = "Upgrade this node, or a further master",
       .details = how,
       .options = upgrade_options(true),
       .run = [](const Invocation& in) { return finish(upgrade_machine(in, false)); }},
  };
}

}  // namespace lab::cli
