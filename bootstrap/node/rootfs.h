// The root file system of a namespace node: assembled, not copied. The host's /usr below, read-only; /etc, /var, /opt,
// /root and /home of its own under the node's directory; nothing of the host's keys, homes or configuration is visible.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bootstrap/node/cgroups.h"
#include "bootstrap/node/driver.h"
#include "bootstrap/node/layout.h"

namespace lab::bootstrap {

// On the host, before the start: directories and the generated /etc. Files that a person may have changed are kept.
Result<void> prepare_files(const NodeLayout& layout, const NodeSpec& spec);
// "ADDRESS NAME" lines of all nodes, in /etc/hosts.
Result<void> write_hosts(const NodeLayout& layout, const NodeSpec& self, const std::vector<NodeSpec>& all);

// In the node's new mount namespace: builds the root on its mount point and makes it "/".
Result<void> enter_root(const NodeLayout& layout, const std::vector<Hierarchy>& host_cgroups);

// Where the node finds the binary that runs it.
inline constexpr const char* kNodeBinary = "/opt/lab/bin/lab";
inline constexpr const char* kNodePath =
    "/opt/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace lab::bootstrap
