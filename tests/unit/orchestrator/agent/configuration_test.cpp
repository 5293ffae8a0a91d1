// KubeletConfiguration to the agent's options: what is taken, what is refused by name, what is passed over.
#include "orchestrator/agent/configuration.h"

#include <gtest/gtest.h>

#include "base/yaml/yaml.h"

namespace lab::agent {
namespace {

using namespace std::chrono_literals;

AgentOptions taken(const char* text, std::vector<std::string>* notes = nullptr) {
  AgentOptions o;
  auto done = apply_configuration(*yaml::parse(text), o, notes);
  EXPECT_TRUE(done) << done.error().text();
  return o;
}

std::string refused(const char* text) {
  AgentOptions o;
  auto done = apply_configuration(*yaml::parse(text), o);
  EXPECT_FALSE(done) << text;
  return done ? "" : done.error().message;
}

TEST(Configuration, FieldsBecomeOptions) {
  const auto o = taken(R"(
maxPods: 30
podPidsLimit: 64
evictionHard: {memory.available: 200Mi, nodefs.available: 7%, nodefs.inodesFree: 3%, pid.available: "50"}
systemReserved: {cpu: 200m, memory: 1Gi, ephemeral-storage: 2Gi}
kubeReserved: {cpu: 300m, memory: 512Mi}
imageGCHighThresholdPercent: 70
imageGCLowThresholdPercent: 60
imageMinimumGCAge: 1h0m0s
containerLogMaxSize: 1Mi
containerLogMaxFiles: 3
serializeImagePulls: true
registerWithTaints: [{key: dedicated, value: class, effect: NoSchedule}]
staticPodPath: /etc/pods
resolvConf: /run/resolv.conf
syncFrequency: 30s
fileCheckFrequency: 5s
nodeStatusUpdateFrequency: 7s
nodeStatusReportFrequency: 1m0s
providerID: here
port: 10260
address: 127.0.0.1
)");
  EXPECT_EQ(o.max_pods, 30);
  EXPECT_EQ(o.pod_pids_limit, 64);
  EXPECT_EQ(o.eviction_memory_bytes, 200 << 20);
  EXPECT_EQ(o.eviction_disk_percent, 7);
  EXPECT_EQ(o.eviction_inodes_percent, 3);
  EXPECT_EQ(o.eviction_pids, 50);
  EXPECT_EQ(o.allocatable_cpu_reserved, "500m");
  EXPECT_EQ(o.allocatable_memory_reserved, "1536Mi");
  EXPECT_EQ(o.allocatable_storage_reserved, "2Gi");
  EXPECT_EQ(o.image_gc_high_percent, 70);
  EXPECT_EQ(o.image_gc_low_percent, 60);
  EXPECT_EQ(o.image_gc_min_age, 1h);
  EXPECT_EQ(o.log_max_bytes, 1 << 20);
  EXPECT_EQ(o.log_max_files, 3);
  EXPECT_EQ(o.max_parallel_pulls, 1);
  ASSERT_EQ(o.register_taints.size(), 1u);
  EXPECT_EQ(o.register_taints[0].key + "=" + o.register_taints[0].value + ":" + o.register_taints[0].effect,
            "dedicated=class:NoSchedule");
  EXPECT_EQ(o.static_pod_path, "/etc/pods");
  EXPECT_EQ(o.resolv_conf, "/run/resolv.conf");
  EXPECT_EQ(o.volume_refresh_interval, 30s);
  EXPECT_EQ(o.manifest_interval, 5s);
  EXPECT_EQ(o.node_status_interval, 7s);
  EXPECT_EQ(o.node_status_report_interval, 1min);
  EXPECT_EQ(o.provider_id, "here");
  EXPECT_EQ(o.port, 10260);
  EXPECT_EQ(o.listen_address, "127.0.0.1");
}

TEST(Configuration, WhatIsNotSaidStays) {
  const AgentOptions before;
  const auto o = taken("kind: KubeletConfiguration\nsyncFrequency: 0s\nimageMinimumGCAge: 0s\nstaticPodPath: \"\"\n");
  EXPECT_EQ(o.volume_refresh_interval, before.volume_refresh_interval) << "zero means the default";
  EXPECT_EQ(o.image_gc_min_age, before.image_gc_min_age);
  EXPECT_EQ(o.static_pod_path, before.static_pod_path);
  EXPECT_EQ(o.max_pods, before.max_pods);
  EXPECT_EQ(o.max_parallel_pulls, 0);
}

TEST(Configuration, AThresholdIsAPercentageOrAQuantity) {
  const auto o = taken("evictionHard: {nodefs.available: 1Gi, memory.available: 0%}");
  EXPECT_EQ(o.eviction_disk_bytes, 1 << 30);
  EXPECT_EQ(o.eviction_disk_percent, 0);
  EXPECT_EQ(o.eviction_memory_bytes, 0);
}

TEST(Configuration, WhatIsWrongIsNamed) {
  struct Row {
    const char *text, *said;
  };
  for (const auto& row :
       {Row{"maxPods: -1", "maxPods: -1 is not a number from 0"}, Row{"maxPods: many", "maxPods: \"many\""},
        Row{"evictionHard: {memory.available: much}", "evictionHard: memory.available: \"much\""},
        Row{"evictionHard: {nodefs.available: 120%}", "is no percentage"},
        Row{"systemReserved: {cpu: -1}", "systemReserved: cpu"},
        Row{"imageGCHighThresholdPercent: 50", "is not below imageGCHighThresholdPercent, 50"},
        Row{"containerLogMaxFiles: 1", "containerLogMaxFiles"},
        Row{"containerLogMaxSize: nothing", "containerLogMaxSize"},
        Row{"{serializeImagePulls: true, maxParallelImagePulls: 4}", "maxParallelImagePulls: 4"},
        Row{"registerWithTaints: [{key: a, effect: Never}]", "registerWithTaints"},
        Row{"syncFrequency: soon", "syncFrequency: \"soon\" is no duration"}})
    EXPECT_NE(refused(row.text).find(row.said), std::string::npos) << row.text << ": " << refused(row.text);
}

TEST(Configuration, WhatHasNoEffectInsideAFieldIsNoted) {
  std::vector<std::string> notes;
  taken("{evictionHard: {imagefs.available: 15%}, kubeReserved: {pid: \"100\"}}", &notes);
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_TRUE(notes[0].starts_with("evictionHard: imagefs.available has no effect")) << notes[0];
  EXPECT_TRUE(notes[1].starts_with("kubeReserved: pid has no effect")) << notes[1];
}

}  // namespace
}  // namespace lab::agent
