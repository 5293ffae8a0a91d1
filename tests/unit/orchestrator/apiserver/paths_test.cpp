#include "base/crypto/digest.h"
#include "fixture.h"
#include "orchestrator/api/codec.h"

namespace lab::apiserver {
namespace {

TEST_F(ServerTest, DiscoveryNamesResourcesAndSubresources) {
  auto groups = get("/apis").body;
  EXPECT_EQ(json::str(groups, "kind"), "APIGroupList");
  auto core = get("/api/v1").body;
  bool log = false, eviction = false;
  for (const auto& r : json::list(core, "resources")) {
    log |= json::str(r, "name") == "pods/log";
    eviction |= json::str(r, "name") == "pods/eviction" && json::str(r, "group") == "policy" &&
                json::str(r, "kind") == "Eviction";
  }
  EXPECT_TRUE(log);
  EXPECT_TRUE(eviction);
  EXPECT_EQ(json::str(get("/apis/apps").body, "preferredVersion", "groupVersion"), "apps/v1");
  EXPECT_EQ(get("/apis/nothing").status, 404);
}

TEST_F(ServerTest, AggregatedDiscoveryAnswersNotModified) {
  http::Headers accept{
      {"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}};
  auto first = get("/apis", accept);
  EXPECT_EQ(json::str(first.body, "kind"), "APIGroupDiscoveryList");
  EXPECT_EQ(first.headers.get("Content-Type"), "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  accept.set("If-None-Match", std::string(first.headers.get("ETag")));
  EXPECT_EQ(get("/apis", accept).status, 304);
}

TEST_F(ServerTest, HealthAndVersion) {
  EXPECT_EQ(get("/readyz").text, "ok");
  EXPECT_NE(get("/livez?verbose").text.find("[+]ping ok"), std::string::npos);
  EXPECT_EQ(get("/readyz/ping").status, 200);
  EXPECT_EQ(get("/readyz/none").status, 404);
  EXPECT_EQ(json::str(get("/version").body, "gitVersion"), "v1.32.3+lab");
  make(kConfigMaps, config_map("a"));
  EXPECT_NE(get("/metrics").text.find("apiserver_request_total{verb=\"create\",resource=\"configmaps\""),
            std::string::npos);
}

TEST_F(ServerTest, UnknownCredentialsAreUnauthorized) {
  auto bad = get("/version", {{"Authorization", "Bearer wrong"}});
  EXPECT_EQ(bad.status, 401);
  EXPECT_EQ(json::str(bad.body, "reason"), "Unauthorized");
}

TEST_F(ServerTest, ProtobufIsSpokenBothWays) {
  auto bytes = api::encode_protobuf(config_map("a"));
  ASSERT_TRUE(bytes) << bytes.error().text();
  auto made = call("POST", kConfigMaps, *bytes,
                   {{"Content-Type", "application/vnd.kubernetes.protobuf"},
                    {"Accept", "application/vnd.kubernetes.protobuf,application/json"}});
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.headers.get("Content-Type"), "application/vnd.kubernetes.protobuf");
  auto decoded = api::decode_protobuf(made.text);
  ASSERT_TRUE(decoded) << decoded.error().text();
  EXPECT_EQ(json::str(*decoded, "data", "value"), "1");
  EXPECT_EQ(json::str(get(kConfigMaps + "/a").body, "data", "value"), "1");
}

TEST_F(ServerTest, YamlIsSpokenBothWays) {
  auto made = call("POST", kConfigMaps, "metadata:\n  name: a\ndata:\n  k: v\n",
                   {{"Content-Type", "application/yaml"}, {"Accept", "application/yaml"}});
  EXPECT_EQ(made.status, 201) << made.text;
  EXPECT_NE(made.text.find("kind: ConfigMap"), std::string::npos) << made.text;
}

TEST_F(ServerTest, VersionsOfAKindAreViewsOfOneObject) {
  const std::string v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers",
                    v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
  make(v1, *json::parse(R"({"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},
    "spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"web","apiVersion":"apps/v1"},
    "targetCPUUtilizationPercentage":50}})"));
  auto two = get(v2 + "/h").body;
  EXPECT_EQ(json::str(two, "apiVersion"), "autoscaling/v2");
  ASSERT_EQ(json::list(two, "spec", "metrics").size(), 1u);
  EXPECT_EQ(json::num(json::list(two, "spec", "metrics")[0], "resource", "target", "averageUtilization"), 50);
  EXPECT_EQ(json::num(get(v1 + "/h").body, "spec", "targetCPUUtilizationPercentage"), 50);
}

Task<std::string> use_in_process(ApiServer& server) {
  client::Client client(
      server.in_process({"system:kube-controller-manager", "", {"system:masters"}, {}}, *Loop::current()));
  auto made = co_await client.create(client::res::configmaps, "default", config_map("inside"));
  if (!made) co_return made.error().text();
  auto events = co_await client.watch(client::res::configmaps, "default",
                                      {.label_selector = {}, .field_selector = {}, .resource_version = "0"});
  if (!events) co_return events.error().text();
  auto event = co_await (*events)->next();
  if (!event || !*event) co_return std::string("no event");
  (*events)->close();
  auto removed = co_await client.remove(client::res::configmaps, "default", "inside");
  if (!removed) co_return removed.error().text();
  auto gone = co_await client.get(client::res::configmaps, "default", "inside");
  if (gone || gone.error().code != Code::kNotFound) co_return std::string("still there");
  co_return std::string(json::str((**event).object, "metadata", "name"));
}

TEST_F(ServerTest, PartsOfTheProcessUseTheSameChainWithoutSockets) {
  EXPECT_EQ(run_task(use_in_process(*server_)), "inside");
}

TEST_F(ServerTest, ReviewsHaveNoTable) {
  const std::string path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  const std::string body = R"({"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview",
    "spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}})";
  const std::string table = "application/json;as=Table;v=v1;g=meta.k8s.io";
  auto refused = call("POST", path, body, {{"Accept", table}, {"Content-Type", "application/json"}});
  EXPECT_EQ(refused.status, 406);
  EXPECT_EQ(json::str(refused.body, "reason"), "NotAcceptable");
  EXPECT_EQ(
      call("POST", path, body, {{"Accept", table + ", application/json"}, {"Content-Type", "application/json"}}).status,
      201);
}

TEST_F(ServerTest, GenerationsOfAPodCountChangesOfItsSpec) {
  auto made = make(kPods, pod("a"));
  EXPECT_EQ(json::num(made, "metadata", "generation"), 1);
  auto bound = post(kPods + "/a/binding", *json::parse(R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":"a"},
    "target":{"kind":"Node","name":"n1"}})"));
  EXPECT_EQ(bound.status, 201) << bound.text;
  EXPECT_EQ(json::num(get(kPods + "/a").body, "metadata", "generation"), 1);
  merge(kPods + "/a/status", *json::parse(R"({"status":{"phase":"Running","observedGeneration":1}})"));
  EXPECT_EQ(json::num(get(kPods + "/a").body, "status", "observedGeneration"), 1);
  EXPECT_EQ(json::num(get(kPods + "/a").body, "metadata", "generation"), 1);
  auto changed = merge(kPods + "/a", *json::parse(R"({"spec":{"activeDeadlineSeconds":100}})"));
  EXPECT_EQ(json::num(changed.body, "metadata", "generation"), 2) << changed.text;
  remove(kPods + "/a");
  EXPECT_EQ(json::num(get(kPods + "/a").body, "metadata", "generation"), 3);
}

TEST_F(ServerTest, KindsYoungerThanTheSchemaPackagesAreServed) {
  for (const char* path :
       {"/apis/resource.k8s.io/v1/deviceclasses", "/apis/resource.k8s.io/v1/resourceslices",
        "/apis/resource.k8s.io/v1/resourceclaims", "/apis/storage.k8s.io/v1/volumeattributesclasses",
        "/apis/networking.k8s.io/v1/ipaddresses", "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"})
    EXPECT_EQ(get(path).status, 200) << path;
  auto claim = make("/apis/resource.k8s.io/v1/namespaces/default/resourceclaims",
                    *json::parse(R"({"apiVersion":"resource.k8s.io/v1","kind":"ResourceClaim","metadata":{"name":"c"},
      "spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"gpu","count":2}}]}}})"));
  EXPECT_EQ(json::num(json::list(claim, "spec", "devices", "requests")[0], "exactly", "count"), 2);
}

}  // namespace
}  // namespace lab::apiserver
