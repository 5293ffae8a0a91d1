// `lab join --vm`: makes virtual machines and has them join over SSH.
#pragma once

#include <memory>
#include <vector>

#include "cli/command.h"
#include "join/vm/machines.h"

namespace lab::cli {

std::vector<Option> join_vm_options();  // besides those of join and join --ssh
int join_as_vms(const Invocation& in);

// Of `--connect`: which libvirt daemon.
Option libvirt_option();
Result<std::unique_ptr<join::vm::Machines>> open_machines(const Invocation& in);

}  // namespace lab::cli
