#include "orchestrator/api/codec.h"

#include <gtest/gtest.h>

#include "orchestrator/api/base64.h"
#include "orchestrator/api/duration.h"
#include "orchestrator/api/kind.h"

namespace lab::api {
namespace {

json::Value object(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value) << text;
  return value.value_or(json::Value());
}

std::string normalized(std::string_view kind, std::string_view api_version, std::string_view text) {
  json::Value value = object(text);
  auto done = normalize(*type_of(api_version, kind), value);
  return done ? json::dump(value) : done.error().message;
}

TEST(Schema, KnowsNumbersJsonNamesAndMarkers) {
  const Type* spec = find_type("k8s.io.api.core.v1.PodSpec");
  ASSERT_NE(spec, nullptr);
  const Field* containers = spec->by_json("containers");
  ASSERT_NE(containers, nullptr);
  EXPECT_EQ(containers->number, 2u);
  EXPECT_TRUE(containers->repeated && containers->required);
  EXPECT_EQ(containers->message->short_name(), "Container");
  EXPECT_EQ(containers->patch_strategy, "merge");
  EXPECT_EQ(containers->patch_merge_key, "name");
  EXPECT_EQ(containers->list_type, "map");
  EXPECT_EQ(containers->list_map_keys, std::vector<std::string_view>{"name"});
  EXPECT_EQ(spec->by_json("volumes")->patch_strategy, "merge,retainKeys");
  EXPECT_TRUE(spec->by_json("terminationGracePeriodSeconds")->pointer);
  const Field* policy = find_type("k8s.io.api.core.v1.Container")->by_json("imagePullPolicy");
  EXPECT_EQ(policy->enum_values, (std::vector<std::string_view>{"Always", "IfNotPresent", "Never"}));
  EXPECT_NE(policy->doc.find("Possible enum values:\n - `\"Always\"` means"), std::string_view::npos);
  // A volume's source is inlined: its fields stand in the volume.
  const Field* config_map = find_type("k8s.io.api.core.v1.Volume")->by_json("configMap");
  ASSERT_NE(config_map, nullptr);
  EXPECT_EQ(config_map->message->short_name(), "ConfigMapVolumeSource");
  EXPECT_EQ(find_type("k8s.io.api.core.v1.ContainerPort")->by_json("protocol")->default_value, "\"TCP\"");
  EXPECT_TRUE(find_type("k8s.io.apimachinery.pkg.apis.meta.v1.LabelSelector")->atomic());
  EXPECT_FALSE(spec->atomic());
}

TEST(Schema, FindsTypesByKind) {
  EXPECT_EQ(type_of("apps/v1", "Deployment")->name(), "k8s.io.api.apps.v1.Deployment");
  EXPECT_EQ(type_of("v1", "PodList")->name(), "k8s.io.api.core.v1.PodList");
  EXPECT_EQ(type_of("batch/v1", "DeleteOptions")->short_name(), "DeleteOptions");
  EXPECT_EQ(type_of("metrics.k8s.io/v1beta1", "NodeMetrics")->openapi_name(),
            "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics");
  EXPECT_EQ(type_of("apps/v1", "Nothing"), nullptr);
  EXPECT_EQ(type_of("apps/v9", "Deployment"), nullptr);
  const auto kinds = kinds_of(*type_of("policy/v1", "Eviction"));
  ASSERT_EQ(kinds.size(), 1u);
  EXPECT_EQ(kinds[0].group, "policy");
  EXPECT_GT(kinds_of(*find_type("k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions")).size(), 20u);
}

TEST(Schema, EveryBuiltInKindHasItsType) {
  for (const auto& kind : builtin_kinds()) {
    EXPECT_NE(find_type(kind->schema), nullptr) << kind->schema;
    EXPECT_EQ(type_of(kind->api_version(), kind->kind), find_type(kind->schema)) << kind->schema;
    if (!kind->virtual_kind) EXPECT_NE(type_of(kind->api_version(), kind->list_kind()), nullptr) << kind->schema;
  }
}

TEST(Schema, CustomResourceDefinitionsSurviveProtobuf) {
  const json::Value crd = object(R"({"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1",
    "metadata":{"name":"foos.x.io"},"spec":{"group":"x.io","names":{"plural":"foos","kind":"Foo"},"scope":"Namespaced",
    "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{
    "spec":{"type":"object","default":{"a":[1,"x"]},"additionalProperties":false,"required":["a"],"enum":[1,null,"b"],
    "items":{"type":"string"},"x-kubernetes-preserve-unknown-fields":true,"maximum":1.5,"minLength":0},
    "other":{"additionalProperties":{"type":"string"},"dependencies":{"d":["e"]},"items":[{"type":"string"}]}}}}}]}})");
  const Type* type = type_of("apiextensions.k8s.io/v1", "CustomResourceDefinition");
  EXPECT_EQ(unknown_fields(*type, crd), std::vector<std::string>());
  auto bytes = encode_protobuf(crd);
  ASSERT_TRUE(bytes) << bytes.error().message;
  auto again = decode_protobuf(*bytes);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, crd) << json::dump(*again);
  json::Value normal = crd;
  ASSERT_TRUE(normalize(*type, normal));
  EXPECT_EQ(normal, crd) << json::dump(normal);
}

TEST(Normalize, DropsWhatGoWouldDrop) {
  EXPECT_EQ(normalized("Pod", "v1",
                       R"({"kind":"Pod","metadata":{"name":"a","labels":{},"namespace":"","x":1,"annotations":null},
                           "spec":{"hostNetwork":false,"containers":[{"name":"","args":[],"unknown":{}}],
                           "volumes":[{"name":"v","emptyDir":{}}],"terminationGracePeriodSeconds":0}})"),
            R"({"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":""}],)"
            R"("volumes":[{"name":"v","emptyDir":{}}],"terminationGracePeriodSeconds":0}})");
}

TEST(Normalize, BringsQuantitiesAndTimesIntoForm) {
  EXPECT_EQ(
      normalized("Pod", "v1",
                 R"({"metadata":{"creationTimestamp":"2026-01-02T03:04:05.678+01:00"},"spec":{"containers":[{"name":"c",
                           "resources":{"limits":{"cpu":0.5,"memory":"1024Mi","x":2}}}]}})"),
      R"({"metadata":{"creationTimestamp":"2026-01-02T02:04:05Z"},"spec":{"containers":[{"name":"c",)"
      R"("resources":{"limits":{"cpu":"500m","memory":"1Gi","x":"2"}}}]}})");
}

TEST(Normalize, RefusesWrongTypesInGosWords) {
  EXPECT_EQ(normalized("Deployment", "apps/v1", R"({"spec":{"replicas":"3"}})"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
  EXPECT_EQ(normalized("Deployment", "apps/v1", R"({"spec":{"replicas":1.5}})"),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32");
  EXPECT_EQ(normalized("Deployment", "apps/v1",
                       R"({"spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":1}]}]}}}})"),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type "
            "string");
  EXPECT_EQ(normalized("Pod", "v1", R"({"spec":{"containers":{}}})"),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container");
  EXPECT_EQ(normalized("Pod", "v1", R"({"metadata":{"annotations":{"a":true}}})"),
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.annotations of type string");
  EXPECT_EQ(normalized("Secret", "v1", R"({"data":{"a":"!!"}})"), "illegal base64 data at input byte 0");
  EXPECT_EQ(normalized("Pod", "v1", R"({"metadata":{"creationTimestamp":"soon"}})"),
            "parsing time \"soon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"soon\" as \"2006\"");
  EXPECT_EQ(normalized("Pod", "v1", R"([])"), "json: cannot unmarshal array into Go value of type v1.Pod");
}

TEST(Strict, NamesUnknownAndDuplicateFields) {
  const json::Value pod = object(R"({"spec":{"containers":[{"name":"a"},{"nmae":"b"}],"foo":1},"bar":{}})");
  EXPECT_EQ(unknown_fields(*type_of("v1", "Pod"), pod),
            (std::vector<std::string>{"unknown field \"spec.containers[1].nmae\"", "unknown field \"spec.foo\"",
                                      "unknown field \"bar\""}));
  EXPECT_EQ(
      duplicate_fields(R"({"a": 1, "b": {"c": [{"d":1,"d":"}\"{"}], "c": 2}, "a" : "x", "e": {}, "f": []})"),
      (std::vector<std::string>{"duplicate field \"b.c[0].d\"", "duplicate field \"b.c\"", "duplicate field \"a\""}));
}

TEST(ZeroValues, AreWhatGosEncoderWrites) {
  json::Value deployment =
      object(R"({"metadata":{"name":"d"},"spec":{"template":{"spec":{"containers":[{"name":"c"}]}}}})");
  add_zero_values(*type_of("apps/v1", "Deployment"), deployment);
  EXPECT_EQ(
      json::dump(deployment),
      R"({"metadata":{"name":"d","creationTimestamp":null},"spec":{"template":{"spec":{"containers":[{"name":"c",)"
      R"("resources":{}}]},"metadata":{"creationTimestamp":null}},"selector":null,"strategy":{}},"status":{}})");
  json::Value event = object(R"({"metadata":{}})");
  add_zero_values(*type_of("v1", "Event"), event);
  EXPECT_EQ(json::dump(event),
            R"({"metadata":{"creationTimestamp":null},"involvedObject":{},"source":{},"firstTimestamp":null,)"
            R"("lastTimestamp":null,"eventTime":null,"reportingComponent":"","reportingInstance":""})");
  json::Value role = object("{}");
  add_zero_values(*type_of("rbac.authorization.k8s.io/v1", "Role"), role);
  EXPECT_EQ(json::dump(role), R"({"metadata":{"creationTimestamp":null},"rules":null})");
  const std::string before = json::dump(deployment);
  add_zero_values(*type_of("apps/v1", "Deployment"), deployment);
  EXPECT_EQ(json::dump(deployment), before);
}

TEST(Normalize, AnEmptyListOrMapIsAbsentAsInProtobuf) {
  for (auto [type, text, left] :
       {std::tuple{"k8s.io.api.rbac.v1.Role", R"({"rules":[]})", "{}"},
        {"k8s.io.api.discovery.v1.EndpointSlice", R"({"endpoints":[{"addresses":[]}]})", R"({"endpoints":[{}]})"},
        {"k8s.io.api.core.v1.ConfigMap", R"({"data":{},"binaryData":{}})", "{}"},
        {"k8s.io.api.networking.v1.NetworkPolicySpec", R"({"podSelector":{}})", R"({"podSelector":{}})"}}) {
    json::Value value = object(text);
    ASSERT_TRUE(normalize(*find_type(type), value)) << text;
    EXPECT_EQ(json::dump(value), left) << text;
  }
}

TEST(Body, IsReadByContentType) {
  auto yaml = decode_body("application/yaml", "a: 1\na: 2\n");
  ASSERT_TRUE(yaml);
  EXPECT_EQ(json::dump(*yaml), R"({"a":2})");
  std::vector<std::string> duplicates;
  ASSERT_TRUE(decode_body("application/json; charset=utf-8", R"({"a":1,"a":2})", &duplicates));
  EXPECT_EQ(duplicates, std::vector<std::string>{"duplicate field \"a\""});
  auto refused = decode_body("text/plain", "x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnsupportedMedia);
  auto unprefixed = decode_body("application/vnd.kubernetes.protobuf", "{}");
  ASSERT_FALSE(unprefixed);
  EXPECT_EQ(unprefixed.error().code, Code::kBadRequest);
}

TEST(Protobuf, KeepsEmptyMessagesAndExplicitZeroes) {
  const json::Value pod = object(R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"},"spec":{"volumes":[
      {"name":"v","emptyDir":{}}],"terminationGracePeriodSeconds":0,"containers":[{"name":"c","env":[{"name":"A"}]}]}})");
  auto bytes = encode_protobuf(pod);
  ASSERT_TRUE(bytes);
  auto again = decode_protobuf(*bytes);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, pod) << json::dump(*again);
}

TEST(Protobuf, DropsGosExplicitZeroesOfOmitemptyFields) {
  // Container{name = 1 "", image = 2 "", stdin = 16 false}
  auto container = decode_message(*find_type("k8s.io.api.core.v1.Container"), {"\x0a\x00\x12\x00\x80\x01\x00", 7});
  ASSERT_TRUE(container);
  EXPECT_EQ(json::dump(*container), R"({"name":""})");
}

TEST(Protobuf, ErrorsNameTheFieldAndTheByte) {
  // ObjectMeta{name = 1, ten bytes announced, two there}
  auto meta = decode_message(*find_type("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta"), {"\x0a\x0a"
                                                                                             "ab",
                                                                                             4});
  ASSERT_FALSE(meta);
  EXPECT_EQ(meta.error().message, "ObjectMeta.name: malformed protobuf at byte 2: a field of 10 bytes is cut off");
}

TEST(Protobuf, UnknownKindsAreNamed) {
  auto bytes = encode_protobuf(object(R"({"kind":"Foo","apiVersion":"x.io/v1"})"));
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, Code::kNotAcceptable);
}

TEST(Protobuf, WatchEventsHoldAnEnvelope) {
  const json::Value pod = object(R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"}})");
  auto frame = encode_watch_event("ADDED", pod);
  ASSERT_TRUE(frame);
  auto event = decode_message(*find_type("k8s.io.apimachinery.pkg.apis.meta.v1.WatchEvent"), *frame);
  ASSERT_TRUE(event);
  EXPECT_EQ(json::str(*event, "type"), "ADDED");
  EXPECT_EQ(json::at(*event, "object", "metadata"), json::at(pod, "metadata"));
}

TEST(Base64, IsStandardAndPadded) {
  for (std::string_view text : {"", "a", "ab", "abc", "abcd"}) {
    auto back = base64_decode(base64_encode(text));
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(*back, text);
  }
  EXPECT_EQ(base64_encode("ab"), "YWI=");
  EXPECT_EQ(*base64_decode("YW\nI="), "ab");
  for (std::string_view bad : {"Y", "YW", "YWI", "YW=I", "=", "YWJj=", "YWI==", "Y W="})
    EXPECT_FALSE(base64_decode(bad)) << bad;
}

TEST(Duration, PrintsLikeGo) {
  using namespace std::chrono_literals;
  EXPECT_EQ(format_duration(0ns), "0s");
  EXPECT_EQ(format_duration(5400s), "1h30m0s");
  EXPECT_EQ(format_duration(1500ms), "1.5s");
  EXPECT_EQ(format_duration(100ms), "100ms");
  EXPECT_EQ(format_duration(-90s), "-1m30s");
  EXPECT_EQ(format_duration(1500ns), "1.5µs");
}

}  // namespace
}  // namespace lab::api
