// Conversion: objects of one version of their kind as another version of it.
//
// Built-in kinds are converted by rules of this server (kind_table.h), custom ones by changing apiVersion, or by their
// definition's conversion webhook (apiextensions.k8s.io/v1 ConversionReview). Any loop; only a webhook is waited for.
#pragma once

#include <vector>

#include "base/io/task.h"
#include "orchestrator/apiserver/cached_object.h"
#include "orchestrator/apiserver/kind_table.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver {

class Conversion {
 public:
  Conversion(const ObjectReader& reader, const KindTable& kinds) : reader_(reader), kinds_(kinds) {}

  // Each object of the version that its apiVersion names, as `to`; in one call of a webhook, where one is needed.
  Task<Result<json::Array>> convert(api::KindPtr to, json::Array objects) const;
  Task<Result<json::Value>> convert_one(api::KindPtr to, json::Value object) const;

  // Whether the bytes of objects of this kind may be of another version: definitions outlive changes of what they
  // store.
  static bool varies(const api::Kind& kind);
  // Stored objects as `to`, whatever version each was stored in. Those that are of it already stay as they are.
  Task<Result<std::vector<CachedPtr>>> convert_stored(api::KindPtr to, std::vector<CachedPtr> objects) const;

 private:
  const ObjectReader& reader_;
  const KindTable& kinds_;
};

}  // namespace lab::apiserver
