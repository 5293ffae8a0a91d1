// The root file system of a namespace node: assembled, not copied. The host's /usr below, read-only; /etc, /var, /opt,
// /root and /home of its own under the node's directory; nothing of the host's keys, homes or configuration is visible.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bootstrap/node/cgroups.h"
#include "bootstrap/node/driver.h"
#include "bootstrap/node/layout.h"
#include "bootstrap/node/user_namespace.h"

namespace lab::bootstrap {

// On the host, before the start: directories and the generated /etc. Files that a person may have changed are kept.
Result<void> prepare_files(const NodeLayout& layout, const NodeSpec& spec);
// "ADDRESS NAME" lines of all nodes, in /etc/hosts.
Result<void> write_hosts(const NodeLayout& layout, const NodeSpec& self, const std::vector<NodeSpec>& all);

// As whom the node runs: with `users`, in the user namespace of that descriptor.
struct RootOwner {
  UserRange users;
  int user_namespace = -1;
};
// In a mount namespace of this machine's root: builds what the node cannot make by itself on its mount point.
Result<void> assemble_root(const NodeLayout& layout, const RootOwner& owner);
// In the node's own mount namespace, a copy of that one, from the mount point as working directory: completes it with
// what belongs to the node's namespaces, and makes it "/".
Result<void> enter_root(const std::vector<Hierarchy>& host_cgroups);

// Where the node finds the binary that runs it.
inline constexpr const char* kNodeBinary = "/opt/lab/bin/lab";
inline constexpr const char* kNodePath = "/opt/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace lab::bootstrap
