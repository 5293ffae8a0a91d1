// Labs that begin as another one's snapshot: what they share, what they have for themselves, and what is refused.
#include "bootstrap/snapshot/image_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bootstrap/local/steps.h"
#include "bootstrap/snapshot/clone.h"
#include "temp_dir.h"

namespace lab::bootstrap {
namespace {

constexpr const char* kContents = "var/lib/containerd/io.containerd.content.v1.content/blobs";

std::string link_of(const std::string& path) {
  char target[4096];
  const ssize_t n = ::readlink(path.c_str(), target, sizeof target);
  return n > 0 ? std::string(target, static_cast<std::size_t>(n)) : std::string();
}

ino_t inode_of(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

// Two labs' directories where labs lie, with names of the test's own; the first has a snapshot of two nodes.
struct ImageStoreTest : testing::Test {
  const std::string pid = std::to_string(::getpid());
  const LabLayout from{"unit-images-a" + pid}, to{"unit-images-b" + pid};
  Snapshot snapshot;

  void SetUp() override {
    for (const char* node : {"node1", "node2"}) {
      write(from, node, "etc/hostname", node);
      write(from, node, std::string(kContents) + "/sha256/aa", "the same in both " + pid);
      // As unpacked from one archive: equal times.
      const timespec times[2] = {{1000, 0}, {1000, 0}};
      ::utimensat(AT_FDCWD, path(from, node, std::string(kContents) + "/sha256/aa").c_str(), times, 0);
    }
    snapshot = {.name = "ready",
                .created = "2026-11-22T08:00:00Z",
                .program = "test",
                .nodes = {"node1", "node2"},
                .lab = json::Object{}};
    ASSERT_TRUE(copy_nodes(from, snapshot));
    ASSERT_TRUE(complete_snapshot(from, snapshot));
  }
  void TearDown() override {
    for (const auto& l : {from, to}) {
      EXPECT_TRUE(fs::remove_all(l.base()));
      (void)forget_profile(l.profile);
    }
    EXPECT_TRUE(fs::remove_all(set()));
    ::rmdir(kImagesDirectory);
  }
  std::string path(const LabLayout& lab, const std::string& node, const std::string& file) const {
    return fs::join(lab.node(node).base, file);
  }
  void write(const LabLayout& lab, const std::string& node, const std::string& file, const std::string& text) {
    const std::string whole = path(lab, node, file);
    ASSERT_TRUE(fs::make_dirs(whole.substr(0, whole.rfind('/'))));
    ASSERT_TRUE(fs::write_file(whole, text));
  }
  std::string set() const { return fs::join(kImagesDirectory, image_set_of(snapshot)); }
  // What other labs of this machine use stays.
  Result<void> drop(bool in_use) {
    return drop_image_sets([&]() -> Result<std::set<std::string>> {
      LAB_TRY(auto all, fs::list_dir(kImagesDirectory));
      std::set<std::string> keep(all.begin(), all.end());
      if (!in_use) keep.erase(image_set_of(snapshot));
      return keep;
    });
  }
};

TEST_F(ImageStoreTest, AnotherLabGetsLinksIntoTheSetAndItsOwnOfAllElse) {
  ASSERT_TRUE(make_image_set(from, snapshot));
  ASSERT_TRUE(make_image_set(from, snapshot)) << "again";
  auto staged = stage_snapshot(from, snapshot, to);
  ASSERT_TRUE(staged) << staged.error().text();
  ASSERT_TRUE(exchange_nodes(to));
  const std::string blob = std::string(kContents) + "/sha256/aa";
  for (const std::string node : {"node1", "node2"}) {
    EXPECT_EQ(link_of(path(to, node, blob)), fs::join(kNodeImages, image_set_of(snapshot) + "/" + node + "/" + blob));
    EXPECT_EQ(fs::read_file(fs::join(set(), node + "/" + blob)).value_or(""), "the same in both " + pid);
    EXPECT_EQ(fs::read_file(path(to, node, "etc/hostname")).value_or(""), node);
    EXPECT_NE(inode_of(path(to, node, "etc/hostname")), inode_of(path(from, node, "etc/hostname")));
    EXPECT_EQ(fs::read_file(to.node(node).images_file()).value_or(""), image_set_of(snapshot) + "\n");
  }
  EXPECT_EQ(inode_of(fs::join(set(), "node1/" + blob)), inode_of(fs::join(set(), "node2/" + blob))) << "kept twice";
  EXPECT_TRUE(link_of(path(from, "node1", blob)).empty()) << "the lab that it was made of is as it was";
}

TEST_F(ImageStoreTest, ASetStaysWhileItIsUsed) {
  ASSERT_TRUE(make_image_set(from, snapshot));
  ASSERT_TRUE(drop(true));
  EXPECT_TRUE(fs::exists(set()));
  ASSERT_TRUE(fs::remove_all(from.base())) << "the lab that it was made of may go";
  EXPECT_EQ(fs::read_file(fs::join(set(), std::string("node1/") + kContents + "/sha256/aa")).value_or(""),
            "the same in both " + pid);
  ASSERT_TRUE(drop(false));
  EXPECT_FALSE(fs::exists(set()));
}

TEST_F(ImageStoreTest, ALinkInANodeLeadsNobodyOutOfIt) {
  // Who was root in a node has put a link in the place of a directory, before the snapshot was made into a set.
  const std::string tree = snapshot_tree(from, "ready", "node1"),
                    contents = fs::join(tree, "var/lib/containerd/io.containerd.content.v1.content");
  TempDir outside;
  ASSERT_TRUE(fs::make_dirs(fs::join(outside.path(), "blobs")));
  ASSERT_TRUE(fs::write_file(fs::join(outside.path(), "blobs/secret"), "of this machine"));
  ASSERT_TRUE(fs::remove_all(contents));
  ASSERT_TRUE(fs::symlink(outside.path(), contents));
  ASSERT_TRUE(make_image_set(from, snapshot));
  EXPECT_FALSE(fs::exists(fs::join(set(), std::string("node1/") + kContents + "/secret")));
  EXPECT_FALSE(stage_snapshot(from, snapshot, to)) << "a file of the snapshot is missing";
  EXPECT_FALSE(fs::exists(to.nodes_aside()));
}

TEST_F(ImageStoreTest, WholeDirectoriesBecomeOneLinkAndAreCheckedAllTheSame) {
  TempDir dir;
  const std::string tree = fs::join(dir.path(), "tree");
  ASSERT_TRUE(fs::make_dirs(fs::join(tree, "layer/bin")));
  ASSERT_TRUE(fs::write_file(fs::join(tree, "layer/bin/sh"), "a shell"));
  ASSERT_TRUE(fs::write_file(fs::join(tree, "own"), "mine"));
  auto saved = clone_tree(tree, fs::join(dir.path(), "saved"), {.settled = {"layer"}});
  ASSERT_TRUE(saved) << saved.error().text();
  const CloneOptions how{.known = &saved->index, .shared_at = "/shared", .whole = {"layer"}};
  const std::string to_tree = fs::join(dir.path(), "other");
  auto other = clone_tree(fs::join(dir.path(), "saved"), to_tree, how);
  ASSERT_TRUE(other) << other.error().text();
  EXPECT_EQ(link_of(fs::join(to_tree, "layer")), "/shared/layer");
  EXPECT_EQ(fs::read_file(fs::join(to_tree, "own")).value_or(""), "mine");
  EXPECT_EQ(other->shared_bytes, 7u);
  ASSERT_TRUE(fs::write_file(fs::join(dir.path(), "saved/layer/bin/sh"), "another"));
  auto damaged = clone_tree(fs::join(dir.path(), "saved"), fs::join(dir.path(), "third"), how);
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message.find("layer/bin/sh"), std::string::npos) << damaged.error().text();
}

TEST_F(ImageStoreTest, OnlyAnIsolatedLabCanBeBegunFrom) {
  Profile plain;
  plain.name = from.profile;
  plain.network = {.bridge = "lab-br0", .subnet = *Cidr::parse("192.168.77.0/24"), .netns = {}};
  ASSERT_TRUE(save_profile(plain));
  Profile fresh;
  fresh.name = to.profile;
  fresh.network = isolated_network(to.network_file());
  auto refused = take_origin(fresh, from.profile + "/ready");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("is not isolated"), std::string::npos) << refused.error().text();
  EXPECT_NE(refused.error().hint.find("--isolated"), std::string::npos);
  EXPECT_EQ(take_origin(fresh, "nothing").error().code, Code::kInvalid);
  EXPECT_TRUE(fresh.from.empty());
}

TEST(IsolatedProfile, IsKept) {
  Profile p;
  p.name = "kept";
  p.network = isolated_network(p.layout().network_file());
  p.from = "template/ready";
  p.copying = true;
  p.images = {"one", "two"};
  const Profile again = decode_profile("kept", encode_profile(p));
  EXPECT_EQ(again.network.netns, "/run/lab/kept.net");
  EXPECT_EQ(again.from, p.from);
  EXPECT_TRUE(again.copying);
  EXPECT_EQ(again.images, p.images);
  const Profile of_another = decode_profile("other", encode_profile(p));
  EXPECT_EQ(of_another.network.netns, "/run/lab/other.net") << "a snapshot says that its lab was isolated, not where";
}

}  // namespace
}  // namespace lab::bootstrap
