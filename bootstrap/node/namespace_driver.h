// The namespace driver: each node is a set of Linux namespaces with its own root, cgroups, containerd and address on
// the lab's bridge. No virtual machine, no Docker, no image of a root file system.
#pragma once

#include <memory>

#include "bootstrap/node/driver.h"
#include "bootstrap/node/layout.h"
#include "bootstrap/node/limits.h"
#include "bootstrap/node/network.h"

namespace lab::bootstrap {

std::unique_ptr<NodeDriver> make_namespace_driver(LabLayout layout, LabNetwork network, Isolation isolation = {});

}  // namespace lab::bootstrap
