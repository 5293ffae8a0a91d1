// AtomicWriter: puts a set of files into a directory so that a reader sees all of the old ones or all of the new.
//
// Layout (the kubelet's, which programs watch): DIR/..2026_11_22_10_00_00.123456789/FILES, DIR/..data -> that
// directory, DIR/NAME -> ..data/NAME. A rename of ..data is the moment of change. Blocking.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::agent {

struct PayloadFile {
  std::string path;  // relative; may hold slashes
  std::string data;
  unsigned mode = 0644;
  auto operator<=>(const PayloadFile&) const = default;
};

// Writes only when the content, modes or owner differ from what is there. True: it changed.
Result<bool> write_payload(const std::string& dir, std::vector<PayloadFile> files, std::optional<unsigned> group);

}  // namespace lab::agent
