#include <gtest/gtest.h>

#include "orchestrator/api/patch.h"

namespace lab::api {
namespace {

json::Value js(std::string_view text) {
  auto v = json::parse(text);
  EXPECT_TRUE(v) << text;
  return *v;
}

Result<json::Value> patch(const char* type, const char* doc, const char* text) {
  const Type* t = find_type(type);
  EXPECT_NE(t, nullptr) << type;
  return strategic_patch(*t, js(doc), js(text));
}

void expect(const char* type, const char* doc, const char* text, const char* result) {
  auto r = patch(type, doc, text);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(*r, js(result)) << "got " << json::dump(*r);
}

constexpr const char* kDeployment = "k8s.io.api.apps.v1.Deployment";
constexpr const char* kPod = "k8s.io.api.core.v1.Pod";
constexpr const char* kService = "k8s.io.api.core.v1.Service";
constexpr const char* kNode = "k8s.io.api.core.v1.Node";

TEST(StrategicPatch, ListsMergeByKeyInsideTemplates) {
  expect(
      kDeployment,
      R"({"spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"a","image":"x","env":[{"name":"E","value":"1"}]},
            {"name":"b","image":"y"}]}}}})",
      R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"z","env":[{"name":"F","value":"2"}]}]}}}})",
      R"({"spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"a","image":"z",
            "env":[{"name":"F","value":"2"},{"name":"E","value":"1"}]},{"name":"b","image":"y"}]}}}})");
}

TEST(StrategicPatch, MapsMergeAndNullsDelete) {
  expect(kPod, R"({"metadata":{"labels":{"a":"1","b":"2"}},"spec":{"nodeSelector":{"x":"y"}}})",
         R"({"metadata":{"labels":{"a":null,"c":"3","d":null}},"spec":{"nodeSelector":null}})",
         R"({"metadata":{"labels":{"b":"2","c":"3"}},"spec":{}})");
}

TEST(StrategicPatch, AtomicListsAreReplaced) {
  expect(kPod, R"({"spec":{"containers":[{"name":"a","args":["1","2"]}]}})",
         R"({"spec":{"containers":[{"name":"a","args":["3"]}]}})",
         R"({"spec":{"containers":[{"name":"a","args":["3"]}]}})");
  // kubectl taint sends all taints: the list merges by key and is ordered by the directive.
  expect(kNode, R"({"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}})",
         R"({"spec":{"taints":[{"key":"b","effect":"NoExecute"}]}})",
         R"({"spec":{"taints":[{"key":"b","effect":"NoExecute"}]}})");
}

TEST(StrategicPatch, DeleteAndReplaceDirectives) {
  expect(kDeployment, R"({"spec":{"template":{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}}})",
         R"({"spec":{"template":{"spec":{"containers":[{"name":"a","$patch":"delete"}]}}}})",
         R"({"spec":{"template":{"spec":{"containers":[{"name":"b"}]}}}})");
  expect(kDeployment, R"({"spec":{"template":{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}}})",
         R"({"spec":{"template":{"spec":{"containers":[{"name":"c"},{"$patch":"replace"}]}}}})",
         R"({"spec":{"template":{"spec":{"containers":[{"name":"c"}]}}}})");
  expect(kPod, R"({"spec":{"nodeSelector":{"a":"1"},"hostNetwork":true}})",
         R"({"spec":{"nodeSelector":{"$patch":"replace","b":"2"}}})",
         R"({"spec":{"nodeSelector":{"b":"2"},"hostNetwork":true}})");
  expect(kPod, R"({"spec":{"securityContext":{"runAsUser":1}}})", R"({"spec":{"securityContext":{"$patch":"delete"}}})",
         R"({"spec":{"securityContext":{}}})");
  auto bad = patch(kPod, "{}", R"({"spec":{"$patch":"explode"}})");
  ASSERT_TRUE(bad);  // nothing is there to merge with: the directive is dropped with the rest of them
  bad = patch(kPod, R"({"spec":{}})", R"({"spec":{"$patch":"explode"}})");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Code::kBadRequest);
}

TEST(StrategicPatch, DeleteFromPrimitiveList) {
  expect(kPod, R"({"metadata":{"finalizers":["a","b","c"]}})",
         R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["b"],"finalizers":["d"]}})",
         R"({"metadata":{"finalizers":["d","a","c"]}})");
  expect(kPod, R"({"metadata":{}})", R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}})",
         R"({"metadata":{}})");
}

TEST(StrategicPatch, RetainKeys) {
  expect(kDeployment, R"({"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}})",
         R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}})",
         R"({"spec":{"strategy":{"type":"Recreate"}}})");
  expect(kPod, R"({"spec":{"volumes":[{"name":"v","emptyDir":{}}]}})",
         R"({"spec":{"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]}})",
         R"({"spec":{"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}})");
  auto bad = patch(kDeployment, R"({"spec":{"strategy":{"type":"x"}}})",
                   R"({"spec":{"strategy":{"$retainKeys":["type"],"rollingUpdate":{}}}})");
  EXPECT_FALSE(bad);
}

TEST(StrategicPatch, SetElementOrderAsApplySendsIt) {
  // A container was added in front; the one the server alone has keeps its place relative to its neighbour.
  expect(
      kDeployment,
      R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"1"},{"name":"sidecar"},{"name":"b","image":"1"}]}}}})",
      R"({"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"new"},{"name":"a"},{"name":"b"}],
            "containers":[{"name":"new","image":"2"},{"name":"b","image":"2"}]}}}})",
      R"({"spec":{"template":{"spec":{"containers":[{"name":"new","image":"2"},{"name":"a","image":"1"},
            {"name":"sidecar"},{"name":"b","image":"2"}]}}}})");
  // Order alone.
  expect(kDeployment, R"({"spec":{"template":{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}}})",
         R"({"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}}}})",
         R"({"spec":{"template":{"spec":{"containers":[{"name":"b"},{"name":"a"}]}}}})");
  // Service ports merge by number, which is no text.
  expect(kService, R"({"spec":{"ports":[{"port":80,"nodePort":30001},{"port":443}]}})",
         R"({"spec":{"$setElementOrder/ports":[{"port":443},{"port":8080}],
            "ports":[{"port":8080,"targetPort":1},{"port":80,"$patch":"delete"}]}})",
         R"({"spec":{"ports":[{"port":443},{"port":8080,"targetPort":1}]}})");
  expect(kPod, R"({"metadata":{"finalizers":["a","b","c"]}})",
         R"({"metadata":{"$setElementOrder/finalizers":["c","a"]}})", R"({"metadata":{"finalizers":["b","c","a"]}})");
  // The list goes: the order has nothing to say.
  expect(kPod, R"({"spec":{"volumes":[{"name":"v"}]}})", R"({"spec":{"$setElementOrder/volumes":[],"volumes":null}})",
         R"({"spec":{}})");
  auto bad = patch(kPod, R"({"spec":{"volumes":[]}})",
                   R"({"spec":{"$setElementOrder/volumes":[{"name":"a"}],"volumes":[{"name":"b"}]}})");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("doesn't match $setElementOrder list"), std::string::npos);
}

TEST(StrategicPatch, NewFieldsCarryNoDirectivesOrNulls) {
  expect(
      kDeployment, "{}",
      R"({"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"a","command":null},
            {"name":"gone","$patch":"delete"}]}}}})",
      R"({"spec":{"template":{"spec":{"containers":[{"name":"a"}]}}}})");
}

TEST(StrategicPatch, MissingMergeKeyIsTheClientsMistake) {
  auto bad = patch(kPod, R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"containers":[{"image":"x"}]}})");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Code::kBadRequest);
  EXPECT_NE(bad.error().message.find("does not contain declared merge key: name"), std::string::npos);
  EXPECT_FALSE(strategic_patch(*find_type(kPod), js("{}"), js("[]")));
}

}  // namespace
}  // namespace lab::api
