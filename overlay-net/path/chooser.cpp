#include "overlay-net/path/chooser.h"

#include <algorithm>

namespace lab::overlay {

const char* name_of(Path path) {
  return path == Path::kSleeve ? "sleeve" : path == Path::kWireguard ? "wireguard" : "fastdp";
}

std::string PathChooser::reason(const Heartbeats& seen) const {
  if (seen.corrupted) {
    return "packets arrive with other bytes than were sent: a device on the way corrupts them";
  }
  if (seen.unsummed && !seen.small) {
    return "packets with a checksum filled in by a device are lost, those without one pass: try `ethtool -K DEVICE tx "
           "off`";
  }
  if (seen.small || seen.unsummed) {
    return "full-size packets are lost, small ones pass: a device on the way carries less than its MTU says";
  }
  return std::string("nothing passes on the ") + (kernel_ == Path::kWireguard ? "WireGuard" : "VXLAN") +
         " port: is UDP blocked on the way?";
}

bool PathChooser::round(const Heartbeats& seen) {
  const auto before_path = path_;
  const auto before_why = why_;
  if (seen.full) {
    misses_ = 0;
    passes_ = std::min(passes_ + 1, limits_.passes);
    if (path_ == kernel_ || passes_ >= limits_.passes) {
      path_ = kernel_;
      why_.clear();
    }
  } else {
    passes_ = 0;
    misses_ = std::min(misses_ + 1, limits_.misses);
    if (misses_ >= limits_.misses) {
      if (seen.sleeve) {
        path_ = Path::kSleeve;
        why_ = reason(seen);
      } else {
        why_ = "no heartbeat is answered, on either path";
      }
    }
  }
  return path_ != before_path || why_ != before_why;
}

}  // namespace lab::overlay
