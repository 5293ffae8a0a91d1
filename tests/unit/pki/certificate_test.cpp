// Single certificates, requests, keys and pins, against the openssl command.
#include "pki/certificate.h"

#include "pki/csr.h"
#include "tests/unit/pki/fixture.h"

namespace lab::pki {
namespace {

class CertificateTest : public PkiTest {
 protected:
  Authority ca_ = Authority::create("test-ca", std::chrono::hours(1000), KeyAlgorithm::kEcdsaP256);
  std::string ca_file() const { return put("ca.crt", ca_.certificate_pem()); }
};

TEST_F(CertificateTest, ThePinIsTheOneThatKubeadmDocuments) {
  for (auto algorithm : {KeyAlgorithm::kEcdsaP256, KeyAlgorithm::kRsa2048}) {
    auto ca = Authority::create("x", std::chrono::hours(1), algorithm);
    const std::string file = put("pin.crt", ca.certificate_pem());
    auto done = run_checked({.argv = {"sh", "-c",
                                      "openssl x509 -in \"$1\" -noout -pubkey | openssl pkey -pubin -outform der | "
                                      "openssl dgst -sha256 -hex | sed 's/^.* //'",
                                      "sh", file}});
    ASSERT_TRUE(done);
    EXPECT_EQ(*pin(ca.certificate_pem()) + "\n", "sha256:" + *done);
  }
  EXPECT_EQ(pin("garbage").error().code, Code::kInvalid);
}

TEST_F(CertificateTest, IssuedCertificatesReadBackAsTheyWereOrdered) {
  auto key = PrivateKey::generate();
  auto pem = ca_.issue({.common_name = "system:node:n1",
                        .organizations = {"system:nodes", "second"},
                        .dns_names = {"n1", "n1.example"},
                        .addresses = {"10.0.0.1", "::1"},
                        .server_auth = true,
                        .client_auth = true,
                        .validity = std::chrono::hours(48)},
                       key);
  ASSERT_TRUE(pem);
  auto info = inspect(*pem);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->common_name, "system:node:n1");
  EXPECT_EQ(info->issuer_common_name, "test-ca");
  EXPECT_EQ(info->organizations, (std::vector<std::string>{"system:nodes", "second"}));
  EXPECT_EQ(info->dns_names, (std::vector<std::string>{"n1", "n1.example"}));
  EXPECT_EQ(info->addresses, (std::vector<std::string>{"10.0.0.1", "::1"}));
  EXPECT_TRUE(info->server_auth && info->client_auth);
  EXPECT_FALSE(info->is_ca);
  EXPECT_TRUE(key_matches(*pem, key));
  EXPECT_FALSE(key_matches(*pem, PrivateKey::generate()));
  EXPECT_TRUE(signed_by(*pem, ca_.certificate_pem()));
  EXPECT_FALSE(
      signed_by(*pem, Authority::create("test-ca", std::chrono::hours(1), KeyAlgorithm::kEcdsaP256).certificate_pem()));
  const std::string file = put("n1.crt", *pem);
  EXPECT_TRUE(openssl_accepts({"verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca_file(), file}));
  EXPECT_TRUE(openssl_accepts({"verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", ca_file(), file}));
  EXPECT_TRUE(contains(openssl({"x509", "-in", file, "-noout", "-serial"}), info->serial));

  auto second = ca_.issue({.common_name = "system:node:n1"}, key);
  EXPECT_NE(inspect(*second)->serial, info->serial);
  EXPECT_EQ(split_bundle(*pem + *second), (std::vector<std::string>{*pem, *second}));
  EXPECT_TRUE(split_bundle("nothing").empty());
}

TEST_F(CertificateTest, AuthoritiesAreCheckedWhenTheyAreRead) {
  EXPECT_TRUE(Authority::from_pem(ca_.certificate_pem(), ca_.key_pem()));
  EXPECT_EQ(Authority::from_pem(ca_.certificate_pem(), PrivateKey::generate().pem()).error().code, Code::kInvalid);
  auto key = PrivateKey::generate();
  auto leaf = ca_.issue({.common_name = "leaf"}, key);
  auto no_ca = Authority::from_pem(*leaf, key.pem());
  ASSERT_FALSE(no_ca);
  EXPECT_TRUE(contains(no_ca.error().message, "leaf"));
  EXPECT_FALSE(Authority::from_pem("x", ca_.key_pem()));
  EXPECT_FALSE(Authority::from_pem(ca_.certificate_pem(), "x"));
}

TEST_F(CertificateTest, OurRequestsAreGoodAndOpensslsAreSigned) {
  auto key = PrivateKey::generate();
  const std::string ours = make_csr(key, {.common_name = "system:node:w",
                                          .organizations = {"system:nodes"},
                                          .dns_names = {"w"},
                                          .addresses = {"10.0.0.9"}});
  const std::string shown = openssl({"req", "-in", put("ours.csr", ours), "-noout", "-text", "-verify"});
  EXPECT_TRUE(contains(shown, "verify OK")) << shown;
  EXPECT_TRUE(contains(shown, "DNS:w, IP Address:10.0.0.9")) << shown;
  auto read_back = inspect_csr(ours);
  ASSERT_TRUE(read_back);
  EXPECT_EQ(read_back->common_name, "system:node:w");
  EXPECT_EQ(read_back->organizations, std::vector<std::string>{"system:nodes"});
  EXPECT_EQ(read_back->addresses, std::vector<std::string>{"10.0.0.9"});

  openssl({"req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", path("user.key"), "-out", path("user.csr"),
           "-subj", "/O=developers/CN=jane", "-addext", "subjectAltName=DNS:jane.example"});
  auto signed_pem = ca_.sign_request(read(path("user.csr")), false, true, std::chrono::hours(1));
  ASSERT_TRUE(signed_pem);
  const std::string file = put("user.crt", *signed_pem);
  EXPECT_TRUE(openssl_accepts({"verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", ca_file(), file}));
  EXPECT_FALSE(openssl_accepts({"verify", "-purpose", "sslserver", "-CAfile", ca_file(), file}));
  auto info = inspect(*signed_pem);
  EXPECT_EQ(info->common_name, "jane");
  EXPECT_EQ(info->organizations, std::vector<std::string>{"developers"});
  EXPECT_EQ(info->dns_names, std::vector<std::string>{"jane.example"});
  EXPECT_EQ(openssl({"x509", "-in", file, "-noout", "-pubkey"}), openssl({"pkey", "-in", path("user.key"), "-pubout"}));
}

// Changes one byte of what a PEM text carries, from the end: there lies the signature.
std::string with_broken_signature(const std::string& pem, const std::string& dir) {
  const std::string script =
      "openssl req -in \"$1/x.csr\" -outform der -out \"$1/x.der\" && "
      "size=$(stat -c %s \"$1/x.der\") && "
      "printf '\\125\\125\\125' | dd of=\"$1/x.der\" bs=1 seek=$((size - 3)) conv=notrunc 2>/dev/null && "
      "(echo '-----BEGIN CERTIFICATE REQUEST-----'; base64 \"$1/x.der\"; "
      "echo '-----END CERTIFICATE REQUEST-----')";
  EXPECT_TRUE(fs::write_file(dir + "/x.csr", pem));
  auto out = run_checked({.argv = {"sh", "-c", script, "sh", dir}});
  EXPECT_TRUE(out) << (out ? "" : out.error().text());
  return out ? *out : std::string();
}

TEST_F(CertificateTest, ARequestMustBeSignedByItsOwnKey) {
  const std::string csr = make_csr(PrivateKey::generate(), {.common_name = "x"});
  ASSERT_TRUE(ca_.sign_request(csr, false, true, std::chrono::hours(1)));
  auto refused = ca_.sign_request(with_broken_signature(csr, dir_), false, true, std::chrono::hours(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_FALSE(ca_.sign_request("no request", false, true, std::chrono::hours(1)));
}

TEST_F(CertificateTest, KeysOfEveryPemFormAreRead) {
  openssl({"ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("sec1.pem")});
  openssl({"genrsa", "-traditional", "-out", path("pkcs1.pem"), "2048"});
  EXPECT_TRUE(contains(read(path("sec1.pem")), "BEGIN EC PRIVATE KEY"));
  EXPECT_TRUE(contains(read(path("pkcs1.pem")), "BEGIN RSA PRIVATE KEY"));
  for (const char* name : {"sec1.pem", "pkcs1.pem"}) {
    auto key = PrivateKey::from_pem(read(path(name)));
    ASSERT_TRUE(key) << name;
    EXPECT_EQ(key->public_pem(), openssl({"pkey", "-in", path(name), "-pubout"}));
    EXPECT_TRUE(contains(key->pem(), "BEGIN PRIVATE KEY")) << "PKCS #8 is written";
    EXPECT_EQ(PrivateKey::from_pem(key->pem())->public_pem(), key->public_pem());
  }
  EXPECT_EQ(PrivateKey::from_pem("x").error().code, Code::kInvalid);
}

}  // namespace
}  // namespace lab::pki
