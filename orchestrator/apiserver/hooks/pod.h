// Pod: its first status, its quality-of-service class, and the end of scheduling gates.
#pragma once

#include "orchestrator/apiserver/hooks.h"

namespace lab::apiserver::hooks {

Hooks pod_hooks();

}  // namespace lab::apiserver::hooks
