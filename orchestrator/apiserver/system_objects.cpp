#include "orchestrator/apiserver/system_objects.h"

#include "base/io/scope.h"

namespace lab::apiserver {
namespace {

json::Value system_namespace(std::string_view name) {
  return json::Object{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", json::Object{{"name", name}}}};
}

json::Value priority_class(std::string_view name, int value, std::string_view description) {
  return json::Object{{"apiVersion", "scheduling.k8s.io/v1"},
                      {"kind", "PriorityClass"},
                      {"metadata", json::Object{{"name", name}}},
                      {"value", value},
                      {"description", description}};
}

struct Row {
  api::KindPtr kind;
  json::Value object;
};

Task<void> make_one(const ObjectReader& reader, ObjectWriter& writer, Row row, Result<void>& outcome) {
  if (reader.get(*row.kind, "", json::str(row.object, "metadata", "name"))) co_return;
  auto made = co_await writer.create(row.kind, std::move(row.object));
  if (!made && made.error().code != Code::kAlreadyExists) outcome = std::unexpected(std::move(made).error());
}

}  // namespace

Task<Result<void>> make_system_objects(const ObjectReader& reader, ObjectWriter& writer) {
  auto namespaces = api::find_kind("", "v1", "namespaces");
  auto classes = api::find_kind("scheduling.k8s.io", "v1", "priorityclasses");
  std::vector<Row> rows;
  for (auto name : {"kube-system", "kube-public", "kube-node-lease", "default"})
    rows.push_back({namespaces, system_namespace(name)});
  rows.push_back(
      {classes, priority_class("system-node-critical", 2000001000,
                               "Used for system critical pods that must not be moved from their current node.")});
  rows.push_back(
      {classes, priority_class("system-cluster-critical", 2000000000,
                               "Used for system critical pods that must run in the cluster, but can be moved to "
                               "another node if necessary.")});
  Result<void> outcome;
  Scope scope(*Loop::current());  // side by side, so that the store commits them together
  for (auto& row : rows) scope.spawn("system object", make_one(reader, writer, std::move(row), outcome));
  co_await scope.close();
  co_return outcome;
}

}  // namespace lab::apiserver
