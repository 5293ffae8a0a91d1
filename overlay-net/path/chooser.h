// PathChooser: which way a peer's packets take, from what came back of the heartbeats. Pure, one per peer.
//
// The kernel's path is left only when full-size heartbeats stay away for `misses` rounds while the sleeve answers, and
// is taken again after `passes` in a row: nothing is moved to a path that is not known to work, so a peer whose agent
// is away keeps the path it has.
#pragma once

#include <string>

namespace lab::overlay {

enum class Path { kFastdp, kSleeve, kWireguard };
const char* name_of(Path path);  // "fastdp", "sleeve", "wireguard"

// What came back within one round, of what was sent over the kernel's path, and whether the sleeve answers.
struct Heartbeats {
  bool full = false;       // of the pods' MTU
  bool small = false;      // with a UDP checksum that devices may fill in
  bool unsummed = false;   // small, without a UDP checksum
  bool corrupted = false;  // something came, with other bytes than were sent
  bool sleeve = false;
};

class PathChooser {
 public:
  struct Limits {
    int misses = 5, passes = 3;
  };
  // `kernel`: the path besides the sleeve that it watches. `begins`: with which of the two.
  PathChooser(Limits limits, Path kernel, Path begins) : limits_(limits), kernel_(kernel), path_(begins) {}
  explicit PathChooser(Limits limits) : PathChooser(limits, Path::kFastdp, Path::kFastdp) {}
  PathChooser() : PathChooser(Limits()) {}

  bool round(const Heartbeats& seen);  // true when the path or the reason changed
  Path path() const { return path_; }
  // One sentence for people; "" when all is well.
  const std::string& why() const { return why_; }
  // Something is going on: rounds should follow one another faster.
  bool restless() const { return misses_ > 0 ? misses_ < limits_.misses : passes_ < limits_.passes; }
  // The next round should send the small ones, too, to find the reason.
  bool asks_why() const { return misses_ > 0 || path_ == Path::kSleeve; }

 private:
  std::string reason(const Heartbeats& seen) const;

  Limits limits_;
  Path kernel_, path_;
  std::string why_;
  int misses_ = 0, passes_ = 0;
};

}  // namespace lab::overlay
