#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "base/subprocess.h"
#include "bootstrap/preflight/checks.h"

namespace lab::bootstrap::preflight {

namespace {

constexpr unsigned kProcessors = 2;
constexpr long kMemoryMib = 512;

}  // namespace

void privileged(const PreflightInput&, Findings& out) {
  if (::geteuid() != 0) out.push_back({"IsPrivilegedUser", "this user is not root", "run it as root or through sudo"});
}

void processors(const PreflightInput& in, Findings& out) {
  const unsigned have = std::thread::hardware_concurrency();
  if (in.control_plane && have > 0 && have < kProcessors)
    out.push_back(
        {"NumCPU",
         "the number of available CPUs " + std::to_string(have) + " is less than " + std::to_string(kProcessors),
         "it works, slower; give the machine another one", false});
}

void memory(const PreflightInput& in, Findings& out) {
  std::istringstream lines(text_of(in, "/proc/meminfo"));
  std::string name, unit;
  long kib = 0;
  while (lines >> name >> kib && std::getline(lines, unit))
    if (name == "MemTotal:" && kib / 1024 < kMemoryMib)
      out.push_back(
          {"Mem",
           "the system RAM (" + std::to_string(kib / 1024) + " MB) is less than " + std::to_string(kMemoryMib) + " MB",
           "it may not hold the control plane and pods; give the machine more", false});
}

void swap(const PreflightInput& in, Findings& out) {
  const std::string swaps = text_of(in, "/proc/swaps");
  if (std::count(swaps.begin(), swaps.end(), '\n') > 1)
    out.push_back({"Swap", "swap is on; memory limits of pods hold less strictly", "switch it off: swapoff -a", false});
}

void host_name(const PreflightInput& in, Findings& out) {
  bool odd = false;
  for (char c : in.node_name) odd = odd || std::isupper(static_cast<unsigned char>(c)) || c == '_';
  if (odd)
    out.push_back({"Hostname", "the node name \"" + in.node_name + "\" is no DNS name",
                   "use lower-case letters, digits, '-' and '.': --node-name, or hostnamectl set-hostname"});
  else if (in.node_name == "localhost" || in.node_name.starts_with("localhost."))
    out.push_back({"Hostname", "this machine's name is \"" + in.node_name + "\", which every machine calls itself",
                   "give it one of its own: hostnamectl set-hostname NAME, or --node-name NAME", false});
}

void programs(const PreflightInput&, Findings& out) {
  if (!find_in_path("mount"))
    out.push_back({"FileExisting-mount", "mount is not found in the PATH", "install it: apt-get install mount"});
  if (!find_in_path("runc") && !find_in_path("crun"))
    out.push_back({"FileExisting-runc", "neither runc nor crun is found in the PATH",
                   "install one, unless the container runtime brings its own: apt-get install runc"});
}

}  // namespace lab::bootstrap::preflight
