// What the first look at a host tells, and what follows from it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lab::join::ssh {

struct HostFacts {
  std::string arch, user, hostname, machine_id, os;
  std::vector<std::string> addresses;  // of this host, IPv4 and IPv6
  std::string source;                  // its address on the way to the API server; may be empty
  bool root = false;
  bool sudo = false;
  std::string sudo_refusal;  // what sudo said
  std::set<std::string> programs;
  std::uint64_t free_install = 0, free_data = 0;  // bytes
  bool master = false;                            // has a CA's key
  std::string release;                            // the id that was asked for, when it is there and whole
  bool images = false;                            // its runtime has imported the bundled images
  std::string api;                                // "open", "silent", the reason; empty: could not be tried
};
// Total: what is missing stays empty.
HostFacts parse_facts(std::string_view probe_output);

struct Need {
  std::string arch;  // uname -m of this machine
  std::string release;
  std::uint64_t bytes = 0;  // of the copy
  std::string api_host;
  int api_port = 6443;
  bool control_plane = false;  // to be a further master: one that is one already joins again
};
// What no consent can mend: the first that holds, with what to do. A host that was not understood at all is an error,
// too.
Result<void> judge_facts(const HostFacts& facts, const Need& need);

struct Missing {
  std::vector<std::string> packages;
  std::string package_manager;  // empty: none that is known
};
// A further master needs an etcd besides.
Missing missing_packages(const HostFacts& facts, bool control_plane = false);

}  // namespace lab::join::ssh
