#include <cstdio>

#include "base/yaml/yaml.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/local/life.h"
#include "cli/confirm.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

const Option kProfile{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"};
const Option kOutput{.name = "output", .value = "FORMAT", .help = "text, json or yaml", .fallback = "text", .letter = "o", .choices = {"text", "json", "yaml"}};

Result<void> start(const Invocation& in) {
  bootstrap::StartOptions o;
  o.profile = in.get("profile");
  o.driver = in.get("driver") == "auto" ? "namespace" : in.get("driver");
  auto existing = bootstrap::load_profile(o.profile);
  o.nodes = in.has("nodes") || !existing ? static_cast<int>(in.number("nodes")) : 0;
  if (in.has("memory")) {
    LAB_TRY(o.memory_bytes, parse_bytes("memory", in.get("memory")));
  }
  if (in.has("cpus")) o.cpus = std::atof(in.get("cpus").c_str());
  if (in.has("masters")) o.masters = static_cast<int>(in.number("masters"));
  o.initialise = !in.flag("no-init");
  o.merge_kubeconfig = !in.flag("no-kubeconfig");
  return bootstrap::start_lab(o);
}

Result<void> print_status(const Invocation& in) {
  LAB_TRY(auto nodes, bootstrap::lab_status(in.get("profile")));
  if (in.get("output") == "text") {
    for (const auto& n : nodes) {
      std::printf("%s\ntype: %s\naddress: %s\nhost: %s\nkubelet: %s\n", n.name.c_str(), n.type.c_str(), n.address.c_str(), n.host.c_str(), n.kubelet.c_str());
      if (!n.apiserver.empty()) std::printf("apiserver: %s\nkubeconfig: %s\n", n.apiserver.c_str(), n.kubeconfig.c_str());
      std::printf("\n");
    }
    return {};
  }
  json::Array out;
  for (const auto& n : nodes) {
    json::Object entry{{"name", n.name}, {"type", n.type}, {"address", n.address}, {"host", n.host}, {"kubelet", n.kubelet}};
    if (!n.apiserver.empty()) {
      entry["apiserver"] = n.apiserver;
      entry["kubeconfig"] = n.kubeconfig;
    }
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
      (void)bootstrap::delete_lab(name);   // sweeps up what a start that was killed at once may have left
      std::printf("There is no lab \"%s\"; nothing to delete.\n", name.c_str());
      continue;
    }
    auto snapshots = bootstrap::snapshots_of(name);
    const std::string also = snapshots && !snapshots->empty() ? ", " + std::to_string(snapshots->size()) + " snapshots" : "";
    if (!in.flag("force") && !confirmed("Delete lab \"" + name + "\" with all its nodes" + also + " and data?", "--force")) return kFailed;
    if (auto r = bootstrap::delete_lab(name); !r) return report(r.error());
    std::printf("Deleted lab \"%s\".\n", name.c_str());
  }
  return kDone;
}

}  // namespace

Commands lab_commands() {
  return {
      {.path = "start",
       .summary = "Start a lab on this machine; make it when there is none",
       .details = "As in: lab start --nodes 3",
       .options = {kProfile,
                   {.name = "nodes", .value = "N", .help = "Number of nodes", .fallback = "3", .letter = "n"},
                   {.name = "masters", .value = "N", .help = "Of these nodes, masters that share an etcd; for a new lab", .fallback = "1"},
                   {.name = "driver", .value = "DRIVER", .help = "What nodes are made of", .fallback = "auto", .choices = {"auto", "namespace", "libvirt"}},
                   {.name = "memory", .value = "SIZE", .help = "Memory limit of each new node; default: none"},
                   {.name = "cpus", .value = "N", .help = "CPU limit of each new node; default: none"},
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
