// ObjectReader: the current state of every stored kind, as the watch caches hold it.
//
// Authorisation, admission and hooks read through it; it never touches the disk and never waits. A read after an
// acknowledged write sees that write. Objects are parsed on first use and then shared: they are immutable, and carry
// metadata.resourceVersion. Thread-safe; a reference stays valid as long as the server does.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/kind.h"

namespace lab::apiserver {

using ObjectPtr = std::shared_ptr<const json::Value>;

class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  // `ns` is "" for cluster-scoped kinds. Null when absent.
  virtual ObjectPtr get(const api::Kind& kind, std::string_view ns, std::string_view name) const = 0;
  // By namespace and name; `ns` "" lists all namespaces.
  virtual std::vector<ObjectPtr> list(const api::Kind& kind, std::string_view ns = {}) const = 0;
  // The Pods of a namespace that are bound to a node; costs what these cost, not what all Pods do.
  virtual std::vector<ObjectPtr> pods_of_node(std::string_view node, std::string_view ns) const = 0;
  // Rises with every change of the kind's objects: what was computed from a list is good while this stands still.
  virtual std::int64_t revision_of(const api::Kind& kind) const = 0;
};

}  // namespace lab::apiserver
