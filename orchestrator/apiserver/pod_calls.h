// pods/binding and pods/eviction.
#pragma once

#include "orchestrator/apiserver/calls.h"
#include "orchestrator/apiserver/registry.h"

namespace lab::apiserver {

// The registry must outlive the table.
void add_pod_calls(CallTable& calls, Registry& registry);

}  // namespace lab::apiserver
