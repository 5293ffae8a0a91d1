// A lab's own disk: made of a size, full at that size, larger afterwards, never smaller; gone when it is removed.
#include "bootstrap/node/storage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

namespace lab::bootstrap {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

struct StorageTest : testing::Test {
  const LabLayout layout{"storage-test-" + std::to_string(::getpid())};

  void TearDown() override {
    auto removed = remove_storage(layout);
    EXPECT_TRUE(removed) << removed.error().text();
    EXPECT_FALSE(fs::exists(layout.base()));
    EXPECT_FALSE(fs::exists(layout.disk_image()));
  }
  // Bytes until there is no space.
  std::uint64_t fill() const {
    const std::string path = fs::join(layout.base(), "full"), chunk(kMiB, 'x');
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    std::uint64_t written = 0;
    while (written < 1024 * kMiB) {
      const auto n = ::write(fd, chunk.data(), chunk.size());
      if (n <= 0) break;
      written += static_cast<std::uint64_t>(n);
    }
    ::close(fd);
    return written;
  }
};

TEST_F(StorageTest, EndsAtItsLimitAndGrows) {
  auto made = make_storage(layout, 80 * kMiB);
  ASSERT_TRUE(made) << made.error().text();
  ASSERT_TRUE(make_storage(layout, 80 * kMiB));  // again
  ASSERT_TRUE(make_storage(layout));             // whoever does not know the limit finds it mounted
  const auto size = storage_use(layout).size_bytes;
  EXPECT_GT(size, 50 * kMiB);
  EXPECT_LE(size, 80 * kMiB);
  const auto held = fill();
  EXPECT_GT(held, 40 * kMiB);
  EXPECT_LT(held, 80 * kMiB);
  EXPECT_LT(storage_free(layout).value_or(kMiB * 80), kMiB);

  auto grown = make_storage(layout, 120 * kMiB);
  ASSERT_TRUE(grown) << grown.error().text();
  EXPECT_GT(storage_use(layout).size_bytes, size + 30 * kMiB);
  EXPECT_GT(fill(), 30 * kMiB);
  auto smaller = make_storage(layout, 80 * kMiB);
  ASSERT_FALSE(smaller);
  EXPECT_EQ(smaller.error().code, Code::kInvalid) << smaller.error().text();
}

TEST_F(StorageTest, ALabWithFilesIsNotLimitedLater) {
  ASSERT_TRUE(fs::make_dirs(fs::join(layout.nodes(), "node1")));
  auto late = make_storage(layout, 80 * kMiB);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kInvalid);
  EXPECT_TRUE(fs::exists(fs::join(layout.nodes(), "node1")));
}

}  // namespace
}  // namespace lab::bootstrap
