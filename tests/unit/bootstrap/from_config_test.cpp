// What kubeadm's documents make of init's and reset's options.
#include "bootstrap/init/from_config.h"

#include <gtest/gtest.h>

#include "base/fs.h"

namespace lab::bootstrap {
namespace {

config::File example(const std::string& name) {
  return *config::read_file(fs::join(LAB_SOURCE_DIR, "tests/unit/bootstrap/config/data/" + name));
}

TEST(FromConfig, EveryFieldThatActsReachesInit) {
  auto file = example("init-v1beta4.yaml");
  file.documents["ClusterConfiguration"].as_object()["etcd"].as_object().erase("local");
  InitOptions o;
  auto r = apply_config(file, o);
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(o.node_name, "ec2-10-100-0-1");
  EXPECT_EQ(o.advertise_address, "10.100.0.1");
  EXPECT_EQ(o.node_ip, "10.100.0.1");
  EXPECT_EQ(o.pod_network_cidr, "10.244.0.0/18");
  EXPECT_EQ(o.service_cidr, "10.96.0.0/16");
  EXPECT_EQ(o.control_plane_endpoint, "10.100.0.1:6443");
  EXPECT_EQ(o.cluster_name, "example-cluster");
  EXPECT_EQ(o.certificate_validity, std::chrono::hours(8760));
  EXPECT_EQ(o.extra_sans, (std::vector<std::string>{"10.100.1.1", "ec2-10-100-0-1.compute-1.amazonaws.com"}));
  EXPECT_EQ(o.taints, std::vector<std::string>{"kubeadmNode=someValue:NoSchedule"});
  EXPECT_EQ(o.ignore_preflight, std::vector<std::string>{"IsPrivilegedUser"});
  EXPECT_EQ(o.run.skip, (std::vector<std::string>{"addon/kube-proxy", "addon/proxy"}));
  EXPECT_EQ(o.pod_toleration.count(), 30);
  EXPECT_EQ(o.node_grace.count(), 20);
  EXPECT_EQ(o.control_plane_timeout.count(), 240);
  EXPECT_EQ(o.dns_address, "10.96.0.53");
  EXPECT_EQ(o.store, "etcd=https://10.100.0.1:2379,https://10.100.0.2:2379");
  ASSERT_EQ(o.tokens.size(), 2u);
  EXPECT_EQ(o.tokens[0].token.id, "9a08jv");
  EXPECT_EQ(o.tokens[0].ttl, std::chrono::hours(48));
  EXPECT_EQ(o.tokens[0].description, "for the first workers");
  EXPECT_GT(o.tokens[1].ttl, std::chrono::hours(24 * 365));
}

TEST(FromConfig, TheKubeletsDocumentIsForAllNodes) {
  const std::string kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 30\nclusterDomain: lab.example\n";
  auto file = *config::parse_file("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n---\n" + kubelet, "f");
  InitContext c;
  ASSERT_TRUE(apply_config(file, c.options));
  EXPECT_EQ(c.options.service_dns_domain, "lab.example") << "the name server's, too";
  c.dns_address = "10.96.0.10";
  const auto written = kubelet_configuration(c);
  EXPECT_EQ(json::num(written, "maxPods"), 30);
  EXPECT_EQ(json::str(written, "clusterDomain"), "lab.example");
  EXPECT_EQ(json::as_str(json::list(written, "clusterDNS")[0]), "10.96.0.10");
  EXPECT_EQ(json::str(written, "kind"), "KubeletConfiguration");
  auto two = *config::parse_file("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {dnsDomain: other.example}\n---\n" + kubelet, "f");
  InitOptions o;
  auto refused = apply_config(two, o);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("lab.example"), std::string::npos) << refused.error().message;
}

TEST(FromConfig, FlagsThatMayStandBesideAFileWin) {
  auto file = example("init-v1beta4.yaml");
  file.documents["ClusterConfiguration"].as_object().erase("etcd");
  InitOptions o{.node_name = "mine", .ignore_preflight = {"Swap"}};
  o.run.skip = {"addon"};
  ASSERT_TRUE(apply_config(file, o));
  EXPECT_EQ(o.node_name, "mine");
  EXPECT_EQ(o.ignore_preflight, (std::vector<std::string>{"Swap", "IsPrivilegedUser"}));
  EXPECT_EQ(o.run.skip, (std::vector<std::string>{"addon", "addon/proxy"}));
}

TEST(FromConfig, WhatCannotBeIsRefused) {
  auto refused = [](const std::string& text) {
    auto file = config::parse_file(text, "f");
    if (!file) return std::string("not valid: " + file.error().message);
    InitOptions o;
    auto r = apply_config(*file, o);
    return r ? std::string() : r.error().message;
  };
  const std::string init = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n";
  const std::string cluster = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n";
  EXPECT_NE(refused(init + "bootstrapTokens:\n- token: short\n").find("bootstrap token"), std::string::npos);
  EXPECT_NE(refused(init + "bootstrapTokens:\n- token: abcdef.0123456789abcdef\n  expires: \"2001-01-01T00:00:00Z\"\n")
                .find("has expired"),
            std::string::npos);
  EXPECT_NE(refused(init + "localAPIEndpoint: {bindPort: 70000}\n").find("is no port"), std::string::npos);
  EXPECT_NE(refused(cluster + "encryptionAlgorithm: RSA-4096\n").find("is not offered"), std::string::npos);
  EXPECT_NE(refused(cluster + "certificateValidityPeriod: 10m\n").find("shorter than an hour"), std::string::npos);
  EXPECT_NE(refused(cluster + "etcd:\n  local: {dataDir: /x}\n  external: {endpoints: [a]}\n").find("both given"),
            std::string::npos);
  EXPECT_EQ(refused(init + "nodeRegistration: {taints: []}\n"), "");
}

TEST(FromConfig, EmptyTaintsMeanNone) {
  auto file = config::parse_file(
      "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {taints: []}\n", "f");
  InitContext c;
  EXPECT_EQ(c.node_taints(), std::vector<std::string>{"node-role.kubernetes.io/control-plane:NoSchedule"});
  ASSERT_TRUE(apply_config(*file, c.options));
  EXPECT_EQ(c.node_taints(), std::vector<std::string>());
}

TEST(FromConfig, Reset) {
  auto file = example("reset-v1beta4.yaml");
  ResetOptions o;
  ASSERT_TRUE(apply_config(file, o));
  EXPECT_EQ(o.cert_dir, "/etc/kubernetes/other-pki");
  EXPECT_TRUE(o.cleanup_tmp && o.force && o.run.dry_run);
  EXPECT_EQ(o.run.skip, std::vector<std::string>{"cleanup-node/network"});
  EXPECT_EQ(o.unmount_flags, (std::vector<std::string>{"MNT_DETACH", "MNT_FORCE"}));
  auto init = example("init-v1beta4.yaml");
  EXPECT_FALSE(apply_config(init, o));
}

}  // namespace
}  // namespace lab::bootstrap
