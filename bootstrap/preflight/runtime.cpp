#include "bootstrap/common/runtime.h"

#include "base/subprocess.h"
#include "bootstrap/preflight/checks.h"

namespace lab::bootstrap::preflight {

void runtime(const PreflightInput& in, Findings& out) {
  if (socket_answers(in.cri_socket)) return;
  if (in.cri_socket.ends_with(kContainerdSocket)) {
    if (find_in_path("containerd")) return;  // it will be started
    out.push_back({"CRI", "there is no container runtime: containerd is not installed",
                   "install it (apt-get install containerd runc), or name another with --cri-socket"});
    return;
  }
  out.push_back({"CRI", "no container runtime answers on " + in.cri_socket, "start it, or correct --cri-socket"});
}

}  // namespace lab::bootstrap::preflight
