#include <chrono>
#include <thread>

#include "fixture.h"

namespace lab::apiserver {
namespace {

const char* kDefinition = R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
  "metadata":{"name":"crontabs.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
  "names":{"plural":"crontabs","singular":"crontab","kind":"CronTab","shortNames":["ct"]},
  "versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},
    "additionalPrinterColumns":[{"name":"Spec","type":"string","jsonPath":".spec.cronSpec"}],
    "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","required":["cronSpec"],
      "properties":{"cronSpec":{"type":"string"},"replicas":{"type":"integer","minimum":1,"default":3}}},
      "status":{"type":"object","properties":{"seen":{"type":"integer"}}}}}}}]}})";

class CustomTest : public ServerTest {
 protected:
  const std::string definitions_ = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const std::string tabs_ = "/apis/example.com/v1/namespaces/default/crontabs";

  // Waits until a path answers with a status.
  bool eventually(const std::string& path, int status) {
    for (int i = 0; i < 600; ++i) {
      if (get(path).status == status) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }
  static json::Value tab(std::string spec) {
    return *json::parse(R"({"apiVersion":"example.com/v1","kind":"CronTab","metadata":{"name":"a"},"spec":)" + spec +
                        "}");
  }
};

TEST_F(CustomTest, ADefinitionServesItsKind) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  auto made = make(tabs_, tab(R"({"cronSpec":"* * *","colour":"red"})"));
  EXPECT_EQ(json::num(made, "spec", "replicas"), 3);
  EXPECT_FALSE(json::has(made, "spec", "colour"));
  EXPECT_EQ(json::num(made, "metadata", "generation"), 1);
  auto table = get(tabs_, {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}}).body;
  EXPECT_EQ(json::as_str(json::list(json::list(table, "rows")[0], "cells")[1]), "* * *");
  auto status = merge(tabs_ + "/a/status", *json::parse(R"({"spec":{"replicas":9},"status":{"seen":1}})"));
  EXPECT_EQ(json::num(status.body, "spec", "replicas"), 3);
  EXPECT_EQ(json::num(status.body, "status", "seen"), 1);
}

TEST_F(CustomTest, ObjectsAreHeldAgainstTheSchema) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  EXPECT_EQ(post(tabs_, tab(R"({"replicas":2})")).status, 422);
  EXPECT_EQ(post(tabs_, tab(R"({"cronSpec":5})")).status, 422);
  EXPECT_EQ(post(tabs_, tab(R"({"cronSpec":"x","replicas":0})")).status, 422);
  EXPECT_EQ(post(tabs_ + "?fieldValidation=Strict", tab(R"({"cronSpec":"x","colour":"red"})")).status, 400);
}

TEST_F(CustomTest, KindsComeBackAfterARestartAndGoWithTheirDefinition) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  auto made = make(tabs_, tab(R"({"cronSpec":"x"})"));
  start_server();
  EXPECT_EQ(get(tabs_ + "/a").body, made);
  EXPECT_EQ(remove(definitions_ + "/crontabs.example.com").status, 200);
  EXPECT_TRUE(eventually(definitions_ + "/crontabs.example.com", 404));
  EXPECT_TRUE(eventually(tabs_, 404));
}

TEST_F(CustomTest, TheSchemaIsPublished) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  ASSERT_TRUE(eventually("/openapi/v3/apis/example.com/v1", 200));
  const auto two = get("/openapi/v2").body;
  const auto& model = json::at(two, "definitions", "com.example.v1.CronTab");
  EXPECT_EQ(json::str(model, "properties", "spec", "properties", "cronSpec", "type"), "string");
  EXPECT_TRUE(
      json::has(get("/openapi/v3/apis/example.com/v1").body, "components", "schemas", "com.example.v1.CronTab"));
  // What is no longer served is no longer described.
  merge(definitions_ + "/crontabs.example.com", *json::parse(R"({"spec":{"versions":[{"name":"v1","served":false,
    "storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}})"));
  EXPECT_TRUE(eventually("/openapi/v3/apis/example.com/v1", 404));
  EXPECT_FALSE(json::has(get("/openapi/v2").body, "definitions", "com.example.v1.CronTab"));
}

TEST_F(CustomTest, DefaultsReachWhatWasStoredBefore) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  make(tabs_, tab(R"({"cronSpec":"x"})"));
  auto definition = get(definitions_ + "/crontabs.example.com").body;
  auto& spec =
      definition.at("spec").at("versions").at(0).at("schema").at("openAPIV3Schema").at("properties").at("spec");
  json::set(spec, "blue", "properties", "colour", "default");
  json::set(spec, "string", "properties", "colour", "type");
  json::erase(definition, "metadata", "resourceVersion");  // its status is written meanwhile
  ASSERT_EQ(put(definitions_ + "/crontabs.example.com", definition).status, 200);
  auto coloured = [&] { return json::str(get(tabs_ + "/a").body, "spec", "colour") == "blue"; };
  for (int i = 0; i < 600 && !coloured(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(coloured());
  EXPECT_EQ(json::str(json::list(get(tabs_).body, "items")[0], "spec", "colour"), "blue");
}

TEST_F(CustomTest, ObjectsMeetAllThatTheSchemaAsks) {
  auto definition = *json::parse(kDefinition);
  json::set(definition.at("spec").at("versions").at(0),
            *json::parse(R"({"openAPIV3Schema":{"type":"object","properties":{
    "spec":{"type":"object","properties":{"cronSpec":{"type":"string","pattern":"^(\\d+|\\*)$","maxLength":4},
      "list":{"type":"array","maxItems":2,"x-kubernetes-list-type":"set","items":{"type":"string"}},
      "port":{"x-kubernetes-int-or-string":true},"half":{"type":"integer","multipleOf":2},
      "either":{"oneOf":[{"required":["a"]},{"required":["b"]}],"type":"object",
        "properties":{"a":{"type":"string"},"b":{"type":"string"}}},
      "pod":{"type":"object","x-kubernetes-embedded-resource":true,"x-kubernetes-preserve-unknown-fields":true}}}}}})"),
            "schema");
  make(definitions_, definition);
  ASSERT_TRUE(eventually(tabs_, 200));
  auto status = [&](const std::string& spec) { return post(tabs_ + "?dryRun=All", tab(spec)).status; };
  EXPECT_EQ(status(R"({"cronSpec":"15","list":["a","b"],"port":"http","half":4,"either":{"a":"x"}})"), 201);
  for (const char* bad :
       {R"({"cronSpec":"x"})", R"({"cronSpec":"12345"})", R"({"list":["a","a"]})", R"({"list":["a","b","c"]})",
        R"({"port":true})", R"({"half":3})", R"({"either":{}})", R"({"either":{"a":"x","b":"y"}})"})
    EXPECT_EQ(status(bad), 422) << bad;
  // Metadata is the same everywhere, in embedded objects too.
  auto pod = tab(R"({"pod":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","colour":"red"},"spec":{"any":1}}})");
  auto strict = post(tabs_ + "?fieldValidation=Strict", pod);
  EXPECT_EQ(strict.status, 400);
  EXPECT_NE(strict.text.find(R"(unknown field \"spec.pod.metadata.colour\")"), std::string::npos) << strict.text;
  EXPECT_TRUE(json::has(make(tabs_, pod), "spec", "pod", "spec", "any"));
}

TEST_F(CustomTest, AppliedFieldsMustBeDeclared) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  auto apply = [&](std::string text) {
    return call("PATCH", tabs_ + "/a?fieldManager=test&fieldValidation=Strict", text,
                {{"Content-Type", "application/apply-patch+yaml"}});
  };
  const std::string head = "apiVersion: example.com/v1\nkind: CronTab\nmetadata: {name: a}\n";
  EXPECT_EQ(apply(head + "spec: {cronSpec: x}\n").status, 201);
  auto unknown = apply(head + "colour: red\nspec: {cronSpec: x}\n");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.text.find(".colour: field not declared in schema"), std::string::npos) << unknown.text;
  auto twice = apply(head + "spec:\n  cronSpec: x\n  cronSpec: y\n");
  EXPECT_EQ(twice.status, 400);
  EXPECT_NE(twice.text.find(R"(line 6: key \"cronSpec\" already set in map)"), std::string::npos) << twice.text;
}

TEST_F(CustomTest, FieldsOfItsOwnCanBeSelected) {
  auto definition = *json::parse(kDefinition);
  json::set(definition.at("spec").at("versions").at(0), *json::parse(R"([{"jsonPath":".spec.cronSpec"}])"),
            "selectableFields");
  make(definitions_, definition);
  ASSERT_TRUE(eventually(tabs_, 200));
  make(tabs_, tab(R"({"cronSpec":"x"})"));
  EXPECT_EQ(json::list(get(tabs_ + "?fieldSelector=spec.cronSpec=x").body, "items").size(), 1u);
  EXPECT_EQ(json::list(get(tabs_ + "?fieldSelector=spec.cronSpec=y").body, "items").size(), 0u);
  EXPECT_EQ(get(tabs_ + "?fieldSelector=spec.replicas=3").status, 400);
}

}  // namespace
}  // namespace lab::apiserver
