// The certificates of a stacked etcd: kubeadm's files, subjects and uses; openssl checks the chain.
#include "pki/certificate_set.h"
#include "tests/unit/pki/fixture.h"

namespace lab::pki {
namespace {

class EtcdCertificates : public PkiTest {};

TEST_F(EtcdCertificates, ServeBothSidesAndAreKept) {
  CertificateSetOptions options{.directory = path("pki"), .node_name = "master-1", .advertise_address = "10.1.2.3"};
  for (const auto& row : etcd_certificate_table()) {
    EXPECT_EQ(find_certificate(row.name), &row);
    auto made = ensure_certificate(row, options);
    ASSERT_TRUE(made) << row.name << ": " << made.error().text();
    EXPECT_EQ(*made, Outcome::kCreated);
    EXPECT_EQ(ensure_certificate(row, options).value(), Outcome::kKept) << row.name;
  }
  auto inspect_file = [&](const std::string& name) {
    return inspect(fs::read_file(path("pki/" + name + ".crt")).value()).value();
  };
  for (const char* member : {"etcd/server", "etcd/peer"}) {
    auto info = inspect_file(member);
    EXPECT_EQ(info.common_name, "master-1");
    EXPECT_EQ(info.issuer_common_name, "etcd-ca");
    EXPECT_TRUE(info.server_auth && info.client_auth) << member;
    EXPECT_EQ(info.dns_names, (std::vector<std::string>{"master-1", "localhost"}));
    EXPECT_EQ(info.addresses, (std::vector<std::string>{"10.1.2.3", "127.0.0.1", "::1"}));
  }
  for (const auto& [file, name] : {std::pair{"etcd/healthcheck-client", "kube-etcd-healthcheck-client"},
                                   std::pair{"apiserver-etcd-client", "kube-apiserver-etcd-client"}}) {
    auto info = inspect_file(file);
    EXPECT_EQ(info.common_name, name);
    EXPECT_TRUE(info.client_auth && !info.server_auth) << file;
    EXPECT_EQ(info.issuer_common_name, "etcd-ca");
  }
  EXPECT_EQ(find_certificate("etcd/none"), nullptr);
}

}  // namespace
}  // namespace lab::pki
