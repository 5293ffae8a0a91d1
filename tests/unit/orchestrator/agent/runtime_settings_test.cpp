// What a runtime tells of itself, and what systemd is told of a pod.
#include <gtest/gtest.h>

#include "orchestrator/agent/cgroups.h"
#include "orchestrator/agent/cri.h"

namespace lab::agent {
namespace {

TEST(RuntimeSettings, OfContainerd) {
  auto s = cri::read_settings(R"({
    "containerd": {"defaultRuntimeName": "crun",
                   "runtimes": {"runc": {"options": {"SystemdCgroup": false}},
                                "crun": {"options": {"SystemdCgroup": true}}}},
    "cni": {"binDir": "/usr/lib/cni", "confDir": "/etc/cni/net.d"},
    "sandboxImage": "registry.k8s.io/pause:3.6"})");
  EXPECT_EQ(s.cni_bin_directory, "/usr/lib/cni");
  EXPECT_EQ(s.sandbox_image, "registry.k8s.io/pause:3.6");
  EXPECT_TRUE(s.systemd_cgroups);
}

TEST(RuntimeSettings, NothingToldIsNothingKnown) {
  for (const char* text : {"", "{}", "[1]", R"({"containerd": {"runtimes": {"runc": {"options": null}}}, "cni": 7})"}) {
    auto s = cri::read_settings(text);
    EXPECT_EQ(s.cni_bin_directory, "") << text;
    EXPECT_EQ(s.sandbox_image, "") << text;
    EXPECT_FALSE(s.systemd_cgroups) << text;
  }
}

TEST(Slices, LimitsInSystemdsWords) {
  EXPECT_EQ(slice_properties({.cpu_shares = 2}), (std::vector<std::string>{"CPUWeight=1"}));
  EXPECT_EQ(slice_properties({.cpu_shares = 1024, .cpu_quota = 50'000, .memory = 64 << 20}),
            (std::vector<std::string>{"CPUWeight=39", "CPUQuota=50%", "MemoryMax=67108864"}));
  EXPECT_EQ(slice_properties({.cpu_shares = 2, .cpu_quota = 1'001})[1], "CPUQuota=2%");
}

}  // namespace
}  // namespace lab::agent
