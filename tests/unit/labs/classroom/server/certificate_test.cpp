// The classroom's certificate: made once, kept while it will do, made anew when it will not.
#include "labs/classroom/server/certificate.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/fs.h"
#include "pki/certificate.h"

namespace lab::classroom {
namespace {

struct CertificateTest : testing::Test {
  const std::string directory = testing::TempDir() + "lab-tls-" + std::to_string(::getpid());
  void TearDown() override { EXPECT_TRUE(fs::remove_all(directory)); }
  std::string file(const char* name) const { return fs::join(directory, name); }
};

TEST(CertificateNames, AreToldFromAddresses) {
  Names names;
  for (const char* host : {"lab.school", "10.0.0.1", "::1", "lab.school", ""}) names.add(host);
  EXPECT_EQ(names.dns, (std::vector<std::string>{"lab.school"}));
  EXPECT_EQ(names.addresses, (std::vector<std::string>{"10.0.0.1", "::1"}));
}

TEST_F(CertificateTest, HasTheNamesAndIsVouchedFor) {
  auto made = own_certificate(directory, {.dns = {"lab", "lab.local"}, .addresses = {"127.0.0.1", "::1"}});
  ASSERT_TRUE(made) << made.error().text();
  auto said = pki::inspect(made->chain_pem);
  ASSERT_TRUE(said);
  EXPECT_EQ(said->dns_names, (std::vector<std::string>{"lab", "lab.local"}));
  EXPECT_EQ(said->addresses, (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_TRUE(said->server_auth);
  EXPECT_FALSE(said->client_auth || said->is_ca);
  EXPECT_EQ(made->ca_file, file("ca.crt"));
  EXPECT_TRUE(pki::signed_by(made->chain_pem, fs::read_file(made->ca_file).value()));
  for (const char* key : {"ca.key", "server.key"}) {
    struct stat st;
    ASSERT_EQ(::stat(file(key).c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u) << key;
  }
}

TEST_F(CertificateTest, StaysWhileItWillDo) {
  const Names names{.dns = {"lab"}, .addresses = {"10.0.0.1", "10.0.0.2"}};
  auto first = own_certificate(directory, names);
  ASSERT_TRUE(first);
  EXPECT_EQ(own_certificate(directory, names)->chain_pem, first->chain_pem);
  EXPECT_EQ(own_certificate(directory, {.dns = {"lab"}, .addresses = {"10.0.0.2"}})->chain_pem, first->chain_pem)
      << "an address fewer";
  auto more = own_certificate(directory, {.dns = {"lab"}, .addresses = {"10.0.0.3"}});
  ASSERT_TRUE(more);
  EXPECT_NE(more->chain_pem, first->chain_pem);
  EXPECT_TRUE(pki::signed_by(more->chain_pem, fs::read_file(first->ca_file).value())) << "who trusted it goes on";
  // Killed between the two files, it is done again.
  ASSERT_TRUE(fs::write_file(file("server.key"), first->key_pem, 0600));
  auto mended = own_certificate(directory, {.dns = {"lab"}, .addresses = {"10.0.0.3"}});
  ASSERT_TRUE(mended);
  EXPECT_NE(mended->chain_pem, more->chain_pem);
  EXPECT_TRUE(pki::key_matches(mended->chain_pem, *pki::PrivateKey::from_pem(mended->key_pem)));
}

TEST_F(CertificateTest, TheOperatorsOwnIsLookedAt) {
  ASSERT_TRUE(own_certificate(directory, {.dns = {"lab"}, .addresses = {}}));
  auto given = given_certificate(file("server.crt"), file("server.key"));
  ASSERT_TRUE(given) << given.error().text();
  EXPECT_EQ(given->ca_file, "");
  auto other = given_certificate(file("server.crt"), file("ca.key"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kInvalid);
  EXPECT_FALSE(given_certificate(file("server.key"), file("server.key")));
  EXPECT_FALSE(given_certificate(file("none"), file("server.key")));
  const auto authority = pki::Authority::create("past", std::chrono::hours(24), pki::KeyAlgorithm::kEcdsaP256);
  const auto key = pki::PrivateKey::generate();
  auto past = authority.issue({.common_name = "past", .server_auth = true, .validity = std::chrono::hours(0)}, key);
  ASSERT_TRUE(past);
  ASSERT_TRUE(fs::write_file(file("past.crt"), *past));
  ASSERT_TRUE(fs::write_file(file("past.key"), key.pem()));
  auto ended = given_certificate(file("past.crt"), file("past.key"));
  ASSERT_FALSE(ended);
  EXPECT_NE(ended.error().text().find("has ended"), std::string::npos) << ended.error().text();
}

TEST(Fingerprint, IsAsBrowsersShowIt) {
  // The bytes of the "certificate" are "abc", whose SHA-256 FIPS 180-2 gives.
  const auto shown = fingerprint("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\nmore");
  ASSERT_TRUE(shown);
  EXPECT_TRUE(shown->starts_with("BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:")) << *shown;
  EXPECT_EQ(shown->size(), 95u);
  EXPECT_FALSE(fingerprint("none"));
}

}  // namespace
}  // namespace lab::classroom
