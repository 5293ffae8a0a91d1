// Image sets: container images that several labs share instead of having them several times.
//
// A set is made of a snapshot: what of its nodes' container storage nobody writes any more (layers.h), kept below
// kImagesDirectory/ID by node and path. The ID says what is in it, so that it is made once, and files that nodes have in
// common are one file. A node that uses the set sees it read-only at kNodeImages/ID and has symbolic links into it where
// the files would be (stage_snapshot). Nothing in a set ever changes, and the kernel keeps its pages in memory once for
// all nodes of all labs. Where a set lies on another file system than the snapshot it is a copy, else links. Blocking;
// several processes may call at the same time.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "base/result.h"
#include "bootstrap/snapshot/snapshots.h"

namespace lab::bootstrap {

std::string image_set_of(const Snapshot& snapshot);  // its ID

// Repeatable. Whoever will use the set has written that down before, so that it is not dropped meanwhile.
Result<void> make_image_set(const LabLayout& from, const Snapshot& snapshot);
// Removes all sets but those that `used` names, which is asked while no set is made or dropped; and what a killed
// command left.
Result<void> drop_image_sets(const std::function<Result<std::set<std::string>>()>& used);

}  // namespace lab::bootstrap
