// What a node keeps good for itself: its serving certificate, and what it knows of its pods' tokens.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/fs.h"
#include "join/pod_tokens.h"
#include "join/tls_bootstrap.h"
#include "pki/certificate.h"
#include "pki/jwt.h"

namespace lab::join {
namespace {

class NodeFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/node-files-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { (void)fs::remove_all(dir_); }

  std::string serving() {
    auto now = ensure_serving_certificate(dir_, "node", "10.1.2.3");
    EXPECT_TRUE(now) << now.error().text();
    EXPECT_TRUE(pki::key_matches(now->certificate_pem, *pki::PrivateKey::from_pem(now->key_pem)));
    return now->certificate_pem;
  }
  void put(const std::string& file, const std::string& text) {
    const std::string path = fs::join(dir_, file);
    ASSERT_TRUE(fs::make_dirs(path.substr(0, path.rfind('/'))));
    ASSERT_TRUE(fs::write_file(path, text));
  }

  std::string dir_;
};

TEST_F(NodeFiles, TheServingCertificateIsKeptUntilItIsDue) {
  const auto first = serving();
  EXPECT_EQ(serving(), first);
  // One of two hours is in its second half from its beginning, as it is dated back; of eleven days, 70 % are far away.
  const auto issue = [&](int hours) {
    auto key = pki::PrivateKey::generate();
    auto ca = pki::Authority::create("node-ca", std::chrono::hours(10000), pki::PrivateKey::generate());
    auto pem = ca.issue(
        {.common_name = "node", .addresses = {"10.1.2.3"}, .server_auth = true, .validity = std::chrono::hours(hours)},
        key);
    put("kubelet.crt", *pem);
    put("kubelet.key", key.pem());
    return *pem;
  };
  const auto long_lived = issue(264);
  EXPECT_EQ(serving(), long_lived);
  const auto ended = issue(0);
  EXPECT_NE(serving(), ended);
}

TEST_F(NodeFiles, AKeyOfAnotherCertificateIsNotServedWith) {
  const auto first = serving();
  put("kubelet.key", pki::PrivateKey::generate().pem());
  EXPECT_NE(serving(), first);
}

TEST_F(NodeFiles, TokensAreReadFromPodsFiles) {
  const auto key = pki::PrivateKey::generate();
  const auto id = pki::key_id(*pki::PublicKey::from_pem(key.public_pem()));
  auto token = [&](const char* pod) {
    return pki::sign_jwt(
        key,
        json::Object{{"kubernetes.io", json::Object{{"namespace", "default"}, {"pod", json::Object{{"name", pod}}}}}});
  };
  auto volume = [&](const std::string& uid, const std::string& file, const std::string& text) {
    const std::string dir = uid + "/volumes/kubernetes.io~projected/kube-api-access";
    put(dir + "/..1/" + file, text);
    ASSERT_TRUE(fs::symlink("..1", fs::join(dir_, dir + "/..data")));
  };
  EXPECT_TRUE(pod_token_keys(dir_).empty());
  volume("one", "token", token("first"));
  volume("two", "deep/down/token", token("second"));
  volume("three", "token", "not.a.token");
  volume("four", "token", pki::sign_jwt(key, json::Object{{"sub", "of a Secret"}}));
  put("one/volumes/kubernetes.io~projected/kube-api-access/..0/token", "left behind");
  EXPECT_EQ(pod_token_keys(dir_), (TokenKeys{{id, {"default/first", "default/second"}}}));
  EXPECT_TRUE(pod_token_keys("/nowhere").empty());
}

}  // namespace
}  // namespace lab::join
