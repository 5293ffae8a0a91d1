// Machines: virtual machines of one group, with a network and a storage pool of their own in libvirt.
//
// A group's things: network, pool and domains lab-GROUP and lab-GROUP-NAME in libvirt; its directory with the records,
// the volumes, the consoles' logs and the key that logs in. Every call may be repeated, and killed at any instruction:
// what is made has been recorded before, and what a killed call left half-made is removed by the next one that makes or
// removes. One call at a time makes or removes in a group, over all processes. Blocking; any thread may call.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "bootstrap/node/network.h"
#include "join/vm/image.h"
#include "join/vm/libvirt.h"
#include "join/vm/record.h"

namespace lab::join::vm {

inline constexpr const char* kDefaultUri = "qemu:///system";
inline constexpr const char* kGroupsDirectory = "/var/lib/lab/vm/groups";

struct Settings {
  std::string uri = kDefaultUri;
  std::string group = "vm";
  std::string directory;    // empty: kGroupsDirectory/GROUP
  std::string domain_type;  // empty: kvm where it works, else qemu
  std::string subnet;       // of the group's network; empty: one that is free
  std::string bridge;       // its link; empty: a name of its own
  // Networks that are promised, though their links may not be there. Asked while no other network can be chosen.
  std::function<std::vector<bootstrap::LabNetwork>()> promised;
};

class Machines {
 public:
  static Result<std::unique_ptr<Machines>> open(Settings settings);

  // Why machines are emulated and slow; empty where KVM works. Tries it when first asked.
  const std::string& emulated_because();

  // Makes it, or starts the one that is there, which keeps its size. It boots when this returns.
  Result<Machine> make(const MachineSpec& spec, const Image& image);
  // Until it takes SSH connections. The error of one that stopped or stays silent holds the end of its console.
  Result<void> wait_up(const Machine& machine, std::chrono::seconds limit,
                       const std::function<void(const std::string&)>& on_state);
  Result<void> stop(const std::string& name);    // orderly, within half a minute
  Result<void> remove(const std::string& name);  // with its disk; absent is fine
  Result<std::vector<Machine>> list();
  // Every machine, also those that are marked as this group's and were never recorded; then network, pool and
  // directory.
  Result<void> remove_all();

  std::string identity() const;  // the file of the private key that all machines let in as root
  // A file with the host key of every machine, or of one.
  Result<std::string> write_known_hosts(const std::string& machine = {});
  std::string console_log(const std::string& name) const;

 private:
  Machines(Settings settings, std::unique_ptr<Libvirt> libvirt);

  std::string group_name() const { return "lab-" + settings_.group; }
  std::string domain_name(const std::string& machine) const { return group_name() + "-" + machine; }
  std::string volumes_directory() const;
  Result<void> prepare();
  Result<void> ensure_key();
  Result<void> ensure_network();
  Result<Machine> plan(const MachineSpec& spec, const Image& image);
  Result<void> build(const Machine& machine, const Image& image);
  Result<void> make_disks(const Machine& machine, const Image& image);
  Result<void> reserve_address(const Machine& machine);
  Result<void> define(const Machine& machine, const Image& image);
  Result<void> take_apart(const Machine& machine);
  Result<void> sweep();
  Result<void> check_ours(const std::string& domain);
  std::string console_tail(const std::string& name) const;

  Settings settings_;
  std::unique_ptr<Libvirt> libvirt_;
  Records records_;
  std::string emulated_because_;
  bool kvm_tried_ = false;
};

}  // namespace lab::join::vm
