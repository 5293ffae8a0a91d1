// Files as they are on a real kernel: full disks, mounts in the way, readers at the same time.
#include "base/fs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <thread>

namespace lab::fs {
namespace {

class FsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/lab-fs-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override {
    auto removed = remove_all(dir_);
    EXPECT_TRUE(removed) << removed.error().text();
  }
  std::string path(const std::string& name) const { return join(dir_, name); }
  static unsigned mode_of(const std::string& file) {
    struct stat st{};
    EXPECT_EQ(::stat(file.c_str(), &st), 0) << file;
    return st.st_mode & 07777;
  }

  // Runs `body` in a child with a mount namespace of its own: whatever it mounts goes with it. It reports by text; an
  // empty one is success.
  static std::string in_own_mounts(const std::function<std::string()>& body) {
    int report[2];
    EXPECT_EQ(::pipe2(report, O_CLOEXEC), 0);
    pid_t child = ::fork();
    if (child == 0) {
      std::string text = "cannot make a mount namespace";
      if (::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0)
        text = body();
      (void)!::write(report[1], text.data(), text.size());
      ::_exit(0);
    }
    ::close(report[1]);
    std::string out;
    char chunk[512];
    for (ssize_t n; (n = ::read(report[0], chunk, sizeof chunk)) > 0;) out.append(chunk, static_cast<std::size_t>(n));
    ::close(report[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) out += " (the child ended with status " + std::to_string(status) + ")";
    return out;
  }

  std::string dir_;
};

TEST_F(FsTest, WritesWholeFilesWithTheirMode) {
  ::umask(0077);
  ASSERT_TRUE(write_file(path("secret"), "one", 0600));
  ASSERT_TRUE(write_file(path("public"), "two"));
  ::umask(0022);
  EXPECT_EQ(mode_of(path("secret")), 0600u);
  EXPECT_EQ(mode_of(path("public")), 0644u) << "whatever the umask is";
  ASSERT_TRUE(write_file(path("secret"), std::string("a\0b", 3), 0600));
  EXPECT_EQ(*read_file(path("secret")), std::string("a\0b", 3));
  EXPECT_EQ(*list_dir(dir_), (std::vector<std::string>{"public", "secret"})) << "no temporary file is left";
  ASSERT_TRUE(append_file(path("log"), "1\n", 0640));
  ASSERT_TRUE(append_file(path("log"), "2\n", 0640));
  EXPECT_EQ(*read_file(path("log")), "1\n2\n");
  EXPECT_EQ(mode_of(path("log")), 0640u);
}

TEST_F(FsTest, ReadersSeeTheOldOrTheNewNeverAHalf) {
  const std::string a(200000, 'a'), b(200000, 'b');
  ASSERT_TRUE(write_file(path("f"), a));
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0;
  std::thread reader([&] {
    while (!stop) {
      auto text = read_file(path("f"));
      if (!text || (*text != a && *text != b)) ++torn;
    }
  });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(write_file(path("f"), i % 2 ? a : b));
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

TEST_F(FsTest, ErrorsNameThePathAndTheReason) {
  auto absent = read_file(path("absent"));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_EQ(absent.error().sys_errno, ENOENT);
  EXPECT_NE(absent.error().message.find(path("absent")), std::string::npos);
  EXPECT_EQ(read_file(dir_).error().sys_errno, EISDIR);
  EXPECT_EQ(write_file(path("no/such/dir/f"), "").error().sys_errno, ENOENT);
  EXPECT_EQ(write_in_place(path("absent"), "x").error().sys_errno, ENOENT) << "writing in place makes nothing";
  EXPECT_EQ(list_dir(path("absent")).error().sys_errno, ENOENT);
  auto full = write_in_place("/dev/full", "x");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().sys_errno, ENOSPC);
  EXPECT_NE(full.error().hint.find("free some space"), std::string::npos);
}

TEST_F(FsTest, AFullFileSystemLeavesTheOldFile) {
  const std::string small = path("small");
  ASSERT_TRUE(make_dirs(small));
  EXPECT_EQ(in_own_mounts([&]() -> std::string {
              if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=64k") != 0) return "cannot mount a tmpfs";
              const std::string file = join(small, "state");
              if (!write_file(file, "precious")) return "the first write failed";
              auto r = write_file(file, std::string(1 << 20, 'x'));
              if (r) return "a megabyte went into 64 KiB";
              if (r.error().sys_errno != ENOSPC) return "another error: " + r.error().text();
              if (r.error().hint.empty()) return "no hint";
              if (*read_file(file) != "precious") return "the old content is gone";
              if (list_dir(small)->size() != 1) return "a temporary file was left";
              return copy_file("/proc/self/exe", join(small, "copy")) || list_dir(small)->size() != 1
                         ? "a copy that did not fit left something"
                         : "";
            }),
            "");
}

TEST_F(FsTest, DirectoriesAreMadeWithTheirParents) {
  ASSERT_TRUE(make_dirs(path("a/b/c"), 0700));
  EXPECT_EQ(mode_of(path("a/b/c")), 0700u);
  EXPECT_TRUE(make_dirs(path("a/b/c")));
  ASSERT_TRUE(write_file(path("a/file"), ""));
  for (const char* in_the_way : {"a/file", "a/file/deeper"}) {
    auto blocked = make_dirs(path(in_the_way));
    ASSERT_FALSE(blocked) << in_the_way;
    EXPECT_EQ(blocked.error().sys_errno, ENOTDIR);
    EXPECT_NE(blocked.error().message.find("a/file"), std::string::npos);
  }
}

TEST_F(FsTest, RemovesTreesWithoutFollowingLinks) {
  ASSERT_TRUE(make_dirs(path("tree/deep/er")));
  ASSERT_TRUE(make_dirs(path("outside")));
  ASSERT_TRUE(write_file(path("outside/keep"), "x"));
  ASSERT_TRUE(write_file(path("tree/deep/f"), "x", 0000));
  ASSERT_TRUE(symlink(path("outside"), path("tree/link")));
  ASSERT_TRUE(symlink("nowhere", path("tree/dangling")));
  ASSERT_TRUE(remove_all(path("tree")));
  EXPECT_FALSE(exists(path("tree")));
  EXPECT_TRUE(exists(path("outside/keep")));
  EXPECT_TRUE(remove_all(path("tree"))) << "absent is fine";
  ASSERT_TRUE(symlink(path("outside"), path("link")));
  ASSERT_TRUE(remove_all(path("link")));
  EXPECT_TRUE(exists(path("outside/keep"))) << "a link goes, not what it points to";
  ASSERT_TRUE(write_file(path("plain"), ""));
  ASSERT_TRUE(remove_all(path("plain")));
  EXPECT_TRUE(remove_file(path("plain")));
  ASSERT_TRUE(make_dirs(path("slash/x")));
  EXPECT_TRUE(remove_all(path("slash/")));
  EXPECT_FALSE(exists(path("slash")));
}

// A bind mount has the device of its source: only its mount tells it apart.
TEST_F(FsTest, RemovalStopsAtMounts) {
  ASSERT_TRUE(make_dirs(path("tree/bound")));
  ASSERT_TRUE(make_dirs(path("tree/tmp")));
  ASSERT_TRUE(make_dirs(path("host")));
  ASSERT_TRUE(write_file(path("host/data"), "precious"));
  EXPECT_EQ(in_own_mounts([&]() -> std::string {
              if (::mount(path("host").c_str(), path("tree/bound").c_str(), nullptr, MS_BIND, nullptr) != 0)
                return "cannot bind";
              auto r = remove_all(path("tree"));
              if (r) return "it went through a bind mount";
              if (r.error().message.find("tree/bound") == std::string::npos)
                return "it does not name the mount: " + r.error().text();
              if (!exists(path("host/data"))) return "what was bound there is gone";
              // A mount point named itself is emptied and stays.
              if (::umount(path("tree/bound").c_str()) != 0) return "cannot unmount";
              if (!make_dirs(path("tree/tmp"))) return "cannot make tree/tmp again";
              if (::mount("tmpfs", path("tree/tmp").c_str(), "tmpfs", 0, "size=64k") != 0) return "cannot mount";
              if (!make_dirs(path("tree/tmp/a/b"))) return "cannot fill the mount";
              if (auto emptied = remove_all(path("tree/tmp")); !emptied) return emptied.error().text();
              return list_dir(path("tree/tmp"))->empty() ? "" : "the mount was not emptied";
            }),
            "");
  EXPECT_TRUE(exists(path("host/data")));
}

TEST_F(FsTest, LinksAreReplacedAtOnce) {
  ASSERT_TRUE(symlink("first", path("link")));
  ASSERT_TRUE(symlink("second", path("link")));
  char target[16] = "";
  ASSERT_GT(::readlink(path("link").c_str(), target, sizeof target - 1), 0);
  EXPECT_STREQ(target, "second");
  EXPECT_EQ(list_dir(dir_)->size(), 1u);
}

TEST_F(FsTest, CopiesWithTheModeThatIsAsked) {
  const std::string bytes(300001, '\7');
  ASSERT_TRUE(write_file(path("from"), bytes, 0600));
  ASSERT_TRUE(copy_file(path("from"), path("to"), 0755));
  EXPECT_EQ(*read_file(path("to")), bytes);
  EXPECT_EQ(mode_of(path("to")), 0755u);
  EXPECT_FALSE(copy_file(path("absent"), path("to")));
  EXPECT_EQ(*read_file(path("to")), bytes);
  auto free = free_bytes(dir_);
  ASSERT_TRUE(free);
  EXPECT_GT(*free, 0u);
  EXPECT_FALSE(free_bytes(path("absent")));
}

TEST(Fs, JoinsWithOneSlash) {
  EXPECT_EQ(join("/a", "b"), "/a/b");
  EXPECT_EQ(join("/a/", "/b"), "/a/b");
  EXPECT_EQ(join("/", "b"), "/b");
  EXPECT_TRUE(self_exe().ends_with("/base_test")) << self_exe();
}

}  // namespace
}  // namespace lab::fs
