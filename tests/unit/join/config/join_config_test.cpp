// JoinConfiguration as options of join, and when a node asks for its next certificate.
#include <gtest/gtest.h>

#include <set>

#include "base/fs.h"
#include "join/from_config.h"
#include "pki/rotation.h"

namespace lab::join {
namespace {

using bootstrap::config::parse_file;

constexpr const char* kHead = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n";

TEST(JoinConfig, EveryFieldThatActsReachesJoin) {
  auto file =
      bootstrap::config::read_file(fs::join(LAB_SOURCE_DIR, "tests/unit/bootstrap/config/data/join-v1beta4.yaml"));
  ASSERT_TRUE(file) << file.error().text();
  file->documents["JoinConfiguration"].as_object()["discovery"].as_object().erase("file");
  JoinOptions o;
  auto r = apply_config(*file, o);
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(o.endpoint, "kube-apiserver:6443");
  EXPECT_EQ(o.token, "abcdef.0123456789abcdef");
  EXPECT_EQ(o.tls_token, "fedcba.0123456789abcdef");
  EXPECT_EQ(o.ca_pins.size(), 1u);
  EXPECT_EQ(o.node_name, "worker-7");
  EXPECT_EQ(o.cri_socket, "unix:///run/crio/crio.sock");
  EXPECT_TRUE(o.run.dry_run);
  EXPECT_TRUE(o.control_plane);
  EXPECT_EQ(o.run.skip, std::vector<std::string>{"preflight"});
  EXPECT_EQ(o.discovery_timeout.count(), 15);
  EXPECT_EQ(o.tls_bootstrap_timeout.count(), 45);
}

TEST(JoinConfig, DiscoveryIsByTokenOrByFile) {
  auto said = [](const std::string& text, JoinOptions o = {}) {
    auto file = parse_file(std::string(kHead) + text, "f");
    if (!file) return file.error().message;
    auto r = apply_config(*file, o);
    return r ? std::string() : r.error().message;
  };
  EXPECT_NE(said("discovery: {}\n").find("must be given"), std::string::npos);
  EXPECT_NE(said("discovery: {bootstrapToken: {}, file: {}}\n").find("both given"), std::string::npos);
  EXPECT_EQ(said("discovery: {file: {kubeConfigPath: /x}, tlsBootstrapToken: abcdef.0123456789abcdef}\n"), "");
  EXPECT_NE(said("discovery: {bootstrapToken: {apiServerEndpoint: \"a:6443\"}}\n", {.endpoint = "b:6443"})
                .find("a:6443 in the file"),
            std::string::npos);
}

TEST(Rotation, IsDueBetweenSeventyAndNinetyPercent) {
  const auto begin = std::chrono::system_clock::now(), end = begin + std::chrono::hours(100);
  std::set<pki::WallTime> times;
  for (int i = 0; i < 50; ++i) {
    const auto at = pki::rotation_time(begin, end, "node-" + std::to_string(i));
    EXPECT_GE(at, begin + std::chrono::hours(70));
    EXPECT_LE(at, begin + std::chrono::hours(90));
    times.insert(at);
  }
  EXPECT_GT(times.size(), 5u) << "nodes do not come all at once";
  EXPECT_EQ(pki::rotation_time(begin, end, "a"), pki::rotation_time(begin, end, "a"));
}

}  // namespace
}  // namespace lab::join
