// The kernel's limits for many nodes: raised when they do not suffice, never lowered, and put back as they were.
#include "bootstrap/node/kernel_limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fs.h"
#include "base/netlink/sysctl.h"

namespace lab::bootstrap {
namespace {

constexpr const char* kInstances = "fs/inotify/max_user_instances";

std::size_t number(const char* path) {
  return std::strtoull(read_sysctl(path).value_or("0").c_str(), nullptr, 10);
}

// One test, since they are the machine's.
TEST(KernelLimits, AreRaisedForManyNodesAndPutBack) {
  const std::string record = testing::TempDir() + "/kernel-limits-" + std::to_string(::getpid()) + ".json";
  const std::size_t before = number(kInstances);
  ASSERT_GT(before, 0u);
  ASSERT_TRUE(raise_kernel_limits(0, record));
  EXPECT_EQ(number(kInstances), before) << "nothing is needed for no node";
  EXPECT_FALSE(fs::exists(record));

  const std::size_t many = before;  // each node takes several
  ASSERT_TRUE(raise_kernel_limits(many, record));
  const std::size_t raised = number(kInstances);
  EXPECT_GT(raised, before);
  ASSERT_TRUE(raise_kernel_limits(1, record));
  EXPECT_EQ(number(kInstances), raised) << "fewer nodes lower nothing";
  ASSERT_TRUE(raise_kernel_limits(many * 4, record));
  EXPECT_GT(number(kInstances), raised);

  ASSERT_TRUE(restore_kernel_limits(record));
  EXPECT_EQ(number(kInstances), before) << "as before the first time";
  EXPECT_FALSE(fs::exists(record));
  ASSERT_TRUE(restore_kernel_limits(record)) << "again";

  // What somebody has changed since stays.
  ASSERT_TRUE(raise_kernel_limits(before, record));
  const std::string chosen = std::to_string(number(kInstances) + 1);
  ASSERT_TRUE(set_sysctl(kInstances, chosen));
  ASSERT_TRUE(restore_kernel_limits(record));
  EXPECT_EQ(read_sysctl(kInstances).value_or(""), chosen);
  ASSERT_TRUE(set_sysctl(kInstances, std::to_string(before)));
}

}  // namespace
}  // namespace lab::bootstrap
