#include "orchestrator/api/defaults.h"

#include "orchestrator/api/defaults_parts.h"

namespace lab::api {

void apply_defaults(const Kind& kind, json::Value& object) {
  if (!object.is_object()) return;
  Defaulter f = kind.group.empty() ? core_defaulter(kind.kind) : workload_defaulter(kind.group, kind.kind);
  if (!f && !kind.group.empty()) f = policy_defaulter(kind.group, kind.kind);
  if (f) f(kind, object.get_object());
}

}  // namespace lab::api
