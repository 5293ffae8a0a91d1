#include "bootstrap/local/lab.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <optional>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/netlink/sysctl.h"
#include "bootstrap/common/address.h"
#include "bootstrap/common/images.h"
#include "bootstrap/local/kubeconfig_merge.h"
#include "bootstrap/local/lab_kubeconfig.h"
#include "bootstrap/local/steps.h"
#include "bootstrap/node/storage.h"
#include "bootstrap/node/kernel_limits.h"
#include "bootstrap/node/network_lock.h"
#include "bootstrap/node/network_namespace.h"
#include "bootstrap/snapshot/snapshots.h"
#include "pki/bootstrap_token.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap {

namespace res = client::res;

namespace {

constexpr const char* kForwarding = "net/ipv4/ip_forward";
constexpr int kCommandLimit = 900;                                // seconds; an emulated machine takes its time
constexpr const char* kMemberMark = "/var/lib/lab/local/member";   // inside a node: its init or join has been completed
constexpr std::uint32_t kFirstNode = 2;                            // .1 is the bridge
constexpr std::uint32_t kLastNode = 250;

std::string last_line(const ExecResult& r) {
  std::string text = r.err.empty() ? r.out : r.err;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.size() > 2000 ? "..." + text.substr(text.size() - 2000) : text;
}

Result<void> exec_checked(NodeDriver& driver, const std::string& node, std::vector<std::string> argv) {
  std::string what;
  for (std::size_t i = 0; i < argv.size() && i < 2; ++i) what += (i ? " " : "") + argv[i];
  LAB_TRY(auto done, driver.exec(node, {.argv = std::move(argv), .timeout_seconds = kCommandLimit}));
  if (done.exit_code == 0) return {};
  return fail(Code::kInternal, what + " on node " + node + " failed: " + last_line(done),
              "look inside: lab shell " + node + "; run lab start again when it is mended");
}

bool marked(NodeDriver& driver, const std::string& node, const std::string& path) {
  return driver.read_file(node, path).has_value();
}

Result<void> mark(NodeDriver& driver, const std::string& node, const std::string& path) {
  return driver.write_file(node, path, "");
}

// A node whose init or join went through needs none at the next start; one that was cut off goes through it again.
bool is_member(NodeDriver& driver, const std::string& node) { return marked(driver, node, kMemberMark); }

Result<void> import_bundle(const Profile& p, NodeDriver& driver, const std::string& node) {
  if (marked(driver, node, kImagesMark)) return {};
  LAB_TRY(auto archives, bundled_images());
  LAB_CHECK(load_images(p, driver, {node}, archives));
  return mark(driver, node, kImagesMark);
}

bool is_master(const Profile& p, std::size_t node) { return node < static_cast<std::size_t>(p.masters); }

// Of the first master that can be asked.
Result<std::string> read_from_master(const Profile& p, NodeDriver& driver, const std::string& path) {
  Result<std::string> out = fail(Code::kNotFound, "lab \"" + p.name + "\" has no nodes");
  for (std::size_t i = 0; i < p.nodes.size() && is_master(p, i) && !out; ++i) {
    auto text = driver.read_file(p.nodes[i].name, path);
    if (text || i == 0) out = std::move(text);
  }
  return out;
}

std::string control_plane_url(const Profile& p) {
  return "https://" + (p.masters > 1 ? std::string(kControlPlaneName) : p.nodes[0].address) + ":6443";
}

std::vector<std::string> init_command(const Profile& p, const std::string& certificate_key) {
  std::vector<std::string> out{"lab", "init", "--apiserver-advertise-address", p.nodes[0].address, "--node-name", p.nodes[0].name, "--token", p.token,
          "--token-ttl", "0", "--no-taint", "--node-monitor-grace-period", std::to_string(p.node_grace_seconds) + "s",
          "--default-toleration-seconds", std::to_string(p.pod_toleration_seconds), "--skip-phases", "images,show-join-command"};
  if (p.encrypt) out.push_back("--encrypt");
  if (p.ipam != "podcidr") out.insert(out.end(), {"--ipam", p.ipam});
  if (p.masters > 1)
    out.insert(out.end(), {"--store", "etcd", "--upload-certs", "--certificate-key", certificate_key, "--control-plane-endpoint", kControlPlaneName});
  return out;
}

// `certificate_key`: joins as a further master.
Result<void> join_node(const Profile& p, NodeDriver& driver, const NodeSpec& node, const std::string& certificate_key = {}) {
  const std::string discovery = "/etc/kubernetes/discovery.conf";
  LAB_TRY(auto ca, read_from_master(p, driver, "/etc/kubernetes/pki/ca.crt"));
  // Both machines are ours: the identity is handed over, not discovered. The token still proves the node's right to join.
  LAB_CHECK(driver.write_file(node.name, discovery, pki::kubeconfig_text({.server = control_plane_url(p), .ca_pem = ca})));
  std::vector<std::string> command{"lab", "join", "--discovery-file", discovery, "--token", p.token, "--node-name", node.name, "--skip-phases", "images"};
  if (!certificate_key.empty())
    command.insert(command.end(), {"--control-plane", "--certificate-key", certificate_key, "--no-taint", "--apiserver-advertise-address", node.address});
  auto joined = exec_checked(driver, node.name, std::move(command));
  LAB_CHECK(driver.remove_file(node.name, discovery));
  LAB_CHECK(joined);
  return mark(driver, node.name, kMemberMark);
}


// The first master, the further ones one after the other (etcd takes in one learner at a time), then all workers at once.
Result<void> bring_up_cluster(const Profile& p, NodeDriver& driver, Progress& progress) {
  const std::string key = p.masters > 1 ? crypto::hex_encode(crypto::random_bytes(32)) : std::string();
  const auto& first = p.nodes[0];
  const bool anew = !is_member(driver, first.name);
  if (anew) {
    progress.step("init", "Initialising the control plane on " + first.name);
    LAB_CHECK(exec_checked(driver, first.name, init_command(p, key)));
    LAB_CHECK(mark(driver, first.name, kMemberMark));
  }
  std::vector<NodeSpec> masters, workers;
  for (std::size_t i = 1; i < p.nodes.size(); ++i)
    if (!is_member(driver, p.nodes[i].name)) (is_master(p, i) ? masters : workers).push_back(p.nodes[i]);
  if (!masters.empty()) {
    progress.step("masters", "Joining " + std::to_string(masters.size()) + " further masters");
    if (!anew)   // what init had uploaded may have gone, and its key is not kept
      LAB_CHECK(exec_checked(driver, first.name, {"lab", "init", "phase", "upload-certs", "--upload-certs", "--store", "etcd", "--certificate-key", key}));
    for (const auto& n : masters) LAB_CHECK(join_node(p, driver, n, key));
  }
  if (workers.empty()) return {};
  progress.step("join", "Joining " + std::to_string(workers.size()) + " workers");
  return for_each_parallel(workers, [&](const NodeSpec& n) { return join_node(p, driver, n); });
}

Result<void> plan_masters(Profile& p, const StartOptions& o, bool existing) {
  if (o.masters == 0 || (existing && o.masters == p.masters)) return {};
  if (existing)
    return fail(Code::kInvalid, "lab \"" + p.name + "\" has " + std::to_string(p.masters) + " masters, which cannot be changed", "make it anew: lab delete, lab start --masters N");
  if (o.masters < 1 || o.masters > o.nodes)
    return fail(Code::kInvalid, std::to_string(o.masters) + " masters do not fit into " + std::to_string(o.nodes) + " nodes", "as in: lab start --nodes 3 --masters 3");
  if (o.masters > 1 && p.driver != "namespace") return fail(Code::kInvalid, "several masters need the driver \"namespace\"", "leave --masters out");
  p.masters = o.masters;
  return {};
}

// A pod network is chosen once: nodes of two kinds would not hear each other.
Result<void> plan_pod_network(Profile& p, const StartOptions& o, bool existing) {
  const std::string anew = "make it anew: lab delete" + profile_flag(p.name) + ", lab start";
  if (existing && o.encrypt && !p.encrypt)
    return fail(Code::kInvalid, "lab \"" + p.name + "\" was made without encryption, which cannot be changed", anew + " --encrypt");
  if (existing && !o.ipam.empty() && o.ipam != p.ipam)
    return fail(Code::kInvalid, "lab \"" + p.name + "\" was made with --ipam " + p.ipam + ", which cannot be changed", anew + " --ipam " + o.ipam);
  if (existing) return {};
  p.encrypt = o.encrypt;
  if (!o.ipam.empty()) p.ipam = o.ipam;
  return {};
}

Result<void> plan_isolation(Profile& p, const StartOptions& o, bool existing) {
  const bool limited = (o.limits && *o.limits != LabLimits{}) || o.user_namespace;
  if (limited && p.driver != "namespace")
    return fail(Code::kInvalid, "a lab of the driver \"" + p.driver + "\" has no limits as a whole", "its machines have --memory and --cpus");
  if (existing && o.user_namespace && p.isolation.users.empty())
    return fail(Code::kInvalid, "the nodes of lab \"" + p.name + "\" were made without user namespaces, which cannot be changed",
                "make it anew: lab delete" + profile_flag(p.name) + ", lab start --userns");
  if (existing && o.limits && o.limits->disk_bytes < p.isolation.limits.disk_bytes)
    return fail(Code::kInvalid, "the disk of lab \"" + p.name + "\" has " + std::to_string(p.isolation.limits.disk_bytes >> 20) + " MiB and cannot shrink",
                "make it anew: lab delete" + profile_flag(p.name) + ", lab start --lab-disk SIZE");
  if (existing && o.limits && p.isolation.limits.disk_bytes == 0 && o.limits->disk_bytes > 0 && fs::exists(p.layout().nodes()))
    return fail(Code::kInvalid, "lab \"" + p.name + "\" was made without a disk of its own, which cannot be limited",
                "make it anew: lab delete" + profile_flag(p.name) + ", lab start --lab-disk SIZE");
  if (o.limits) p.isolation.limits = *o.limits;
  if (existing || !o.user_namespace) return {};
  std::vector<UserRange> others;
  LAB_TRY(auto names, list_profiles());
  for (const auto& name : names)
    if (auto other = load_profile(name)) others.push_back(other->isolation.users);
  LAB_TRY(p.isolation.users, choose_users(others));
  return {};
}

Result<void> plan_nodes(Profile& p, const StartOptions& o) {
  const std::size_t wanted = o.nodes > 0 ? static_cast<std::size_t>(o.nodes) : std::max<std::size_t>(p.nodes.size(), 1);
  if (wanted > kLastNode - kFirstNode) return fail(Code::kInvalid, "at most " + std::to_string(kLastNode - kFirstNode) + " nodes fit into a lab");
  while (p.nodes.size() < wanted) {
    std::uint32_t host = kFirstNode;
    auto taken = [&](const std::string& a) { return std::any_of(p.nodes.begin(), p.nodes.end(), [&](const NodeSpec& n) { return n.address == a; }); };
    while (taken(p.network.subnet.at(host).text())) ++host;
    std::uint32_t number = 1;
    auto name = [&] { return "node" + std::to_string(number); };
    while (std::any_of(p.nodes.begin(), p.nodes.end(), [&](const NodeSpec& n) { return n.name == name(); })) ++number;
    p.nodes.push_back({.name = name(), .address = p.network.subnet.at(host).text(), .memory_bytes = o.memory_bytes, .cpus = o.cpus});
  }
  for (std::size_t i = 0; i < p.nodes.size(); ++i) p.nodes[i].shared_master = p.masters > 1 && is_master(p, i);
  return {};
}

Result<Profile> make_profile(const StartOptions& o) {
  Profile p;
  p.name = o.profile;
  p.driver = o.driver;
  if (o.isolated || !o.from.empty()) {
    if (p.driver != "namespace")
      return fail(Code::kInvalid, "only labs of the driver \"namespace\" can be isolated, or started from another's snapshot",
                  "leave --driver out");
    p.network = isolated_network(p.layout().network_file());
  } else {
    std::vector<LabNetwork> others;
    LAB_TRY(auto names, list_profiles());
    for (const auto& name : names)
      if (auto other = load_profile(name)) others.push_back(other->network);
    LAB_TRY(p.network, choose_network(others));
    LAB_TRY(p.forwarding_before, read_sysctl(kForwarding));
  }
  p.token = pki::BootstrapToken::generate().text();
  p.node_grace_seconds = o.node_grace_seconds;
  p.pod_toleration_seconds = o.pod_toleration_seconds;
  if (!o.from.empty()) {
    LAB_CHECK(take_origin(p, o.from));
    for (auto& node : p.nodes) {
      if (o.memory_bytes > 0) node.memory_bytes = o.memory_bytes;
      if (o.cpus > 0) node.cpus = o.cpus;
    }
  }
  return p;
}

// What a lab is made with and keeps.
Result<void> refuse_another_kind(const Profile& p, const StartOptions& o) {
  const std::string anew = "choose another name with --profile, or delete it: lab delete" + profile_flag(p.name);
  if (o.isolated && !p.network.isolated())
    return fail(Code::kConflict, "lab \"" + p.name + "\" is there already and is not isolated, which cannot be changed", anew);
  if (!o.from.empty() && o.from != p.from)
    return fail(Code::kConflict, "lab \"" + p.name + "\" is there already, and was not started from " + o.from, anew);
  return {};
}

// A machine that does not let itself be tuned may still carry a few labs.
void raise_limits(Progress& progress) {
  std::size_t nodes = 0;
  if (auto names = list_profiles())
    for (const auto& name : *names)
      if (auto lab = load_profile(name); lab && lab->driver == "namespace") nodes += lab->nodes.size();
  if (auto raised = raise_kernel_limits(nodes); !raised)
    progress.warn("many nodes may need higher limits of the kernel: " + raised.error().text());
}

// From now on for those that do not run. The others have begun when their pid was written down, maybe by a start that was
// killed a moment ago and has not heard of them.
Result<Lives> lives_of(const Profile& p, NodeDriver& driver) {
  Lives out;
  for (const auto& node : p.nodes) out.since[node.name] = std::chrono::system_clock::now();
  LAB_TRY(auto states, driver.list());
  for (const auto& state : states) {
    if (!state.running) continue;
    struct stat st;
    const std::string file = p.layout().node(state.spec.name).pid_file();
    if (p.driver != "namespace" || ::stat(file.c_str(), &st) != 0)
      out.since.erase(state.spec.name);
    else
      out.since[state.spec.name] = std::chrono::system_clock::from_time_t(st.st_mtim.tv_sec);
  }
  return out;
}

Result<void> bring_up_node(const Profile& p, NodeDriver& driver, const NodeSpec& node) {
  LAB_CHECK(driver.start(node));
  return import_bundle(p, driver, node.name);
}

}  // namespace

Result<std::string> admin_kubeconfig(const Profile& p, NodeDriver& driver) {
  auto text = read_from_master(p, driver, "/etc/kubernetes/admin.conf");
  if (!text && text.error().code == Code::kNotFound && !p.nodes.empty())
    return fail(Code::kNotFound, "node " + p.nodes[0].name + " is no master yet", "run lab start, or kubeadm init in its shell");
  if (!text) return text;
  std::string address = p.nodes[0].address;
  // Of several masters the first that runs; outside of the nodes nobody knows their common name.
  if (p.masters > 1) {
    LAB_TRY(auto states, driver.list());
    auto runs = [&](const NodeSpec& n) { return std::any_of(states.begin(), states.end(), [&](const NodeState& s) { return s.running && s.spec.name == n.name; }); };
    auto first = std::find_if(p.nodes.begin(), p.nodes.begin() + p.masters, runs);
    if (first != p.nodes.begin() + p.masters) address = first->address;
  }
  return lab_kubeconfig(*text, address);
}

Result<std::unique_ptr<Cluster>> open_cluster(const Profile& p, NodeDriver& driver) {
  LAB_CHECK(refuse_paused(driver, p));
  LAB_TRY(auto text, admin_kubeconfig(p, driver));
  LAB_TRY(auto config, client::parse_kubeconfig(text));
  LAB_TRY(auto inside, InNetwork::enter(p.network));   // the client's own thread begins there, and stays
  return Cluster::connect(std::move(config));
}

Result<void> start_lab(const StartOptions& o) {
  LAB_TRY(auto lock, ProfileLock::take(o.profile));
  Progress progress;
  auto existing = load_profile(o.profile);
  if (!existing && existing.error().code != Code::kNotFound) return std::unexpected(std::move(existing).error());
  Profile p;
  std::optional<FileLock> choosing;
  if (existing) {
    p = std::move(*existing);
    LAB_CHECK(refuse_another_kind(p, o));
  } else {
    LAB_TRY(auto taken, lock_networks());
    choosing.emplace(std::move(taken));
    LAB_TRY(p, make_profile(o));
  }
  if (!p.restoring.empty()) {
    LAB_TRY(auto restoring, make_driver(p));
    LAB_CHECK(complete_restore(p, *restoring, progress));
  }
  const bool made_before = existing.has_value() || !p.from.empty();   // here, or as the lab that this one begins as
  LAB_CHECK(plan_masters(p, o, made_before));
  LAB_CHECK(plan_pod_network(p, o, made_before));
  LAB_CHECK(plan_isolation(p, o, existing.has_value()));
  LAB_CHECK(plan_nodes(p, o));
  LAB_TRY(auto driver, make_driver(p));
  LAB_TRY(bool paused, driver->paused());
  if (paused) {
    progress.step("unpause", "Letting the paused nodes go on");
    LAB_CHECK(driver->unpause());
  }
  progress.step("network", "Bridge " + p.network.bridge + ", " + p.network.subnet.text() + (p.network.isolated() ? ", isolated" : ""));
  LAB_CHECK(save_profile(p));   // first: whatever is made from here on, delete knows of it
  choosing.reset();
  raise_limits(progress);
  LAB_CHECK(driver->prepare());
  LAB_CHECK(sweep_snapshots(p.layout()));   // what a save or restore that was killed has left
  if (!p.network.isolated()) LAB_CHECK(set_sysctl(kForwarding, "1"));
  if (p.copying) LAB_CHECK(copy_origin(p, progress));

  progress.step("nodes", "Starting " + std::to_string(p.nodes.size()) + " nodes");
  LAB_TRY(auto lives, lives_of(p, *driver));
  LAB_CHECK(for_each_parallel(p.nodes, [&](const NodeSpec& n) { return driver->start(n); }));
  // Images are imported while the control plane comes up: neither waits for the other.
  auto images = std::async(std::launch::async, [&]() -> Result<void> {
    return for_each_parallel(p.nodes, [&](const NodeSpec& n) { return import_bundle(p, *driver, n.name); });
  });
  // A lab that began as one of empty nodes stays that until somebody makes a cluster of them.
  const bool initialise = o.initialise && (p.from.empty() || is_member(*driver, p.nodes[0].name));
  Result<void> cluster_up;
  if (initialise) cluster_up = bring_up_cluster(p, *driver, progress);
  progress.step("images", "Importing the bundled images");
  auto imported = images.get();
  LAB_CHECK(cluster_up);
  LAB_CHECK(imported);
  if (!initialise) {
    progress.done();
    std::printf("\nThe nodes are up and empty. Enter one with: lab shell%s %s\n", profile_flag(p.name).c_str(), p.nodes[0].name.c_str());
    return {};
  }
  progress.step("ready", "Waiting for all nodes to be Ready");
  LAB_TRY(auto cluster, open_cluster(p, *driver));
  LAB_CHECK(wait_nodes_ready(*cluster, p, progress, lives));
  if (o.merge_kubeconfig) LAB_CHECK(merge_user_kubeconfig(p, *driver, progress));
  progress.done();
  if (p.network.isolated()) std::printf("\nIt is isolated: nothing but lab's own commands leads into it from here.");
  const std::string use = p.kubeconfig.empty() ? "Its own kubectl: lab kubectl" + (p.name == "lab" ? "" : " -p " + p.name) + " get nodes"
                                               : "kubectl is configured to use it: kubectl get nodes";
  std::printf("\nDone! Lab \"%s\" runs %zu nodes. %s\n", p.name.c_str(), p.nodes.size(), use.c_str());
  return {};
}

Result<void> stop_lab(const std::string& profile) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto driver, make_driver(p));
  return for_each_parallel(p.nodes, [&](const NodeSpec& n) { return driver->stop(n.name); });
}

Result<void> delete_lab(const std::string& profile) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  auto known = load_profile(profile);
  if (!known && known.error().code == Code::kNotFound) LAB_CHECK(forget_profile(profile));
  LAB_TRY(auto p, std::move(known));
  if (!p.kubeconfig.empty()) {
    // A file that a person broke since must not keep the lab from going.
    if (auto r = remove_context(p.kubeconfig, p.name, p.kubeconfig_made); !r) Progress().warn(r.error().text());
  }
  LAB_TRY(auto driver, make_driver(p));
  LAB_CHECK(driver->remove_all());
  LAB_CHECK(forget_profile(profile));
  if (!p.images.empty()) LAB_CHECK(drop_unused_images());
  LAB_TRY(auto others, list_profiles());
  if (others.empty()) LAB_CHECK(restore_kernel_limits());
  ::rmdir("/var/lib/lab");   // with the last lab
  std::erase_if(others, [](const std::string& name) {
    auto other = load_profile(name);
    return other && other->network.isolated();   // needs no forwarding here
  });
  if (others.empty() && p.forwarding_before == "0") LAB_CHECK(set_sysctl(kForwarding, "0"));
  return {};
}

Result<std::vector<NodeStatus>> lab_status(const std::string& profile) {
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto driver, make_driver(p));
  LAB_TRY(auto states, driver->list());
  LAB_TRY(bool paused, driver->paused());
  std::vector<NodeStatus> out;
  for (std::size_t i = 0; i < p.nodes.size(); ++i) {
    const auto& node = p.nodes[i];
    NodeStatus s{.name = node.name, .type = is_master(p, i) ? "Control Plane" : "Worker", .address = node.address, .host = "Stopped", .kubelet = "Stopped"};
    for (const auto& state : states)
      if (state.spec.name == node.name && state.running) s.host = paused ? "Paused" : "Running";
    if (is_master(p, i)) {
      s.apiserver = "Stopped";
      s.kubeconfig = p.kubeconfig.empty() ? "Missing" : "Configured";
    }
    if (s.host == "Paused") {   // nothing in it can be asked
      s.kubelet = "Paused";
      if (is_master(p, i)) s.apiserver = "Paused";
    }
    if (s.host == "Running") {
      auto listed = driver->exec(node.name, {.argv = {"lab", "services", "-o", "json"}, .timeout_seconds = 10});
      auto services = listed ? json::parse(listed->out) : Result<json::Value>(json::Array());
      if (services)
        for (const auto& service : json::as_array(*services)) {
          const bool up = json::flag(service, "running");
          if (json::str(service, "name") == "lab-agent") s.kubelet = up ? "Running" : "Stopped";
          if (is_master(p, i) && json::str(service, "name") == "lab-server") s.apiserver = up ? "Running" : "Stopped";
        }
    }
    out.push_back(std::move(s));
  }
  return out;
}

Result<LabUsage> lab_usage(const Profile& p) {
  if (p.driver != "namespace") return LabUsage{};
  LAB_TRY(auto usage, cgroup_usage("lab/" + p.name));
  usage.disk_bytes = storage_use(p.layout()).used_bytes;
  return usage;
}

Result<std::string> add_node(const std::string& profile, const std::string& name) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  for (const auto& n : p.nodes)
    if (n.name == name) return fail(Code::kAlreadyExists, "lab \"" + profile + "\" has a node \"" + name + "\" already");
  LAB_CHECK(plan_nodes(p, {.nodes = static_cast<int>(p.nodes.size()) + 1}));
  if (!name.empty()) {
    LAB_CHECK(check_profile_name(name));
    p.nodes.back().name = name;
  }
  LAB_TRY(auto driver, make_driver(p));
  LAB_CHECK(refuse_paused(*driver, p));
  LAB_CHECK(save_profile(p));
  const auto& node = p.nodes.back();
  LAB_CHECK(bring_up_node(p, *driver, node));
  if (is_member(*driver, p.nodes[0].name) && !is_member(*driver, node.name)) LAB_CHECK(join_node(p, *driver, node));
  return node.name;
}

Result<void> delete_node(const std::string& profile, const std::string& name) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  auto found = std::find_if(p.nodes.begin(), p.nodes.end(), [&](const NodeSpec& n) { return n.name == name; });
  if (found == p.nodes.end()) return fail(Code::kNotFound, "there is no node \"" + name + "\"", "lab node list shows them");
  if (is_master(p, static_cast<std::size_t>(found - p.nodes.begin())))
    return fail(Code::kInvalid, "node \"" + name + "\" is " + (p.masters > 1 ? "a master" : "the lab's master"), "delete the whole lab: lab delete");
  LAB_TRY(auto driver, make_driver(p));
  LAB_CHECK(refuse_paused(*driver, p));
  LAB_CHECK(driver->remove(name));
  if (auto cluster = open_cluster(p, *driver)) {
    auto gone = (*cluster)->remove(res::nodes, "", name);
    if (!gone && gone.error().code != Code::kNotFound) return gone;
  }
  p.nodes.erase(found);
  return save_profile(p);
}

Result<void> start_node(const std::string& profile, const std::string& name) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto driver, make_driver(p));
  LAB_CHECK(refuse_paused(*driver, p));
  LAB_CHECK(driver->prepare());
  for (const auto& n : p.nodes)
    if (n.name == name) return bring_up_node(p, *driver, n);
  return fail(Code::kNotFound, "there is no node \"" + name + "\"", "lab node list shows them");
}

Result<void> stop_node(const std::string& profile, const std::string& name) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  for (const auto& n : p.nodes)
    if (n.name == name) {
      LAB_TRY(auto driver, make_driver(p));
      LAB_CHECK(refuse_paused(*driver, p));
      return driver->stop(name);
    }
  return fail(Code::kNotFound, "there is no node \"" + name + "\"", "lab node list shows them");
}

}  // namespace lab::bootstrap
