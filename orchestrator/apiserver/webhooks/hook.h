// Hook: one webhook of a MutatingWebhookConfiguration or ValidatingWebhookConfiguration, read once and used for many
// requests. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/apiserver/webhooks/client_config.h"
#include "orchestrator/apiserver/webhooks/condition.h"
#include "orchestrator/apiserver/webhooks/rules.h"

namespace lab::apiserver::webhooks {

struct Hook {
  std::string configuration, name;
  std::vector<Rule> rules;
  api::LabelSelector namespaces, objects;
  struct MatchCondition {
    std::string name;
    Condition condition;
  };
  std::vector<MatchCondition> conditions;
  bool equivalent = true;  // matchPolicy: other versions of the resource are matched too
  bool ignore_failure = false;
  bool reinvoke = false;  // reinvocationPolicy IfNeeded
  bool dry_runs = false;  // sideEffects None or NoneOnDryRun
  Duration timeout{};
  std::string review_version;  // the first of admissionReviewVersions that is spoken here; empty: none is
  std::shared_ptr<const ClientConfig> client;
};

// The webhooks of one configuration, in their order.
std::vector<Hook> read_hooks(const json::Value& configuration);

}  // namespace lab::apiserver::webhooks
