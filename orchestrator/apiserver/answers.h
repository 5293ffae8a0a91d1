// Answers: objects and lists in the form the client accepted.
//
// The common case, JSON in the stored version, sends the cache's shared buffers untouched.
#pragma once

#include <vector>

#include "orchestrator/apiserver/cached_object.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/negotiate.h"
#include "orchestrator/apiserver/table.h"

namespace lab::apiserver {

// Of a list, beside its items.
struct ListMeta {
  store::Revision revision = 0;
  std::string continue_token;
  std::optional<std::size_t> remaining;
};

// How objects of one request are shown: the requested kind, its storage version, and the accepted form.
struct View {
  const api::Kind& kind;
  const api::Kind& storage;
  Accepted accepted;
  IncludeObject include = IncludeObject::kMetadata;

  bool raw() const {  // the stored bytes will do
    const auto* custom = as_custom(kind);
    if (custom && custom->has_defaults) return false;  // the definition may have got them after the object was stored
    return &kind == &storage || kind.api_version() == storage.api_version();
  }
  json::Value value(const CachedObject& object) const;  // in the requested version
};

Result<http::Response> answer_object(const View& view, const CachedObject& object, int status);
// `value` in the requested version.
Result<http::Response> answer_value(const View& view, json::Value value, int status);
// `list` with its items in the requested version, for kinds that are not stored.
Result<http::Response> answer_values(const View& view, json::Value list);
Result<http::Response> answer_list(const View& view, const std::vector<CachedPtr>& items, const ListMeta& meta);
// Any other object (Status, Scale, reviews), as it is.
Result<http::Response> answer_plain(const Accepted& accepted, const json::Value& value, int status);

}  // namespace lab::apiserver
