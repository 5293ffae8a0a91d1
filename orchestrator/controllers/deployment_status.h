// Status and conditions of a Deployment. Pure functions.
#pragma once

#include <vector>

#include "base/io/loop.h"
#include "orchestrator/client/informer.h"

namespace lab::controllers {

// Counters and the Available condition; the other conditions are taken over. `newest` may be null.
json::Value deployment_status(const json::Value& deployment, const std::vector<client::ObjectPtr>& all,
                              const client::ObjectPtr& newest, WallTime now);
bool has_progress_deadline(const json::Value& deployment);
bool deployment_complete(const json::Value& deployment, const json::Value& status);
// More pods updated, ready or available, or fewer old ones, than in the status before.
bool deployment_progressing(const json::Value& deployment, const json::Value& status);
bool deployment_timed_out(const json::Value& deployment, const json::Value& status, WallTime now);
// Sets Progressing and ReplicaFailure in `status` as far as the rollout has come.
void put_rollout_conditions(const json::Value& deployment, json::Value& status,
                            const std::vector<client::ObjectPtr>& all, const client::ObjectPtr& newest, WallTime now);
// Sets the condition unless it has the same status and reason already; keeps lastTransitionTime with the status.
void put_deployment_condition(json::Value& status, std::string_view type, std::string_view state,
                              std::string_view reason, std::string_view message, WallTime now);

}  // namespace lab::controllers
