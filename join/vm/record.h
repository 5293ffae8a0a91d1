// What is known of a machine, written before any part of it is made: from the record alone everything can be found
// again and removed. One JSON file a machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::join::vm {

struct MachineSpec {
  std::string name;
  std::uint64_t memory_bytes = 2ull << 30;
  int cpus = 2;
  std::string address;  // empty: the first that is free in the group's network
};

struct Machine {
  MachineSpec spec;
  std::string uuid, mac, address;
  std::string image;     // name or file
  std::string host_key;  // public, "ssh-ed25519 AAAA..."
  std::string made;      // RFC 3339
  bool whole = false;    // all of it was made; otherwise what there is of it is to be removed
  bool running = false;  // not recorded: as libvirt says
};

class Records {
 public:
  explicit Records(std::string directory) : directory_(std::move(directory)) {}
  Result<void> save(const Machine& machine) const;
  Result<Machine> load(const std::string& name) const;  // kNotFound: there is none of that name
  Result<void> forget(const std::string& name) const;
  Result<std::vector<Machine>> all() const;  // by name

 private:
  std::string path_of(const std::string& name) const;
  std::string directory_;
};

// A name that a host, a node and a libvirt domain can have (RFC 1123 label, at most 40 characters).
Result<void> check_machine_name(const std::string& name);

// This moment as records and manifests have it: RFC 3339, UTC, whole seconds.
std::string now_text();

}  // namespace lab::join::vm
