// Kind: everything the generic engine needs to know to serve a resource. A built-in kind is one row of the table in
// kinds.cpp; a CustomResourceDefinition adds a row at run time.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::api {

// A printer column: header, kubectl type, and whether it shows only in -o wide (priority 1).
struct Column {
  std::string name;
  std::string type = "string";       // string, integer, date...
  std::string format;                // "name" for the first column
  std::string description;
  int priority = 0;
};

struct Kind {
  std::string group, version, kind;  // "apps", "v1", "Deployment"
  std::string plural, singular;      // "deployments", "deployment"
  std::vector<std::string> short_names;
  std::vector<std::string> categories;        // "all"
  bool namespaced = true;
  bool status = false;                        // has /status
  bool scale = false;                         // has /scale
  std::vector<std::string> verbs;             // create delete deletecollection get list patch update watch
  std::string schema;                         // type in the schema: "k8s.io.api.apps.v1.Deployment"
  std::string storage_prefix;                 // "/registry/deployments/": shared by all versions of a kind
  std::vector<std::string> selectable_fields; // beside metadata.name and metadata.namespace: "spec.nodeName"
  bool generation = false;                    // metadata.generation rises when spec changes
  bool virtual_kind = false;                  // reviews, Binding, metrics: handled, never stored

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  std::string list_kind() const { return kind + "List"; }
};

using KindPtr = std::shared_ptr<const Kind>;

// The built-in table, in discovery order (groups as kube-apiserver orders them, preferred version first).
const std::vector<KindPtr>& builtin_kinds();
KindPtr find_kind(std::string_view group, std::string_view version, std::string_view plural);
KindPtr find_kind_by_name(std::string_view api_version, std::string_view kind);

// Columns of a kind for `kubectl get`, and one row's cells for an object (meta.k8s.io/v1 Table), wide ones included.
// Kinds without an entry in the printers' table get NAME and AGE. Ages are as of `now`.
const std::vector<Column>& columns_of(const Kind& kind);
json::Array row_of(const Kind& kind, const json::Value& object,
                   std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

}  // namespace lab::api
