// MetricsApi: metrics.k8s.io/v1beta1, what nodes and pods use now, as metrics-server serves it (`kubectl top`, the
// HorizontalPodAutoscaler).
//
// Nothing runs while nobody asks. A request samples the agents of the nodes it is about, all at once and for a short
// time; an agent that does not answer is left out. What is a few seconds old answers at once. The first request after
// a pause takes two samples a second apart, since CPU is a rate. Thread-safe; requests may come on any loop.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/io/loop.h"
#include "orchestrator/apiserver/calls.h"
#include "orchestrator/apiserver/node_proxy.h"
#include "orchestrator/apiserver/usage_sample.h"

namespace lab::apiserver {

class MetricsApi {
 public:
  MetricsApi(const ObjectReader& reader, const NodeProxy& agents) : reader_(reader), agents_(agents) {}
  void add_calls(CallTable& calls);  // this must outlive them

 private:
  struct Measured {
    std::optional<UsageSample> before, now;
    TimePoint taken;  // of `now`
  };

  Task<Result<json::Value>> nodes(Call& call);
  Task<Result<json::Value>> pods(Call& call);

  // Until each of the nodes has been sampled or has failed to answer.
  Task<void> refresh(std::set<std::string> nodes);
  Task<void> sample(std::string node);
  Task<Result<UsageSample>> ask(std::string node) const;
  bool needs_sample(const std::string& node, TimePoint now) const;
  // False when there is nothing yet to compare it with.
  bool take(const std::string& node, UsageSample sample, TimePoint now);
  Measured measured(const std::string& node) const;

  std::optional<json::Value> metrics_of_node(const json::Value& node) const;
  std::optional<json::Value> metrics_of_pod(const json::Value& pod) const;

  const ObjectReader& reader_;
  const NodeProxy& agents_;
  mutable std::mutex mutex_;
  std::map<std::string, Measured> measured_;
};

}  // namespace lab::apiserver
