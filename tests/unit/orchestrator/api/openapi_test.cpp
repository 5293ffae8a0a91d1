#include "orchestrator/api/openapi.h"

#include <gtest/gtest.h>

#include <set>

#include "orchestrator/api/schema.h"
#include "orchestrator/api/wire.h"

namespace lab::api {
namespace {

const json::Value& v2() {
  static const json::Value document = openapi_v2(builtin_kinds());
  return document;
}

// Every $ref of a document, as text.
void references(const json::Value& v, std::set<std::string>& out) {
  for (const auto& item : json::as_array(v)) references(item, out);
  for (const auto& [key, item] : json::as_object(v)) {
    if (key == "$ref" && item.is_string()) out.insert(std::string(json::as_str(item)));
    references(item, out);
  }
}

const json::Value& follow(const json::Value& document, std::string_view ref) {
  const json::Value* at = &document;
  for (ref.remove_prefix(2); !ref.empty();) {
    const std::size_t slash = ref.find('/');
    at = &json::at(*at, ref.substr(0, slash));
    ref.remove_prefix(slash == ref.npos ? ref.size() : slash + 1);
  }
  return *at;
}

std::set<std::string> names(const json::Array& parameters) {
  std::set<std::string> out;
  for (const auto& p : parameters) out.insert(std::string(json::str(p, "name")));
  return out;
}

TEST(OpenApi, EveryReferenceIsDefined) {
  std::set<std::string> refs;
  references(v2(), refs);
  EXPECT_GT(refs.size(), 400u);
  for (const auto& ref : refs) EXPECT_TRUE(follow(v2(), ref).is_object()) << ref;
  for (const std::string group : {"api/v1", "apis/apps/v1", "apis/batch/v1"}) {
    const auto document = openapi_v3(builtin_kinds(), group);
    refs.clear();
    references(document, refs);
    EXPECT_GT(refs.size(), 20u);
    for (const auto& ref : refs) EXPECT_TRUE(follow(document, ref).is_object()) << group << ref;
  }
}

TEST(OpenApi, DefinitionsCarryKubernetesExtensions) {
  const auto& definitions = json::at(v2(), "definitions");
  const auto& deployment = json::at(definitions, "io.k8s.api.apps.v1.Deployment");
  EXPECT_EQ(json::dump(json::at(deployment, "x-kubernetes-group-version-kind")),
            R"([{"group":"apps","kind":"Deployment","version":"v1"}])");
  EXPECT_EQ(json::str(deployment, "properties", "apiVersion", "type"), "string");
  EXPECT_EQ(json::str(deployment, "properties", "metadata", "$ref"),
            "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
  const auto& containers = json::at(definitions, "io.k8s.api.core.v1.PodSpec", "properties", "containers");
  EXPECT_EQ(json::str(containers, "x-kubernetes-patch-strategy"), "merge");
  EXPECT_EQ(json::str(containers, "x-kubernetes-patch-merge-key"), "name");
  EXPECT_EQ(json::dump(json::at(containers, "x-kubernetes-list-map-keys")), R"(["name"])");
  EXPECT_EQ(json::str(definitions, "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector", "x-kubernetes-map-type"),
            "atomic");
  // Inlined structs are flattened.
  EXPECT_TRUE(json::has(definitions, "io.k8s.api.core.v1.Volume", "properties", "configMap"));
  EXPECT_EQ(json::str(definitions, "io.k8s.api.core.v1.ServicePort", "properties", "targetPort", "$ref"),
            "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString");
}

TEST(OpenApi, OperationsTellKubectlWhatTheyTake) {
  const auto& patch = json::at(v2(), "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch");
  const auto given = names(json::list(patch, "parameters"));
  for (std::string_view name : {"dryRun", "fieldManager", "fieldValidation", "force", "body"})
    EXPECT_TRUE(given.contains(std::string(name))) << name;
  EXPECT_EQ(json::str(patch, "x-kubernetes-action"), "patch");
  EXPECT_EQ(json::str(patch, "operationId"), "patchAppsV1NamespacedDeployment");
  EXPECT_EQ(json::str(patch, "x-kubernetes-group-version-kind", "kind"), "Deployment");
  EXPECT_EQ(json::str(v2(), "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "get",
                      "x-kubernetes-group-version-kind", "kind"),
            "Scale");
  EXPECT_EQ(json::str(v2(), "paths", "/api/v1/pods", "get", "operationId"), "listCoreV1PodForAllNamespaces");
  EXPECT_TRUE(json::has(v2(), "paths", "/api/v1/namespaces/{namespace}/pods/{name}/eviction", "post"));
  EXPECT_TRUE(json::has(v2(), "paths", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "post"));
  EXPECT_FALSE(json::has(v2(), "paths", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "get"));
}

TEST(OpenApi, VersionThreePatchesListTheirContentTypes) {
  const auto document = openapi_v3(builtin_kinds(), "apis/apps/v1");
  const auto& patch = json::at(document, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch");
  const auto& content = json::map(patch, "requestBody", "content");
  for (std::string_view type : {"application/strategic-merge-patch+json", "application/apply-patch+yaml",
                                "application/merge-patch+json", "application/json-patch+json"})
    EXPECT_TRUE(content.contains(type)) << type;
  EXPECT_EQ(json::str(patch, "x-kubernetes-group-version-kind", "group"), "apps");
  EXPECT_TRUE(names(json::list(patch, "parameters")).contains("dryRun"));
  const auto& schemas = json::at(document, "components", "schemas");
  const auto& spec = json::at(schemas, "io.k8s.api.apps.v1.Deployment", "properties", "spec");
  EXPECT_EQ(json::str(json::list(spec, "allOf").at(0), "$ref"),
            "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec");
  EXPECT_EQ(json::dump(json::at(schemas, "io.k8s.api.core.v1.Container", "properties", "imagePullPolicy", "enum")),
            R"(["Always","IfNotPresent","Never"])");
}

TEST(OpenApi, CustomResourcesJoin) {
  auto kind = std::make_shared<Kind>();
  kind->group = "stable.example.com";
  kind->version = "v1";
  kind->kind = "CronTab";
  kind->plural = "crontabs";
  kind->verbs = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
  const CustomSchema schema = [](const Kind&) {
    return json::parse(R"({"type":"object","properties":{"spec":{"type":"object","properties":{
        "nullable":{"type":"string","nullable":true},"port":{"x-kubernetes-int-or-string":true,
        "anyOf":[{"type":"integer"},{"type":"string"}]}}}}})")
        .value();
  };
  const auto three = openapi_v3({kind}, "apis/stable.example.com/v1", schema);
  const auto& model = json::at(three, "components", "schemas", "com.example.stable.v1.CronTab");
  EXPECT_EQ(json::str(model, "properties", "kind", "type"), "string");
  EXPECT_TRUE(json::has(model, "properties", "spec", "properties", "port", "anyOf"));
  EXPECT_EQ(json::dump(json::at(model, "x-kubernetes-group-version-kind")),
            R"([{"group":"stable.example.com","kind":"CronTab","version":"v1"}])");
  const auto& patch = json::map(three, "paths", "/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}",
                                "patch", "requestBody", "content");
  EXPECT_FALSE(patch.contains("application/strategic-merge-patch+json"));
  EXPECT_TRUE(patch.contains("application/apply-patch+yaml"));
  const auto two = openapi_v2({kind}, schema);
  const auto& spec = json::at(two, "definitions", "com.example.stable.v1.CronTab", "properties", "spec", "properties");
  EXPECT_FALSE(json::has(spec, "port", "anyOf"));
  // A property may be called like a keyword.
  EXPECT_EQ(json::str(spec, "nullable", "type"), "string");
  std::set<std::string> refs;
  references(two, refs);
  for (const auto& ref : refs) EXPECT_TRUE(follow(two, ref).is_object()) << ref;
}

// Fields of a message by number; counts alone are enough to see that nothing was lost on the way.
std::vector<std::string_view> children(std::string_view bytes, std::uint32_t number) {
  std::vector<std::string_view> out;
  WireReader in(bytes);
  while (!in.done()) {
    const auto tag = in.tag();
    if (!tag) break;
    if (tag->number == number && tag->type == WireType::kBytes) {
      out.push_back(in.bytes().value_or(std::string_view()));
    } else if (!in.skip(tag->type)) {
      break;
    }
  }
  return out;
}

TEST(OpenApi, ProtobufHoldsTheWholeDocument) {
  const std::string bytes = openapi_v2_protobuf(v2());
  EXPECT_EQ(children(bytes, 1), std::vector<std::string_view>{"2.0"});
  ASSERT_EQ(children(bytes, 8).size(), 1u);
  ASSERT_EQ(children(bytes, 9).size(), 1u);
  EXPECT_EQ(children(children(bytes, 8)[0], 2).size(), json::map(v2(), "paths").size());
  const auto definitions = children(children(bytes, 9)[0], 1);
  EXPECT_EQ(definitions.size(), json::map(v2(), "definitions").size());
  // NamedSchema{name, Schema{properties = 25}}: those of a Deployment.
  bool found = false;
  for (const auto& named : definitions) {
    if (children(named, 1)[0] != "io.k8s.api.apps.v1.Deployment") continue;
    found = true;
    const auto schema = children(named, 2)[0];
    EXPECT_EQ(children(children(schema, 25)[0], 1).size(), 5u);
    ASSERT_EQ(children(schema, 31).size(), 1u);
    EXPECT_EQ(children(children(schema, 31)[0], 1)[0], "x-kubernetes-group-version-kind");
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace lab::api
