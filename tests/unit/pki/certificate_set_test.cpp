// The certificates of a control plane: what openssl reads in them, and that a second run keeps what is good.
#include "pki/certificate_set.h"

#include <chrono>

#include "tests/unit/pki/fixture.h"

namespace lab::pki {
namespace {

class CertificateSetTest : public PkiTest, public testing::WithParamInterface<KeyAlgorithm> {
 protected:
  CertificateSetOptions options() const {
    return {.directory = path("pki"),
            .node_name = "master-1",
            .advertise_address = "10.1.2.3",
            .service_address = "10.96.0.1",
            .control_plane_endpoint = "api.example",
            .extra_sans = {"extra.example", "2001:DB8:0::7", "10.9.9.9"},
            .algorithm = GetParam()};
  }
  std::string file(const std::string& name) const { return path("pki/" + name); }
  const CertificateRow& row(const std::string& name) const {
    for (const auto& r : certificate_table())
      if (r.name == name) return r;
    ADD_FAILURE() << "no row " << name;
    return certificate_table().front();
  }
  std::string text_of(const std::string& name) const {
    return openssl({"x509", "-in", file(name + ".crt"), "-noout", "-text", "-nameopt", "RFC2253,sep_comma_plus_space"});
  }
  Outcome ensure(const std::string& name, const CertificateSetOptions& o) const {
    auto made = ensure_certificate(row(name), o);
    EXPECT_TRUE(made) << name << ": " << (made ? "" : made.error().text());
    return made ? *made : Outcome::kCreated;
  }
};

INSTANTIATE_TEST_SUITE_P(Keys, CertificateSetTest, testing::Values(KeyAlgorithm::kEcdsaP256, KeyAlgorithm::kRsa2048),
                         [](const auto& p) { return p.param == KeyAlgorithm::kRsa2048 ? "Rsa" : "Ecdsa"; });

TEST_P(CertificateSetTest, OpensslReadsTheSubjectsNamesAndUses) {
  ASSERT_TRUE(ensure_certificates(options()));
  struct Expected {
    const char* name;
    const char* ca;
    const char* subject;
    bool is_ca, server, client;
  };
  for (const auto& e :
       {Expected{"ca", "ca", "CN=kubernetes", true, false, false},
        Expected{"apiserver", "ca", "CN=kube-apiserver", false, true, false},
        Expected{"apiserver-kubelet-client", "ca", "CN=kube-apiserver-kubelet-client, O=kubeadm:cluster-admins", false,
                 false, true},
        Expected{"front-proxy-ca", "front-proxy-ca", "CN=front-proxy-ca", true, false, false},
        Expected{"front-proxy-client", "front-proxy-ca", "CN=front-proxy-client", false, false, true}}) {
    SCOPED_TRACE(e.name);
    const std::string text = text_of(e.name);
    EXPECT_TRUE(contains(text, "Subject: " + std::string(e.subject) + "\n")) << text;
    EXPECT_EQ(contains(text, "CA:TRUE"), e.is_ca);
    EXPECT_EQ(contains(text, "Certificate Sign"), e.is_ca);
    EXPECT_EQ(contains(text, "TLS Web Server Authentication"), e.server);
    EXPECT_EQ(contains(text, "TLS Web Client Authentication"), e.client);
    EXPECT_TRUE(contains(text, "Version: 3"));
    EXPECT_TRUE(contains(text, GetParam() == KeyAlgorithm::kRsa2048 ? "(2048 bit)" : "prime256v1")) << text;
    EXPECT_TRUE(openssl_accepts(
        {"verify", "-x509_strict", "-CAfile", file(std::string(e.ca) + ".crt"), file(std::string(e.name) + ".crt")}));
    // The key beside it is its own.
    EXPECT_EQ(openssl({"pkey", "-in", file(std::string(e.name) + ".key"), "-pubout"}),
              openssl({"x509", "-in", file(std::string(e.name) + ".crt"), "-noout", "-pubkey"}));
    EXPECT_EQ(mode_of(file(std::string(e.name) + ".key")), 0600u);
    EXPECT_EQ(mode_of(file(std::string(e.name) + ".crt")), 0644u);
  }
  EXPECT_FALSE(openssl_accepts({"verify", "-CAfile", file("front-proxy-ca.crt"), file("apiserver.crt")}));
}

TEST_P(CertificateSetTest, TheApiServerIsKnownByEveryNameItIsCalledBy) {
  ASSERT_TRUE(ensure_certificates(options()));
  for (const char* host :
       {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
        "localhost", "master-1", "api.example", "extra.example"})
    EXPECT_TRUE(contains(openssl({"x509", "-in", file("apiserver.crt"), "-noout", "-checkhost", host}), "does match"))
        << host;
  for (const char* ip : {"10.96.0.1", "10.1.2.3", "127.0.0.1", "10.9.9.9", "2001:db8::7"})
    EXPECT_TRUE(contains(openssl({"x509", "-in", file("apiserver.crt"), "-noout", "-checkip", ip}), "does match"))
        << ip;
  EXPECT_TRUE(contains(openssl({"x509", "-in", file("apiserver.crt"), "-noout", "-checkhost", "other.example"}),
                       "does NOT match"));
}

TEST_P(CertificateSetTest, ValidFromAnHourAgoForTenYears) {
  ASSERT_TRUE(ensure_certificates(options()));
  const auto now = std::chrono::system_clock::now();
  for (const char* name : {"ca", "apiserver"}) {
    // -checkend answers whether it ends within so many seconds.
    EXPECT_TRUE(openssl_accepts(
        {"x509", "-in", file(std::string(name) + ".crt"), "-noout", "-checkend", std::to_string(3649ll * 24 * 3600)}));
    EXPECT_FALSE(openssl_accepts(
        {"x509", "-in", file(std::string(name) + ".crt"), "-noout", "-checkend", std::to_string(3651ll * 24 * 3600)}));
    auto info = inspect(read(file(std::string(name) + ".crt")));
    ASSERT_TRUE(info);
    const auto age = now - info->not_before;
    EXPECT_GT(age, std::chrono::minutes(55));
    EXPECT_LT(age, std::chrono::minutes(70));
  }
}

TEST_P(CertificateSetTest, ASecondRunKeepsEveryFile) {
  ASSERT_TRUE(ensure_certificates(options()));
  auto names = fs::list_dir(path("pki"));
  ASSERT_TRUE(names);
  EXPECT_EQ(names->size(), 12u) << "5 certificates with keys, sa.key and sa.pub";
  std::vector<std::string> before;
  for (const auto& n : *names) before.push_back(read(file(n)));
  for (const auto& r : certificate_table()) EXPECT_EQ(ensure(r.name, options()), Outcome::kKept) << r.name;
  EXPECT_EQ(*ensure_service_account_keys(options()), Outcome::kKept);
  for (std::size_t i = 0; i < names->size(); ++i) EXPECT_EQ(read(file((*names)[i])), before[i]) << (*names)[i];
}

TEST_P(CertificateSetTest, ALeafIsIssuedAgainWhenItNoLongerServes) {
  auto o = options();
  ASSERT_TRUE(ensure_certificates(o));
  const std::string ca = read(file("ca.crt"));

  o.extra_sans.push_back("one.more.example");
  EXPECT_EQ(ensure("apiserver", o), Outcome::kCreated) << "a name is missing";
  EXPECT_TRUE(contains(openssl({"x509", "-in", file("apiserver.crt"), "-noout", "-checkhost", "one.more.example"}),
                       "does match"));
  EXPECT_EQ(ensure("apiserver", o), Outcome::kKept);
  EXPECT_EQ(ensure("apiserver", options()), Outcome::kKept) << "a name too many does no harm";

  auto brief = o;
  brief.validity = std::chrono::hours(2);
  ASSERT_TRUE(fs::remove_file(file("apiserver.crt")));
  EXPECT_EQ(ensure("apiserver", brief), Outcome::kCreated) << "the certificate is missing";
  EXPECT_EQ(ensure("apiserver", o), Outcome::kCreated) << "it ends within a day";

  ASSERT_TRUE(fs::write_file(file("apiserver.key"), PrivateKey::generate(GetParam()).pem(), 0600));
  EXPECT_EQ(ensure("apiserver", o), Outcome::kCreated) << "the key is another one's";
  ASSERT_TRUE(fs::write_file(file("apiserver.crt"), "no PEM at all"));
  EXPECT_EQ(ensure("apiserver", o), Outcome::kCreated) << "it cannot be read";

  // The certificate of another client under this name is not this row's.
  ASSERT_TRUE(fs::copy_file(file("apiserver.crt"), file("apiserver-kubelet-client.crt")));
  ASSERT_TRUE(fs::copy_file(file("apiserver.key"), file("apiserver-kubelet-client.key"), 0600));
  EXPECT_EQ(ensure("apiserver-kubelet-client", o), Outcome::kCreated);
  EXPECT_TRUE(contains(text_of("apiserver-kubelet-client"), "O=kubeadm:cluster-admins"));

  // Signed by a CA that is gone.
  auto other = Authority::create("kubernetes", std::chrono::hours(24 * 30), GetParam());
  ASSERT_TRUE(fs::write_file(file("ca.crt"), other.certificate_pem()));
  ASSERT_TRUE(fs::write_file(file("ca.key"), other.key_pem(), 0600));
  EXPECT_EQ(ensure("ca", o), Outcome::kKept) << "a CA is never replaced";
  EXPECT_EQ(ensure("apiserver", o), Outcome::kCreated);
  EXPECT_TRUE(signed_by(read(file("apiserver.crt")), other.certificate_pem()));
  EXPECT_FALSE(signed_by(read(file("apiserver.crt")), ca));
}

TEST_P(CertificateSetTest, ACaIsNeverLost) {
  ASSERT_TRUE(ensure_certificates(options()));
  const std::string certificate = read(file("ca.crt")), key = read(file("ca.key"));

  ASSERT_TRUE(fs::remove_file(file("ca.key")));
  auto without_key = ensure_certificate(row("ca"), options());
  ASSERT_FALSE(without_key);
  EXPECT_EQ(without_key.error().code, Code::kInvalid);
  EXPECT_TRUE(contains(without_key.error().text(), file("ca.key"))) << without_key.error().text();
  EXPECT_EQ(read(file("ca.crt")), certificate);
  auto leaf = ensure_certificate(row("apiserver"), options());
  ASSERT_FALSE(leaf) << "nothing can be issued";
  EXPECT_TRUE(fs::exists(file("apiserver.crt")));

  ASSERT_TRUE(fs::write_file(file("ca.key"), PrivateKey::generate(GetParam()).pem(), 0600));
  auto wrong_key = ensure_certificate(row("ca"), options());
  ASSERT_FALSE(wrong_key);
  EXPECT_TRUE(contains(wrong_key.error().message, file("ca.crt"))) << wrong_key.error().message;
  EXPECT_EQ(read(file("ca.crt")), certificate);

  // A run that ended between the key and the certificate is completed with that key.
  ASSERT_TRUE(fs::write_file(file("ca.key"), key, 0600));
  ASSERT_TRUE(fs::remove_file(file("ca.crt")));
  EXPECT_EQ(ensure("ca", options()), Outcome::kCreated);
  EXPECT_EQ(read(file("ca.key")), key);
  EXPECT_EQ(*pin(read(file("ca.crt"))), *pin(certificate));
  EXPECT_TRUE(openssl_accepts({"verify", "-CAfile", file("ca.crt"), file("apiserver.crt")}))
      << "what the key signed stays valid";

  ASSERT_TRUE(fs::remove_file(file("ca.crt")));
  ASSERT_TRUE(fs::write_file(file("ca.key"), "garbage", 0600));
  EXPECT_FALSE(ensure_certificate(row("ca"), options()));
  EXPECT_EQ(read(file("ca.key")), "garbage") << "left for the person to look at";
}

TEST_P(CertificateSetTest, ServiceAccountKeys) {
  ASSERT_EQ(*ensure_service_account_keys(options()), Outcome::kCreated);
  EXPECT_EQ(mode_of(file("sa.key")), 0600u);
  EXPECT_EQ(openssl({"pkey", "-in", file("sa.key"), "-pubout"}), read(file("sa.pub")));
  const std::string key = read(file("sa.key"));
  ASSERT_TRUE(fs::remove_file(file("sa.pub")));
  EXPECT_EQ(*ensure_service_account_keys(options()), Outcome::kKept);
  EXPECT_EQ(read(file("sa.key")), key);
  EXPECT_EQ(openssl({"pkey", "-in", file("sa.key"), "-pubout"}), read(file("sa.pub")));
  ASSERT_TRUE(fs::write_file(file("sa.key"), "garbage", 0600));
  auto bad = ensure_service_account_keys(options());
  ASSERT_FALSE(bad);
  EXPECT_TRUE(contains(bad.error().message, file("sa.key")));
  EXPECT_EQ(read(file("sa.key")), "garbage");
}

}  // namespace
}  // namespace lab::pki
