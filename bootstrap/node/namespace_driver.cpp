#include "bootstrap/node/namespace_driver.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/json.h"
#include "base/subprocess.h"
#include "bootstrap/node/cgroups.h"
#include "bootstrap/node/freezer.h"
#include "bootstrap/node/process.h"
#include "bootstrap/node/rootfs.h"
#include "bootstrap/node/storage.h"

namespace lab::bootstrap {

namespace {

constexpr auto kStopLimit = std::chrono::seconds(15);
constexpr auto kKillLimit = std::chrono::seconds(10);

bool wait_gone(int pid, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (process_alive(pid)) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

Result<void> write_spec(const NodeLayout& layout, const NodeSpec& spec) {
  json::Value text = json::Object{{"name", spec.name},
                                  {"address", spec.address},
                                  {"memory", spec.memory_bytes},
                                  {"cpus", spec.cpus},
                                  {"sharedMaster", spec.shared_master}};
  return fs::write_file(layout.spec_file(), json::dump(text) + "\n", 0600);
}

Result<NodeSpec> read_spec(const NodeLayout& layout) {
  LAB_TRY(auto text, fs::read_file(layout.spec_file()));
  LAB_TRY(auto value, json::parse(text));
  const auto& cpus = json::at(value, "cpus");
  return NodeSpec{.name = std::string(json::str(value, "name")),
                  .address = std::string(json::str(value, "address")),
                  .memory_bytes = static_cast<std::uint64_t>(json::num(value, "memory")),
                  .cpus = cpus.is_double() ? cpus.get_double() : static_cast<double>(json::as_int(cpus)),
                  .shared_master = json::flag(value, "sharedMaster")};
}

class NamespaceDriver final : public NodeDriver {
 public:
  NamespaceDriver(LabLayout layout, LabNetwork network, Isolation isolation)
      : layout_(std::move(layout)), network_(std::move(network)), isolation_(isolation) {}

  Result<void> prepare() override {
    LAB_CHECK(make_storage(layout_, isolation_.limits.disk_bytes));
    if (!isolation_.users.empty()) LAB_CHECK(check_user_namespaces(layout_.base()));
    LAB_CHECK(apply_limits());
    return make_network(network_);
  }

  Result<void> start(const NodeSpec& spec) override {
    const auto node = layout_.node(spec.name);
    auto address = IpAddress::parse(spec.address);
    if (!address || !network_.subnet.contains(*address))
      return fail(Code::kInvalid,
                  "the address " + spec.address + " of node " + spec.name + " is not in " + network_.subnet.text());
    LAB_CHECK(fs::make_dirs(node.base));
    LAB_CHECK(prepare_files(node, spec));
    LAB_CHECK(write_spec(node, spec));
    LAB_CHECK(refresh_hosts());
    int pid = await_node(node);
    if (pid == 0) {
      LAB_CHECK(end_cgroups(cgroup_path(spec.name)));  // of a node that was killed
      LAB_CHECK(make_cgroups(cgroup_path(spec.name), 0, 0));
      LAB_CHECK(limit_cgroup(cgroup_path(spec.name), limits_of(spec)));
      if (!isolation_.users.empty()) LAB_CHECK(delegate_cgroups(cgroup_path(spec.name), isolation_.users.first));
      LAB_TRY(pid, launch_node(node, cgroup_path(spec.name), isolation_.users));
    }
    return connect_node(network_, pid, spec.name, *address);
  }

  Result<void> stop(const std::string& name) override {
    const auto node = layout_.node(name);
    LAB_CHECK(unpause());  // only then can it end
    if (int pid = node_pid(node)) {
      ::kill(pid, SIGTERM);
      if (!wait_gone(pid, kStopLimit)) ::kill(pid, SIGKILL);
      if (!wait_gone(pid, kKillLimit))
        return fail(Code::kTimeout, "node " + name + " (pid " + std::to_string(pid) + ") does not end",
                    "see " + node.log_file());
    }
    LAB_CHECK(fs::remove_file(node.pid_file()));
    return end_cgroups(cgroup_path(name));
  }

  Result<void> remove(const std::string& name) override {
    const auto node = layout_.node(name);
    LAB_CHECK(halt(name));  // its files go: nothing is gained by an orderly end
    LAB_CHECK(fs::remove_all(node.base));
    return refresh_hosts();
  }

  Result<void> halt(const std::string& name) override {
    if (int pid = node_pid(layout_.node(name))) {
      ::kill(pid, SIGKILL);
      LAB_CHECK(unpause());  // a frozen process may take notice of its end only then
      wait_gone(pid, kKillLimit);
    }
    return stop(name);
  }

  Result<void> pause() override { return freeze_cgroups(lab_cgroup()); }
  Result<void> unpause() override { return thaw_cgroups(lab_cgroup()); }
  Result<bool> paused() override { return cgroups_frozen(lab_cgroup()); }

  Result<std::vector<NodeState>> list() override {
    std::vector<NodeState> out;
    if (!fs::exists(layout_.nodes())) return out;
    LAB_TRY(auto names, fs::list_dir(layout_.nodes()));
    for (const auto& name : names) {
      auto spec = read_spec(layout_.node(name));
      if (!spec) continue;  // killed before it was written: start or remove completes it
      int pid = node_pid(layout_.node(name));
      out.push_back({.spec = std::move(*spec), .running = pid != 0, .pid = pid});
    }
    return out;
  }

  Result<ExecResult> exec(const std::string& name, ExecRequest request) override {
    LAB_TRY(int pid, awake(name));
    Command command{.argv = {fs::self_exe(), "node-exec", std::to_string(pid)}, .stdin_text = request.stdin_text};
    for (const auto& [k, v] : request.env) command.argv.push_back(k + "=" + v);
    command.argv.push_back("--");
    command.argv.insert(command.argv.end(), request.argv.begin(), request.argv.end());
    command.timeout = std::chrono::seconds(request.timeout_seconds);
    LAB_TRY(auto done, run(std::move(command)));
    return ExecResult{.exit_code = done.exit_code, .out = std::move(done.out), .err = std::move(done.err)};
  }

  Result<void> enter(const std::string& name, std::vector<std::string> argv) override {
    LAB_TRY(int pid, awake(name));
    std::map<std::string, std::string> env;
    if (const char* term = std::getenv("TERM")) env["TERM"] = term;
    LAB_TRY(int code, exec_in_node(pid, argv, env));
    std::exit(code);
  }

  Result<std::string> path_in(const std::string& name, const std::string& path) override {
    LAB_TRY(int pid, running(name));
    return "/proc/" + std::to_string(pid) + "/root" + path;
  }

  Result<void> remove_all() override {
    if (fs::exists(layout_.nodes())) {
      LAB_TRY(auto names, fs::list_dir(layout_.nodes()));
      for (const auto& name : names) LAB_CHECK(remove(name));
    }
    LAB_CHECK(unpause());
    LAB_CHECK(end_cgroups(lab_cgroup()));
    // The parent of all labs goes with the last of them; another lab's cgroups keep it.
    LAB_TRY(auto hierarchies, cgroup_hierarchies());
    for (const auto& h : hierarchies) ::rmdir(fs::join(h.mount_point, "lab").c_str());
    LAB_CHECK(remove_network(network_));
    return remove_storage(layout_);
  }

 private:
  std::string lab_cgroup() const { return "lab/" + layout_.profile; }
  std::string cgroup_path(const std::string& name) const { return lab_cgroup() + "/" + name; }

  // A node knows of no limit above its own cgroup, so it gets the lab's as well: it tells the scheduler what it has.
  LabLimits limits_of(const NodeSpec& spec) const {
    auto less = [](auto own, auto lab) { return own > 0 && (lab <= 0 || own < lab) ? own : lab; };
    return {.memory_bytes = less(spec.memory_bytes, isolation_.limits.memory_bytes),
            .cpus = less(spec.cpus, isolation_.limits.cpus)};
  }

  Result<void> limit_nodes() {
    LAB_TRY(auto nodes, list());
    for (const auto& n : nodes) LAB_CHECK(limit_cgroup(cgroup_path(n.spec.name), limits_of(n.spec)));
    return {};
  }

  // On v1 no cgroup may have more processors than the one above: less begins below, more begins above.
  Result<void> apply_limits() {
    LAB_CHECK(make_cgroups(lab_cgroup(), 0, 0));
    auto limited = limit_cgroup(lab_cgroup(), isolation_.limits);
    if (!limited && limited.error().code == Code::kConflict) {
      LAB_CHECK(limit_nodes());
      limited = limit_cgroup(lab_cgroup(), isolation_.limits);
    }
    LAB_CHECK(limited);
    return limit_nodes();
  }

  Result<int> running(const std::string& name) {
    if (int pid = node_pid(layout_.node(name))) return pid;
    if (!fs::exists(layout_.node(name).spec_file()))
      return fail(Code::kNotFound, "there is no node \"" + name + "\" in lab \"" + layout_.profile + "\"",
                  "lab node list shows them");
    return fail(Code::kUnavailable, "node \"" + name + "\" is not running", "start it: lab node start " + name);
  }

  // What enters a paused node stands still with it, and its caller would wait for ever.
  Result<int> awake(const std::string& name) {
    LAB_TRY(int pid, running(name));
    LAB_TRY(bool still, paused());
    if (!still) return pid;
    return fail(
        Code::kUnavailable, "lab \"" + layout_.profile + "\" is paused",
        "let it go on: lab unpause" + (layout_.profile == "lab" ? std::string() : " --profile " + layout_.profile));
  }

  Result<void> refresh_hosts() {
    LAB_TRY(auto nodes, list());
    std::vector<NodeSpec> specs;
    for (auto& n : nodes) specs.push_back(n.spec);
    for (const auto& n : nodes) LAB_CHECK(write_hosts(layout_.node(n.spec.name), n.spec, specs));
    return {};
  }

  LabLayout layout_;
  LabNetwork network_;
  Isolation isolation_;
};

}  // namespace

std::unique_ptr<NodeDriver> make_namespace_driver(LabLayout layout, LabNetwork network, Isolation isolation) {
  return std::make_unique<NamespaceDriver>(std::move(layout), std::move(network), isolation);
}

}  // namespace lab::bootstrap
