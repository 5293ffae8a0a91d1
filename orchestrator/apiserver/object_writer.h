// ObjectWriter: writes by the server itself (system namespaces, default roles, the `kubernetes` Service, tokens'
// Secrets).
//
// Such writes pass defaulting, hooks, admission and validation as the given identity's would, but not authorisation.
// The identity is system:apiserver in group system:masters. Any loop.
#pragma once

#include <functional>
#include <string>

#include "base/io/task.h"
#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::apiserver {

class ObjectWriter {
 public:
  using Change = std::function<Result<void>(json::Value& object)>;

  virtual ~ObjectWriter() = default;
  // Namespace and name come from the object's metadata. kAlreadyExists when it is there.
  virtual Task<Result<json::Value>> create(api::KindPtr kind, json::Value object) = 0;
  // Read, change, write; begins again on a conflict. Nothing is written when `change` left the object as it was.
  // `subresource` "status" writes the status only.
  virtual Task<Result<json::Value>> mutate(api::KindPtr kind, std::string ns, std::string name, Change change,
                                           std::string subresource = {}) = 0;
  virtual Task<Result<void>> remove(api::KindPtr kind, std::string ns, std::string name) = 0;
};

}  // namespace lab::apiserver
