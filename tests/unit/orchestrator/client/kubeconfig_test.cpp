#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/fs.h"
#include "orchestrator/client/client.h"

namespace lab::client {
namespace {

constexpr const char* kConfig = R"(
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority-data: Q0EK
- name: open
  cluster:
    server: https://10.0.0.2:6443
    insecure-skip-tls-verify: true
contexts:
- name: one
  context: {cluster: c, user: u, namespace: shop}
- name: two
  context: {cluster: open}
- name: lost
  context: {cluster: nowhere}
users:
- name: u
  user:
    client-certificate: u.crt
    client-key: sub/u.key
    tokenFile: token
)";

struct KubeconfigTest : testing::Test {
  std::string dir = testing::TempDir() + "kubeconfig-" + std::to_string(::getpid());
  void SetUp() override {
    ASSERT_TRUE(fs::make_dirs(dir + "/sub"));
    ASSERT_TRUE(fs::write_file(dir + "/config", kConfig));
    ASSERT_TRUE(fs::write_file(dir + "/u.crt", "CERT"));
    ASSERT_TRUE(fs::write_file(dir + "/sub/u.key", "KEY"));
    ASSERT_TRUE(fs::write_file(dir + "/token", "t1\n"));
  }
  void TearDown() override { std::filesystem::remove_all(dir); }
};

TEST_F(KubeconfigTest, ReadsDataAndFilesRelativeToItself) {
  auto config = load_kubeconfig(dir + "/config");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->ca_pem, "CA\n");
  EXPECT_EQ(config->certificate_pem, "CERT");
  EXPECT_EQ(config->private_key_pem, "KEY");
  EXPECT_EQ(config->token, "t1");
  EXPECT_EQ(config->ns, "shop");
  EXPECT_FALSE(config->insecure);
}

TEST_F(KubeconfigTest, ReloadSeesARotatedToken) {
  auto config = load_kubeconfig(dir + "/config");
  ASSERT_TRUE(config);
  ASSERT_TRUE(fs::write_file(dir + "/token", "t2"));
  auto again = config->reload();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, "t2");
}

TEST_F(KubeconfigTest, AContextWithoutUserIsAnonymous) {
  auto config = load_kubeconfig(dir + "/config", "two");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_TRUE(config->insecure);
  EXPECT_TRUE(config->token.empty());
}

TEST_F(KubeconfigTest, ErrorsNameWhatIsMissing) {
  auto lost = load_kubeconfig(dir + "/config", "lost");
  ASSERT_FALSE(lost);
  EXPECT_NE(lost.error().message.find("no cluster is called \"nowhere\""), std::string::npos);
  ASSERT_TRUE(fs::remove_file(dir + "/u.crt"));
  auto gone = load_kubeconfig(dir + "/config");
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().text().find("u.crt"), std::string::npos);
}

}  // namespace
}  // namespace lab::client
