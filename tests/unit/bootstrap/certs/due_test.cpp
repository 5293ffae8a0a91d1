// What of a master renews by itself, and what is left alone.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>

#include "base/fs.h"
#include "bootstrap/certs/certs.h"
#include "pki/certificate_set.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap::certs {
namespace {

using std::chrono::hours;

class DueCertificates : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/due-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    places_ = {.pki = fs::join(name, "pki"), .kubernetes = name};
    ASSERT_TRUE(pki::ensure_certificates({.directory = places_.pki,
                                          .node_name = "master",
                                          .advertise_address = "10.1.2.3",
                                          .service_address = "10.96.0.1",
                                          .validity = hours(1000)}));
    write_admin(*pki::load_authority(places_.pki, "ca"));
  }
  void TearDown() override { (void)fs::remove_all(places_.kubernetes); }

  void write_admin(const pki::Authority& ca) {
    auto key = pki::PrivateKey::generate();
    auto pem = ca.issue({.common_name = "admin", .client_auth = true, .validity = hours(1000)}, key);
    ASSERT_TRUE(fs::write_file(fs::join(places_.kubernetes, "admin.conf"),
                               pki::kubeconfig_text({.user = "admin",
                                                     .server = "https://10.1.2.3:6443",
                                                     .ca_pem = ca.certificate_pem(),
                                                     .certificate_pem = *pem,
                                                     .key_pem = key.pem()}),
                               0600));
  }
  Renewed after(int h) { return renew_due(places_, "master", std::chrono::system_clock::now() + hours(h)); }
  static bool has(const std::vector<std::string>& list, const std::string& name) {
    return std::ranges::find(list, name) != list.end();
  }
  std::string file(const std::string& name) { return *fs::read_file(fs::join(places_.pki, name)); }

  Places places_;
};

TEST_F(DueCertificates, NothingBeforeSeventyPercentOfTheirLife) {
  const auto before = file("apiserver.crt");
  const auto done = after(680);
  EXPECT_TRUE(done.names.empty());
  EXPECT_TRUE(done.problems.empty());
  EXPECT_EQ(file("apiserver.crt"), before);
}

TEST_F(DueCertificates, AllAfterNinetyForAsLongAsBefore) {
  const auto before = file("apiserver.crt");
  const auto done = after(920);
  EXPECT_TRUE(done.problems.empty());
  for (const char* name : {"apiserver", "apiserver-kubelet-client", "front-proxy-client", "admin.conf"})
    EXPECT_TRUE(has(done.names, name)) << name;
  EXPECT_FALSE(has(done.names, "etcd-server")) << "there is none";
  EXPECT_TRUE(done.read_by_server);
  const auto now = pki::inspect(file("apiserver.crt")), old = pki::inspect(before);
  EXPECT_EQ(now->addresses, old->addresses);
  EXPECT_NE(now->serial, old->serial);
  EXPECT_EQ(std::chrono::round<hours>(now->not_after - now->not_before),
            std::chrono::round<hours>(old->not_after - old->not_before));
  EXPECT_TRUE(after(1).names.empty());
}

TEST_F(DueCertificates, WhatAnotherCaSignedIsLeftAlone) {
  write_admin(pki::Authority::create("another", hours(1000), pki::KeyAlgorithm::kEcdsaP256));
  ASSERT_TRUE(fs::remove_file(fs::join(places_.pki, "front-proxy-ca.key")));
  const auto done = after(920);
  EXPECT_TRUE(has(done.names, "apiserver"));
  EXPECT_FALSE(has(done.names, "admin.conf"));
  EXPECT_FALSE(has(done.names, "front-proxy-client")) << "its CA's key is not here";
}

TEST_F(DueCertificates, OneThatCannotBeReadIsNamedAndKeepsNoOther) {
  ASSERT_TRUE(fs::write_file(fs::join(places_.pki, "apiserver.crt"), "garbage"));
  const auto done = after(920);
  ASSERT_EQ(done.problems.size(), 1u);
  EXPECT_TRUE(done.problems[0].starts_with("apiserver: ")) << done.problems[0];
  EXPECT_TRUE(has(done.names, "apiserver-kubelet-client"));
}

}  // namespace
}  // namespace lab::bootstrap::certs
