// The network configuration list that names our plugin to the container runtime. A runtime reports its network as
// ready once the file is there, so it is written when pods can be wired and not before.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::overlay {

inline constexpr const char* kConflistDirectory = "/etc/cni/net.d";
inline constexpr const char* kConflistName = "10-lab.conflist";

std::string conflist_text(const std::string& agent_socket);
// Writes only when the content differs: runtimes reload on every change.
Result<void> install_conflist(const std::string& directory, const std::string& agent_socket);
Result<void> remove_conflist(const std::string& directory);

}  // namespace lab::overlay
