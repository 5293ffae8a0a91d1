// Steps that several verbs of the local lab share.
#pragma once

#include <chrono>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"
#include "bootstrap/common/progress.h"
#include "bootstrap/local/profile.h"
#include "bootstrap/snapshot/snapshots.h"

namespace lab::bootstrap {

// Runs f for every item at the same time; the first error, when all have ended.
template <class T, class F>
Result<void> for_each_parallel(const std::vector<T>& items, F f) {
  std::vector<std::future<Result<void>>> running;
  for (const auto& item : items) running.push_back(std::async(std::launch::async, [&f, &item] { return f(item); }));
  Result<void> verdict;
  for (auto& r : running)
    if (auto one = r.get(); !one && verdict) verdict = std::move(one);
  return verdict;
}

// When nodes began their present lives: what the store says of them may be of their last one, or of the lab's that this
// one began as.
struct Lives {
  std::map<std::string, std::chrono::system_clock::time_point> since;
};
// Until every node of the profile is Ready, and has said so itself in its present life.
Result<void> wait_nodes_ready(Cluster& cluster, const Profile& profile, Progress& progress, const Lives& lives);

// Puts the lab's context into the calling user's kubeconfig, and notes that in the profile. A file that cannot be
// changed is a warning.
Result<void> merge_user_kubeconfig(Profile& profile, NodeDriver& driver, Progress& progress);

// Nodes, token and pod network are those of the snapshot; the lab's place on this machine stays what it is.
Result<void> take_nodes_of(Profile& profile, const Snapshot& snapshot);

// A snapshot to which a lab can go back: its own, or that from which it was started, which is another lab's.
struct SnapshotSource {
  LabLayout from;
  Snapshot snapshot;
};
Result<SnapshotSource> find_source(const Profile& profile, const LabLayout& layout, const std::string& name);
// Copies it aside in the lab. The profile is saved with the image sets that its nodes will use first.
Result<void> stage_source(Profile& profile, const SnapshotSource& source, const LabLayout& to);

// The lab begins as "PROFILE/SNAPSHOT", another isolated lab's, did: its profile; then, with that saved, its files.
Result<void> take_origin(Profile& profile, const std::string& from);
Result<void> copy_origin(Profile& profile, Progress& progress);
// Image sets that no lab uses go.
Result<void> drop_unused_images();

// Conflict while the lab is paused: for verbs that would wait for ever.
Result<void> refuse_paused(NodeDriver& driver, const Profile& profile);

// A restore that was cut off is completed from its snapshot; the profile is as it stands afterwards. The lab's lock is
// held.
Result<void> complete_restore(Profile& profile, NodeDriver& driver, Progress& progress);

}  // namespace lab::bootstrap
