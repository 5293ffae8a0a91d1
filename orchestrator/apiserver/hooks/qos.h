// The quality-of-service class of a Pod, from its containers' requests and limits.
#pragma once

#include <string_view>

#include "base/json.h"

namespace lab::apiserver::hooks {

// "Guaranteed", "Burstable" or "BestEffort".
std::string_view qos_class(const json::Value& pod);

}  // namespace lab::apiserver::hooks
