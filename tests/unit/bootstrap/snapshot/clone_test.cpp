// Copies of trees: all that a node's directory may hold comes along, what is shared is shared, and damage is named.
#include "bootstrap/snapshot/clone.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "temp_dir.h"

namespace lab::bootstrap {
namespace {

struct stat stat_of(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}

void put(const std::string& path, std::string_view text, unsigned mode = 0644) {
  auto r = fs::write_file(path, text, mode);
  ASSERT_TRUE(r) << r.error().text();
}

struct CloneTest : testing::Test {
  TempDir dir;
  const std::string from = dir / "from", to = dir / "to";
  void SetUp() override {
    ASSERT_TRUE(fs::make_dirs(from + "/settled/deep"));
    ASSERT_TRUE(fs::make_dirs(from + "/own"));
    put(from + "/settled/deep/blob", "never written again");
    put(from + "/own/data", std::string(300'000, 'd'), 0640);
  }
  CloneOptions options() const { return {.settled = {"settled"}}; }
  Cloned clone(const CloneOptions& o) {
    auto r = clone_tree(from, to, o);
    EXPECT_TRUE(r) << r.error().text();
    return r ? std::move(*r) : Cloned();
  }
  std::string error_of(const std::string& target, const CloneOptions& o) {
    auto r = clone_tree(from, target, o);
    if (r) return "(no error)";
    EXPECT_EQ(r.error().code, Code::kIo);
    return r.error().message;
  }
};

TEST_F(CloneTest, AllThatANodeMayHoldComesAlong) {
  put(from + "/own/program", "#!/bin/sh\n", 0755);
  ASSERT_EQ(::chown((from + "/own/program").c_str(), 7, 8), 0);
  ASSERT_EQ(::chmod((from + "/own/program").c_str(), 04711), 0);  // chown takes the set-user-id bit away: it comes last
  ASSERT_EQ(::setxattr((from + "/own").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  ASSERT_EQ(::setxattr((from + "/own/data").c_str(), "user.note", "kept", 4, 0), 0);
  ASSERT_TRUE(fs::symlink("data", from + "/own/link"));
  ASSERT_EQ(::link((from + "/own/data").c_str(), (from + "/own/other-name").c_str()), 0);
  ASSERT_EQ(::mknod((from + "/own/deleted").c_str(), S_IFCHR | 0600, makedev(0, 0)), 0);  // overlayfs's mark
  ASSERT_EQ(::mkfifo((from + "/own/fifo").c_str(), 0600), 0);
  const timespec old[2] = {{1000, 5}, {2000, 123456789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (from + "/own/data").c_str(), old, 0), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, (from + "/own").c_str(), old, 0), 0);
  put(from + "/pid", "17 9");

  auto o = options();
  o.left_out = {"pid"};
  const auto made = clone(o);
  EXPECT_FALSE(fs::exists(to + "/pid"));
  EXPECT_EQ(fs::read_file(to + "/own/data").value_or(""), std::string(300'000, 'd'));
  const auto program = stat_of(to + "/own/program");
  EXPECT_EQ(program.st_mode & 07777, 04711u);
  EXPECT_EQ(program.st_uid, 7u);
  EXPECT_EQ(program.st_gid, 8u);
  char value[16];
  EXPECT_EQ(::getxattr((to + "/own").c_str(), "trusted.overlay.opaque", value, sizeof value), 1);
  EXPECT_EQ(::getxattr((to + "/own/data").c_str(), "user.note", value, sizeof value), 4);
  EXPECT_EQ(::readlink((to + "/own/link").c_str(), value, sizeof value), 4);
  EXPECT_EQ(stat_of(to + "/own/data").st_ino, stat_of(to + "/own/other-name").st_ino) << "one file of two names";
  EXPECT_NE(stat_of(to + "/own/data").st_ino, stat_of(from + "/own/data").st_ino);
  EXPECT_TRUE(S_ISCHR(stat_of(to + "/own/deleted").st_mode));
  EXPECT_TRUE(S_ISFIFO(stat_of(to + "/own/fifo").st_mode));
  EXPECT_EQ(stat_of(to + "/own/data").st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(stat_of(to + "/own").st_mtim.tv_sec, 2000) << "directories have their times last";
  EXPECT_EQ(made.index.size(), 4u);
}

TEST_F(CloneTest, SettledFilesAreSharedAndOthersAreNot) {
  const auto made = clone(options());
  EXPECT_EQ(stat_of(to + "/settled/deep/blob").st_ino, stat_of(from + "/settled/deep/blob").st_ino);
  EXPECT_EQ(made.index.at("settled/deep/blob").how, How::kLinked);
  EXPECT_NE(made.index.at("own/data").how, How::kLinked);
  int fd = ::open((from + "/own/data").c_str(), O_WRONLY);
  ASSERT_EQ(::pwrite(fd, "changed", 7, 0), 7);
  ::close(fd);
  EXPECT_EQ(fs::read_file(to + "/own/data").value_or("").substr(0, 7), "ddddddd") << "a write reached the copy";
}

TEST_F(CloneTest, HolesStayHoles) {
  int fd = ::open((from + "/own/sparse").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::ftruncate(fd, 64 << 20), 0);
  ASSERT_EQ(::pwrite(fd, "end", 3, (64 << 20) - 3), 3);
  ::close(fd);
  clone(options());
  const auto copy = stat_of(to + "/own/sparse");
  EXPECT_EQ(copy.st_size, 64 << 20);
  EXPECT_LT(copy.st_blocks * 512, 4 << 20);
  auto text = fs::read_file(to + "/own/sparse");
  ASSERT_TRUE(text);
  EXPECT_TRUE(text->ends_with("end"));
}

TEST_F(CloneTest, ACopyOfACopyIsCheckedAgainstTheIndex) {
  const auto first = clone(options());
  auto text = decode_index(encode_index(first.index));
  ASSERT_TRUE(text) << text.error().text();
  auto again = clone_tree(to, dir / "again", {.known = &*text});
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(encode_index(again->index), encode_index(first.index));
  EXPECT_EQ(stat_of(dir / "again/settled/deep/blob").st_ino, stat_of(from + "/settled/deep/blob").st_ino);
}

TEST_F(CloneTest, DamageIsNamed) {
  const auto made = clone_tree(from, to, options());
  ASSERT_TRUE(made);
  const std::string data = from + "/own/data";
  const auto times = stat_of(data);
  const timespec same[2] = {times.st_atim, times.st_mtim};

  int fd = ::open(data.c_str(), O_WRONLY);
  ASSERT_EQ(::pwrite(fd, "x", 1, 9), 1);
  ::close(fd);
  EXPECT_NE(error_of(dir / "a", {.known = &made->index}).find("was written after the snapshot"), std::string::npos);
  ASSERT_EQ(::utimensat(AT_FDCWD, data.c_str(), same, 0), 0);
  if (made->index.at("own/data").how == How::kCopied)
    EXPECT_NE(error_of(dir / "b", {.known = &made->index}).find("its bytes are not those"), std::string::npos);
  ASSERT_EQ(::truncate(data.c_str(), 10), 0);
  EXPECT_NE(error_of(dir / "c", {.known = &made->index}).find("10 bytes instead of 300000"), std::string::npos);
  ASSERT_TRUE(fs::remove_file(data));
  EXPECT_NE(error_of(dir / "d", {.known = &made->index}).find("own/data is damaged: it is missing"), std::string::npos);
  put(data, "");
  put(from + "/own/stranger", "");
  EXPECT_NE(error_of(dir / "e", {.known = &made->index}).find("damaged"), std::string::npos);
}

TEST_F(CloneTest, TheSizeIsThatOfWhatIsNotShared) {
  put(from + "/settled/big", std::string(1 << 20, 'b'));
  auto size = clone_size(from, dir.path(), options());
  ASSERT_TRUE(size);
  EXPECT_LT(*size, 1u << 20) << "the settled file is linked";
  if (!shares_blocks(dir.path())) EXPECT_GE(*size, 300'000u);
  auto all = clone_size(from, dir.path(), {});
  ASSERT_TRUE(all);
  if (!shares_blocks(dir.path())) EXPECT_GE(*all, (1u << 20) + 300'000);
}

TEST(Index, BadTextsAreRefused) {
  EXPECT_FALSE(decode_index("c 1 2 - path"));
  using namespace std::string_literals;
  for (const auto& bad : {"x 1 2 - p\0"s, "c one 2 - p\0"s, "c 1 2 -\0"s, "c 1\0"s, "\0"s})
    EXPECT_FALSE(decode_index(bad)) << bad;
  auto good = decode_index("c 1 2 - a name with spaces\nand lines\0"s);
  ASSERT_TRUE(good);
  EXPECT_TRUE(good->contains("a name with spaces\nand lines"));
}

}  // namespace
}  // namespace lab::bootstrap
