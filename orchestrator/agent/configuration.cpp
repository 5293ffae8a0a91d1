#include "orchestrator/agent/configuration.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "orchestrator/agent/machine.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

namespace {

constexpr std::int64_t kMostPods = 1'000'000;
constexpr const char* kEffects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};

Failure wrong(const std::string& field, const std::string& why) {
  return fail(Code::kInvalid, "KubeletConfiguration: " + field + ": " + why);
}

template <class Number>
Result<void> take_number(const json::Value& v, const char* name, std::int64_t least, std::int64_t most, Number& out) {
  const auto& field = json::at(v, name);
  if (field.is_null()) return {};
  const std::int64_t n = json::as_int(field, least - 1);
  if (n < least || n > most)
    return wrong(name,
                 json::dump(field) + " is not a number from " + std::to_string(least) + " to " + std::to_string(most));
  out = static_cast<Number>(n);
  return {};
}

// Zero means the default, as the kubelet has it.
Result<void> take_duration(const json::Value& v, const char* name, Duration& out) {
  const auto& field = json::at(v, name);
  if (field.is_null()) return {};
  auto given = api::parse_duration(json::as_str(field));
  if (!given || given->count() < 0) return wrong(name, json::dump(field) + " is no duration; as in 1m0s");
  if (given->count() > 0) out = std::chrono::duration_cast<Duration>(*given);
  return {};
}

void take_text(const json::Value& v, const char* name, std::string& out) {
  if (const auto text = json::str(v, name); !text.empty()) out = text;
}

Result<std::int64_t> bytes_of(const std::string& field, std::string_view text) {
  auto q = api::Quantity::parse(text);
  if (!q || q->value() < 0) return wrong(field, "\"" + std::string(text) + "\" is no quantity; as in 100Mi");
  return q->value();
}

// "10%" as a percentage, else a quantity.
struct Threshold {
  std::optional<double> percent;
  std::int64_t amount = 0;
};
Result<Threshold> threshold_of(const std::string& field, const std::string& text) {
  if (!text.ends_with('%')) {
    LAB_TRY(auto amount, bytes_of(field, text));
    return Threshold{.amount = amount};
  }
  char* end = nullptr;
  const double percent = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() - 1 || percent < 0 || percent > 100)
    return wrong(field, "\"" + text + "\" is no percentage from 0% to 100%");
  return Threshold{.percent = percent};
}

Result<void> take_eviction(const std::string& signal, const Threshold& t, AgentOptions& o, bool& taken) {
  taken = true;
  if (signal == "memory.available") {
    o.eviction_memory_bytes =
        t.percent ? static_cast<std::int64_t>(static_cast<double>(read_memory().total) / 100 * *t.percent) : t.amount;
  } else if (signal == "nodefs.available") {
    o.eviction_disk_percent = static_cast<int>(t.percent.value_or(0));
    o.eviction_disk_bytes = t.percent ? 0 : t.amount;
  } else if (signal == "nodefs.inodesFree") {
    if (!t.percent) return wrong("evictionHard: " + signal, "only a percentage is taken; as in 5%");
    o.eviction_inodes_percent = static_cast<int>(*t.percent);
  } else if (signal == "pid.available") {
    o.eviction_pids =
        t.percent ? static_cast<std::int64_t>(static_cast<double>(read_pids().max) / 100 * *t.percent) : t.amount;
  } else {
    taken = false;
  }
  return {};
}

Result<void> take_evictions(const json::Value& v, AgentOptions& o, std::vector<std::string>& notes) {
  for (const auto& [key, value] : json::map(v, "evictionHard")) {
    const std::string signal(key);
    LAB_TRY(auto threshold, threshold_of("evictionHard: " + signal, std::string(json::as_str(value))));
    bool taken = false;
    LAB_CHECK(take_eviction(signal, threshold, o, taken));
    if (!taken)
      notes.push_back("evictionHard: " + signal +
                      " has no effect: looked at are memory.available, nodefs.available, nodefs.inodesFree and "
                      "pid.available");
  }
  return {};
}

struct Reserved {
  api::Quantity cpu, memory, storage;
};

Result<void> add_reserved(const json::Value& v, const char* field, Reserved& out, std::vector<std::string>& notes) {
  for (const auto& [key, value] : json::map(v, field)) {
    const std::string resource(key), where = std::string(field) + ": " + resource;
    auto q = api::Quantity::parse(json::as_str(value));
    if (!q || *q < api::Quantity()) return wrong(where, json::dump(value) + " is no quantity; as in 500m or 1Gi");
    if (resource == "cpu")
      out.cpu = out.cpu + *q;
    else if (resource == "memory")
      out.memory = out.memory + *q;
    else if (resource == "ephemeral-storage")
      out.storage = out.storage + *q;
    else
      notes.push_back(where + " has no effect: reserved are cpu, memory and ephemeral-storage");
  }
  return {};
}

Result<void> take_reserved(const json::Value& v, AgentOptions& o, std::vector<std::string>& notes) {
  Reserved sum;
  for (const char* field : {"systemReserved", "kubeReserved"}) LAB_CHECK(add_reserved(v, field, sum, notes));
  if (!sum.cpu.is_zero()) o.allocatable_cpu_reserved = sum.cpu.canonical();
  if (!sum.memory.is_zero()) o.allocatable_memory_reserved = sum.memory.canonical();
  if (!sum.storage.is_zero()) o.allocatable_storage_reserved = sum.storage.canonical();
  return {};
}

Result<void> take_taints(const json::Value& v, AgentOptions& o) {
  for (const auto& t : json::list(v, "registerWithTaints")) {
    Taint taint{std::string(json::str(t, "key")), std::string(json::str(t, "value")),
                std::string(json::str(t, "effect"))};
    if (taint.key.empty() || std::ranges::find(kEffects, taint.effect) == std::end(kEffects))
      return wrong("registerWithTaints", "each has a key, and an effect of NoSchedule, PreferNoSchedule, NoExecute");
    const bool there = std::ranges::any_of(
        o.register_taints, [&](const Taint& x) { return x.key == taint.key && x.effect == taint.effect; });
    if (!there) o.register_taints.push_back(std::move(taint));
  }
  return {};
}

Result<void> take_images(const json::Value& v, AgentOptions& o) {
  LAB_CHECK(take_number(v, "imageGCHighThresholdPercent", 0, 100, o.image_gc_high_percent));
  LAB_CHECK(take_number(v, "imageGCLowThresholdPercent", 0, 100, o.image_gc_low_percent));
  if (o.image_gc_low_percent >= o.image_gc_high_percent)
    return wrong("imageGCLowThresholdPercent", std::to_string(o.image_gc_low_percent) +
                                                   " is not below imageGCHighThresholdPercent, " +
                                                   std::to_string(o.image_gc_high_percent));
  LAB_CHECK(take_duration(v, "imageMinimumGCAge", o.image_gc_min_age));
  LAB_CHECK(take_number(v, "maxParallelImagePulls", 1, kMostPods, o.max_parallel_pulls));
  if (!json::flag(v, "serializeImagePulls")) return {};
  if (o.max_parallel_pulls > 1)
    return wrong("maxParallelImagePulls", std::to_string(o.max_parallel_pulls) + " with serializeImagePulls true");
  o.max_parallel_pulls = 1;
  return {};
}

Result<void> take_logs(const json::Value& v, AgentOptions& o) {
  LAB_CHECK(take_number(v, "containerLogMaxFiles", 2, 1000, o.log_max_files));
  const auto size = json::str(v, "containerLogMaxSize");
  if (size.empty()) return {};
  LAB_TRY(o.log_max_bytes, bytes_of("containerLogMaxSize", size));
  return o.log_max_bytes > 0 ? Result<void>() : wrong("containerLogMaxSize", "it must be more than nothing");
}

}  // namespace

Result<void> apply_configuration(const json::Value& v, AgentOptions& o, std::vector<std::string>* notes) {
  std::vector<std::string> unread;
  auto& said = notes ? *notes : unread;
  constexpr auto kAny = std::numeric_limits<std::int64_t>::max();
  take_text(v, "address", o.listen_address);
  take_text(v, "providerID", o.provider_id);
  take_text(v, "resolvConf", o.resolv_conf);
  take_text(v, "staticPodPath", o.static_pod_path);
  LAB_CHECK(take_number(v, "port", 1, 65535, o.port));
  LAB_CHECK(take_number(v, "maxPods", 0, kMostPods, o.max_pods));
  LAB_CHECK(take_number(v, "podPidsLimit", -1, kAny, o.pod_pids_limit));
  LAB_CHECK(take_duration(v, "syncFrequency", o.volume_refresh_interval));
  LAB_CHECK(take_duration(v, "fileCheckFrequency", o.manifest_interval));
  LAB_CHECK(take_duration(v, "nodeStatusUpdateFrequency", o.node_status_interval));
  LAB_CHECK(take_duration(v, "nodeStatusReportFrequency", o.node_status_report_interval));
  LAB_CHECK(take_evictions(v, o, said));
  LAB_CHECK(take_reserved(v, o, said));
  LAB_CHECK(take_images(v, o));
  LAB_CHECK(take_logs(v, o));
  return take_taints(v, o);
}

}  // namespace lab::agent
