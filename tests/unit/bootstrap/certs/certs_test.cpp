// When certificates end, and what renewing keeps and changes.
#include "bootstrap/certs/certs.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/fs.h"
#include "orchestrator/client/client.h"
#include "pki/certificate_set.h"
#include "pki/csr.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap::certs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// A master's directory, as init writes it.
class Certs : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/certs-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    places_ = {.pki = fs::join(dir_, "pki"), .kubernetes = dir_};
    options_ = {.directory = places_.pki,
                .node_name = "master",
                .advertise_address = "10.1.2.3",
                .service_address = "10.96.0.1",
                .extra_sans = {"extra.example"},
                .validity = hours(48)};
    ASSERT_TRUE(pki::ensure_certificates(options_));
    for (const char* name : {"admin", "super-admin", "controller-manager", "scheduler"}) write_kubeconfig(name);
  }
  void TearDown() override { (void)fs::remove_all(dir_); }

  void write_kubeconfig(const std::string& name) {
    auto ca = *pki::load_authority(places_.pki, "ca");
    auto key = pki::PrivateKey::generate();
    auto pem = ca.issue(
        {.common_name = "user-" + name, .organizations = {"group"}, .client_auth = true, .validity = hours(48)}, key);
    auto text = pki::kubeconfig_text({.user = "user-" + name,
                                      .server = "https://10.1.2.3:6443",
                                      .ca_pem = ca.certificate_pem(),
                                      .certificate_pem = *pem,
                                      .key_pem = key.pem()});
    ASSERT_TRUE(fs::write_file(fs::join(dir_, name + ".conf"), text, 0600));
  }
  std::string pair(const std::string& name) { return *fs::read_file(fs::join(places_.pki, name)); }

  std::string dir_;
  Places places_;
  pki::CertificateSetOptions options_;
};

TEST_F(Certs, ExpirationHasKubeadmsColumns) {
  auto found = check_expiration(places_);
  ASSERT_TRUE(found) << found.error().text();
  const auto text = expiration_text(*found, std::chrono::system_clock::now());
  EXPECT_TRUE(
      text.starts_with("CERTIFICATE                EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY   "
                       "EXTERNALLY MANAGED\n"))
      << text;
  EXPECT_NE(text.find("\nCERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED\n"),
            text.npos)
      << text;
  std::vector<std::string> names;
  for (const auto& c : found->certificates) names.push_back(c.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"admin.conf", "apiserver", "apiserver-kubelet-client", "controller-manager.conf",
                                      "front-proxy-client", "scheduler.conf", "super-admin.conf"}));
  EXPECT_NE(text.find("  1d              ca                      no\n"), text.npos) << text;
  EXPECT_NE(text.find("  9y              no\n"), text.npos) << text;
}

TEST_F(Certs, WhatIsMissingOrSignedElsewhereIsToldApart) {
  ASSERT_TRUE(fs::remove_file(fs::join(dir_, "scheduler.conf")));
  ASSERT_TRUE(fs::remove_file(fs::join(places_.pki, "front-proxy-ca.key")));
  auto found = check_expiration(places_);
  ASSERT_TRUE(found);
  const auto text = expiration_text(*found, std::chrono::system_clock::now());
  EXPECT_NE(text.find("!MISSING! scheduler.conf"), text.npos) << text;
  EXPECT_NE(text.find("front-proxy-ca          yes\n"), text.npos) << text;
  const auto value = expiration_json(*found, std::chrono::system_clock::now());
  EXPECT_EQ(json::str(value, "kind"), "CertificateExpirationInfo");
  bool missing = false;
  for (const auto& c : json::list(value, "certificates"))
    missing = missing || (json::str(c, "name") == "scheduler.conf" && json::flag(c, "missing"));
  EXPECT_TRUE(missing);
}

TEST(CertsText, ResidualTimeIsWrittenAsKubeadmDoes) {
  EXPECT_EQ(residual_text(seconds(-5)), "<invalid>");
  EXPECT_EQ(residual_text(seconds(30)), "30s");
  EXPECT_EQ(residual_text(hours(23)), "23h");
  EXPECT_EQ(residual_text(hours(24 * 364)), "364d");
  EXPECT_EQ(residual_text(hours(24 * 365 * 9 + 5)), "9y");
}

TEST_F(Certs, RenewingAPairKeepsNamesOwnerAndMode) {
  const std::string key_path = fs::join(places_.pki, "apiserver.key"), before = pair("apiserver.crt"),
                    key = pair("apiserver.key");
  const auto ca = pair("ca.crt");
  ASSERT_EQ(::chmod(key_path.c_str(), 0640), 0);
  const bool root = ::geteuid() == 0;
  if (root) ASSERT_EQ(::chown(key_path.c_str(), 7, 8), 0);
  auto renewed = renew(*find_row("apiserver"), {.places = places_, .validity = hours(24 * 100)});
  ASSERT_TRUE(renewed) << renewed.error().text();
  EXPECT_TRUE(*renewed);
  const auto after = pair("apiserver.crt");
  EXPECT_NE(after, before);
  EXPECT_NE(pair("apiserver.key"), key);
  EXPECT_EQ(pair("ca.crt"), ca);
  EXPECT_TRUE(pki::signed_by(after, ca));
  EXPECT_TRUE(pki::key_matches(after, *pki::PrivateKey::from_pem(pair("apiserver.key"))));
  auto old_info = *pki::inspect(before), info = *pki::inspect(after);
  EXPECT_EQ(info.common_name, old_info.common_name);
  EXPECT_EQ(info.dns_names, old_info.dns_names);
  EXPECT_EQ(info.addresses, old_info.addresses);
  EXPECT_EQ(info.server_auth, old_info.server_auth);
  EXPECT_GT(info.not_after, old_info.not_after + hours(24));
  struct stat s{};
  ASSERT_EQ(::stat(key_path.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 07777, 0640u);
  if (root) {
    EXPECT_EQ(s.st_uid, 7u);
    EXPECT_EQ(s.st_gid, 8u);
  }
}

TEST_F(Certs, RenewingAKubeconfigChangesTheCredentialsAlone) {
  const std::string path = fs::join(dir_, "admin.conf");
  auto before = *client::load_kubeconfig(path);
  auto renewed = renew(*find_row("admin.conf"), {.places = places_});
  ASSERT_TRUE(renewed) << renewed.error().text();
  auto after = *client::load_kubeconfig(path);
  EXPECT_EQ(after.server, before.server);
  EXPECT_EQ(after.ca_pem, before.ca_pem);
  EXPECT_NE(after.certificate_pem, before.certificate_pem);
  EXPECT_TRUE(pki::key_matches(after.certificate_pem, *pki::PrivateKey::from_pem(after.private_key_pem)));
  EXPECT_EQ(pki::inspect(after.certificate_pem)->common_name, "user-admin");
  EXPECT_EQ(pki::inspect(after.certificate_pem)->organizations, std::vector<std::string>{"group"});
}

TEST_F(Certs, ANewAddressTakesTheOldOnesPlace) {
  const Renewal how{.places = places_, .old_address = "10.1.2.3", .new_address = "10.9.9.9"};
  ASSERT_TRUE(renew(*find_row("apiserver"), how));
  ASSERT_TRUE(renew(*find_row("admin.conf"), how));
  const auto addresses = pki::inspect(pair("apiserver.crt"))->addresses;
  EXPECT_NE(std::find(addresses.begin(), addresses.end(), "10.9.9.9"), addresses.end());
  EXPECT_EQ(std::find(addresses.begin(), addresses.end(), "10.1.2.3"), addresses.end());
  EXPECT_NE(std::find(addresses.begin(), addresses.end(), "10.96.0.1"), addresses.end());
  EXPECT_EQ(client::load_kubeconfig(fs::join(dir_, "admin.conf"))->server, "https://10.9.9.9:6443");
}

TEST_F(Certs, WhatCannotBeRenewedSaysWhy) {
  ASSERT_TRUE(fs::remove_file(fs::join(dir_, "admin.conf")));
  auto absent = renew(*find_row("admin.conf"), {.places = places_});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_NE(absent.error().hint.find("lab init phase kubeconfig admin"), std::string::npos);
  auto optional = renew(*find_row("etcd-server"), {.places = places_});
  ASSERT_TRUE(optional);
  EXPECT_FALSE(*optional);
  ASSERT_TRUE(fs::remove_file(fs::join(places_.pki, "ca.key")));
  const auto before = pair("apiserver.crt");
  auto foreign = renew(*find_row("apiserver"), {.places = places_});
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().message.find("its CA's key must be here"), std::string::npos);
  EXPECT_EQ(pair("apiserver.crt"), before);
}

TEST_F(Certs, RequestsNeverOverwrite) {
  const Places fresh{.pki = fs::join(dir_, "new/pki"), .kubernetes = fs::join(dir_, "new")};
  auto spec = +[](const Row& row, const void*) { return pki::CertificateSpec{.common_name = "for-" + row.name}; };
  auto made = generate_requests({.places = fresh, .server = "https://10.1.2.3:6443", .spec_of = spec});
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->size(), 7u);
  EXPECT_EQ(pki::inspect_csr(*fs::read_file(fs::join(fresh.pki, "apiserver.csr")))->common_name, "for-apiserver");
  EXPECT_EQ(pki::inspect_csr(*fs::read_file(fs::join(fresh.kubernetes, "admin.conf.csr")))->common_name,
            "for-admin.conf");
  EXPECT_TRUE(fs::exists(fs::join(fresh.kubernetes, "admin.conf")));
  auto again = generate_requests({.places = fresh, .server = "https://10.1.2.3:6443", .spec_of = spec});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
}

}  // namespace
}  // namespace lab::bootstrap::certs
