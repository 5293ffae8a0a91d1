// A tree whose owner sets traps for a program that is root: nothing outside of it is read, written or waited for.
#include "base/rooted.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fs.h"

namespace lab::fs {
namespace {

struct RootedTest : testing::Test {
  std::string top, tree;

  void SetUp() override {
    char name[] = "/tmp/rooted-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top = name;
    tree = join(top, "tree");
    ASSERT_TRUE(make_dirs(join(tree, "etc")));
    ASSERT_TRUE(write_file(join(top, "secret"), "of the machine"));
    ASSERT_TRUE(write_file(join(tree, "etc/own"), "of the tree"));
  }
  void TearDown() override { EXPECT_TRUE(remove_all(top)); }

  Rooted open() const {
    auto out = Rooted::open(tree);
    EXPECT_TRUE(out) << out.error().text();
    return std::move(*out);
  }
  void link(const std::string& target, const std::string& path) const {
    ASSERT_EQ(::symlink(target.c_str(), join(tree, path).c_str()), 0) << path;
  }
  std::string outside() const { return read_file(join(top, "secret")).value_or("(gone)"); }
};

TEST_F(RootedTest, ReadsWhatIsInsideAndFollowsLinksThere) {
  auto files = open();
  link("/etc", "absolute");
  link("../../../../etc/own", "up");
  EXPECT_EQ(files.read("/etc/own").value_or(""), "of the tree");
  EXPECT_EQ(files.read("absolute/own").value_or(""), "of the tree");
  EXPECT_EQ(files.read("up").value_or(""), "of the tree");
  EXPECT_EQ(files.read("/nothing").error().code, Code::kNotFound);
}

TEST_F(RootedTest, NoPathLeadsOut) {
  auto files = open();
  link(join(top, "secret"), "absolute");
  link("../secret", "up");
  link("..", "above");
  for (const char* path :
       {"absolute", "up", "above/secret", "../secret", "/../secret", "etc/../../secret", "/proc/self/root/etc/passwd"})
    EXPECT_FALSE(files.read(path)) << path;
}

TEST_F(RootedTest, WritesReplaceLinksAndNeverFollowThemOut) {
  auto files = open();
  link(join(top, "secret"), "trap");
  link(top, "away");
  ASSERT_TRUE(files.write("trap", "new"));
  EXPECT_EQ(files.read("trap").value_or(""), "new");
  (void)files.write("away/secret", "new");  // either refused, or made inside
  EXPECT_EQ(outside(), "of the machine");
  ASSERT_TRUE(files.write("/a/b/c", "deep", 0600));
  EXPECT_EQ(read_file(join(tree, "a/b/c")).value_or(""), "deep");
}

TEST_F(RootedTest, UploadsRefuseLinksAndDots) {
  auto files = open();
  link("/etc", "inner");
  auto refused = files.write("inner/file", "x", 0644, Links::kRefuse);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid) << refused.error().text();
  EXPECT_FALSE(exists(join(tree, "etc/file")));
  for (const char* name : {"", "/", "a/", "a/..", "."}) EXPECT_FALSE(files.write(name, "x")) << name;
}

TEST_F(RootedTest, WaitsForNoFifoAndActsOnNoKernelFile) {
  auto files = open();
  ASSERT_EQ(::mkfifo(join(tree, "fifo").c_str(), 0600), 0);
  for (const char* path : {"fifo", "etc"}) EXPECT_EQ(files.read(path).error().code, Code::kInvalid) << path;
  auto machine = Rooted::open("/");
  ASSERT_TRUE(machine);
  EXPECT_EQ(machine->read("/proc/version").error().code, Code::kInvalid);
  EXPECT_EQ(machine->write("/proc/sys/kernel/hostname", "trapped").error().code, Code::kInvalid);
  EXPECT_EQ(machine->read("/dev/zero").error().code, Code::kInvalid);
}

TEST_F(RootedTest, AHugeFileTakesNoMemory) {
  auto files = open();
  ASSERT_EQ(::truncate(join(tree, "etc/own").c_str(), off_t{1} << 40), 0);
  EXPECT_EQ(files.read("etc/own").error().code, Code::kTooLarge);
  EXPECT_EQ(files.read("etc/own", 5).error().code, Code::kTooLarge);
}

TEST_F(RootedTest, WhatIsMadeBelongsToTheOwnerOfItsDirectory) {
  auto files = open();
  ASSERT_EQ(::chown(join(tree, "etc").c_str(), 4242, 4343), 0);
  ASSERT_EQ(::chmod(join(tree, "etc").c_str(), 0700), 0);
  ASSERT_TRUE(files.write("etc/a/b", "x"));
  ASSERT_TRUE(files.symlink("b", "etc/a/link"));
  for (const char* path : {"etc/a", "etc/a/b", "etc/a/link"}) {
    struct stat st;
    ASSERT_EQ(::lstat(join(tree, path).c_str(), &st), 0);
    EXPECT_EQ(st.st_uid, 4242u) << path;
    EXPECT_EQ(st.st_gid, 4343u) << path;
  }
  EXPECT_EQ(::geteuid(), 0u);
  EXPECT_EQ(files.list("etc").value_or(std::vector<std::string>{}), (std::vector<std::string>{"a", "own"}));
}

TEST_F(RootedTest, RemovesTheLinkItself) {
  auto files = open();
  link(join(top, "secret"), "trap");
  EXPECT_TRUE(files.exists("trap"));
  ASSERT_TRUE(files.remove_file("trap"));
  ASSERT_TRUE(files.remove_file("trap"));
  ASSERT_TRUE(files.remove_file("no/such/directory/trap"));
  EXPECT_FALSE(files.exists("trap"));
  EXPECT_EQ(outside(), "of the machine");
}

}  // namespace
}  // namespace lab::fs
