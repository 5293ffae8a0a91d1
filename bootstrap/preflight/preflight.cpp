#include "bootstrap/preflight/preflight.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/fs.h"
#include "base/subprocess.h"
#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kMark = "preflight";
constexpr int kAgentPort = 10250;
constexpr int kLeastInotifyInstances = 128;

using Findings = std::vector<PreflightFinding>;
using Check = void (*)(const PreflightInput&, Findings&);

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

void privileged(const PreflightInput&, Findings& out) {
  if (::geteuid() != 0) out.push_back({"IsPrivilegedUser", "this user is not root", "run it as root or through sudo"});
}

void ports(const PreflightInput& in, Findings& out) {
  std::vector<int> wanted{kAgentPort};
  if (in.control_plane) wanted.push_back(in.api_port);
  for (int port : wanted) {
    const std::string owner = port_owner(port);
    // A daemon of ours is there when init runs again: that is no conflict.
    if (owner.empty() || owner.starts_with("lab ") || owner.starts_with("lab-")) continue;
    out.push_back({"Port-" + std::to_string(port), "port " + std::to_string(port) + " is in use by " + owner,
                   port == kAgentPort ? "stop that program (an old kubelet?)"
                                      : "stop that program, or choose another port with --apiserver-bind-port"});
  }
}

void disk(const PreflightInput& in, Findings& out) {
  std::string path = in.data_directory;
  while (path.size() > 1 && !fs::exists(path)) path = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  auto free = fs::free_bytes(path);
  if (free && *free < in.need_bytes)
    out.push_back({"DiskSpace", in.data_directory + " needs " + mebibytes(in.need_bytes) + " and its file system has " +
                                    mebibytes(*free) + " free",
                   "free some space there (du -xh " + path + " | sort -h | tail), then run this again"});
}

void runtime(const PreflightInput& in, Findings& out) {
  if (socket_answers(in.cri_socket)) return;
  if (in.cri_socket.ends_with(kContainerdSocket)) {
    if (find_in_path("containerd")) return;   // it will be started
    out.push_back({"CRI", "there is no container runtime: containerd is not installed",
                   "install it (apt-get install containerd runc), or name another with --cri-socket"});
    return;
  }
  out.push_back({"CRI", "no container runtime answers on " + in.cri_socket, "start it, or correct --cri-socket"});
}

void programs(const PreflightInput&, Findings& out) {
  for (const char* program : {"runc", "mount"})
    if (!find_in_path(program) && !(std::string(program) == "runc" && find_in_path("crun")))
      out.push_back({"FileExisting-" + std::string(program), std::string(program) + " is not found in the PATH",
                     "install it", std::string(program) == "runc"});
}

void kernel(const PreflightInput&, Findings& out) {
  auto filesystems = fs::read_file("/proc/filesystems");
  if (filesystems && filesystems->find("\toverlay\n") == std::string::npos && !fs::exists("/sys/module/overlay"))
    out.push_back({"KernelFeature-overlayfs", "the kernel does not offer overlayfs", "load it: modprobe overlay", false});
  if (!fs::exists("/sys/fs/cgroup"))
    out.push_back({"SystemVerification", "no cgroups are mounted at /sys/fs/cgroup", "mount them"});
}

void forwarding(const PreflightInput&, Findings& out) {
  auto value = fs::read_file("/proc/sys/net/ipv4/ip_forward");
  if (value && value->starts_with("0") && !fs::write_in_place("/proc/sys/net/ipv4/ip_forward", "1"))
    out.push_back({"FileContent--proc-sys-net-ipv4-ip_forward", "IPv4 forwarding is off and could not be switched on",
                   "sysctl -w net.ipv4.ip_forward=1"});
}

void inotify(const PreflightInput&, Findings& out) {
  auto value = fs::read_file("/proc/sys/fs/inotify/max_user_instances");
  if (value && std::atoi(value->c_str()) < kLeastInotifyInstances)
    out.push_back({"InotifyInstances", "fs.inotify.max_user_instances is " + value->substr(0, value->find('\n')),
                   "raise it: sysctl -w fs.inotify.max_user_instances=1024", false});
}

void swap(const PreflightInput&, Findings& out) {
  auto swaps = fs::read_file("/proc/swaps");
  if (swaps && std::count(swaps->begin(), swaps->end(), '\n') > 1)
    out.push_back({"Swap", "swap is on; memory limits of pods hold less strictly", "switch it off: swapoff -a", false});
}

}  // namespace

std::vector<PreflightFinding> run_preflight(const PreflightInput& input) {
  static constexpr Check kChecks[] = {privileged, ports, disk, runtime, programs, kernel, forwarding, inotify, swap};
  Findings findings;
  for (Check check : kChecks) check(input, findings);
  return findings;
}

Result<void> judge_preflight(const Findings& findings, const std::vector<std::string>& ignored,
                             std::vector<std::string>& warnings) {
  auto lower = [](std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
    return s;
  };
  auto is_ignored = [&](const std::string& check) {
    return std::any_of(ignored.begin(), ignored.end(),
                       [&](const std::string& i) { return lower(i) == "all" || lower(i) == lower(check); });
  };
  std::string fatal;
  for (const auto& f : findings) {
    const std::string line = "[" + f.check + "]: " + f.message + "; " + f.fix;
    if (f.fatal && !is_ignored(f.check))
      fatal += "\n\t[ERROR " + f.check + "]: " + f.message + "; " + f.fix;
    else
      warnings.push_back(line);
  }
  if (fatal.empty()) return {};
  Error error{.code = Code::kInvalid,
              .message = "some fatal errors occurred:" + fatal,
              .hint = "mend them, or make a check non-fatal with --ignore-preflight-errors=NAME",
              .details = kMark};
  return std::unexpected(std::move(error));
}

bool is_preflight_failure(const Error& error) { return error.details == kMark; }

}  // namespace lab::bootstrap
