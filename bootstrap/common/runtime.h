// The container runtime as init and join find it.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace lab::bootstrap {

inline constexpr const char* kContainerdSocket = "/run/containerd/containerd.sock";

// "unix:///run/containerd/containerd.sock", or CRI-O's; the first that is there, else containerd's.
std::string find_cri_socket();
// Whether something listens on the socket (with or without unix://).
bool socket_answers(const std::string& socket);

// How the runtime is configured, as far as it tells: what this machine's nodes must agree with.
struct RuntimeSettings {
  std::string cni_bin_directory = "/opt/cni/bin";   // where it looks for network plugins
  std::string sandbox_image;                        // what it makes pods' sandboxes of; empty: not told
  bool systemd_cgroups = false;                     // it asks systemd for cgroups instead of making them
};
// Asking is done with the agent's client of the runtime; commands hand it in.
using AskRuntime = std::function<Result<RuntimeSettings>(const std::string& socket)>;

// Where this installation keeps its bundled files (images, addon manifests): beside the binary or under its prefix.
std::string bundle_directory();

}  // namespace lab::bootstrap
