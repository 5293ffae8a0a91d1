// Each check on machines that a directory of files pretends to be.
#include "bootstrap/preflight/checks.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/fs.h"

namespace lab::bootstrap::preflight {
namespace {

class Checks : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/preflight-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    in_.root = name;
  }
  void TearDown() override { (void)fs::remove_all(in_.root); }

  void file(const std::string& path, const std::string& text) {
    ASSERT_TRUE(fs::make_dirs(in_.root + path.substr(0, path.rfind('/'))));
    ASSERT_TRUE(fs::write_file(in_.root + path, text));
  }
  // "NAME: message", "" for no finding; every finding must say the fix.
  std::string verdict(Check check) {
    Findings out;
    check(in_, out);
    std::string text;
    for (const auto& f : out) {
      EXPECT_FALSE(f.fix.empty()) << f.check;
      text += (text.empty() ? "" : "\n") + f.check + (f.fatal ? ": " : " (warning): ") + f.message;
    }
    return text;
  }

  PreflightInput in_;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

constexpr const char* kRoutes =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "tun0\t0005F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "lab0\t0000F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

TEST_F(Checks, RoutesThatOverlapTheRangesAreNamedWithTheirDevice) {
  file("/proc/net/route", kRoutes);
  in_.ranges = {"10.244.0.0/16", "10.96.0.0/12"};
  const auto said = verdict(host_routes);
  EXPECT_EQ(said,
            "HostRoutes: the cluster's range 10.244.0.0/16 overlaps this machine's route to 10.244.5.0/24 through "
            "tun0: one of the "
            "two would not be reached");
  in_.ranges = {"10.245.0.0/16", "10.96.0.0/12"};
  EXPECT_EQ(verdict(host_routes), "") << "the default route and our own are no overlap";
  in_.ranges = {"192.168.1.128/25"};
  EXPECT_TRUE(has(verdict(host_routes), "route to 192.168.1.0/24 through eth0"));
}

TEST_F(Checks, TheResolverMustNotLoop) {
  file("/etc/resolv.conf", "search example\nnameserver 192.0.2.53\n");
  in_.dns_address = "10.96.0.10";
  EXPECT_EQ(verdict(resolver), "");
  file("/etc/resolv.conf", "nameserver 10.96.0.10\n");
  EXPECT_TRUE(has(verdict(resolver), "ResolverLoop: /etc/resolv.conf names the cluster's own name server 10.96.0.10"));
  file("/etc/resolv.conf", "nameserver 127.0.0.53\n");
  EXPECT_TRUE(has(verdict(resolver),
                  "ResolverLoop (warning): /etc/resolv.conf names only programs on this machine (127.0.0.53)"));
  file("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n");
  EXPECT_EQ(verdict(resolver), "") << "the real servers are known";
}

TEST_F(Checks, CgroupLayouts) {
  file("/proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
  file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
  EXPECT_EQ(verdict(cgroups), "");
  file("/sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
  EXPECT_EQ(verdict(cgroups), "SystemVerification: cgroup v2 lacks the controllers: memory");
  file(
      "/proc/self/mounts",
      "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
      "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
  EXPECT_EQ(verdict(cgroups), "") << "hybrid";
  file("/proc/self/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n");
  EXPECT_EQ(verdict(cgroups), "SystemVerification: cgroup v1 lacks the controllers: memory, pids");
  file("/proc/self/mounts", "proc /proc proc rw 0 0\n");
  EXPECT_TRUE(has(verdict(cgroups), "no cgroups are mounted"));
}

TEST_F(Checks, InotifyLimitsNameTheSysctl) {
  file("/proc/sys/fs/inotify/max_user_instances", "64\n");
  file("/proc/sys/fs/inotify/max_user_watches", "1000000\n");
  EXPECT_TRUE(verdict(inotify).starts_with("InotifyInstances (warning): fs.inotify.max_user_instances is 64"));
  file("/proc/sys/fs/inotify/max_user_instances", "1024\n");
  EXPECT_EQ(verdict(inotify), "");
  file("/proc/sys/fs/inotify/max_user_watches", "8192\n");
  EXPECT_TRUE(verdict(inotify).starts_with("InotifyWatches (warning): fs.inotify.max_user_watches is 8192"));
}

TEST_F(Checks, AMachineHasAnIdOfItsOwn) {
  EXPECT_TRUE(has(verdict(machine_id), "absent or empty"));
  file("/etc/machine-id", "uninitialized\n");
  EXPECT_TRUE(has(verdict(machine_id), "holds no machine id"));
  file("/etc/machine-id", "00000000000000000000000000000000\n");
  EXPECT_NE(verdict(machine_id), "");
  file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  EXPECT_EQ(verdict(machine_id), "");
}

TEST_F(Checks, ForwardingIsSwitchedOnOrTold) {
  const std::string path = "/proc/sys/net/ipv4/ip_forward";
  file(path, "0\n");
  in_.may_change = false;
  EXPECT_TRUE(has(verdict(forwarding), "(warning): IPv4 forwarding is off"));
  EXPECT_EQ(line_of(in_, path), "0") << "a dry run changes nothing";
  in_.may_change = true;
  EXPECT_EQ(verdict(forwarding), "");
  EXPECT_EQ(line_of(in_, path), "1");
}

TEST_F(Checks, OverlayfsMayBeAModuleThatIsNotLoadedYet) {
  file("/proc/filesystems", "nodev\tproc\n\text4\n");
  EXPECT_TRUE(has(verdict(overlayfs), "KernelFeature-overlayfs"));
  file("/sys/module/overlay/version", "1\n");
  EXPECT_EQ(verdict(overlayfs), "");
  file("/proc/filesystems", "nodev\toverlay\n");
  EXPECT_EQ(verdict(overlayfs), "");
}

TEST_F(Checks, SwapMemoryAndNames) {
  file("/proc/swaps", "Filename\tType\tSize\n");
  EXPECT_EQ(verdict(swap), "");
  file("/proc/swaps", "Filename\tType\tSize\n/dev/sda2 partition 1\n");
  EXPECT_TRUE(has(verdict(swap), "Swap (warning)"));
  file("/proc/meminfo", "MemTotal:         262144 kB\nMemFree: 1 kB\n");
  EXPECT_TRUE(has(verdict(memory), "the system RAM (256 MB) is less than 512 MB"));
  file("/proc/meminfo", "MemTotal:         8388608 kB\n");
  EXPECT_EQ(verdict(memory), "");
  in_.node_name = "Node_1";
  EXPECT_TRUE(has(verdict(host_name), "Hostname: the node name \"Node_1\" is no DNS name"));
  in_.node_name = "localhost";
  EXPECT_TRUE(has(verdict(host_name), "Hostname (warning)"));
  in_.node_name = "node-1";
  EXPECT_EQ(verdict(host_name), "");
}

TEST_F(Checks, TryingTheKernelLeavesNothing) {
  const auto before = fs::read_file("/proc/net/dev");
  (void)verdict(network_features);
  ASSERT_TRUE(before);
  EXPECT_EQ(fs::read_file("/proc/net/dev")->find("try"), std::string::npos);
}

}  // namespace
}  // namespace lab::bootstrap::preflight
