// Service: addresses, node ports and families, given inside the write that asks for them.
#pragma once

#include <memory>

#include "orchestrator/apiserver/hooks.h"
#include "orchestrator/apiserver/hooks/ranges.h"

namespace lab::apiserver::hooks {

Hooks service_hooks(std::shared_ptr<ServiceRanges> ranges);

}  // namespace lab::apiserver::hooks
