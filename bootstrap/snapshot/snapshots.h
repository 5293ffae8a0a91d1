// Snapshots of a local lab: its nodes' directories as they were at one moment, kept beside them under the lab's own.
//
// base()/snapshots/NAME holds nodes/NODE (the copy), NODE.index (what its files must be) and manifest.json, which is
// written last: what has no manifest is no snapshot, and is swept away by the next change. A restored tree is built
// aside and exchanged with the lab's in one step. Whoever calls holds the lab's lock, and has the nodes stand still
// while they are copied, and ended when they are exchanged. Blocking.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "bootstrap/node/layout.h"

namespace lab::bootstrap {

inline constexpr int kSnapshotFormat = 1;

struct Snapshot {
  std::string name;
  std::string created;  // RFC 3339
  std::string program;  // version that made it
  std::vector<std::string> nodes;
  json::Value lab;  // the lab's own description, as it was handed in
  std::uint64_t files = 0;
  std::uint64_t copied_bytes = 0;              // of its own
  std::uint64_t shared_bytes = 0;              // in files and blocks that the lab holds as well
  std::map<std::string, std::string> indexes;  // by node: SHA-256 of its index, hexadecimal
};

Result<void> check_snapshot_name(const std::string& name);
Result<std::vector<Snapshot>> list_snapshots(const LabLayout& layout);  // complete ones, oldest first
// NotFound names those that exist; Invalid: made by a program whose format this one does not know.
Result<Snapshot> find_snapshot(const LabLayout& layout, const std::string& name);
Result<void> delete_snapshot(const LabLayout& layout, const std::string& name);  // repeatable after a kill

// Where a complete snapshot keeps the copy of a node.
std::string snapshot_tree(const LabLayout& layout, const std::string& snapshot, const std::string& node);

// What a killed command left: half-made snapshots, trees aside.
Result<void> sweep_snapshots(const LabLayout& layout);

// Saving. The first may run while the nodes do: nothing is written when there is no space for it (kIo, with need and
// free).
Result<void> check_space_to_save(const LabLayout& layout, const std::vector<std::string>& nodes);
// The nodes stand still: copies them aside and fills in `files`, bytes and indexes.
Result<void> copy_nodes(const LabLayout& layout, Snapshot& snapshot);
// Makes what was copied durable and gives it its name; one of the same name is replaced.
Result<void> complete_snapshot(const LabLayout& layout, const Snapshot& snapshot);

// Restoring. Copies the snapshot aside (of `from`'s lab, which may be another one), checking every file; the lab's
// nodes are not touched. Of another lab's snapshot the settled files are not copied: the nodes use its image set
// (image_store.h), which must have been made.
Result<void> stage_snapshot(const LabLayout& from, const Snapshot& snapshot, const LabLayout& to);
// Puts the staged tree in the place of the lab's, in one step.
Result<void> exchange_nodes(const LabLayout& layout);

}  // namespace lab::bootstrap
