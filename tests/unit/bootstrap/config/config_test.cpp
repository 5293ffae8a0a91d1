// kubeadm's configuration files: every documented field is read, every mistake is named by line and column.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/fs.h"
#include "base/yaml/locate.h"
#include "base/yaml/yaml.h"
#include "bootstrap/config/defaults.h"
#include "bootstrap/config/fields.h"
#include "bootstrap/config/file.h"
#include "bootstrap/config/migrate.h"

namespace lab::bootstrap::config {
namespace {

std::string data(const std::string& name) {
  auto text = fs::read_file(fs::join(LAB_SOURCE_DIR, "tests/unit/bootstrap/config/data/" + name));
  return text ? *text : "";
}

bool mentions(const std::vector<std::string>& lines, std::string_view text) {
  for (const auto& l : lines)
    if (l.find(text) != std::string::npos) return true;
  return false;
}

std::string error_of(std::string_view text) {
  auto r = parse_file(text, "f.yaml");
  return r ? "it was accepted" : r.error().message;
}

constexpr std::string_view kInitHead = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n";
constexpr std::string_view kClusterHead = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n";

TEST(KubeadmConfig, ExamplesAreAccepted) {
  for (const char* name : {"init-v1beta4.yaml", "join-v1beta4.yaml", "reset-v1beta4.yaml", "upgrade-v1beta4.yaml",
                           "init-v1beta3.yaml", "join-v1beta3.yaml"}) {
    auto file = parse_file(data(name), name);
    EXPECT_TRUE(file) << name << ": " << file.error().message;
  }
}

// "/taints/0/key" as "/taints/*/key": items of lists stand for one another.
std::string general(const std::string& pointer) {
  std::string out;
  for (std::size_t i = 0; i < pointer.size();) {
    auto end = std::min(pointer.find('/', i + 1), pointer.size());
    const std::string step = pointer.substr(i, end - i);
    out += step.find_first_not_of("/0123456789") == std::string::npos ? "/*" : step;
    i = end;
  }
  return out;
}

// Every row of the table stands in the example of its version, so that none of the documented fields is forgotten.
void find_all(const Fields& fields, const std::set<std::string>& places, const std::string& pointer, unsigned version,
              const char* name) {
  for (const auto& f : fields.rows) {
    if (!(f.versions & version)) continue;
    std::string own = pointer + "/" + std::string(f.name);
    EXPECT_TRUE(places.contains(own)) << name << " lacks " << own;
    if (f.kind == Kind::kObjects) own += "/*";
    // An example of an empty list says nothing of the items; another one does.
    if (f.of && (f.kind == Kind::kObject || places.contains(own))) find_all(*f.of, places, own, version, name);
  }
}

TEST(KubeadmConfig, ExamplesHoldEveryDocumentedField) {
  for (const auto& [name, version] : {std::pair{"init-v1beta4.yaml", kV1beta4},
                                      {"join-v1beta4.yaml", kV1beta4},
                                      {"reset-v1beta4.yaml", kV1beta4},
                                      {"upgrade-v1beta4.yaml", kV1beta4},
                                      {"init-v1beta3.yaml", kV1beta3},
                                      {"join-v1beta3.yaml", kV1beta3}}) {
    auto documents = yaml::parse_located(data(name));
    ASSERT_TRUE(documents) << name;
    for (const auto& d : *documents) {
      std::set<std::string> places;
      for (const auto& [pointer, place] : d.places) places.insert(general(pointer));
      if (const auto* document = find_document(json::str(d.value, "kind")))
        find_all(*document->fields, places, "", version, name);
    }
  }
}

TEST(KubeadmConfig, UnknownFieldsAreNamedByLineAndColumn) {
  const auto said =
      error_of(std::string(kClusterHead) + "networking:\n  podSubent: 10.0.0.0/8\n  dnsDomain: x\nnetwork: {}\n");
  EXPECT_NE(said.find("f.yaml, line 4, column 3: unknown field \"networking.podSubent\"; did you mean \"podSubnet\"?"),
            said.npos)
      << said;
  EXPECT_NE(said.find("f.yaml, line 6, column 1: unknown field \"network\""), said.npos) << said;
  const auto in_list =
      error_of(std::string(kInitHead) + "nodeRegistration:\n  taints:\n  - key: a\n    efect: NoSchedule\n");
  EXPECT_NE(in_list.find("line 6, column 5: unknown field \"nodeRegistration.taints[0].efect\""), in_list.npos)
      << in_list;
  const auto second =
      error_of(std::string(kInitHead) + "---\n" + std::string(kClusterHead) + "dns:\n  tpye: CoreDNS\n");
  EXPECT_NE(second.find("line 7, column 3: unknown field \"dns.tpye\"; DNS has: imageRepository, imageTag, disabled"),
            second.npos)
      << second;
}

TEST(KubeadmConfig, FieldsOfTheOtherVersionAreToldApart) {
  EXPECT_NE(error_of(std::string(kClusterHead) + "apiServer:\n  timeoutForControlPlane: 4m\n")
                .find("it exists in v1beta3 only"),
            std::string::npos);
  EXPECT_NE(error_of("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nencryptionAlgorithm: RSA-2048\n")
                .find("it exists in v1beta4 only"),
            std::string::npos);
  const auto args = error_of(std::string(kClusterHead) + "apiServer:\n  extraArgs:\n    v: \"4\"\n");
  EXPECT_NE(args.find("line 4, column 3: apiServer.extraArgs must be a list of mappings"), args.npos) << args;
}

TEST(KubeadmConfig, ValuesOfTheWrongTypeAreNamed) {
  struct Case {
    std::string text, says;
  };
  for (const auto& c : {
           Case{"localAPIEndpoint:\n  bindPort: \"6443\"\n",
                "line 4, column 3: localAPIEndpoint.bindPort must be a whole number"},
           Case{"nodeRegistration: worker\n", "line 3, column 1: nodeRegistration must be a mapping"},
           Case{"skipPhases: preflight\n", "skipPhases must be a list of texts"},
           Case{"timeouts:\n  discovery: soon\n", "timeouts.discovery must be a duration such as 4m0s"},
           Case{"dryRun: maybe\n", "dryRun must be true or false"},
           Case{"nodeRegistration:\n  name: 17\n", "nodeRegistration.name must be text (quote it)"},
       }) {
    const auto said = error_of(std::string(kInitHead) + c.text);
    EXPECT_NE(said.find(c.says), said.npos) << said;
  }
}

TEST(KubeadmConfig, DocumentsMustSayWhatTheyAre) {
  EXPECT_NE(error_of("kind: InitConfiguration\n").find("kind and apiVersion is mandatory"), std::string::npos);
  EXPECT_NE(error_of("apiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\n").find("v1beta3 and v1beta4 are"),
            std::string::npos);
  EXPECT_NE(
      error_of("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ResetConfiguration\n").find("no kind ResetConfiguration in"),
      std::string::npos);
  EXPECT_NE(error_of(std::string(kInitHead) + "---\n" + std::string(kInitHead)).find("specified twice"),
            std::string::npos);
  EXPECT_NE(error_of("").find("holds no document"), std::string::npos);
  EXPECT_NE(error_of(std::string(kInitHead) + "a: [1\n").find("invalid YAML at line"), std::string::npos);
  EXPECT_NE(error_of(std::string(kInitHead) + "dryRun: true\ndryRun: false\n").find("already set"), std::string::npos);
}

TEST(KubeadmConfig, WhatHasNoEffectIsSaid) {
  auto file = parse_file(data("init-v1beta4.yaml"), "f");
  ASSERT_TRUE(file);
  for (const char* text :
       {"imageRepository has no effect: images travel with the program",
        "nodeRegistration.kubeletExtraArgs: v has no effect", "featureGates has no effect",
        "apiServer.extraArgs: authorization-mode has no effect", "patches.directory has no effect",
        "ignored the document kubeproxy.config.k8s.io"})
    EXPECT_TRUE(mentions(file->warnings, text)) << text;
  for (const char* text :
       {"node-ip has no effect", "default-not-ready-toleration-seconds has no effect",
        "node-monitor-grace-period has no effect", "KubeletConfiguration's clusterDNS", "podSubnet", "certSANs"})
    EXPECT_FALSE(mentions(file->warnings, text)) << text;
  auto old = parse_file(data("init-v1beta3.yaml"), "f");
  ASSERT_TRUE(old);
  EXPECT_TRUE(mentions(old->warnings, "v1beta3 is deprecated"));
}

TEST(KubeadmConfig, EachFieldOfTheKubeletIsTakenOrNamed) {
  const std::string head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
  auto file = parse_file(head + "maxPods: 30\nevictionHard: {memory.available: 5%}\nshutdownGracePeriod: 30s\n" +
                             "cpuManagerPolicy: static\nfailSwapOn: true\nmaxPodz: 3\n",
                         "f");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->warnings.size(), 4u);
  for (const char* text :
       {"f, line 5, column 1: KubeletConfiguration's shutdownGracePeriod has no effect: pods are not ended",
        "KubeletConfiguration's cpuManagerPolicy has no effect", "KubeletConfiguration's failSwapOn has no effect: swap",
        "maxPodz is unknown here and has no effect; did you mean \"maxPods\"?"})
    EXPECT_TRUE(mentions(file->warnings, text)) << text;
  // What kubeadm itself writes for a kubelet needs no mention.
  auto usual = parse_file(head +
                              "cgroupDriver: systemd\nfailSwapOn: false\nrotateCertificates: true\ncpuManagerPolicy: none\n"
                              "shutdownGracePeriod: 0s\nsyncFrequency: 0s\nhealthzPort: 10248\nmemorySwap: {}\n"
                              "authorization: {mode: Webhook, webhook: {cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s}}\n",
                          "f");
  ASSERT_TRUE(usual) << usual.error().message;
  EXPECT_TRUE(usual->warnings.empty()) << usual->warnings[0];
  auto wrong = parse_file(head + "maxPods: \"30\"\nevictionHard: [a]\n", "f");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("KubeletConfiguration's maxPods must be a whole number"), std::string::npos)
      << wrong.error().message;
  EXPECT_NE(wrong.error().message.find("evictionHard must be a mapping"), std::string::npos) << wrong.error().message;
}

TEST(KubeadmConfig, OldDocumentsAreReadInTheNewForm) {
  auto file = parse_file(data("init-v1beta3.yaml"), "f");
  ASSERT_TRUE(file);
  const auto& init = file->document("InitConfiguration");
  EXPECT_EQ(json::str(init, "apiVersion"), "kubeadm.k8s.io/v1beta4");
  EXPECT_EQ(extra_arg(json::at(init, "nodeRegistration", "kubeletExtraArgs"), "node-ip"), "10.100.0.1");
  EXPECT_EQ(json::str(init, "timeouts", "controlPlaneComponentHealthCheck"), "4m0s");
  const auto& cluster = file->document("ClusterConfiguration");
  EXPECT_EQ(extra_arg(json::at(cluster, "apiServer", "extraArgs"), "audit-log-maxage"), "30");
  EXPECT_FALSE(json::has(cluster, "apiServer", "timeoutForControlPlane"));
  EXPECT_EQ(extra_arg(json::at(cluster, "etcd", "local", "extraArgs"), "listen-client-urls"), "http://10.100.0.1:2379");
  auto join = parse_file(data("join-v1beta3.yaml"), "f");
  ASSERT_TRUE(join);
  EXPECT_EQ(seconds_of(json::at(join->document("JoinConfiguration"), "timeouts", "discovery"), std::chrono::seconds(0))
                .count(),
            90);
}

TEST(KubeadmConfig, MigratedFilesAreValidAndMeanTheSame) {
  for (const char* name : {"init-v1beta3.yaml", "join-v1beta3.yaml"}) {
    auto text = migrate_text(data(name), name);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(text->find("v1beta3"), std::string::npos) << *text;
    auto before = parse_file(data(name), name), after = parse_file(*text, name);
    ASSERT_TRUE(after) << after.error().message << "\n" << *text;
    EXPECT_EQ(before->documents, after->documents) << name;
    EXPECT_FALSE(mentions(after->warnings, "deprecated"));
    EXPECT_EQ(*migrate_text(*text, name), *text) << "migrating again changes nothing";
  }
  EXPECT_FALSE(migrate_text("apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\nnothing: 1\n", "f"));
}

TEST(KubeadmConfig, TheTimeoutOfAClusterAloneMakesAnInitDocument) {
  auto text = migrate_text(
      "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\napiServer:\n  timeoutForControlPlane: 2m0s\n",
      "f");
  ASSERT_TRUE(text);
  EXPECT_EQ(*text,
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ntimeouts:\n  "
            "controlPlaneComponentHealthCheck: 2m0s\n"
            "---\napiServer: {}\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n");
}

TEST(KubeadmConfig, PrintedDefaultsAreValid) {
  for (const auto& documents : {init_defaults(), join_defaults(), reset_defaults(), upgrade_defaults()}) {
    const auto text = documents_text(documents);
    auto file = parse_file(text, "defaults");
    ASSERT_TRUE(file) << file.error().message;
    for (const auto& d : documents) EXPECT_EQ(file->document(json::str(d, "kind")), d);
  }
  EXPECT_TRUE(component_defaults("KubeletConfiguration"));
  EXPECT_FALSE(component_defaults("Nothing"));
}

}  // namespace
}  // namespace lab::bootstrap::config
