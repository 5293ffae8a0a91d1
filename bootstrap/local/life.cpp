#include "bootstrap/local/life.h"

#include <algorithm>
#include <cerrno>
#include <future>

#include "bootstrap/local/lab.h"
#include "bootstrap/local/stand_still.h"
#include "bootstrap/local/steps.h"
#include "bootstrap/node/storage.h"
#include "orchestrator/api/time.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kMember = "lib/lab/local/member";  // below a node's /var: its init or join was completed

bool any_running(const std::vector<NodeState>& states) {
  return std::any_of(states.begin(), states.end(), [](const NodeState& s) { return s.running; });
}

// Snapshots are of directories on this machine, whatever stands there after a reboot.
Result<LabLayout> open_storage(const Profile& p) {
  if (p.driver != "namespace")
    return fail(Code::kInvalid, "nodes of the driver \"" + p.driver + "\" have no snapshots here",
                "use the driver's own: virsh snapshot-create");
  LAB_CHECK(make_storage(p.layout(), p.isolation.limits.disk_bytes));
  return p.layout();
}

Result<void> refuse_half_restored(const Profile& p) {
  if (p.restoring.empty()) return {};
  return fail(Code::kConflict, "restoring snapshot \"" + p.restoring + "\" of lab \"" + p.name + "\" was cut off",
              "complete it: lab snapshot restore " + p.restoring + profile_flag(p.name));
}

Result<std::vector<std::string>> node_names(const Profile& p) {
  std::vector<std::string> out;
  for (const auto& node : p.nodes) {
    if (!fs::exists(p.layout().node(node.name).spec_file()))
      return fail(Code::kNotFound, "node " + node.name + " has not come to be yet",
                  "complete the lab: lab start" + profile_flag(p.name));
    out.push_back(node.name);
  }
  return out;
}

Result<void> end_nodes(NodeDriver& driver) {
  LAB_TRY(auto states, driver.list());
  return for_each_parallel(states, [&](const NodeState& s) { return driver.halt(s.spec.name); });
}

Result<void> start_nodes(const Profile& p, NodeDriver& driver, Progress& progress) {
  Lives lives;
  for (const auto& node : p.nodes) lives.since[node.name] = std::chrono::system_clock::now();
  LAB_CHECK(driver.prepare());
  LAB_CHECK(for_each_parallel(p.nodes, [&](const NodeSpec& n) { return driver.start(n); }));
  if (p.nodes.empty() || !fs::exists(fs::join(p.layout().node(p.nodes[0].name).var(), kMember)))
    return {};  // empty nodes
  progress.step("ready", "Waiting for all nodes to be Ready");
  LAB_TRY(auto cluster, open_cluster(p, driver));
  return wait_nodes_ready(*cluster, p, progress, lives);
}

bool no_space(const Error& e) { return e.sys_errno == ENOSPC || e.sys_errno == EDQUOT; }

// A lab that has filled a disk of its own has no room for a second tree beside the first. Both were there when the
// snapshot was saved, so it fits once the first has gone, which it would in any case.
Result<void> make_room(Profile& p, NodeDriver& driver, const std::string& name, Progress& progress) {
  progress.step("space", "The lab's disk is full: what its nodes hold goes first");
  p.restoring = name;
  LAB_CHECK(save_profile(p));
  LAB_CHECK(end_nodes(driver));
  LAB_CHECK(fs::remove_all(p.layout().nodes()));
  return fs::make_dirs(p.layout().nodes());
}

// From the moment at which the profile says `restoring` it only goes forward: each step may be done again.
Result<Snapshot> restore_with_lock(Profile& p, NodeDriver& driver, const std::string& name, Progress& progress) {
  LAB_TRY(auto layout, open_storage(p));
  LAB_TRY(auto source, find_source(p, layout, name));
  const Snapshot& snapshot = source.snapshot;
  Profile restored = p;
  LAB_CHECK(take_nodes_of(restored, snapshot));
  p.images = restored.images;
  progress.step("snapshot", "Copying snapshot " + name + " of " + snapshot.created);
  LAB_CHECK(sweep_snapshots(layout));
  auto staged = stage_source(p, source, layout);
  if (!staged && no_space(staged.error()) && p.isolation.limits.disk_bytes > 0) {
    LAB_CHECK(make_room(p, driver, name, progress));
    staged = stage_source(p, source, layout);
  }
  LAB_CHECK(staged);
  restored.images = p.images;
  p.restoring = restored.restoring = name;
  LAB_CHECK(save_profile(p));
  progress.step("nodes", "Exchanging " + std::to_string(snapshot.nodes.size()) + " nodes");
  LAB_CHECK(end_nodes(driver));
  LAB_CHECK(exchange_nodes(layout));
  p = std::move(restored);
  LAB_CHECK(save_profile(p));
  auto swept = std::async(std::launch::async, [&] { return sweep_snapshots(layout); });
  auto started = start_nodes(p, driver, progress);
  LAB_CHECK(swept.get());
  LAB_CHECK(started);
  if (!p.kubeconfig.empty()) LAB_CHECK(merge_user_kubeconfig(p, driver, progress));
  p.restoring.clear();
  LAB_CHECK(save_profile(p));
  progress.done();
  return snapshot;
}

}  // namespace

Result<bool> pause_lab(const std::string& profile) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto driver, make_driver(p));
  LAB_TRY(auto states, driver->list());
  if (!any_running(states))
    return fail(Code::kUnavailable, "no node of lab \"" + profile + "\" runs",
                "start it: lab start" + profile_flag(profile));
  LAB_TRY(bool paused, driver->paused());
  if (paused) return false;
  LAB_CHECK(driver->pause());
  return true;
}

Result<bool> unpause_lab(const std::string& profile) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto driver, make_driver(p));
  LAB_TRY(bool paused, driver->paused());
  if (!paused) return false;
  LAB_CHECK(driver->unpause());
  return true;
}

Result<Snapshot> save_snapshot(const SaveOptions& o) {
  LAB_CHECK(check_snapshot_name(o.name));
  LAB_TRY(auto lock, ProfileLock::take(o.profile));
  LAB_TRY(auto p, load_profile(o.profile));
  LAB_CHECK(refuse_half_restored(p));
  LAB_TRY(auto driver, make_driver(p));
  LAB_TRY(auto layout, open_storage(p));
  LAB_CHECK(sweep_snapshots(layout));
  if (auto there = find_snapshot(layout, o.name); there && !o.replace)
    return fail(Code::kAlreadyExists,
                "lab \"" + p.name + "\" has a snapshot \"" + o.name + "\" already, of " + there->created,
                "replace it with --force, or take another name");
  LAB_TRY(auto nodes, node_names(p));
  LAB_CHECK(check_space_to_save(layout, nodes));
  Snapshot snapshot{.name = o.name,
                    .created = api::format_time(std::chrono::system_clock::now()),
                    .program = o.program,
                    .nodes = nodes,
                    .lab = encode_profile(p)};
  LAB_TRY(auto still, StandStill::begin(*driver));
  auto copied = copy_nodes(layout, snapshot);
  LAB_CHECK(still.end());
  if (copied) copied = complete_snapshot(layout, snapshot);
  if (!copied) {
    (void)sweep_snapshots(layout);
    return std::unexpected(std::move(copied).error());
  }
  return snapshot;
}

Result<Snapshot> restore_snapshot(const std::string& profile, const std::string& name) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto driver, make_driver(p));
  Progress progress;
  return restore_with_lock(p, *driver, name, progress);
}

// The trees are exchanged in one step, so what lies there is whole in any case: without the snapshot it stays.
Result<void> complete_restore(Profile& p, NodeDriver& driver, Progress& progress) {
  auto restored = restore_with_lock(p, driver, p.restoring, progress);
  if (restored) return {};
  if (restored.error().code != Code::kNotFound) return std::unexpected(std::move(restored).error());
  progress.warn("the snapshot \"" + p.restoring +
                "\", whose restore was cut off, has gone: the lab starts with what is there");
  p.restoring.clear();
  return save_profile(p);
}

Result<std::vector<Snapshot>> snapshots_of(const std::string& profile) {
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto layout, open_storage(p));
  return list_snapshots(layout);
}

Result<void> drop_snapshot(const std::string& profile, const std::string& name) {
  LAB_TRY(auto lock, ProfileLock::take(profile));
  LAB_TRY(auto p, load_profile(profile));
  LAB_TRY(auto layout, open_storage(p));
  if (p.restoring == name) LAB_CHECK(refuse_half_restored(p));
  return delete_snapshot(layout, name);
}

}  // namespace lab::bootstrap
