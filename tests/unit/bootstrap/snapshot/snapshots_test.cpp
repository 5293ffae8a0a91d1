// Snapshots of a lab's directory, without nodes: what is complete, what is swept, what is refused, and what comes back.
#include "bootstrap/snapshot/snapshots.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bootstrap/local/life.h"
#include "temp_dir.h"

namespace lab::bootstrap {
namespace {

// A lab's directory where labs lie, with a name of the test's own.
struct SnapshotsTest : testing::Test {
  const LabLayout layout{"unit-snapshots-" + std::to_string(::getpid())};
  const bool directory_was_there = fs::exists(kLabsDirectory);

  void SetUp() override {
    for (const char* node : {"node1", "node2"}) {
      ASSERT_TRUE(fs::make_dirs(layout.node(node).var()));
      write(node, "var/data", std::string("of ") + node);
      write(node, "pid", "1 2");
    }
  }
  void TearDown() override {
    ::umount2(layout.base().c_str(), MNT_DETACH);
    EXPECT_TRUE(fs::remove_all(layout.base()));
    if (!directory_was_there) (void)forget_profile(layout.profile);
  }
  void write(const std::string& node, const std::string& path, const std::string& text) {
    ASSERT_TRUE(fs::write_file(fs::join(layout.node(node).base, path), text));
  }
  std::string read(const std::string& node, const std::string& path) {
    return fs::read_file(fs::join(layout.node(node).base, path)).value_or("(absent)");
  }
  void save(const std::string& name) {
    Snapshot s{.name = name,
               .created = "2026-11-22T08:00:00Z",
               .program = "test",
               .nodes = {"node1", "node2"},
               .lab = json::Object{{"token", "t"}}};
    auto copied = copy_nodes(layout, s);
    ASSERT_TRUE(copied) << copied.error().text();
    auto completed = complete_snapshot(layout, s);
    ASSERT_TRUE(completed) << completed.error().text();
  }
  std::string manifest(const std::string& name) const { return fs::join(layout.snapshots(), name + "/manifest.json"); }
};

TEST_F(SnapshotsTest, WhatIsSavedComesBack) {
  save("one");
  write("node1", "var/data", "changed");
  write("node2", "var/new", "later");
  auto s = find_snapshot(layout, "one");
  ASSERT_TRUE(s) << s.error().text();
  EXPECT_EQ(s->nodes, (std::vector<std::string>{"node1", "node2"}));
  EXPECT_EQ(s->files, 2u);
  EXPECT_EQ(json::str(s->lab, "token"), "t");
  auto staged = stage_snapshot(layout, *s, layout);
  ASSERT_TRUE(staged) << staged.error().text();
  EXPECT_EQ(read("node1", "var/data"), "changed") << "staging does not touch the lab";
  ASSERT_TRUE(exchange_nodes(layout));
  EXPECT_EQ(read("node1", "var/data"), "of node1");
  EXPECT_EQ(read("node2", "var/new"), "(absent)");
  EXPECT_EQ(read("node1", "pid"), "(absent)") << "of one run of the node";
  ASSERT_TRUE(sweep_snapshots(layout));
  EXPECT_FALSE(fs::exists(layout.nodes_aside()));
  // And a second time.
  write("node1", "var/data", "changed");
  ASSERT_TRUE(stage_snapshot(layout, *s, layout));
  ASSERT_TRUE(exchange_nodes(layout));
  EXPECT_EQ(read("node1", "var/data"), "of node1");
}

TEST_F(SnapshotsTest, UnknownNamesAreAnsweredWithThoseThatExist) {
  auto none = find_snapshot(layout, "absent");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_EQ(none.error().hint, "it has none; make one: lab snapshot save absent --profile " + layout.profile);
  save("one");
  save("two");
  auto unknown = find_snapshot(layout, "absent");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().hint, "it has: one, two");
  EXPECT_EQ(delete_snapshot(layout, "absent").error().code, Code::kNotFound);
  for (const std::string& bad :
       {std::string(), std::string("../x"), std::string(".hidden"), std::string("a/b"), std::string(64, 'a')}) {
    EXPECT_EQ(find_snapshot(layout, bad).error().code, Code::kInvalid) << bad;
    EXPECT_EQ(delete_snapshot(layout, bad).error().code, Code::kInvalid) << bad;
  }
}

TEST_F(SnapshotsTest, AnotherFormatIsRefusedByItsNumber) {
  save("future");
  auto text = fs::read_file(manifest("future"));
  ASSERT_TRUE(text);
  auto at = text->find("\"format\": 1");
  ASSERT_NE(at, std::string::npos);
  text->replace(at, 11, "\"format\": 7");
  ASSERT_TRUE(fs::write_file(manifest("future"), *text));
  auto refused = find_snapshot(layout, "future");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "snapshot \"future\" has format 7; this program reads format 1");
  EXPECT_NE(refused.error().hint.find("(test)"), std::string::npos) << refused.error().hint;
  EXPECT_EQ(list_snapshots(layout).value().size(), 1u) << "it is shown, and can be deleted";
  EXPECT_TRUE(delete_snapshot(layout, "future"));
}

TEST_F(SnapshotsTest, WithoutAManifestItIsNone) {
  save("one");
  ASSERT_TRUE(fs::make_dirs(fs::join(layout.snapshots(), ".new-two/nodes/node1")));
  ASSERT_TRUE(fs::make_dirs(layout.nodes_aside() + "/node1"));
  EXPECT_EQ(list_snapshots(layout).value().size(), 1u);
  EXPECT_FALSE(find_snapshot(layout, "two"));
  ASSERT_TRUE(sweep_snapshots(layout));
  EXPECT_FALSE(fs::exists(fs::join(layout.snapshots(), ".new-two")));
  EXPECT_FALSE(fs::exists(layout.nodes_aside()));
  EXPECT_TRUE(find_snapshot(layout, "one"));
  ASSERT_TRUE(delete_snapshot(layout, "one"));
  EXPECT_TRUE(list_snapshots(layout).value().empty());
}

TEST_F(SnapshotsTest, ADamagedOneIsFoundBeforeTheLabIsTouched) {
  save("one");
  auto s = find_snapshot(layout, "one");
  ASSERT_TRUE(s);
  const std::string file = fs::join(layout.snapshots(), "one/nodes/node2/var/data");
  ASSERT_TRUE(fs::append_file(file, "!"));
  auto refused = stage_snapshot(layout, *s, layout);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(file), std::string::npos) << refused.error().text();
  EXPECT_NE(refused.error().hint.find("the lab is as it was"), std::string::npos);
  EXPECT_FALSE(fs::exists(layout.nodes_aside()));
  ASSERT_TRUE(fs::append_file(fs::join(layout.snapshots(), "one/node1.index"), "x"));
  auto index = stage_snapshot(layout, *s, layout);
  ASSERT_FALSE(index);
  EXPECT_NE(index.error().message.find("node1.index is not what was saved"), std::string::npos) << index.error().text();
}

TEST_F(SnapshotsTest, AReplacedOneIsTheNewOne) {
  save("one");
  write("node1", "var/data", "second");
  save("one");
  auto s = find_snapshot(layout, "one");
  ASSERT_TRUE(s);
  ASSERT_TRUE(stage_snapshot(layout, *s, layout));
  ASSERT_TRUE(exchange_nodes(layout));
  EXPECT_EQ(read("node1", "var/data"), "second");
  EXPECT_EQ(fs::list_dir(layout.snapshots()).value(), std::vector<std::string>{"one"});
}

// On a file system of its own, which is too small for a second copy.
TEST_F(SnapshotsTest, WithoutSpaceNothingIsWrittenAndNeedAndFreeAreTold) {
  ASSERT_EQ(::mount("tmpfs", layout.base().c_str(), "tmpfs", 0, "size=80m"), 0);
  ASSERT_TRUE(fs::make_dirs(layout.node("node1").var()));
  ASSERT_TRUE(fs::make_dirs(layout.node("node2").var()));
  write("node1", "var/data", std::string(5 << 20, 'x'));
  EXPECT_TRUE(check_space_to_save(layout, {"node1", "node2"}));
  save("small");
  write("node2", "var/data", std::string(30 << 20, 'y'));
  auto refused = check_space_to_save(layout, {"node1", "node2"});
  EXPECT_FALSE(refused);
  if (!refused) {
    EXPECT_EQ(refused.error().code, Code::kIo);
    EXPECT_NE(refused.error().message.find("it needs 68 MiB, and "), std::string::npos) << refused.error().text();
    EXPECT_NE(refused.error().message.find(" MiB are free on " + layout.base()), std::string::npos)
        << refused.error().text();
  }
  write("node2", "var/more", std::string(15 << 20, 'z'));
  auto s = find_snapshot(layout, "small");
  auto staged = s ? stage_snapshot(layout, *s, layout) : Result<void>(std::unexpected(s.error()));
  EXPECT_FALSE(staged) << "restoring is refused as well";
  if (!staged)
    EXPECT_NE(staged.error().message.find("no space for the restored nodes"), std::string::npos)
        << staged.error().text();
  EXPECT_FALSE(fs::exists(layout.nodes_aside()));
  EXPECT_EQ(::umount(layout.base().c_str()), 0);
}

TEST(Life, VerbsOnALabThatIsNotThereSaySo) {
  const std::string absent = "test-of-an-absent-lab";
  EXPECT_EQ(pause_lab(absent).error().code, Code::kNotFound);
  EXPECT_EQ(unpause_lab(absent).error().code, Code::kNotFound);
  EXPECT_EQ(save_snapshot({.profile = absent, .name = "x"}).error().code, Code::kNotFound);
  EXPECT_EQ(restore_snapshot(absent, "x").error().code, Code::kNotFound);
  EXPECT_EQ(snapshots_of(absent).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace lab::bootstrap
