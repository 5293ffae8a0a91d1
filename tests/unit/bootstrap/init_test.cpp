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
           Case{"phase to skip", [](InitOptions& o) { o.run.skip = {"certs/nothing"}; },
                "invalid phase name: certs/nothing"},
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

// What is chosen for the pod network reaches this master's overlay, its manifest, and those who join.
TEST(Init, ThePodNetworkIsChosenForAllNodes) {
  auto options = good();
  EXPECT_EQ(overlay_choice(options), OverlayChoice{});
  EXPECT_TRUE(overlay_choice(options).flags().empty());
  EXPECT_TRUE(overlay_choice(options).encode().empty());
  options.encrypt = true;
  options.ipam = "ring";
  const auto choice = overlay_choice(options);
  EXPECT_EQ(choice.flags(),
            (std::vector<std::string>{"--encryption", "--ipam", "ring", "--ipam-founders", "master-1"}));
  EXPECT_EQ(OverlayChoice::decode(choice.encode()), choice);
  auto two = choice;
  two.founders.push_back("master-2");
  EXPECT_EQ(OverlayChoice::decode(two.encode()), two);
  EXPECT_EQ(OverlayChoice::decode(json::Object{{"overlay-ipam", "unheard-of"}}), OverlayChoice{});
  EXPECT_EQ(OverlayChoice::decode(json::null_value()), OverlayChoice{});
}

TEST(Init, TheManifestHoldsAPasswordOfItsOwnThatStays) {
  const std::string form =
      "stringData:\n  password: \"@PASSWORD@\"\n  command: [\"@LAB_BINARY@\", \"@POD_CIDR@\"@MORE_FLAGS@]\n";
  auto password_of = [](const std::string& text) { return text.substr(text.find('"') + 1, 64); };
  auto options = good();
  const auto first = overlay_manifest(form, options, "/usr/bin/lab", "");
  EXPECT_EQ(first.find('@'), std::string::npos) << first;
  EXPECT_NE(first.find("[\"/usr/bin/lab\", \"10.244.0.0/16\"]"), std::string::npos) << first;
  EXPECT_EQ(password_of(first).find_first_not_of("0123456789abcdef"), std::string::npos) << first;
  EXPECT_EQ(overlay_manifest(form, options, "/usr/bin/lab", first), first);
  EXPECT_NE(overlay_manifest(form, options, "/usr/bin/lab", ""), first) << "two clusters have two passwords";
  EXPECT_NE(password_of(overlay_manifest(form, options, "/usr/bin/lab", "\n  password: \"@PASSWORD@\"\n")),
            "@PASSWORD@");
  options.encrypt = true;
  EXPECT_NE(overlay_manifest(form, options, "/usr/bin/lab", first).find("\"10.244.0.0/16\", \"--encryption\"]"),
            std::string::npos);
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
