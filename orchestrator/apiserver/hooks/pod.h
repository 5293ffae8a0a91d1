// Pod: its first status, and what may be changed of a Pod once it exists.
#pragma once

#include "orchestrator/apiserver/hooks.h"

namespace lab::apiserver::hooks {

Hooks pod_hooks();

}  // namespace lab::apiserver::hooks
