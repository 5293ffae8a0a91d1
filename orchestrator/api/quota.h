// What objects use of a namespace's ResourceQuotas: pods and compute, Services, storage, and counts of any kind.
// Pure; any thread. Source: pkg/quota/v1/evaluator of Kubernetes.
#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/api/quantity.h"

namespace lab::api {

// By the name that a quota's `hard` has: "pods", "requests.cpu", "count/deployments.apps".
using QuotaUsage = std::map<std::string, Quantity>;

// A value of a resource list, a number or a string; zero where it is none.
Quantity quantity_of(const json::Value& value);
void add_usage(QuotaUsage& sum, const QuotaUsage& more);
// What an object uses; a pod that has ended uses nothing but its count.
QuotaUsage quota_usage(const Kind& kind, const json::Value& object);
// "count/deployments.apps", "count/pods".
std::string quota_count_name(const Kind& kind);
// Whether the quota's scopes take the object in. Scopes are about pods: a quota with any counts nothing else.
bool quota_covers(const json::Value& quota, const Kind& kind, const json::Value& object);

}  // namespace lab::api
