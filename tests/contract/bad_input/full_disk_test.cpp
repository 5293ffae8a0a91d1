// No space left where the store is: writes are refused with the reason, reads go on, nothing acknowledged is lost, and
// once there is space again writes go on by themselves. On a real file system of a few megabytes.
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/contract/bad_input/unharmed.h"

namespace lab::apiserver {
namespace {

constexpr const char* kSmallDisk = "/mnt";

// Before any thread is there: a mount of this process alone, gone with it whatever happens.
class SmallDisk : public ::testing::Environment {
  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "tests run as root";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("lab-test", kSmallDisk, "tmpfs", 0, "size=24m"), 0);
    ::setenv("TEST_TMPDIR", kSmallDisk, 1);
  }
};
const auto* kEnvironment = ::testing::AddGlobalTestEnvironment(new SmallDisk);

// Takes every free byte until it goes out of scope.
class Filler {
 public:
  Filler() {
    int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const std::string page(4096, 'x');
    while (::write(fd, page.data(), page.size()) > 0) ++pages_;
    ::close(fd);
  }
  ~Filler() { ::unlink(path_.c_str()); }
  int pages() const { return pages_; }

 private:
  std::string path_ = std::string(kSmallDisk) + "/filler";
  int pages_ = 0;
};

json::Value large(const std::string& name) {
  auto object = config_map(name);
  json::set(object, std::string(20000, 'v'), "data", "value");
  return object;
}

TEST_F(BadInput, AFullDiskIsToldAndPasses) {
  ASSERT_TRUE(directory_.starts_with(kSmallDisk)) << directory_;
  make(kConfigMaps, config_map("early"));
  std::vector<std::string> acknowledged{"early"};
  std::string refused;
  {
    Filler filler;
    ASSERT_GT(filler.pages(), 100);
    for (int i = 0; i < 1000 && refused.empty(); ++i) {  // what is left of the log's last page takes some
      const auto name = "late-" + std::to_string(i);
      auto answer = post(kConfigMaps, large(name));
      if (answer.status == 201) {
        acknowledged.push_back(name);
        continue;
      }
      refused = name;
      expect_refused(answer, 500, "No space left on device");
      expect_refused(answer, 500, "free space");
    }
    ASSERT_FALSE(refused.empty()) << "the disk took everything";
    EXPECT_EQ(get(kConfigMaps + "/early").status, 200);
    EXPECT_EQ(get(kConfigMaps + "/" + refused).status, 404);
    expect_refused(
        merge(kConfigMaps + "/early", json::Object{{"data", json::Object{{"value", std::string(20000, 'w')}}}}), 500,
        "No space left on device");
    EXPECT_EQ(json::str(get(kConfigMaps + "/early").body, "data", "value"), "1");
  }
  make(kConfigMaps, config_map(refused));
  acknowledged.push_back(refused);
  start_server();  // from the disk alone
  for (const auto& name : acknowledged) EXPECT_EQ(get(kConfigMaps + "/" + name).status, 200) << name;
  EXPECT_EQ(json::list(get(kConfigMaps).body, "items").size(), acknowledged.size());
}

}  // namespace
}  // namespace lab::apiserver
