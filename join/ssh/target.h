// A host as a person names it: [ssh://][USER@]HOST[:PORT], IPv6 addresses in brackets when a port follows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lab::join::ssh {

struct Target {
  std::string user;          // empty: what ~/.ssh/config says, else this user
  std::string host;          // a name, an address (IPv6 without brackets), or an alias of ~/.ssh/config
  int port = 0;              // 0: what ~/.ssh/config says, else 22
  std::string text() const;  // as it was named: "root@10.0.0.3:2222"
  bool operator==(const Target&) const = default;
};

// kInvalid names the part that is wrong.
Result<Target> parse_target(std::string_view text);
// All of them, each once; naming a host twice is an error, for two joins of one machine would meet there.
Result<std::vector<Target>> parse_targets(const std::vector<std::string>& texts);

}  // namespace lab::join::ssh
