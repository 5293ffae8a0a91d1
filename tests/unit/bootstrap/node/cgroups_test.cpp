// A cgroup made for the test in every hierarchy of this machine, whatever they are, and removed again.
#include "bootstrap/node/cgroups.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/fs.h"

namespace lab::bootstrap {
namespace {

constexpr std::uint64_t kMemory = 256ull << 20;

struct CgroupsTest : testing::Test {
  const std::string top = "lab-test-" + std::to_string(::getpid());
  const std::string path = top + "/node";

  void TearDown() override {
    auto removed = remove_cgroups(top);
    EXPECT_TRUE(removed) << removed.error().text();
  }
  static std::vector<Hierarchy> hierarchies() {
    auto all = cgroup_hierarchies();
    EXPECT_TRUE(all) << all.error().text();
    return all ? *all : std::vector<Hierarchy>();
  }
  static bool has(const Hierarchy& h, const std::string& controller) {
    return std::find(h.controllers.begin(), h.controllers.end(), controller) != h.controllers.end();
  }
  static std::string read(const std::string& file) {
    auto text = fs::read_file(file);
    return text ? text->substr(0, text->find('\n')) : "(absent)";
  }

  // A child that enters by `enter` and then sleeps. 0 when it could not enter.
  template <class F>
  static pid_t inside(F enter) {
    int ready[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const char ok = enter() ? 'y' : 'n';
      (void)!::write(ready[1], &ok, 1);
      while (true) ::pause();
    }
    ::close(ready[1]);
    char ok = 0;
    EXPECT_EQ(::read(ready[0], &ok, 1), 1);
    ::close(ready[0]);
    EXPECT_EQ(ok, 'y');
    return child;
  }
  static void end(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
};

TEST_F(CgroupsTest, LimitsAreSetWhereTheControllersLive) {
  const auto all = hierarchies();
  for (int round = 0; round < 2; ++round) {
    auto made = make_cgroups(path, kMemory, 1.5);
    ASSERT_TRUE(made) << made.error().text();
  }
  bool memory = false, cpu = false;
  for (const auto& h : all) {
    const std::string dir = fs::join(h.mount_point, path);
    ASSERT_TRUE(fs::exists(dir)) << dir;
    if (has(h, "memory")) {
      memory = true;
      EXPECT_EQ(read(fs::join(dir, "memory.limit_in_bytes")), std::to_string(kMemory));
    }
    if (has(h, "cpu")) {
      cpu = true;
      EXPECT_EQ(read(fs::join(dir, "cpu.cfs_quota_us")), "150000");
    }
    if (has(h, "cpuset")) EXPECT_NE(read(fs::join(dir, "cpuset.cpus")), "") << "nothing could enter it otherwise";
    if (h.v2 && unified_only(all)) {
      memory = cpu = true;
      EXPECT_EQ(read(fs::join(dir, "memory.max")), std::to_string(kMemory));
      EXPECT_EQ(read(fs::join(dir, "cpu.max")), "150000 100000");
    }
  }
  EXPECT_TRUE(memory);
  EXPECT_TRUE(cpu);
  ASSERT_TRUE(remove_cgroups(top));
  for (const auto& h : all) EXPECT_FALSE(fs::exists(fs::join(h.mount_point, top))) << h.mount_point;
  EXPECT_TRUE(remove_cgroups(top)) << "absent is fine";
}

TEST_F(CgroupsTest, ProcessesEnterAndAreFollowed) {
  ASSERT_TRUE(make_cgroups(path, 0, 0));
  const pid_t first = inside([&] { return enter_cgroups(path).has_value(); });
  const pid_t second = inside([&] { return enter_cgroups_of(first).has_value(); });
  auto memberships = [](pid_t pid) {
    auto text = fs::read_file("/proc/" + std::to_string(pid) + "/cgroup");
    return text ? *text : std::string();
  };
  EXPECT_NE(memberships(first).find("/" + path), std::string::npos) << memberships(first);
  EXPECT_EQ(memberships(second), memberships(first));
  // A node's own cgroups below it go with it.
  for (const auto& h : hierarchies()) {
    ASSERT_TRUE(fs::make_dirs(fs::join(h.mount_point, path + "/kubepods/pod1")));
  }
  end(second);
  end(first);
  EXPECT_TRUE(remove_cgroups(top));
}

TEST_F(CgroupsTest, WhatIsStillInsideIsNamed) {
  ASSERT_TRUE(make_cgroups(path, 0, 0));
  const pid_t child = inside([&] { return enter_cgroups(path).has_value(); });
  auto busy = remove_cgroups(path);
  ASSERT_FALSE(busy);
  EXPECT_NE(busy.error().hint.find(std::to_string(child)), std::string::npos) << busy.error().text();
  end(child);
}

TEST_F(CgroupsTest, WhatIsStillInsideCanBeEnded) {
  ASSERT_TRUE(make_cgroups(path, 0, 0));
  const pid_t child = inside([&] { return enter_cgroups(path).has_value(); });
  auto ended = end_cgroups(top);  // also from a level above
  ASSERT_TRUE(ended) << ended.error().text();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_TRUE(end_cgroups(top)) << "absent is fine";
}

}  // namespace
}  // namespace lab::bootstrap
