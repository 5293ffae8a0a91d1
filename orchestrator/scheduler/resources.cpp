#include "orchestrator/scheduler/resources.h"

#include <algorithm>

#include "orchestrator/api/quantity.h"

namespace lab::scheduler {

namespace {

constexpr std::int64_t kDefaultCpu = 100, kDefaultMemory = 200 << 20;

std::int64_t& slot(Resources& r, const std::string& name) {
  for (auto& [key, amount] : r.scalar)
    if (key == name) return amount;
  return r.scalar.emplace_back(name, 0).second;
}

Resources requests_of(const json::Value& container, bool defaults) {
  const auto& list = json::map(container, "resources", "requests");
  Resources out = parse_resources(list);
  if (defaults && !list.contains("cpu")) out.cpu = kDefaultCpu;
  if (defaults && !list.contains("memory")) out.memory = kDefaultMemory;
  return out;
}

// Pod-level requests stand for all containers, for the resources they name.
void apply_pod_level(const json::Object& list, Resources& total) {
  if (list.empty()) return;
  Resources level = parse_resources(list);
  if (list.contains("cpu")) total.cpu = level.cpu;
  if (list.contains("memory")) total.memory = level.memory;
  for (const auto& [name, amount] : level.scalar) slot(total, name) = amount;
}

Resources total_of(const json::Value& pod, bool defaults) {
  Resources total, sidecars, peak;
  for (const auto& c : json::list(pod, "spec", "containers")) total.add(requests_of(c, defaults));
  for (const auto& c : json::list(pod, "spec", "initContainers")) {
    Resources own = requests_of(c, defaults);
    if (json::str(c, "restartPolicy") == "Always") {  // a sidecar keeps running beside all that follow
      total.add(own);
      sidecars.add(own);
      peak.raise_to(sidecars);
    } else {
      own.add(sidecars);
      peak.raise_to(own);
    }
  }
  total.raise_to(peak);
  apply_pod_level(json::map(pod, "spec", "resources", "requests"), total);
  total.add(parse_resources(json::map(pod, "spec", "overhead")));
  return total;
}

}  // namespace

std::int64_t Resources::get(std::string_view name) const {
  if (name == "cpu") return cpu;
  if (name == "memory") return memory;
  if (name == "ephemeral-storage") return ephemeral;
  for (const auto& [key, amount] : scalar)
    if (key == name) return amount;
  return 0;
}

void Resources::add(const Resources& other) {
  cpu += other.cpu;
  memory += other.memory;
  ephemeral += other.ephemeral;
  for (const auto& [name, amount] : other.scalar) slot(*this, name) += amount;
}

void Resources::subtract(const Resources& other) {
  cpu -= other.cpu;
  memory -= other.memory;
  ephemeral -= other.ephemeral;
  for (const auto& [name, amount] : other.scalar) slot(*this, name) -= amount;
}

void Resources::raise_to(const Resources& other) {
  cpu = std::max(cpu, other.cpu);
  memory = std::max(memory, other.memory);
  ephemeral = std::max(ephemeral, other.ephemeral);
  for (const auto& [name, amount] : other.scalar) {
    auto& own = slot(*this, name);
    own = std::max(own, amount);
  }
}

std::int64_t parse_amount(const json::Value& quantity, bool milli) {
  if (const auto* n = quantity.if_int64()) return milli ? *n * 1000 : *n;
  auto parsed = api::Quantity::parse(json::as_str(quantity));
  if (!parsed) return 0;
  return milli ? parsed->milli() : parsed->value();
}

Resources parse_resources(const json::Object& list) {
  Resources out;
  for (const auto& field : list) {
    std::string_view name(field.key().data(), field.key().size());
    if (name == "cpu")
      out.cpu = parse_amount(field.value(), true);
    else if (name == "memory")
      out.memory = parse_amount(field.value(), false);
    else if (name == "ephemeral-storage")
      out.ephemeral = parse_amount(field.value(), false);
    else if (name != "pods")
      out.scalar.emplace_back(name, parse_amount(field.value(), false));
  }
  return out;
}

Resources pod_requests(const json::Value& pod) {
  return total_of(pod, false);
}
Resources pod_requests_or_defaults(const json::Value& pod) {
  return total_of(pod, true);
}

}  // namespace lab::scheduler
