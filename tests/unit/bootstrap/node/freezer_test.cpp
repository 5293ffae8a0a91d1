// Processes that stand still and go on, in every hierarchy of this machine that can make them.
#include "bootstrap/node/freezer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "bootstrap/node/cgroups.h"

namespace lab::bootstrap {
namespace {

struct FreezerTest : testing::Test {
  const std::string top = "lab-freezer-test-" + std::to_string(::getpid());
  const std::string path = top + "/node";
  std::atomic<long>* counter = nullptr;  // shared with the child, which counts while it runs
  pid_t child = 0;

  void SetUp() override {
    void* shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    counter = new (shared) std::atomic<long>(0);
    ASSERT_TRUE(make_cgroups(path, 0, 0));
    child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (!enter_cgroups(path)) ::_exit(1);
      for (;; ::usleep(1000)) counter->fetch_add(1);
    }
    ASSERT_TRUE(moves());
  }
  void TearDown() override {
    EXPECT_TRUE(thaw_cgroups(top));
    if (child > 0) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    auto removed = remove_cgroups(top);
    EXPECT_TRUE(removed) << removed.error().text();
    ::munmap(counter, 4096);
  }
  // Whether the child counts on. That it does not is believed after a while in which it would have counted to a
  // hundred.
  bool moves() const {
    const long before = counter->load();
    for (int i = 0; i < 150; ++i) {
      if (counter->load() != before) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  bool moves_in_time() const {
    for (int i = 0; i < 200; ++i)
      if (moves()) return true;
    return false;
  }
};

TEST_F(FreezerTest, EveryMeansOfThisMachineFreezesWhatIsBelowAndLetsItGoOn) {
  auto all = freezers(top);
  ASSERT_TRUE(all) << all.error().text();
  ASSERT_FALSE(all->empty()) << "this machine has neither cgroup v2 nor v1's freezer";
  for (const auto& f : *all) {
    for (int round = 0; round < 2; ++round) {
      auto frozen = freeze(f);
      ASSERT_TRUE(frozen) << f.directory << ": " << frozen.error().text();
      EXPECT_TRUE(is_frozen(f)) << f.directory;
      EXPECT_FALSE(moves()) << f.directory;
      EXPECT_TRUE(freeze(f)) << "a second time";
    }
    ASSERT_TRUE(thaw(f)) << f.directory;
    EXPECT_FALSE(is_frozen(f));
    EXPECT_TRUE(moves_in_time()) << f.directory;
    EXPECT_TRUE(thaw(f)) << "a second time";
  }
}

TEST_F(FreezerTest, ByPath) {
  ASSERT_TRUE(freeze_cgroups(top));
  EXPECT_TRUE(cgroups_frozen(top).value_or(false));
  EXPECT_FALSE(cgroups_frozen(path).value_or(true)) << "what is told is told to the lab, not to each node";
  EXPECT_FALSE(moves());
  ASSERT_TRUE(thaw_cgroups(top));
  EXPECT_FALSE(cgroups_frozen(top).value_or(true));
  EXPECT_TRUE(moves_in_time());
}

TEST_F(FreezerTest, WhatIsNotThereIsNeitherFrozenNorAnErrorToThaw) {
  EXPECT_FALSE(cgroups_frozen(top + "-absent").value_or(true));
  EXPECT_TRUE(thaw_cgroups(top + "-absent"));
  EXPECT_FALSE(freeze_cgroups(top + "-absent"));
}

TEST_F(FreezerTest, AKilledOneEndsAtTheLatestWhenItGoesOn) {
  ASSERT_TRUE(freeze_cgroups(top));
  ::kill(child, SIGKILL);
  ASSERT_TRUE(thaw_cgroups(top));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  child = 0;
  EXPECT_TRUE(WIFSIGNALED(status));
}

}  // namespace
}  // namespace lab::bootstrap
