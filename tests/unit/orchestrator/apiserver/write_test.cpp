#include "fixture.h"

namespace lab::apiserver {
namespace {

TEST_F(ServerTest, CreatedObjectsAreReadBackAsTheyWereAnswered) {
  auto made = make(kConfigMaps, config_map("a"));
  EXPECT_EQ(json::str(made, "metadata", "namespace"), "default");
  EXPECT_FALSE(json::str(made, "metadata", "uid").empty());
  EXPECT_FALSE(json::str(made, "metadata", "creationTimestamp").empty());
  EXPECT_EQ(get(kConfigMaps + "/a").body, made);
  auto again = post(kConfigMaps, config_map("a"));
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(json::str(again.body, "reason"), "AlreadyExists");
  EXPECT_EQ(json::str(again.body, "message"), "configmaps \"a\" already exists");
  EXPECT_EQ(json::str(again.body, "details", "kind"), "configmaps");
}

TEST_F(ServerTest, GeneratesNames) {
  auto object = config_map("");
  json::erase(object, "metadata", "name");
  json::set(object, "job-", "metadata", "generateName");
  auto one = make(kConfigMaps, object), two = make(kConfigMaps, object);
  EXPECT_TRUE(json::str(one, "metadata", "name").starts_with("job-"));
  EXPECT_EQ(json::str(one, "metadata", "name").size(), 9u);
  EXPECT_NE(json::str(one, "metadata", "name"), json::str(two, "metadata", "name"));
  json::erase(object, "metadata", "generateName");
  EXPECT_EQ(post(kConfigMaps, object).status, 422);
}

TEST_F(ServerTest, RefusesWhatContradictsThePath) {
  auto object = config_map("a");
  json::set(object, "other", "metadata", "namespace");
  EXPECT_EQ(post(kConfigMaps, object).status, 400);
  EXPECT_EQ(post(kConfigMaps, pod("p")).status, 400);
  auto made = make(kConfigMaps, config_map("a"));
  EXPECT_EQ(put(kConfigMaps + "/b", made).status, 404);
  make(kConfigMaps, config_map("b"));
  auto wrong = put(kConfigMaps + "/b", made);
  EXPECT_EQ(wrong.status, 400) << wrong.text;
}

TEST_F(ServerTest, StrictValidationRefusesUnknownFieldsAndWarningNamesThem) {
  auto object = config_map("a");
  json::set(object, 1, "dato");
  auto strict = post(kConfigMaps + "?fieldValidation=Strict", object);
  EXPECT_EQ(strict.status, 400);
  EXPECT_EQ(
      json::str(strict.body, "message"),
      "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dato\"");
  auto warned = post(kConfigMaps, object);
  EXPECT_EQ(warned.status, 201);
  EXPECT_EQ(warned.headers.get("Warning"), "299 - \"unknown field \\\"dato\\\"\"");
  EXPECT_FALSE(json::has(warned.body, "dato"));
}

TEST_F(ServerTest, DryRunChangesNothing) {
  auto dry = post(kConfigMaps + "?dryRun=All", config_map("a"));
  EXPECT_EQ(dry.status, 201);
  EXPECT_EQ(get(kConfigMaps + "/a").status, 404);
  auto made = make(kConfigMaps, config_map("a"));
  EXPECT_EQ(post(kConfigMaps + "?dryRun=All", config_map("a")).status, 409);
  EXPECT_EQ(merge(kConfigMaps + "/a?dryRun=All", json::Object{{"data", json::Object{{"value", "2"}}}}).status, 200);
  EXPECT_EQ(call("DELETE", kConfigMaps + "/a?dryRun=All").status, 200);
  EXPECT_EQ(get(kConfigMaps + "/a").body, made);
}

TEST_F(ServerTest, OutdatedWritesAreRefused) {
  auto made = make(kConfigMaps, config_map("a"));
  auto changed = made;
  json::set(changed, "2", "data", "value");
  EXPECT_EQ(put(kConfigMaps + "/a", changed).status, 200);
  json::set(changed, "3", "data", "value");
  auto stale = put(kConfigMaps + "/a", changed);
  EXPECT_EQ(stale.status, 409);
  EXPECT_EQ(json::str(stale.body, "reason"), "Conflict");
  EXPECT_EQ(
      json::str(stale.body, "message"),
      "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes "
      "to the latest version and try again");
  json::erase(changed, "metadata", "resourceVersion");
  EXPECT_EQ(put(kConfigMaps + "/a", changed).status, 200);
}

TEST_F(ServerTest, AnUpdateThatChangesNothingWritesNothing) {
  auto made = make(kConfigMaps, config_map("a"));
  auto same = put(kConfigMaps + "/a", made);
  EXPECT_EQ(same.status, 200);
  EXPECT_EQ(json::str(same.body, "metadata", "resourceVersion"), json::str(made, "metadata", "resourceVersion"));
  auto patched = merge(kConfigMaps + "/a", json::Object{{"data", json::Object{{"value", "1"}}}});
  EXPECT_EQ(json::str(patched.body, "metadata", "resourceVersion"), json::str(made, "metadata", "resourceVersion"));
}

TEST_F(ServerTest, PatchesOfAllTypes) {
  make(kConfigMaps, config_map("a"));
  auto json_patch = call("PATCH", kConfigMaps + "/a", R"([{"op":"add","path":"/data/b","value":"2"}])",
                         {{"Content-Type", "application/json-patch+json"}});
  EXPECT_EQ(json::str(json_patch.body, "data", "b"), "2") << json_patch.text;
  auto merged = merge(kConfigMaps + "/a", json::Object{{"data", json::Object{{"b", nullptr}, {"c", "3"}}}});
  EXPECT_FALSE(json::has(merged.body, "data", "b"));
  EXPECT_EQ(json::str(merged.body, "data", "c"), "3");
  make(kPods, pod("p"));
  auto strategic = call("PATCH", kPods + "/p", R"({"spec":{"containers":[{"name":"c","image":"httpd"}]}})",
                        {{"Content-Type", "application/strategic-merge-patch+json"}});
  ASSERT_EQ(strategic.status, 200) << strategic.text;
  EXPECT_EQ(json::str(json::list(strategic.body, "spec", "containers")[0], "image"), "httpd");
  EXPECT_EQ(call("PATCH", kPods + "/p", "{}", {{"Content-Type", "text/plain"}}).status, 415);
}

TEST_F(ServerTest, MetadataOfTheServerCannotBeChanged) {
  auto made = make(kConfigMaps, config_map("a"));
  auto patched = merge(kConfigMaps + "/a",
                       json::Object{{"metadata", json::Object{{"creationTimestamp", "2001-01-01T00:00:00Z"},
                                                              {"deletionTimestamp", "2001-01-01T00:00:00Z"}}}});
  EXPECT_EQ(patched.status, 200);
  EXPECT_EQ(json::str(patched.body, "metadata", "creationTimestamp"), json::str(made, "metadata", "creationTimestamp"));
  EXPECT_FALSE(json::has(patched.body, "metadata", "deletionTimestamp"));
  auto other = merge(kConfigMaps + "/a", json::Object{{"metadata", json::Object{{"uid", "x"}}}});
  EXPECT_EQ(other.status, 409) << other.text;
}

const char* kDeployment = R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,
  "selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
  "spec":{"containers":[{"name":"c","image":"nginx"}]}}},"status":{"replicas":7}})";
const std::string kDeployments = "/apis/apps/v1/namespaces/default/deployments";

TEST_F(ServerTest, StatusAndSpecAreWrittenThroughTheirOwnDoors) {
  auto made = make(kDeployments, *json::parse(kDeployment));
  EXPECT_EQ(json::num(made, "status", "replicas"), 0);
  EXPECT_EQ(json::num(made, "metadata", "generation"), 1);
  auto status = merge(kDeployments + "/web/status",
                      json::Object{{"spec", json::Object{{"replicas", 9}}}, {"status", json::Object{{"replicas", 2}}}});
  EXPECT_EQ(status.status, 200) << status.text;
  EXPECT_EQ(json::num(status.body, "spec", "replicas"), 2);
  EXPECT_EQ(json::num(status.body, "status", "replicas"), 2);
  EXPECT_EQ(json::num(status.body, "metadata", "generation"), 1);
  auto spec = merge(kDeployments + "/web",
                    json::Object{{"spec", json::Object{{"replicas", 4}}}, {"status", json::Object{{"replicas", 5}}}});
  EXPECT_EQ(json::num(spec.body, "spec", "replicas"), 4);
  EXPECT_EQ(json::num(spec.body, "status", "replicas"), 2);
  EXPECT_EQ(json::num(spec.body, "metadata", "generation"), 2);
  auto labelled =
      merge(kDeployments + "/web", json::Object{{"metadata", json::Object{{"labels", json::Object{{"a", "b"}}}}}});
  EXPECT_EQ(json::num(labelled.body, "metadata", "generation"), 2);
}

TEST_F(ServerTest, ScaleIsANarrowViewOfReplicas) {
  make(kDeployments, *json::parse(kDeployment));
  auto scale = get(kDeployments + "/web/scale");
  EXPECT_EQ(json::str(scale.body, "kind"), "Scale");
  EXPECT_EQ(json::num(scale.body, "spec", "replicas"), 2);
  EXPECT_EQ(json::str(scale.body, "status", "selector"), "app=web");
  auto patched = merge(kDeployments + "/web/scale", json::Object{{"spec", json::Object{{"replicas", 6}}}});
  EXPECT_EQ(patched.status, 200) << patched.text;
  EXPECT_EQ(json::num(patched.body, "spec", "replicas"), 6);
  EXPECT_EQ(json::num(get(kDeployments + "/web").body, "spec", "replicas"), 6);
}

TEST_F(ServerTest, MethodsAKindDoesNotHaveAre405AndUnknownPathsAre404) {
  EXPECT_EQ(call("DELETE", "/api/v1/namespaces").status, 405);
  EXPECT_EQ(post("/api/v1/configmaps", config_map("a")).status, 405);
  EXPECT_EQ(get("/api/v1/nothings").status, 404);
  EXPECT_EQ(get("/apis/none/v1/nothings").status, 404);
  EXPECT_EQ(get(kConfigMaps + "/a/none").status, 404);
}

TEST_F(ServerTest, WritesSurviveARestart) {
  auto made = make(kConfigMaps, config_map("a"));
  start_server();
  EXPECT_EQ(get(kConfigMaps + "/a").body, made);
}

}  // namespace
}  // namespace lab::apiserver
