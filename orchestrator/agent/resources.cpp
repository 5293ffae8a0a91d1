#include "orchestrator/agent/resources.h"

#include <algorithm>

#include "orchestrator/agent/pod.h"
#include "orchestrator/api/quantity.h"

namespace lab::agent {

namespace {

std::optional<std::int64_t> amount(const json::Value& container, std::string_view list, std::string_view what) {
  const auto& v = json::at(container, "resources", list, what);
  std::string text = v.is_string() ? std::string(json::as_str(v)) : v.is_null() ? "" : json::dump(v);
  if (text.empty()) return std::nullopt;
  auto q = api::Quantity::parse(text);
  if (!q) return std::nullopt;
  return what == "cpu" ? q->milli() : q->value();
}

}  // namespace

Amounts limits_of(const json::Value& c) {
  return {amount(c, "limits", "cpu"), amount(c, "limits", "memory")};
}

Amounts requests_of(const json::Value& c) {
  Amounts r{amount(c, "requests", "cpu"), amount(c, "requests", "memory")};
  Amounts l = limits_of(c);  // a limit without a request is the request
  if (!r.cpu_milli) r.cpu_milli = l.cpu_milli;
  if (!r.memory) r.memory = l.memory;
  return r;
}

Qos qos_of(const json::Value& pod) {
  bool any = false, guaranteed = true;
  for (const auto& c : containers_of(pod)) {
    if (c.kind == ContainerRef::kEphemeral) continue;
    Amounts r = requests_of(*c.spec), l = limits_of(*c.spec);
    auto positive = [](const std::optional<std::int64_t>& x) { return x && *x > 0; };
    if (positive(r.cpu_milli) || positive(r.memory)) any = true;
    if (!positive(l.cpu_milli) || !positive(l.memory) || r.cpu_milli != l.cpu_milli || r.memory != l.memory)
      guaranteed = false;
  }
  if (!any) return Qos::kBestEffort;
  return guaranteed ? Qos::kGuaranteed : Qos::kBurstable;
}

std::string_view name_of(Qos qos) {
  return qos == Qos::kGuaranteed ? "Guaranteed" : qos == Qos::kBurstable ? "Burstable" : "BestEffort";
}

std::int64_t cpu_shares(std::int64_t milli) {
  return std::clamp<std::int64_t>(milli * 1024 / 1000, 2, 262144);
}
std::int64_t cpu_weight(std::int64_t shares) {
  return 1 + ((shares - 2) * 9999) / 262142;
}
std::int64_t cpu_quota(std::int64_t milli) {
  return std::max<std::int64_t>(milli * kCpuPeriod / 1000, 1000);
}

cri::Resources container_resources(const json::Value& pod, const json::Value& container, std::int64_t capacity) {
  Amounts r = requests_of(container), l = limits_of(container);
  cri::Resources out;
  out.cpu_shares = cpu_shares(r.cpu_milli.value_or(0));
  if (l.cpu_milli && *l.cpu_milli > 0) {
    out.cpu_period = kCpuPeriod;
    out.cpu_quota = cpu_quota(*l.cpu_milli);
  }
  out.memory_limit = l.memory.value_or(0);
  switch (qos_of(pod)) {
    case Qos::kGuaranteed:
      out.oom_score_adj = -997;
      break;
    case Qos::kBestEffort:
      out.oom_score_adj = 1000;
      break;
    case Qos::kBurstable: {
      std::int64_t asked = r.memory.value_or(0);
      std::int64_t score = capacity > 0 ? 1000 - static_cast<std::int64_t>(__int128(1000) * asked / capacity) : 999;
      out.oom_score_adj = std::clamp<std::int64_t>(score, 3, 999);
      break;
    }
  }
  return out;
}

PodLimits pod_limits(const json::Value& pod) {
  std::int64_t cpu = 0, cpu_limit = 0, memory_limit = 0, init_cpu = 0, init_cpu_limit = 0, init_memory = 0;
  bool all_cpu = true, all_memory = true;
  for (const auto& c : containers_of(pod)) {
    if (c.kind == ContainerRef::kEphemeral) continue;
    Amounts r = requests_of(*c.spec), l = limits_of(*c.spec);
    if (!l.cpu_milli || *l.cpu_milli == 0) all_cpu = false;
    if (!l.memory || *l.memory == 0) all_memory = false;
    if (c.kind == ContainerRef::kInit) {  // runs alone: the largest counts, not the sum
      init_cpu = std::max(init_cpu, r.cpu_milli.value_or(0));
      init_cpu_limit = std::max(init_cpu_limit, l.cpu_milli.value_or(0));
      init_memory = std::max(init_memory, l.memory.value_or(0));
    } else {
      cpu += r.cpu_milli.value_or(0);
      cpu_limit += l.cpu_milli.value_or(0);
      memory_limit += l.memory.value_or(0);
    }
  }
  PodLimits out;
  if (qos_of(pod) == Qos::kBestEffort) return out;
  out.cpu_shares = cpu_shares(std::max(cpu, init_cpu));
  if (all_cpu) out.cpu_quota = cpu_quota(std::max(cpu_limit, init_cpu_limit));
  if (all_memory) out.memory = std::max(memory_limit, init_memory);
  return out;
}

}  // namespace lab::agent
