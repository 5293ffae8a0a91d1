// A CA's rotation in a master's files: what each step trusts and signs with, and that a step may be repeated.
#include "bootstrap/certs/ca_rotation.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/subprocess.h"
#include "orchestrator/client/client.h"
#include "pki/certificate_set.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap::certs {
namespace {

class CaRotationFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ca-rotation-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    how_.places = {.pki = fs::join(dir_, "pki"), .kubernetes = dir_};
    ASSERT_TRUE(pki::ensure_certificates({.directory = how_.places.pki,
                                          .node_name = "master",
                                          .advertise_address = "10.1.2.3",
                                          .service_address = "10.96.0.1"}));
    auto ca = *pki::load_authority(how_.places.pki, "ca");
    for (const char* user : {"admin", "super-admin", "controller-manager", "scheduler"}) {
      auto key = pki::PrivateKey::generate();
      auto pem = ca.issue({.common_name = user, .client_auth = true}, key);
      ASSERT_TRUE(fs::write_file(fs::join(dir_, std::string(user) + ".conf"),
                                 pki::kubeconfig_text({.user = user,
                                                       .server = "https://10.1.2.3:6443",
                                                       .ca_pem = ca.certificate_pem(),
                                                       .certificate_pem = *pem,
                                                       .key_pem = key.pem()}),
                                 0600));
    }
    old_ca_ = ca.certificate_pem();
  }
  void TearDown() override { (void)fs::remove_all(dir_); }

  std::string file(const std::string& name) { return *fs::read_file(fs::join(how_.places.pki, name)); }
  client::RestConfig kubeconfig(const std::string& name) { return *client::load_kubeconfig(fs::join(dir_, name)); }
  std::string new_ca() { return file("ca-rotation/new.crt"); }
  CaStep step() { return ca_rotation(how_.places)->step; }

  // As a client that trusts `roots` alone judges what a server sends: by the openssl command.
  bool verifies(const std::string& sent, const std::string& roots) {
    const auto chain = pki::split_bundle(sent);
    std::string behind;
    for (std::size_t i = 1; i < chain.size(); ++i) behind += chain[i];
    const std::string leaf_file = fs::join(dir_, "leaf.pem"), roots_file = fs::join(dir_, "roots.pem"),
                      chain_file = fs::join(dir_, "chain.pem");
    EXPECT_TRUE(fs::write_file(leaf_file, chain.at(0)));
    EXPECT_TRUE(fs::write_file(roots_file, roots));
    EXPECT_TRUE(fs::write_file(chain_file, behind));
    std::vector<std::string> argv{"openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", roots_file};
    if (!behind.empty()) argv.insert(argv.end(), {"-untrusted", chain_file});
    argv.push_back(leaf_file);
    auto done = run({.argv = argv});
    return done && done->ok();
  }

  std::string dir_, old_ca_;
  Renewal how_;
};

TEST_F(CaRotationFiles, PrepareTrustsBothAndSignsWithTheOld) {
  EXPECT_EQ(step(), CaStep::kNone);
  ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000)));
  EXPECT_EQ(step(), CaStep::kPrepared);
  EXPECT_EQ(file("ca.crt"), old_ca_ + new_ca());
  EXPECT_EQ(kubeconfig("admin.conf").ca_pem, old_ca_ + new_ca());
  EXPECT_TRUE(pki::signed_by(
      pki::load_authority(how_.places.pki, "ca")->issue({.common_name = "x"}, pki::PrivateKey::generate()).value(),
      old_ca_));
  const auto first = new_ca();
  ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000)));
  EXPECT_EQ(new_ca(), first) << "a repeated step makes no third CA";
}

TEST_F(CaRotationFiles, AfterTheSwitchOldAndNewClientsVerifyTheServer) {
  const auto before = file("apiserver.crt");
  ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000)));
  ASSERT_TRUE(switch_ca(how_));
  EXPECT_EQ(step(), CaStep::kSwitched);
  EXPECT_EQ(file("ca.crt"), new_ca() + old_ca_);
  const auto now = file("apiserver.crt");
  EXPECT_NE(now, before);
  EXPECT_TRUE(pki::signed_by(now, new_ca()));
  EXPECT_TRUE(verifies(now, new_ca())) << "those who know the new CA alone";
  EXPECT_TRUE(verifies(now, old_ca_)) << "those who know the old CA alone: by the cross-certificate";
  EXPECT_TRUE(verifies(now, old_ca_ + new_ca())) << "both have the same name";
  EXPECT_TRUE(verifies(before, old_ca_ + new_ca()));
  EXPECT_FALSE(verifies(pki::split_bundle(now)[0], old_ca_)) << "the leaf alone is not enough";
  EXPECT_TRUE(pki::signed_by(kubeconfig("admin.conf").certificate_pem, new_ca()));
  EXPECT_EQ(pki::inspect(file("apiserver.crt"))->addresses, pki::inspect(before)->addresses);
  // What the front proxies have is another CA's.
  EXPECT_TRUE(pki::signed_by(file("front-proxy-client.crt"), file("front-proxy-ca.crt")));

  ASSERT_TRUE(switch_ca(how_));
  EXPECT_EQ(file("apiserver.crt"), now) << "a repeated step changes nothing";
  EXPECT_FALSE(prepare_ca(how_.places, std::chrono::hours(1000)));
}

TEST_F(CaRotationFiles, ARenewalInBetweenStillServesOldClients) {
  ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000)));
  ASSERT_TRUE(switch_ca(how_));
  ASSERT_TRUE(renew(*find_row("apiserver"), how_));
  EXPECT_TRUE(verifies(file("apiserver.crt"), old_ca_));
  ASSERT_TRUE(finish_ca(how_.places));
  ASSERT_TRUE(forget_old_ca(how_.places));
  ASSERT_TRUE(renew(*find_row("apiserver"), how_));
  EXPECT_EQ(pki::split_bundle(file("apiserver.crt")).size(), 1u);
}

// The key went over, and the power with it: the directory is usable, and the step completes.
TEST_F(CaRotationFiles, ASwitchThatWasCutOffCompletes) {
  ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000)));
  ASSERT_TRUE(fs::write_file(fs::join(how_.places.pki, "ca.key"), file("ca-rotation/new.key"), 0600));
  EXPECT_EQ(step(), CaStep::kSwitched);
  auto signer = pki::load_authority(how_.places.pki, "ca");
  ASSERT_TRUE(signer) << signer.error().text();
  EXPECT_EQ(*pki::pin(signer->certificate_pem()), *pki::pin(new_ca()));
  ASSERT_TRUE(switch_ca(how_));
  EXPECT_TRUE(verifies(file("apiserver.crt"), old_ca_));
}

TEST_F(CaRotationFiles, FinishKnowsTheNewCaAlone) {
  ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000)));
  EXPECT_FALSE(finish_ca(how_.places)) << "the old one still signs";
  ASSERT_TRUE(switch_ca(how_));
  ASSERT_TRUE(finish_ca(how_.places));
  ASSERT_TRUE(finish_ca(how_.places));
  const auto ca = new_ca();
  EXPECT_EQ(file("ca.crt"), ca);
  EXPECT_EQ(kubeconfig("super-admin.conf").ca_pem, ca);
  EXPECT_EQ(pki::split_bundle(file("apiserver.crt")).size(), 1u);
  EXPECT_FALSE(verifies(file("apiserver.crt"), old_ca_));
  ASSERT_TRUE(forget_old_ca(how_.places));
  EXPECT_EQ(step(), CaStep::kNone);
  EXPECT_FALSE(finish_ca(how_.places));
  // And once more from there.
  ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000)));
  EXPECT_EQ(file("ca.crt"), ca + new_ca());
}

// The CAs that masters alone know: the same steps, without chains and kubeconfigs, and beside the cluster's.
TEST_F(CaRotationFiles, EtcdsAndTheFrontProxysCaAreReplacedTheSameWay) {
  for (const auto& row : pki::etcd_certificate_table())
    ASSERT_TRUE(pki::ensure_certificate(row, {.directory = how_.places.pki,
                                              .node_name = "master",
                                              .advertise_address = "10.1.2.3",
                                              .service_address = "10.96.0.1"}));
  for (const std::string ca : {"etcd/ca", "front-proxy-ca"}) {
    const std::string leaf = ca == "etcd/ca" ? "etcd/server" : "front-proxy-client";
    const auto old = file(ca + ".crt"), admin = kubeconfig("admin.conf").ca_pem, before = file(leaf + ".crt");
    EXPECT_FALSE(switch_ca(how_, ca));
    ASSERT_TRUE(prepare_ca(how_.places, std::chrono::hours(1000), {}, ca));
    const auto fresh = file(rotation_directory(ca) + "/new.crt");
    EXPECT_EQ(file(ca + ".crt"), old + fresh);
    EXPECT_EQ(ca_rotation(how_.places, ca)->step, CaStep::kPrepared);
    ASSERT_TRUE(mark_served(how_.places, ca));
    EXPECT_EQ(served_step(how_.places, ca), CaStep::kPrepared);
    EXPECT_EQ(served_step(how_.places), CaStep::kNone);
    EXPECT_TRUE(verifies(before, file(ca + ".crt")));
    ASSERT_TRUE(switch_ca(how_, ca));
    const auto now = file(leaf + ".crt");
    EXPECT_TRUE(verifies(now, fresh));
    EXPECT_FALSE(verifies(now, old)) << "no chain is sent: every master trusts both";
    EXPECT_EQ(pki::inspect(now)->addresses, pki::inspect(before)->addresses);
    ASSERT_TRUE(switch_ca(how_, ca));
    EXPECT_EQ(file(leaf + ".crt"), now) << "a repeated step changes nothing";
    ASSERT_TRUE(finish_ca(how_.places, ca));
    ASSERT_TRUE(forget_old_ca(how_.places, ca));
    EXPECT_EQ(file(ca + ".crt"), fresh);
    EXPECT_EQ(kubeconfig("admin.conf").ca_pem, admin);
    EXPECT_EQ(step(), CaStep::kNone) << "the cluster's CA is another matter";
  }
  EXPECT_EQ(file("ca.crt"), old_ca_);
  EXPECT_TRUE(verifies(file("apiserver-etcd-client.crt"), file("etcd/ca.crt")));
}

TEST_F(CaRotationFiles, WithoutTheCasKeyNothingIsBegun) {
  ASSERT_TRUE(fs::remove_file(fs::join(how_.places.pki, "ca.key")));
  auto r = prepare_ca(how_.places, std::chrono::hours(1000));
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text().find("ca.key"), std::string::npos) << r.error().text();
  EXPECT_EQ(file("ca.crt"), old_ca_);
}

}  // namespace
}  // namespace lab::bootstrap::certs
