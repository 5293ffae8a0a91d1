// What a lab as a whole may take: cgroups made for the test in every hierarchy of this machine, and processes in them.
#include "bootstrap/node/limits.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/fs.h"
#include "bootstrap/node/cgroups.h"

namespace lab::bootstrap {
namespace {

constexpr std::uint64_t kMemory = 128ull << 20;

struct LimitsTest : testing::Test {
  const std::string top = "lab-test-limits-" + std::to_string(::getpid());

  void SetUp() override { ASSERT_TRUE(make_cgroups(top + "/node", 0, 0)); }
  void TearDown() override {
    auto removed = end_cgroups(top);
    EXPECT_TRUE(removed) << removed.error().text();
  }

  // The first line of a file of the cgroup, wherever on this machine it is.
  std::string read(const std::string& path, const char* v1, const char* v2) const {
    auto all = cgroup_hierarchies();
    EXPECT_TRUE(all);
    for (const auto& h : *all)
      for (const char* name : {v1, v2})
        if (auto text = fs::read_file(fs::join(fs::join(h.mount_point, path), name)))
          return text->substr(0, text->find('\n'));
    return "(absent)";
  }
};

TEST_F(LimitsTest, AreSetAndTakenAway) {
  for (int round = 0; round < 2; ++round) {
    auto set = limit_cgroup(top, {.memory_bytes = kMemory, .cpus = 0.5, .pids = 50});
    ASSERT_TRUE(set) << set.error().text();
    EXPECT_EQ(read(top, "memory.limit_in_bytes", "memory.max"), std::to_string(kMemory));
    EXPECT_EQ(read(top, "cpu.cfs_quota_us", "cpu.max").substr(0, 5), "50000");
    EXPECT_EQ(read(top, "pids.max", "pids.max"), "50");
  }
  ASSERT_TRUE(limit_cgroup(top, {.memory_bytes = 2 * kMemory, .cpus = 1, .pids = 60}));
  EXPECT_EQ(read(top, "memory.limit_in_bytes", "memory.max"), std::to_string(2 * kMemory));
  ASSERT_TRUE(limit_cgroup(top, {}));
  EXPECT_NE(read(top, "memory.limit_in_bytes", "memory.max"), std::to_string(2 * kMemory));
  EXPECT_EQ(read(top, "pids.max", "pids.max"), "max");
}

TEST_F(LimitsTest, WhatIsInsideIsCountedAndEndsAtTheLimit) {
  ASSERT_TRUE(limit_cgroup(top, {.memory_bytes = kMemory, .cpus = 0, .pids = 8}));
  int said[2];
  ASSERT_EQ(::pipe2(said, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int born = -1;
    if (enter_cgroups(top + "/node"))
      for (born = 0; born < 100; ++born) {
        const pid_t one = ::fork();
        if (one < 0) break;
        if (one == 0) {
          ::prctl(PR_SET_PDEATHSIG, SIGKILL);
          while (true) ::pause();
        }
      }
    (void)!::write(said[1], &born, sizeof born);
    while (true) ::pause();
  }
  ::close(said[1]);
  int born = 0;
  ASSERT_EQ(::read(said[0], &born, sizeof born), static_cast<ssize_t>(sizeof born));
  ::close(said[0]);
  EXPECT_EQ(born, 7);
  auto used = cgroup_usage(top);
  ASSERT_TRUE(used) << used.error().text();
  EXPECT_EQ(used->pids, 8u);
  EXPECT_EQ(used->oom_kills, 0u);
  ASSERT_TRUE(end_cgroups(top + "/node"));
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_F(LimitsTest, DelegationLeavesTheLimitsToThisMachine) {
  ASSERT_TRUE(delegate_cgroups(top + "/node", 4242));
  auto all = cgroup_hierarchies();
  ASSERT_TRUE(all);
  for (const auto& h : *all) {
    const std::string dir = fs::join(h.mount_point, top + "/node");
    auto owner = [&](const std::string& path) {
      struct stat st;
      return ::stat(path.c_str(), &st) == 0 ? st.st_uid : ~0u;
    };
    EXPECT_EQ(owner(dir), 4242u) << dir;
    EXPECT_EQ(owner(fs::join(dir, "cgroup.procs")), 4242u) << dir;
    for (const char* limit : {"memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.max", "pids.max"})
      if (const std::string path = fs::join(dir, limit); fs::exists(path)) EXPECT_EQ(owner(path), 0u) << path;
  }
}

TEST(UserRange, NoTwoLabsShareOne) {
  std::vector<UserRange> taken;
  for (int i = 0; i < 5; ++i) {
    auto next = choose_users(taken);
    ASSERT_TRUE(next);
    EXPECT_EQ(std::count(taken.begin(), taken.end(), *next), 0);
    EXPECT_EQ(next->first % kUsersOfLab, 0u);
    taken.push_back(*next);
  }
  taken.erase(taken.begin() + 2);
  EXPECT_EQ(choose_users(taken)->first, taken[1].first + kUsersOfLab);  // what has become free is used again
}

TEST(UserRange, WhatThisMachineLacksIsSaid) {
  auto here = check_user_namespaces("/var/lib");
  EXPECT_TRUE(here || here.error().code == Code::kUnavailable) << here.error().text();
  auto proc = check_user_namespaces("/proc");  // has no idmapped mounts
  ASSERT_FALSE(proc);
  EXPECT_EQ(proc.error().code, Code::kUnavailable);
  EXPECT_NE(proc.error().text().find("--userns"), std::string::npos) << proc.error().text();
}

}  // namespace
}  // namespace lab::bootstrap
