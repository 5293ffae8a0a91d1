#include "orchestrator/apiserver/metrics_api.h"

#include <algorithm>

#include "base/io/scope.h"
#include "base/log.h"
#include "orchestrator/api/duration.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr Duration kFresh = std::chrono::seconds(5);         // an answer this old is given again
constexpr Duration kMaxWindow = std::chrono::seconds(60);    // an older sample says nothing about now
constexpr Duration kSecondSample = std::chrono::seconds(1);  // after the first one
constexpr Duration kAgentLimit = std::chrono::seconds(3);
constexpr std::int64_t kMinWindowMs = 900;  // the second sample may come a little early by the agent's clock

api::KindPtr core_kind(std::string_view plural) {
  return api::find_kind("", "v1", plural);
}

bool is_ready(const json::Value& node) {
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready") return json::str(c, "status") == "True";
  return false;
}

json::Object amounts(const Usage& usage) {
  return {{"cpu", usage.nanocores == 0 ? "0" : std::to_string(usage.nanocores) + "n"},
          {"memory", std::to_string(usage.memory / 1024) + "Ki"}};
}

std::string time_text(std::int64_t ms) {
  return api::format_time(WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::milliseconds(ms))));
}

// Of a measured object: its name and labels, and the time of this answer as its creation.
json::Object metadata_of(const json::Value& object) {
  json::Object out{{"name", json::str(object, "metadata", "name")}};
  if (auto ns = json::str(object, "metadata", "namespace"); !ns.empty()) out["namespace"] = ns;
  out["creationTimestamp"] = api::format_time(Loop::current()->wall());
  if (const auto& labels = json::map(object, "metadata", "labels"); !labels.empty()) out["labels"] = labels;
  return out;
}

json::Object head_of(std::string_view kind, const json::Value& object) {
  return {{"kind", kind}, {"apiVersion", "metrics.k8s.io/v1beta1"}, {"metadata", metadata_of(object)}};
}

json::Value list_of(const api::Kind& kind, json::Array items) {
  return json::Object{{"kind", kind.list_kind()},
                      {"apiVersion", kind.api_version()},
                      {"metadata", json::Object{}},
                      {"items", std::move(items)}};
}

// The objects that a call is about: one by name, or those its selectors choose.
Result<std::vector<ObjectPtr>> chosen(const Call& call, const ObjectReader& reader, const api::Kind& measured) {
  std::vector<ObjectPtr> out;
  if (call.verb == "get") {
    auto object = reader.get(measured, call.ns, call.name);
    if (!object) return Failure(not_found(*call.kind, call.name));
    out.push_back(std::move(object));
    return out;
  }
  LAB_TRY(auto labels, api::LabelSelector::parse(call.query.get("labelSelector")));
  LAB_TRY(auto fields, api::FieldSelector::parse(call.query.get("fieldSelector")));
  for (const auto& r : fields.requirements())
    if (r.path != "metadata.name" && r.path != "metadata.namespace")
      return Failure(bad_request("field label not supported: " + r.path));
  for (auto& object : reader.list(measured, call.ns))
    if (labels.matches(json::map(*object, "metadata", "labels")) && fields.matches(*object))
      out.push_back(std::move(object));
  return out;
}

}  // namespace

void MetricsApi::add_calls(CallTable& calls) {
  calls.add("metrics.k8s.io", "nodes", "", [this](Call& call) { return nodes(call); });
  calls.add("metrics.k8s.io", "pods", "", [this](Call& call) { return pods(call); });
}

Task<Result<json::Value>> MetricsApi::nodes(Call& call) {
  LAB_CO_TRY(auto objects, chosen(call, reader_, *core_kind("nodes")));
  std::set<std::string> names;
  for (const auto& node : objects) names.emplace(json::str(*node, "metadata", "name"));
  co_await refresh(std::move(names));
  json::Array items;
  for (const auto& node : objects)
    if (auto metrics = metrics_of_node(*node)) items.push_back(std::move(*metrics));
  if (call.verb != "get") co_return list_of(*call.kind, std::move(items));
  if (items.empty()) co_return Failure(not_found(*call.kind, call.name));
  co_return std::move(items.front());
}

Task<Result<json::Value>> MetricsApi::pods(Call& call) {
  LAB_CO_TRY(auto objects, chosen(call, reader_, *core_kind("pods")));
  std::set<std::string> names;
  for (const auto& pod : objects) names.emplace(json::str(*pod, "spec", "nodeName"));
  names.erase("");
  co_await refresh(std::move(names));
  json::Array items;
  for (const auto& pod : objects)
    if (auto metrics = metrics_of_pod(*pod)) items.push_back(std::move(*metrics));
  if (call.verb != "get") co_return list_of(*call.kind, std::move(items));
  if (items.empty()) co_return Failure(not_found(*call.kind, call.name));
  co_return std::move(items.front());
}

Task<void> MetricsApi::refresh(std::set<std::string> nodes) {
  auto kind = core_kind("nodes");
  auto now = Loop::current()->now();
  {
    std::lock_guard lock(mutex_);
    std::erase_if(measured_, [&](const auto& entry) { return !reader_.get(*kind, "", entry.first); });
  }
  Scope sampling(*Loop::current());
  for (const auto& name : nodes) {
    auto node = reader_.get(*kind, "", name);
    if (node && is_ready(*node) && needs_sample(name, now)) sampling.start("sample " + name, sample(name));
  }
  co_await sampling.close();
}

Task<void> MetricsApi::sample(std::string node) {
  for (int round = 0; round < 2; ++round) {
    auto got = co_await ask(node);
    if (!got) {
      log::warn("the use of a node could not be read", {{"node", node}, {"reason", got.error().text()}});
      co_return;
    }
    if (take(node, std::move(*got), Loop::current()->now())) co_return;
    co_await sleep_for(kSecondSample);
  }
}

Task<Result<UsageSample>> MetricsApi::ask(std::string node) const {
  LAB_CO_TRY(auto endpoint, agents_.agent_endpoint(node));
  auto client = http::Client::make(
      std::move(endpoint), {.connect_timeout = kAgentLimit, .request_timeout = kAgentLimit, .max_idle_connections = 1});
  http::Request request;
  request.target = "/metrics/resource";
  LAB_CO_TRY(auto response, co_await client->send(std::move(request)));
  if (response.status != 200)
    co_return fail(Code::kUnavailable,
                   "its agent answered " + std::to_string(response.status) + ": " + response.text().substr(0, 200));
  co_return UsageSample::parse(response.text());
}

bool MetricsApi::needs_sample(const std::string& node, TimePoint now) const {
  auto m = measured(node);
  return !m.before || !m.now || now - m.taken > kFresh;
}

bool MetricsApi::take(const std::string& node, UsageSample sample, TimePoint now) {
  std::lock_guard lock(mutex_);
  auto& m = measured_[node];
  if (!m.now || now - m.taken > kMaxWindow) {
    m = {.before = {}, .now = std::move(sample), .taken = now};
    return false;
  }
  // Requests at the same time bring samples close together: the older base of comparison stays then.
  if (sample.node.at_ms - m.now->node.at_ms >= kMinWindowMs) m.before = std::move(m.now);
  if (!m.before) return false;
  m.now = std::move(sample);
  m.taken = now;
  return true;
}

MetricsApi::Measured MetricsApi::measured(const std::string& node) const {
  std::lock_guard lock(mutex_);
  auto it = measured_.find(node);
  if (it == measured_.end() || Loop::current()->now() - it->second.taken > kMaxWindow) return {};
  return it->second;
}

std::optional<json::Value> MetricsApi::metrics_of_node(const json::Value& node) const {
  auto m = measured(std::string(json::str(node, "metadata", "name")));
  if (!m.before || !m.now || !is_ready(node)) return std::nullopt;
  auto usage = usage_between(&m.before->node, m.now->node);
  if (!usage) return std::nullopt;
  auto out = head_of("NodeMetrics", node);
  out["timestamp"] = time_text(usage->at_ms);
  out["window"] = api::format_duration(usage->window);
  out["usage"] = amounts(*usage);
  return out;
}

std::optional<json::Value> MetricsApi::metrics_of_pod(const json::Value& pod) const {
  auto m = measured(std::string(json::str(pod, "spec", "nodeName")));
  if (!m.before || !m.now) return std::nullopt;
  PodName name(json::str(pod, "metadata", "namespace"), json::str(pod, "metadata", "name"));
  auto found = m.now->pods.find(name);
  if (found == m.now->pods.end()) return std::nullopt;
  auto earlier = m.before->pods.find(name);
  json::Array containers;
  std::optional<Usage> first;
  for (const auto& [container, point] : found->second) {
    const UsagePoint* before = nullptr;
    if (earlier != m.before->pods.end())
      if (auto it = earlier->second.find(container); it != earlier->second.end()) before = &it->second;
    auto usage = usage_between(before, point);
    if (!usage) return std::nullopt;  // half a pod would read as a pod that uses less
    containers.push_back(json::Object{{"name", container}, {"usage", amounts(*usage)}});
    if (!first || usage->at_ms < first->at_ms) first = usage;
  }
  if (!first) return std::nullopt;
  auto out = head_of("PodMetrics", pod);
  out["timestamp"] = time_text(first->at_ms);
  out["window"] = api::format_duration(first->window);
  out["containers"] = std::move(containers);
  return out;
}

}  // namespace lab::apiserver
