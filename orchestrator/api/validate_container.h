// Validation of one container of a PodSpec.
#pragma once

#include <set>

#include "orchestrator/api/validation.h"

namespace lab::api {

enum class ContainerRole { kMain, kInit, kEphemeral };

// `names` collects the names used so far; `volumes` are those that mounts may name.
void validate_container(const FieldPath& at, const json::Value& container, ContainerRole role,
                        std::set<std::string_view>& names, const std::set<std::string_view>& volumes, Findings& out);

}  // namespace lab::api
