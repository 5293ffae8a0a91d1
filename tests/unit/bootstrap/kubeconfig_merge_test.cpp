// Other people's kubeconfigs: what is not ours stays, and taking ours out leaves the file as it was.
#include "bootstrap/local/kubeconfig_merge.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "base/fs.h"
#include "base/json.h"
#include "base/yaml/yaml.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap {
namespace {

constexpr unsigned kUser = 4242, kGroup = 4343;

constexpr const char* kForeign = R"(apiVersion: v1
kind: Config
clusters:
- name: work
  cluster:
    server: https://work.example:6443
    tls-server-name: inner
contexts:
- name: work
  context:
    cluster: work
    user: me
    namespace: team
current-context: work
preferences:
  colors: true
users:
- name: me
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: login
)";

class KubeconfigMergeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/lab-merge-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    file_ = {.path = fs::join(dir_, "home/.kube/config"), .uid = kUser, .gid = kGroup};
  }
  void TearDown() override { (void)fs::remove_all(dir_); }

  void write(std::string_view text) {
    ASSERT_TRUE(fs::make_dirs(fs::join(dir_, "home/.kube")));
    ASSERT_TRUE(fs::write_file(file_.path, text, 0600));
    ASSERT_EQ(::chown(file_.path.c_str(), kUser, kGroup), 0);
  }
  json::Value config() const {
    auto text = fs::read_file(file_.path);
    EXPECT_TRUE(text);
    auto value = yaml::parse(text ? *text : "");
    EXPECT_TRUE(value);
    return value ? *value : json::Value();
  }
  static const json::Value& named(const json::Value& config, const char* list, std::string_view name) {
    for (const auto& e : json::list(config, list))
      if (json::str(e, "name") == name) return e;
    return json::null_value();
  }
  void expect_owner(const std::string& path) const {
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0) << path;
    EXPECT_EQ(st.st_uid, kUser) << path;
    EXPECT_EQ(st.st_gid, kGroup) << path;
  }
  bool merge(const std::string& server = "https://192.168.77.2:6443", const std::string& name = "lab") {
    auto made = merge_context(file_, name,
                              pki::kubeconfig_text({.user = "kubernetes-admin",
                                                    .server = server,
                                                    .ca_pem = "CA",
                                                    .certificate_pem = "CERT",
                                                    .key_pem = "KEY"}));
    EXPECT_TRUE(made) << made.error().text();
    return made && *made;
  }

  std::string dir_;
  UserFile file_;
};

TEST_F(KubeconfigMergeTest, AFileThatWasNotThereIsMadeAndGoesAgain) {
  EXPECT_TRUE(merge());
  const auto c = config();
  EXPECT_EQ(json::str(c, "current-context"), "lab");
  EXPECT_EQ(json::str(named(c, "clusters", "lab"), "cluster", "server"), "https://192.168.77.2:6443");
  EXPECT_EQ(json::str(named(c, "users", "lab"), "user", "client-key-data"), "S0VZ");
  EXPECT_EQ(json::str(named(c, "contexts", "lab"), "context", "user"), "lab");
  expect_owner(file_.path);
  expect_owner(fs::join(dir_, "home/.kube"));
  struct stat st{};
  ASSERT_EQ(::stat(file_.path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  ASSERT_TRUE(remove_context(file_.path, "lab", true));
  EXPECT_FALSE(fs::exists(file_.path));
  EXPECT_FALSE(fs::exists(fs::join(dir_, "home/.kube")));
  EXPECT_TRUE(remove_context(file_.path, "lab", true)) << "nothing to take out is fine";
}

TEST_F(KubeconfigMergeTest, WhatIsNotOursStaysAndTheOldContextComesBack) {
  write(kForeign);
  const auto before = config();
  EXPECT_FALSE(merge());
  auto merged = config();
  EXPECT_EQ(named(merged, "clusters", "work"), named(before, "clusters", "work"));
  EXPECT_EQ(named(merged, "users", "me"), named(before, "users", "me"));
  EXPECT_EQ(named(merged, "contexts", "work"), named(before, "contexts", "work"));
  EXPECT_EQ(json::str(merged, "current-context"), "lab");
  expect_owner(file_.path);

  // A second start with another address replaces ours and adds nothing.
  EXPECT_FALSE(merge("https://192.168.78.2:6443"));
  merged = config();
  EXPECT_EQ(json::list(merged, "clusters").size(), 2u);
  EXPECT_EQ(json::list(merged, "users").size(), 2u);
  EXPECT_EQ(json::list(merged, "contexts").size(), 2u);
  EXPECT_EQ(json::str(named(merged, "clusters", "lab"), "cluster", "server"), "https://192.168.78.2:6443");

  ASSERT_TRUE(remove_context(file_.path, "lab", false));
  EXPECT_EQ(config(), before);
  expect_owner(file_.path);
}

TEST_F(KubeconfigMergeTest, ManyLabsAtOnceLoseNobodysContext) {
  write(kForeign);
  constexpr int kLabs = 12;
  std::vector<std::thread> starts;
  for (int i = 0; i < kLabs; ++i)
    starts.emplace_back([this, i] { merge("https://192.168.77.2:6443", "lab" + std::to_string(i)); });
  for (auto& t : starts) t.join();
  EXPECT_EQ(json::list(config(), "contexts").size(), kLabs + 1u);
  starts.clear();
  for (int i = 0; i < kLabs; ++i)
    starts.emplace_back([this, i] { EXPECT_TRUE(remove_context(file_.path, "lab" + std::to_string(i), false)); });
  for (auto& t : starts) t.join();
  EXPECT_EQ(json::list(config(), "contexts").size(), 1u);
  EXPECT_FALSE(fs::exists(file_.path + ".lock"));
}

// kubectl config takes FILE.lock, and fails where it is.
TEST_F(KubeconfigMergeTest, KubectlsLockIsWaitedForAndNamedWhenItStays) {
  write(kForeign);
  const std::string lock = file_.path + ".lock";
  ASSERT_TRUE(fs::write_file(lock, ""));
  std::thread kubectl([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    (void)fs::remove_file(lock);
  });
  merge();
  kubectl.join();
  ASSERT_TRUE(fs::write_file(lock, "lab 4194305\n")) << "above any pid: of a lab that was killed";
  merge();
  EXPECT_FALSE(fs::exists(lock));
  ASSERT_TRUE(fs::write_file(lock, ""));
  auto stuck = remove_context(file_.path, "lab", false);
  ASSERT_FALSE(stuck);
  EXPECT_EQ(stuck.error().code, Code::kConflict);
  EXPECT_NE(stuck.error().message.find(lock), std::string::npos) << stuck.error().text();
}

TEST_F(KubeconfigMergeTest, AContextChosenMeanwhileIsKept) {
  write(kForeign);
  merge();
  auto c = config();
  json::set(c, "work", "current-context");
  write(yaml::dump(c));
  ASSERT_TRUE(remove_context(file_.path, "lab", false));
  EXPECT_EQ(json::str(config(), "current-context"), "work");
}

TEST_F(KubeconfigMergeTest, TwoLabsComeAndGoInAnyOrder) {
  write(kForeign);
  merge("https://a:1", "lab");
  merge("https://b:2", "second");
  EXPECT_EQ(json::str(config(), "current-context"), "second");
  ASSERT_TRUE(remove_context(file_.path, "lab", false));
  EXPECT_EQ(json::str(config(), "current-context"), "second");
  ASSERT_TRUE(remove_context(file_.path, "second", false));
  // The one before it has gone: none is better than one that does not exist.
  EXPECT_EQ(json::str(config(), "current-context"), "");
  EXPECT_EQ(json::list(config(), "contexts").size(), 1u);
}

TEST_F(KubeconfigMergeTest, AFileThatCannotBeReadIsLeftAlone) {
  const std::string broken = "clusters: [unclosed\n  - {";
  write(broken);
  auto merged = merge_context(file_, "lab", pki::kubeconfig_text({.user = "u", .server = "https://a:1"}));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::kInvalid);
  EXPECT_NE(merged.error().message.find(file_.path), std::string::npos);
  EXPECT_FALSE(merged.error().hint.empty());
  EXPECT_FALSE(remove_context(file_.path, "lab", true));
  EXPECT_EQ(*fs::read_file(file_.path), broken);
  write("just a text");
  EXPECT_FALSE(merge_context(file_, "lab", pki::kubeconfig_text({.user = "u", .server = "https://a:1"})));
  EXPECT_EQ(*fs::read_file(file_.path), "just a text");
}

TEST_F(KubeconfigMergeTest, ALinkStaysALink) {
  write(kForeign);
  const std::string real = fs::join(dir_, "dotfiles");
  ASSERT_EQ(::rename(file_.path.c_str(), real.c_str()), 0);
  ASSERT_TRUE(fs::symlink(real, file_.path));
  merge();
  struct stat st{};
  ASSERT_EQ(::lstat(file_.path.c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  EXPECT_NE(fs::read_file(real)->find("192.168.77.2"), std::string::npos);
  expect_owner(real);
}

TEST_F(KubeconfigMergeTest, TheFileIsThatOfTheCallingUser) {
  ::setenv("KUBECONFIG", "/a/first:/b/second", 1);
  EXPECT_EQ(user_kubeconfig().path, "/a/first");
  ::unsetenv("KUBECONFIG");
  ::setenv("HOME", "/home/someone", 1);
  ::unsetenv("SUDO_USER");
  EXPECT_EQ(user_kubeconfig().path, "/home/someone/.kube/config");
  EXPECT_EQ(user_kubeconfig().uid, ::geteuid());
  if (::geteuid() == 0) {
    ::setenv("SUDO_USER", "daemon", 1);  // a user that every Debian has
    const auto file = user_kubeconfig();
    EXPECT_EQ(file.uid, 1u);
    EXPECT_EQ(file.path, "/usr/sbin/.kube/config");
    ::unsetenv("SUDO_USER");
  }
}

}  // namespace
}  // namespace lab::bootstrap
