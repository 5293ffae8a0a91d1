// CachedObject: one stored object as the server holds and sends it.
//
// The store keeps JSON without metadata.resourceVersion, since the revision is known only after the commit; the bytes
// here have it spliced in. Immutable and shared: GET, LIST and every watcher send the same buffer.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"
#include "base/json.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/store/store.h"

namespace lab::apiserver {

// What selectors and watch triggers look at, taken from an object once.
struct ObjectMeta {
  json::Object labels;
  std::vector<std::string> fields;  // values of Kind::selectable_fields, in that order
};
ObjectMeta meta_of(const api::Kind& kind, const json::Value& object);

class CachedObject {
 public:
  CachedObject(std::string_view key_rest, const std::string& stored, store::Revision revision,
               store::Revision create_revision, ObjectMeta meta);

  const std::string& ns() const { return ns_; }  // "" for cluster-scoped objects
  const std::string& name() const { return name_; }
  const http::Buffer& bytes() const { return bytes_; }
  store::Revision revision() const { return revision_; }
  store::Revision create_revision() const { return create_revision_; }
  const ObjectMeta& meta() const { return meta_; }

  // The object as a value. `keep` holds on to it for the next caller.
  std::shared_ptr<const json::Value> value(bool keep = false) const;
  // The same as a value of the caller's own.
  json::Value copy() const;
  // "apps/v1", as it stands in bytes(): the version that was stored.
  std::string_view api_version() const;
  // The text of its metadata, as it stands in bytes().
  std::string_view metadata() const;

 private:
  std::string ns_, name_;
  http::Buffer bytes_;
  store::Revision revision_, create_revision_;
  ObjectMeta meta_;
  mutable std::atomic<std::shared_ptr<const json::Value>> value_;
};
using CachedPtr = std::shared_ptr<const CachedObject>;

// The bytes to store: kind, apiVersion and metadata first, without resourceVersion and selfLink.
std::string encode_stored(const json::Value& object);
// The same bytes with the revision as metadata.resourceVersion.
std::string splice_revision(const std::string& stored, store::Revision revision);
// Bytes of a CachedObject with another revision in place of their own.
std::string replace_revision(const std::string& bytes, store::Revision revision);

// prefix + [namespace/]name
std::string storage_key(const api::Kind& kind, std::string_view ns, std::string_view name);

// Both selectors of a list or watch, and the namespace and name it is limited to.
struct Selection {
  std::string ns, name;  // "" for any
  api::LabelSelector labels;
  struct Field {
    int index;  // into ObjectMeta::fields; -1 metadata.name, -2 metadata.namespace
    std::string value;
    bool equal;
  };
  std::vector<Field> fields;
  bool selects(const CachedObject& object) const;
  bool all() const { return ns.empty() && name.empty() && labels.empty() && fields.empty(); }
  bool filters() const { return !labels.empty() || !fields.empty() || !name.empty(); }  // beyond the namespace
};
// BadRequest on bad text, and on fields the kind does not index ("field label not supported: X").
Result<Selection> parse_selection(const api::Kind& kind, const api::Kind& storage, std::string_view ns,
                                  std::string_view name, std::string_view label_selector,
                                  std::string_view field_selector);

}  // namespace lab::apiserver
