// The life of a local lab between start and delete: pause and unpause, and snapshots of its nodes. Blocking; one
// command at a time per lab. Everything may be killed at any point: what was half-made is swept away or completed by
// the same command run again.
#pragma once

#include <string>
#include <vector>

#include "bootstrap/local/profile.h"
#include "bootstrap/snapshot/snapshots.h"

namespace lab::bootstrap {

// All processes of all nodes stand still, and go on. False: that was so already. Unavailable when no node runs.
Result<bool> pause_lab(const std::string& profile);
Result<bool> unpause_lab(const std::string& profile);

struct SaveOptions {
  std::string profile = "lab", name;
  std::string program;   // this program's version, kept with it
  bool replace = false;  // one of the same name
};
// Running nodes stand still while they are copied; a stopped or paused lab stays so.
Result<Snapshot> save_snapshot(const SaveOptions& options);
// Ends the nodes that run and brings back those of the snapshot, running, whatever state the lab is in.
Result<Snapshot> restore_snapshot(const std::string& profile, const std::string& name);
Result<std::vector<Snapshot>> snapshots_of(const std::string& profile);
Result<void> drop_snapshot(const std::string& profile, const std::string& name);

}  // namespace lab::bootstrap
