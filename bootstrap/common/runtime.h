// The container runtime as init and join find it.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::bootstrap {

inline constexpr const char* kContainerdSocket = "/run/containerd/containerd.sock";

// "unix:///run/containerd/containerd.sock", or CRI-O's; the first that is there, else containerd's.
std::string find_cri_socket();
// Whether something listens on the socket (with or without unix://).
bool socket_answers(const std::string& socket);

// Where this installation keeps its bundled files (images, addon manifests): beside the binary or under its prefix.
std::string bundle_directory();

}  // namespace lab::bootstrap
