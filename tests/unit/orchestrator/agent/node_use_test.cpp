#include "orchestrator/agent/node_use.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/fs.h"

namespace lab::agent {
namespace {

class NodeUseTest : public ::testing::Test {
 protected:
  NodeUseTest() {
    std::string pattern = ::testing::TempDir() + "node-use-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~NodeUseTest() override { (void)fs::remove_all(root_); }
  void file(const std::string& path, const std::string& text) {
    auto whole = fs::join(root_, path);
    EXPECT_TRUE(fs::make_dirs(whole.substr(0, whole.rfind('/'))));
    EXPECT_TRUE(fs::write_file(whole, text));
  }
  std::string root_;
};

TEST_F(NodeUseTest, ReadsVersion1) {
  file("cpuacct/cpuacct.usage", "867418921\n");
  file("memory/memory.usage_in_bytes", "5000\n");
  file("memory/memory.stat", "cache 1\ninactive_file 7\ntotal_inactive_file 2000\n");
  auto use = read_node_use(root_);
  EXPECT_EQ(use.cpu_ns, 867418921);
  EXPECT_EQ(use.working_set, 3000);
}

TEST_F(NodeUseTest, ReadsVersion2) {
  file("cpu.stat", "usage_usec 1234\nuser_usec 1000\n");
  file("memory.current", "900\n");
  file("memory.stat", "anon 1\ninactive_file 1000\n");
  auto use = read_node_use(root_);
  EXPECT_EQ(use.cpu_ns, 1'234'000);
  EXPECT_EQ(use.working_set, 0);  // the two files are not read at one instant
}

TEST_F(NodeUseTest, ElseTheWholeMachineCounts) {
  auto use = read_node_use(root_);
  EXPECT_GT(use.cpu_ns, 0);
  EXPECT_GT(use.working_set, 1 << 20);
}

}  // namespace
}  // namespace lab::agent
