// What init refuses before it writes anything, what it derives, and the join command it prints.
#include "bootstrap/init/init.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "pki/certificate.h"

namespace lab::bootstrap {
namespace {

InitOptions good() {
  return {.advertise_address = "10.1.2.3",
          .node_name = "master-1",
          .cri_socket = "unix:///run/x.sock",
          .token = "abcdef.0123456789abcdef"};
}

Result<void> complete(InitOptions options) {
  InitContext c{.options = std::move(options)};
  return complete_options(c);
}

TEST(Init, DerivesWhatWasNotGiven) {
  InitContext c{.options = good()};
  auto r = complete_options(c);
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(c.service_address, "10.96.0.1");
  EXPECT_EQ(c.dns_address, "10.96.0.10");
  EXPECT_EQ(c.token.id, "abcdef");
  EXPECT_EQ(c.cert_dir(), "/etc/kubernetes/pki");
  EXPECT_EQ(c.server_url(), "https://10.1.2.3:6443");
  c.options.control_plane_endpoint = "api.example";
  EXPECT_EQ(c.server_url(), "https://api.example:6443");
  EXPECT_EQ(c.certificate_options().control_plane_endpoint, "api.example");
  c.options.control_plane_endpoint = "api.example:7443";
  EXPECT_EQ(c.server_url(), "https://api.example:7443");
  EXPECT_EQ(c.certificate_options().control_plane_endpoint, "api.example");
}

TEST(Init, RefusesWhatCouldNotWork) {
  struct Case {
    const char* what;
    void (*change)(InitOptions&);
    const char* says;
  };
  for (const auto& c : {
           Case{"loopback", [](InitOptions& o) { o.advertise_address = "127.0.1.1"; }, "loopback"},
           Case{"no address", [](InitOptions& o) { o.advertise_address = "master"; }, "no IPv4 address"},
           Case{"upper case", [](InitOptions& o) { o.node_name = "Master"; }, "no DNS name"},
           Case{"odd name", [](InitOptions& o) { o.node_name = "a_b"; }, "no DNS name"},
           Case{"ends in a hyphen", [](InitOptions& o) { o.node_name = "a-"; }, "no DNS name"},
           Case{"overlap", [](InitOptions& o) { o.pod_network_cidr = "10.96.128.0/17"; }, "overlap"},
           Case{"overlap the other way", [](InitOptions& o) { o.service_cidr = "10.244.4.0/24"; }, "overlap"},
           Case{"own address in the pods' range", [](InitOptions& o) { o.pod_network_cidr = "10.1.0.0/16"; },
                "--pod-network-cidr"},
           Case{"own address in the services' range", [](InitOptions& o) { o.service_cidr = "10.1.2.0/24"; },
                "--service-cidr"},
           Case{"few services", [](InitOptions& o) { o.service_cidr = "10.96.0.0/29"; }, "too small"},
           Case{"few nodes", [](InitOptions& o) { o.pod_network_cidr = "10.244.0.0/23"; }, "fewer than 4 nodes"},
           Case{"no range", [](InitOptions& o) { o.service_cidr = "10.96.0.0"; }, "no address range"},
           Case{"token", [](InitOptions& o) { o.token = "short"; }, "bootstrap token"},
           Case{"phase to skip", [](InitOptions& o) { o.run.skip = {"certs/nothing"}; }, "invalid phase name: certs/nothing"},
           Case{"phase alone", [](InitOptions& o) { o.run.only = "cert"; }, "invalid phase name: cert"},
       }) {
    auto options = good();
    c.change(options);
    auto r = complete(options);
    ASSERT_FALSE(r) << c.what;
    EXPECT_EQ(r.error().code, Code::kInvalid) << c.what;
    EXPECT_NE(r.error().text().find(c.says), std::string::npos) << c.what << ": " << r.error().text();
  }
}

TEST(Init, PhasesHaveKubeadmsNames) {
  std::vector<std::string> names;
  list_phases(init_phases(), names);
  for (const char* name : {"preflight",
                           "certs",
                           "certs/ca",
                           "certs/apiserver",
                           "certs/apiserver-kubelet-client",
                           "certs/front-proxy-ca",
                           "certs/front-proxy-client",
                           "certs/sa",
                           "kubeconfig/admin",
                           "kubeconfig/super-admin",
                           "kubeconfig/kubelet",
                           "kubeconfig/controller-manager",
                           "kubeconfig/scheduler",
                           "control-plane",
                           "kubelet-start",
                           "wait-control-plane",
                           "upload-config",
                           "mark-control-plane",
                           "bootstrap-token",
                           "addon",
                           "show-join-command"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  // Every certificate of the table has its phase.
  for (const auto& row : pki::certificate_table())
    EXPECT_NE(std::find(names.begin(), names.end(), "certs/" + row.name), names.end()) << row.name;
}

TEST(Init, TheJoinCommandCarriesTokenAndPin) {
  auto ca = pki::Authority::create("kubernetes", std::chrono::hours(1), pki::KeyAlgorithm::kEcdsaP256);
  auto command = join_command("10.1.2.3:6443", ca.certificate_pem(), {"abcdef", "0123456789abcdef"});
  ASSERT_TRUE(command);
  EXPECT_EQ(*command,
            "kubeadm join 10.1.2.3:6443 --token abcdef.0123456789abcdef \\\n\t--discovery-token-ca-cert-hash " +
                *pki::pin(ca.certificate_pem()));
  EXPECT_FALSE(join_command("10.1.2.3:6443", "no certificate", {"abcdef", "0123456789abcdef"}));
}

}  // namespace
}  // namespace lab::bootstrap
