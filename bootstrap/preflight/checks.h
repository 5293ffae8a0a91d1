// The checks, one small file each family, and what they share. For this folder.
#pragma once

#include <string>
#include <vector>

#include "bootstrap/preflight/preflight.h"

namespace lab::bootstrap::preflight {

using Findings = std::vector<PreflightFinding>;
using Check = void (*)(const PreflightInput&, Findings&);

// host.cpp
void privileged(const PreflightInput&, Findings&);
void processors(const PreflightInput&, Findings&);
void memory(const PreflightInput&, Findings&);
void swap(const PreflightInput&, Findings&);
void host_name(const PreflightInput&, Findings&);
void programs(const PreflightInput&, Findings&);
// kernel.cpp
void cgroups(const PreflightInput&, Findings&);
void overlayfs(const PreflightInput&, Findings&);
void network_features(const PreflightInput&, Findings&);
void forwarding(const PreflightInput&, Findings&);
// limits.cpp
void disk(const PreflightInput&, Findings&);
void inotify(const PreflightInput&, Findings&);
// network.cpp
void ports(const PreflightInput&, Findings&);
void host_routes(const PreflightInput&, Findings&);
void resolver(const PreflightInput&, Findings&);
// identity.cpp
void machine_id(const PreflightInput&, Findings&);
void clock(const PreflightInput&, Findings&);
// runtime.cpp
void runtime(const PreflightInput&, Findings&);

// A file's text below the input's root; "" when it cannot be read.
std::string text_of(const PreflightInput& in, const std::string& path);
// Its first line.
std::string line_of(const PreflightInput& in, const std::string& path);

}  // namespace lab::bootstrap::preflight
