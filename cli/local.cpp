#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/yaml/yaml.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/local/life.h"
#include "cli/confirm.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "labs/terminal/client.h"

namespace lab::cli {

namespace {

const Option kProfile{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"};
const Option kOutput{.name = "output", .value = "FORMAT", .help = "text, json or yaml", .fallback = "text", .letter = "o", .choices = {"text", "json", "yaml"}};

// "none" takes a limit away.
Result<std::uint64_t> lab_limit(const Invocation& in, const std::string& option) {
  if (in.get(option) == "none") return 0;
  return parse_bytes(option, in.get(option));
}

// What the profile has, but for what the flags say. Nothing where they say nothing.
Result<std::optional<bootstrap::LabLimits>> lab_limits(const Invocation& in, const bootstrap::LabLimits& before) {
  bootstrap::LabLimits out = before;
  if (in.has("lab-memory")) {
    LAB_TRY(out.memory_bytes, lab_limit(in, "lab-memory"));
  }
  if (in.has("lab-disk")) {
    LAB_TRY(out.disk_bytes, lab_limit(in, "lab-disk"));
  }
  if (in.has("lab-pids")) {
    LAB_TRY(out.pids, lab_limit(in, "lab-pids"));
  }
  if (in.has("lab-cpus")) {
    char* end = nullptr;
    const std::string text = in.get("lab-cpus");
    out.cpus = text == "none" ? 0 : std::strtod(text.c_str(), &end);
    if (text != "none" && (end == text.c_str() || *end || !(out.cpus >= 0.01 && out.cpus <= 4096)))
      return fail(Code::kInvalid, "--lab-cpus " + text + " is no number of processors", "as in: --lab-cpus 1.5, or none");
  }
  if (out == before) return std::optional<bootstrap::LabLimits>{};
  return std::optional{out};
}

Result<void> start(const Invocation& in) {
  bootstrap::StartOptions o;
  o.profile = in.get("profile");
  o.driver = in.get("driver") == "auto" ? "namespace" : in.get("driver");
  auto existing = bootstrap::load_profile(o.profile);
  o.isolated = in.flag("isolated");
  if (in.has("from")) o.from = in.get("from");
  o.nodes = in.has("nodes") || (!existing && o.from.empty()) ? static_cast<int>(in.number("nodes")) : 0;
  if (in.has("memory")) {
    LAB_TRY(o.memory_bytes, parse_bytes("memory", in.get("memory")));
  }
  if (in.has("cpus")) o.cpus = std::atof(in.get("cpus").c_str());
  if (in.has("masters")) o.masters = static_cast<int>(in.number("masters"));
  o.encrypt = in.flag("encrypt");
  if (in.has("ipam")) o.ipam = in.get("ipam");
  LAB_TRY(o.limits, lab_limits(in, existing ? existing->isolation.limits : bootstrap::LabLimits{}));
  o.user_namespace = in.flag("userns");
  o.initialise = !in.flag("no-init");
  o.merge_kubeconfig = !in.flag("no-kubeconfig");
  return bootstrap::start_lab(o);
}

// What the lab may take as a whole and takes; empty for a lab without limits.
Result<json::Object> whole_lab(const bootstrap::Profile& p) {
  const auto& l = p.isolation.limits;
  if (p.isolation == bootstrap::Isolation{}) return json::Object();
  LAB_TRY(auto used, bootstrap::lab_usage(p));
  json::Object limits;
  if (l.memory_bytes > 0) limits["memoryBytes"] = l.memory_bytes;
  if (l.cpus > 0) limits["cpus"] = l.cpus;
  if (l.pids > 0) limits["pids"] = l.pids;
  if (l.disk_bytes > 0) limits["diskBytes"] = l.disk_bytes;
  return json::Object{{"limits", std::move(limits)},
                      {"used", json::Object{{"memoryBytes", used.memory_bytes}, {"pids", used.pids}, {"diskBytes", used.disk_bytes}, {"oomKills", used.oom_kills}}},
                      {"userNamespace", !p.isolation.users.empty()}};
}

std::string of_limit(std::uint64_t used, std::uint64_t limit, std::uint64_t unit, const char* name) {
  return std::to_string(used / unit) + (limit > 0 ? " of " + std::to_string(limit / unit) : std::string()) + name;
}

Result<void> print_whole_lab(const bootstrap::Profile& p) {
  const auto& l = p.isolation.limits;
  if (p.isolation == bootstrap::Isolation{}) return {};
  LAB_TRY(auto used, bootstrap::lab_usage(p));
  std::printf("lab %s\nmemory: %s\nprocesses: %s\n", p.name.c_str(), of_limit(used.memory_bytes, l.memory_bytes, 1 << 20, " MiB").c_str(),
              of_limit(used.pids, l.pids, 1, "").c_str());
  if (l.cpus > 0) std::printf("cpus: %g\n", l.cpus);
  if (l.disk_bytes > 0) std::printf("disk: %s\n", of_limit(used.disk_bytes, l.disk_bytes, 1 << 20, " MiB").c_str());
  std::printf("user namespace: %s\n\n", p.isolation.users.empty() ? "no" : "yes");
  return {};
}

Result<void> print_status(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto nodes, bootstrap::lab_status(in.get("profile")));
  if (in.get("output") == "text") {
    LAB_CHECK(print_whole_lab(profile));
    for (const auto& n : nodes) {
      std::printf("%s\ntype: %s\naddress: %s\nhost: %s\nkubelet: %s\n", n.name.c_str(), n.type.c_str(), n.address.c_str(), n.host.c_str(), n.kubelet.c_str());
      if (!n.apiserver.empty()) std::printf("apiserver: %s\nkubeconfig: %s\n", n.apiserver.c_str(), n.kubeconfig.c_str());
      std::printf("\n");
    }
    return {};
  }
  LAB_TRY(auto whole, whole_lab(profile));
  json::Array out;
  for (const auto& n : nodes) {
    json::Object entry{{"name", n.name}, {"type", n.type}, {"address", n.address}, {"host", n.host}, {"kubelet", n.kubelet}};
    if (!n.apiserver.empty()) {
      entry["apiserver"] = n.apiserver;
      entry["kubeconfig"] = n.kubeconfig;
    }
    if (!whole.empty()) entry["lab"] = whole;   // what all nodes share
    out.push_back(std::move(entry));
  }
  std::printf("%s\n", in.get("output") == "yaml" ? yaml::dump(out).c_str() : json::dump_pretty(out).c_str());
  return {};
}

int remove(const Invocation& in) {
  std::vector<std::string> names{in.get("profile")};
  if (in.flag("all")) {
    auto all = bootstrap::list_profiles();
    if (!all) return report(all.error());
    names = *all;
  }
  for (const auto& name : names) {
    auto there = bootstrap::load_profile(name);
    if (!there && there.error().code == Code::kNotFound) {
      (void)terminal::end_keeper(name);
      (void)bootstrap::delete_lab(name);   // sweeps up what a start that was killed at once may have left
      std::printf("There is no lab \"%s\"; nothing to delete.\n", name.c_str());
      continue;
    }
    auto snapshots = bootstrap::snapshots_of(name);
    const std::string also = snapshots && !snapshots->empty() ? ", " + std::to_string(snapshots->size()) + " snapshots" : "";
    if (!in.flag("force") && !confirmed("Delete lab \"" + name + "\" with all its nodes" + also + " and data?", "--force")) return kFailed;
    if (auto r = bootstrap::delete_lab(name); !r) return report(r.error());
    if (auto r = terminal::end_keeper(name); !r) return report(r.error());
    std::printf("Deleted lab \"%s\".\n", name.c_str());
  }
  return kDone;
}

}  // namespace

Commands lab_commands() {
  return {
      {.path = "start",
       .summary = "Start a lab on this machine; make it when there is none",
       .details = "As in: lab start --nodes 3\n\n"
                  "Many labs alike, for a class: lab start -p template --isolated; lab snapshot save -p template ready; then "
                  "lab start -p ada --from template/ready, and so on. They have the same names, addresses, certificates and keys.",
       .options = {kProfile,
                   {.name = "nodes", .value = "N", .help = "Number of nodes", .fallback = "3", .letter = "n"},
                   {.name = "masters", .value = "N", .help = "Of these nodes, masters that share an etcd; for a new lab", .fallback = "1"},
                   {.name = "driver", .value = "DRIVER", .help = "What nodes are made of", .fallback = "auto", .choices = {"auto", "namespace", "libvirt"}},
                   {.name = "memory", .value = "SIZE", .help = "Memory limit of each new node; default: none"},
                   {.name = "cpus", .value = "N", .help = "CPU limit of each new node; default: none"},
                   {.name = "encrypt", .help = "Encrypt what pods send to pods of other nodes; for a new lab"},
                   {.name = "ipam", .value = "MODE", .help = "Where pods' addresses come from: podcidr: each node has a range; ring: all nodes share one. For a new lab; default: podcidr", .choices = {"podcidr", "ring"}},
                   {.name = "lab-memory", .value = "SIZE", .help = "Memory limit of the lab as a whole, swap included; none takes it away"},
                   {.name = "lab-cpus", .value = "N", .help = "CPU limit of the lab as a whole; none takes it away"},
                   {.name = "lab-pids", .value = "N", .help = "How many processes and threads the lab as a whole may have; none takes it away"},
                   {.name = "lab-disk", .value = "SIZE", .help = "Size of the lab's own disk; for a new lab, may grow later"},
                   {.name = "userns", .help = "Root in the nodes is an ordinary user of this machine (user namespaces); for a new lab"},
                   {.name = "isolated", .help = "A network of its own, with no way to this machine, to other labs or to the outside; for a new lab"},
                   {.name = "from", .value = "PROFILE/SNAPSHOT", .help = "Make the new lab as that snapshot of an isolated lab; it is isolated, too, and shares its images"},
                   {.name = "no-init", .help = "Leave the nodes empty, for doing kubeadm init and join by hand"},
                   {.name = "no-kubeconfig", .help = "Do not touch the user's kubeconfig"}},
       .run = [](const Invocation& in) { return finish(start(in)); }},
      {.path = "status",
       .summary = "Show the lab's nodes and what runs on them",
       .options = {kProfile, kOutput},
       .run = [](const Invocation& in) { return finish(print_status(in)); }},
      {.path = "stop",
       .summary = "Stop the lab's nodes; nothing is lost",
       .options = {kProfile},
       .run = [](const Invocation& in) { return finish(bootstrap::stop_lab(in.get("profile"))); }},
      {.path = "delete",
       .summary = "Delete the lab, leaving this machine as it was",
       .options = {kProfile, {.name = "all", .help = "All labs of this machine"}, {.name = "force", .help = "Do not ask", .letter = "f"}},
       .run = remove},
      {.path = "profile", .summary = "The labs of this machine"},
      {.path = "profile list",
       .summary = "List them",
       .run =
           [](const Invocation&) {
             auto names = bootstrap::list_profiles();
             if (!names) return report(names.error());
             for (const auto& name : *names) std::printf("%s\n", name.c_str());
             return kDone;
           }},
  };
}

}  // namespace lab::cli
