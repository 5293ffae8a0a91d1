#include "bootstrap/upgrade/upgrade.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/upgrade/drain.h"
#include "bootstrap/upgrade/services.h"
#include "bootstrap/upgrade/store_copy.h"

namespace lab::bootstrap::upgrade {

namespace res = client::res;

namespace {

constexpr const char* kServer = "lab-server";
constexpr const char* kNodeDaemons[] = {"lab-agent", "lab-overlay"};
constexpr auto kReachLimit = std::chrono::seconds(15);

std::string store_file() {
  return fs::join(kStoreDirectory, "state.db");
}

int format_now(const Options& o) {
  return o.format_of_store ? o.format_of_store(store_file()) : 0;
}

std::uint64_t size_of(const std::string& path) {
  struct stat s{};
  return ::stat(path.c_str(), &s) == 0 ? static_cast<std::uint64_t>(s.st_size) : 0;
}

bool ready(const json::Value& node) {
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready") return json::str(c, "status") == "True";
  return false;
}

// A node's own credentials see that node alone.
Result<void> check_nodes(Context& c, Cluster& cluster) {
  json::Array nodes;
  if (c.options.control_plane) {
    LAB_TRY(auto all, cluster.list(res::nodes));
    nodes = json::list(all, "items");
  } else {
    LAB_TRY(auto own, cluster.get(res::nodes, "", c.node_name));
    nodes.push_back(std::move(own));
  }
  std::string absent;
  for (const auto& node : nodes)
    if (!ready(node)) absent += (absent.empty() ? "" : ", ") + std::string(json::str(node, "metadata", "name"));
  if (absent.empty()) return {};
  if (c.options.force) {
    c.progress.warn("these nodes are not Ready: " + absent);
    return {};
  }
  return fail(Code::kInvalid, "these nodes are not Ready: " + absent,
              "see kubectl describe node; --force goes on nevertheless");
}

Result<void> check_cluster(Context& c) {
  LAB_CHECK(wait_until(kReachLimit, "a healthy API server", "see kubectl get --raw='/readyz?verbose'",
                       [&] { return api_ready(c.options.kubeconfig); }));
  LAB_TRY(auto cluster, Cluster::open(c.options.kubeconfig));
  return check_nodes(c, *cluster);
}

Result<void> preflight(Context& c) {
  if (::geteuid() != 0) return fail(Code::kForbidden, "upgrades are done by root", "run it with sudo");
  const auto& j = c.journal;
  if (c.options.control_plane && !c.server)
    return fail(Code::kInvalid, "this machine runs no control plane", "on a node: lab upgrade node");
  if (c.resumed) {
    c.progress.note("[preflight] Going on with the upgrade to " + j.to.text() + " that was cut off");
    return {};
  }
  if (compare_versions(j.to.version, j.from.version) < 0 && !c.options.force)
    return fail(Code::kInvalid, "this would be a way back: " + j.from.version + " runs, " + j.to.version + " is to",
                "--force does it, if that program reads the data");
  if (j.to.data_format != 0 && j.data_format > j.to.data_format)
    return fail(Code::kInvalid,
                "the store is of format " + std::to_string(j.data_format) + ", and " + j.to.version + " reads up to " +
                    std::to_string(j.to.data_format),
                "take a program of at least the version that wrote it");
  if (j.from.digest != j.to.digest && j.installed != j.to.path)
    if (auto why = why_not_replaceable(j.installed, 2 * size_of(j.to.path)); !why.empty())
      return fail(
          Code::kInvalid, "the program " + j.installed + " cannot be replaced: " + why,
          "a node of a local lab runs the machine's own program: replace that one, then lab stop and lab start");
  LAB_CHECK(fs::make_dirs(kDirectory, 0700));
  if (auto free = fs::free_bytes(kDirectory); c.server && free && *free < 2 * size_of(store_file()))
    return fail(Code::kInvalid, std::string(kDirectory) + " has no room for a copy of the store",
                "free some space there");
  return check_cluster(c);
}

Result<void> begin(Context& c) {
  if (c.resumed) return {};
  return write_journal(c.journal);
}

Result<void> drain_phase(Context& c) {
  if (c.resumed) return {};
  LAB_TRY(auto cluster, Cluster::open(c.options.kubeconfig));
  LAB_TRY(bool ours, cordon(*cluster, c.node_name));
  c.journal.cordoned = ours;
  LAB_CHECK(write_journal(c.journal));
  return drain(*cluster, c.node_name, c.options.drain_timeout, [&](const std::string& s) { c.progress.state(s); });
}

Result<void> backup(Context& c) {
  c.journal.begun = true;
  LAB_CHECK(write_journal(c.journal));
  if (!c.server || c.journal.data_format == 0 || c.journal.store_copied) return {};
  LAB_CHECK(c.services->stop(kServer));
  LAB_CHECK(copy_store(kStoreDirectory, kKeptStore));
  c.journal.store_copied = true;
  return write_journal(c.journal);
}

Result<void> program(Context& c) {
  const auto& j = c.journal;
  // A package may have replaced it already: then what still runs is what there is to go back to.
  if (j.from.path != j.installed && j.from.digest != j.to.digest && fs::exists(j.from.path)) {
    LAB_TRY(auto running, fs::read_file(j.from.path));
    LAB_CHECK(fs::write_file(j.installed + ".old", running, 0755));
    return {};
  }
  return install_program(j.to, j.installed);
}

Result<void> control_plane(Context& c) {
  LAB_CHECK(restart_and_settle(*c.services, kServer));
  return wait_until(
      c.options.health_timeout, "a ready API server of " + c.journal.to.text(),
      "see its log: " + c.services->log_hint(kServer), [&] { return api_ready(c.options.kubeconfig); },
      [&](const std::string& s) { c.progress.state(s); });
}

Result<void> wait_node(Context& c, const std::string& since) {
  return wait_until(
      c.options.health_timeout, "node \"" + c.node_name + "\" Ready",
      "see its log: " + c.services->log_hint("lab-agent"),
      [&]() -> Result<void> {
        LAB_TRY(auto cluster, Cluster::open(c.options.kubeconfig));
        LAB_TRY(auto lease, cluster->get(res::leases, "kube-node-lease", c.node_name));
        if (json::str(lease, "spec", "renewTime") == since)
          return fail(Code::kUnavailable, "its agent has not reported since it was restarted");
        LAB_TRY(auto node, cluster->get(res::nodes, "", c.node_name));
        return ready(node) ? Result<void>() : fail(Code::kUnavailable, "it is not Ready");
      },
      [&](const std::string& s) { c.progress.state(s); });
}

Result<void> kubelet(Context& c) {
  std::string last_report;
  if (auto cluster = Cluster::open(c.options.kubeconfig))
    if (auto lease = (*cluster)->get(res::leases, "kube-node-lease", c.node_name))
      last_report = json::str(*lease, "spec", "renewTime");
  LAB_TRY(auto services, c.services->list());
  for (const char* name : kNodeDaemons)
    for (const auto& s : services)
      if (s.name == name) LAB_CHECK(restart_and_settle(*c.services, name));
  return wait_node(c, last_report);
}

// The cluster's own record of its version, as kubeadm leaves it; the rest of the document stays.
Result<void> upload_config(Context& c) {
  LAB_TRY(auto cluster, Cluster::open(c.options.kubeconfig));
  LAB_TRY(auto map, cluster->get(res::configmaps, "kube-system", "kubeadm-config"));
  LAB_TRY(auto config, yaml::parse(json::str(map, "data", "ClusterConfiguration")));
  if (json::str(config, "kubernetesVersion") == c.options.kubernetes_version) return {};
  json::set(config, c.options.kubernetes_version, "kubernetesVersion");
  json::Value patch = json::Object{{"data", json::Object{{"ClusterConfiguration", yaml::dump(config)}}}};
  LAB_CHECK(
      cluster->patch(res::configmaps, "kube-system", "kubeadm-config", client::PatchType::kMerge, std::move(patch)));
  return {};
}

Result<void> uncordon_phase(Context& c) {
  if (!c.journal.cordoned) return {};
  LAB_TRY(auto cluster, Cluster::open(c.options.kubeconfig));
  return uncordon(*cluster, c.node_name);
}

Result<void> end(Context&) {
  return fs::remove_file(kJournal);
}

bool no_server(const Context& c) {
  return !c.server;
}
using Plan = std::vector<std::string>;

}  // namespace

const std::vector<Phase<Context>>& phases() {
  using P = Phase<Context>;
  static const std::vector<P> all{
      P{.name = "preflight", .summary = "Running pre-flight checks", .run = preflight, .reads_only = true},
      P{.name = "begin",
        .summary = "Writing down what is about to be done",
        .run = begin,
        .plan = [](Context&) { return Plan{"write the file \"" + std::string(kJournal) + "\""}; }},
      P{.name = "drain",
        .summary = "Draining this node",
        .run = drain_phase,
        .skip = [](const Context& c) { return !c.options.drain; },
        .plan = [](Context& c) { return Plan{"cordon node \"" + c.node_name + "\" and evict its pods"}; }},
      P{.name = "backup",
        .summary = "Keeping a copy of the store",
        .run = backup,
        .plan =
            [](Context& c) {
              if (!c.server || c.journal.data_format == 0) return Plan{};
              return Plan{"stop the service lab-server",
                          "copy the store in " + std::string(kStoreDirectory) + " to " + kKeptStore};
            }},
      P{.name = "program",
        .summary = "Replacing the program",
        .run = program,
        .plan =
            [](Context& c) {
              const auto& j = c.journal;
              if (j.from.digest == j.to.digest) return Plan{};
              return Plan{"replace \"" + j.installed + "\", " + j.from.text() + ", by " + j.to.text() +
                          ", and keep the old one as \"" + j.installed + ".old\""};
            }},
      P{.name = "control-plane",
        .summary = "Restarting the control plane",
        .run = control_plane,
        .skip = no_server,
        .plan =
            [](Context&) {
              return Plan{
                  "restart the service lab-server, which brings its store to its own format, and wait until it is "
                  "ready"};
            }},
      P{.name = "kubelet",
        .summary = "Restarting the kubelet and the pod network",
        .run = kubelet,
        .plan =
            [](Context& c) {
              return Plan{"restart the services lab-agent and lab-overlay, and wait until node \"" + c.node_name +
                          "\" is Ready"};
            }},
      P{.name = "upload-config",
        .summary = "Storing the version in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace",
        .run = upload_config,
        .skip = [](const Context& c) { return !c.options.control_plane; },
        .plan = [](Context& c) { return Plan{"set kubernetesVersion to " + c.options.kubernetes_version + " there"}; }},
      P{.name = "uncordon",
        .summary = "Letting the node have pods again",
        .run = uncordon_phase,
        .skip = [](const Context& c) { return !c.options.drain && !c.journal.cordoned; },
        .plan = [](Context& c) { return Plan{"uncordon node \"" + c.node_name + "\""}; }},
      P{.name = "end",
        .summary = "Done",
        .run = end,
        .plan = [](Context&) { return Plan{"remove the file \"" + std::string(kJournal) + "\""}; }},
  };
  return all;
}

// ---- the way back ----

namespace {

Result<void> program_back(const Journal& j) {
  auto there = inspect_program(j.installed);
  if (there && there->digest == j.from.digest) return {};
  LAB_CHECK(restore_program(j.installed));
  LAB_TRY(auto now, inspect_program(j.installed));
  if (now.digest == j.from.digest) return {};
  return fail(Code::kNotFound, "the program that ran before, " + j.from.text() + ", is not in " + j.installed + ".old",
              "put it to " + j.installed + " yourself, and run this again");
}

// What the old program can read goes on; only a store that it cannot is taken from the copy.
Result<void> store_back(Context& c) {
  const auto& j = c.journal;
  if (!j.store_copied) return {};
  const int now = format_now(c.options);
  if (now == j.data_format) return {};
  c.progress.note("[rollback] The store is of format " + std::to_string(now) + " now; its copy of format " +
                  std::to_string(j.data_format) + " is put back");
  return restore_store(kKeptStore, kStoreDirectory);
}

Result<void> go_back(Context& c) {
  auto& j = c.journal;
  j.going_back = true;
  LAB_CHECK(write_journal(j));
  if (j.begun) {
    c.progress.step("rollback", "Putting " + j.from.text() + " back");
    if (c.server) LAB_CHECK(c.services->stop(kServer));
    LAB_CHECK(program_back(j));
    if (c.server) {
      LAB_CHECK(store_back(c));
      LAB_CHECK(restart_and_settle(*c.services, kServer));
      LAB_CHECK(wait_until(c.options.health_timeout, "a ready API server of " + j.from.text(),
                           "see its log: " + c.services->log_hint(kServer),
                           [&] { return api_ready(c.options.kubeconfig); }));
    }
    LAB_CHECK(kubelet(c));
  }
  LAB_CHECK(uncordon_phase(c));
  return end(c);
}

Result<void> with_way_back(Context& c, Result<void> done) {
  auto journal = read_journal();
  // Nothing was written down: nothing was done.
  if (done || c.options.run.dry_run || !journal || !*journal) return done;
  Error why = std::move(done).error();
  c.progress.done();
  c.progress.warn(why.text());
  const bool begun = c.journal.begun;
  if (auto back = go_back(c); !back)
    return fail(Code::kInternal,
                "the upgrade failed, and so did the way back: " + back.error().message +
                    "; the upgrade's own reason: " + why.message,
                "when that is mended, run it again: it completes the way back first");
  c.progress.done();
  if (!begun) return std::unexpected(std::move(why));
  return fail(why.code, "the upgrade failed, and this machine runs " + c.journal.from.text() + " again: " + why.message,
              why.hint.empty() ? "the node and its data are as before" : why.hint);
}

}  // namespace

Result<Facts> facts(const Options& o) {
  Facts out;
  LAB_TRY(auto path, installed_program());
  auto services = ServiceManager::detect();
  LAB_TRY(auto states, services->list());
  std::string running;
  for (const auto& s : states) {
    if (s.name == kServer) out.server = true;
    if (s.name == "lab-agent" && s.pid > 0) running = "/proc/" + std::to_string(s.pid) + "/exe";
  }
  LAB_TRY(out.installed, inspect_program(path));
  LAB_TRY(out.fresh, inspect_program(o.program.empty() ? fs::self_exe() : o.program));
  // Replaced beneath its daemons, by a package say: what they run is what is upgraded from.
  if (out.installed.digest == out.fresh.digest && !running.empty())
    if (auto old = inspect_program(running); old && old->digest != out.fresh.digest) out.installed = *old;
  out.data_format = out.server ? format_now(o) : 0;
  LAB_TRY(auto journal, read_journal());
  out.under_way = journal.has_value();
  return out;
}

Result<void> run_upgrade(Options options) {
  Context c{.options = std::move(options)};
  c.services = ServiceManager::detect();
  LAB_TRY(auto now, facts(c.options));
  LAB_TRY(auto record, read_node_record());
  c.node_name = record.node_name;
  c.server = now.server;
  LAB_TRY(auto journal, read_journal());
  if (journal) c.journal = *journal;
  if (journal && !c.options.run.dry_run) {
    if (journal->going_back || journal->to.digest != now.fresh.digest) {
      c.progress.note("[upgrade] An upgrade to " + journal->to.text() +
                      " was cut off; first the way back is completed");
      LAB_CHECK(go_back(c));
      c.progress.done();
      LAB_TRY(now, facts(c.options));
      journal.reset();
    }
  }
  c.resumed = journal.has_value();
  if (!c.resumed) {
    LAB_TRY(auto path, installed_program());
    c.journal = {.installed = path, .from = now.installed, .to = now.fresh, .data_format = now.data_format};
    if (now.installed.digest == now.fresh.digest && !c.options.force) {
      c.progress.note("[upgrade] This machine runs " + now.fresh.text() + " already");
      return {};
    }
  }
  c.options.run.on_start = [&](const std::string& path, const std::string& summary) { c.progress.step(path, summary); };
  c.options.run.on_plan = [&](const std::string& line) { c.progress.note("[dryrun] Would " + line); };
  auto done = with_way_back(c, run_phases(phases(), c, c.options.run));
  c.progress.done();
  return done;
}

}  // namespace lab::bootstrap::upgrade
