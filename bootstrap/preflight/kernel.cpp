#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "base/fs.h"
#include "base/netlink/netlink.h"
#include "base/nft/nft.h"
#include "bootstrap/preflight/checks.h"

namespace lab::bootstrap::preflight {

namespace {

constexpr std::uint16_t kVxlanPort = 8472;

bool is_word(const std::string& line, const std::string& word) {
  std::istringstream words(line);
  for (std::string w; words >> w;)
    if (w == word) return true;
  return false;
}

std::string missing_of(const std::string& have) {
  std::string missing;
  for (const char* name : {"cpu", "memory", "pids"})
    if (!is_word(have, name)) missing += (missing.empty() ? "" : ", ") + std::string(name);
  return missing;
}

// Of mount points: v2 alone, v1, or v1 with v2 beside it.
struct CgroupLayout {
  bool v2_root = false;
  std::string v1;  // controllers, separated by blanks
};

CgroupLayout layout_of(const std::string& mounts) {
  CgroupLayout out;
  std::istringstream lines(mounts);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string source, target, type, options;
    fields >> source >> target >> type >> options;
    if (type == "cgroup2" && target == "/sys/fs/cgroup") out.v2_root = true;
    if (type != "cgroup") continue;
    for (char& c : options)
      if (c == ',') c = ' ';
    out.v1 += " " + options;
  }
  return out;
}

// Whether a module is in the kernel, loaded, or there to be loaded.
bool module_there(const PreflightInput& in, const std::string& name) {
  if (fs::exists(in.root + "/sys/module/" + name)) return true;
  utsname u{};
  ::uname(&u);
  for (const char* list : {"modules.builtin", "modules.dep"})
    if (text_of(in, std::string("/lib/modules/") + u.release + "/" + list).find("/" + name + ".ko") !=
        std::string::npos)
      return true;
  return false;
}

// Runs a try in a network namespace of its own, which ends with it. `refused` says why where it did not work.
template <class F>
bool works(F f, std::string& refused) {
  Result<void> r;
  std::thread([&] {
    r = ::unshare(CLONE_NEWNET) == 0 ? f() : Result<void>(fail_errno("make a network namespace"));
  }).join();
  if (!r) refused = r.error().text();
  return r.has_value();
}

Result<void> try_vxlan() {
  LAB_TRY(auto netlink, Netlink::open());
  return netlink.create_vxlan({.name = "try"}, {.vni = 1, .port = kVxlanPort});
}

Result<void> try_nftables() {
  LAB_TRY(auto nft, Nft::open());
  LAB_CHECK(nft.run("table ip try { chain c { type nat hook postrouting priority 100; masquerade; }; }"));
  return {};
}

}  // namespace

void cgroups(const PreflightInput& in, Findings& out) {
  const auto layout = layout_of(text_of(in, "/proc/self/mounts"));
  if (layout.v2_root) {
    if (auto missing = missing_of(line_of(in, "/sys/fs/cgroup/cgroup.controllers")); !missing.empty())
      out.push_back(
          {"SystemVerification", "cgroup v2 lacks the controllers: " + missing,
           "the kernel has them off, or a container engine keeps them back; boot with cgroup_enable=memory, or hand "
           "them on to this container"});
  } else if (layout.v1.empty()) {
    out.push_back({"SystemVerification", "no cgroups are mounted at /sys/fs/cgroup",
                   "mount them: mount -t cgroup2 none /sys/fs/cgroup"});
  } else if (auto missing = missing_of(layout.v1); !missing.empty()) {
    out.push_back(
        {"SystemVerification", "cgroup v1 lacks the controllers: " + missing,
         "mount each: mkdir /sys/fs/cgroup/NAME && mount -t cgroup -o NAME cgroup /sys/fs/cgroup/NAME (memory may need "
         "cgroup_enable=memory at boot)"});
  }
}

void overlayfs(const PreflightInput& in, Findings& out) {
  const std::string filesystems = text_of(in, "/proc/filesystems");
  if (filesystems.find("\toverlay\n") == std::string::npos && !module_there(in, "overlay"))
    out.push_back(
        {"KernelFeature-overlayfs", "the kernel does not offer overlayfs, of which the runtime makes containers' files",
         "load it (modprobe overlay), install the kernel's modules, or choose another snapshotter in the runtime",
         false});
}

void network_features(const PreflightInput&, Findings& out) {
  if (::geteuid() != 0) return;  // said already; a namespace takes privilege
  std::string why;
  if (!works(try_vxlan, why))
    out.push_back({"KernelFeature-vxlan",
                   "the kernel makes no vxlan device, by which pods reach those on other nodes: " + why,
                   "load it (modprobe vxlan), or use a kernel that has CONFIG_VXLAN"});
  if (!works(try_nftables, why))
    out.push_back({"KernelFeature-nftables",
                   "nftables with network address translation, by which services work, is refused: " + why,
                   "load it (modprobe nf_tables nft_nat nft_masq), or use a kernel that has CONFIG_NF_TABLES and "
                   "CONFIG_NFT_MASQ"});
}

void forwarding(const PreflightInput& in, Findings& out) {
  const std::string path = "/proc/sys/net/ipv4/ip_forward";
  if (line_of(in, path) != "0") return;
  if (!in.may_change)
    out.push_back(
        {"FileContent--proc-sys-net-ipv4-ip_forward", "IPv4 forwarding is off", "it would be switched on", false});
  else if (!fs::write_in_place(in.root + path, "1"))
    out.push_back({"FileContent--proc-sys-net-ipv4-ip_forward", path + " contents are not set to 1, and could not be",
                   "sysctl -w net.ipv4.ip_forward=1"});
}

}  // namespace lab::bootstrap::preflight
