// Admission webhooks: real HTTPS servers, asked by a real API server.
#include <algorithm>
#include <atomic>
#include <thread>

#include "webhook_server.h"

namespace lab::apiserver {
namespace {

json::Value answer_by(const std::string& path, const json::Value& request) {
  const auto& object = json::at(request, "object");
  if (path == "/deny") return deny("not here");
  if (path == "/forbid")
    return json::Object{{"allowed", false},
                        {"status", json::Object{{"message", "no"}, {"reason", "Forbidden"}, {"code", 403}}}};
  if (path == "/warn") return json::Object{{"allowed", true}, {"warnings", json::Array{"think again"}}};
  if (path == "/warn-deny") return json::Object{{"allowed", false}, {"warnings", json::Array{"one last warning"}}};
  if (path == "/wrong-uid") return json::Object{{"allowed", true}, {"uid", "another"}};
  if (path == "/data") return patch(R"([{"op":"add","path":"/data/mutated","value":"yes"}])");
  if (path == "/stage-2") {
    if (json::str(object, "data", "mutated") != "yes" || json::has(object, "data", "stage2")) return allow();
    return patch(R"([{"op":"add","path":"/data/stage2","value":"yes"}])");
  }
  if (path == "/init")
    return patch(R"([{"op":"add","path":"/spec/initContainers","value":[{"name":"added","image":"i"}]}])");
  if (path == "/no-object") return patch(R"([{"op":"remove","path":"/nowhere"}])");
  if (path == "/limit") return json::num(object, "spec", "replicas") > 5 ? deny("too many") : allow();
  if (path == "/halve") return patch(R"([{"op":"replace","path":"/spec/replicas","value":2}])");
  return allow();
}

class WebhookTest : public ServerTest {
 protected:
  const std::string mutating_ = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
  const std::string validating_ = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

  // One webhook for `operations` on `resources` of all groups, under one name; `more` is merged into it.
  json::Value configuration(std::string name, const std::string& path, std::string operations, std::string resources,
                            std::string more = "{}") {
    json::Object rule{{"operations", *json::parse("[" + operations + "]")},
                      {"apiGroups", json::Array{"*"}},
                      {"apiVersions", json::Array{"*"}},
                      {"resources", *json::parse("[" + resources + "]")}};
    json::Object hook{{"name", name + ".example.com"},
                      {"clientConfig", hooks_.by_url(path)},
                      {"rules", json::Array{std::move(rule)}},
                      {"admissionReviewVersions", json::Array{"v1"}},
                      {"sideEffects", "None"}};
    for (const auto& [key, value] : json::as_object(*json::parse(more))) hook[key] = value;
    return json::Object{{"metadata", json::Object{{"name", name}}}, {"webhooks", json::Array{std::move(hook)}}};
  }
  static std::string message(const Answer& answer) { return std::string(json::str(answer.body, "message")); }
  static json::Value named(std::string name) { return config_map(std::move(name)); }

  WebhookServer hooks_{answer_by};
};

TEST_F(WebhookTest, DenialsNameTheWebhookAndWhy) {
  make(validating_, configuration("deny", "/deny", R"("CREATE","DELETE")", R"("configmaps")"));
  auto refused = post(kConfigMaps, named("a"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(message(refused), "admission webhook \"deny.example.com\" denied the request: not here");
  EXPECT_FALSE(json::has(refused.body, "reason"));
  EXPECT_EQ(get(kConfigMaps + "/a").status, 404);
  make(kPods, pod("other"));  // not meant
  const auto request = hooks_.requests().at(0).second;
  EXPECT_EQ(json::str(request, "operation"), "CREATE");
  EXPECT_EQ(json::str(request, "name"), "a");
  EXPECT_EQ(json::str(request, "namespace"), "default");
  EXPECT_EQ(json::str(request, "userInfo", "username"), "kubernetes-admin");
  EXPECT_EQ(json::str(request, "object", "kind"), "ConfigMap");
  EXPECT_EQ(json::str(request, "options", "kind"), "CreateOptions");
  EXPECT_TRUE(json::at(request, "oldObject").is_null());
  EXPECT_EQ(hooks_.paths(), std::vector<std::string>{"/deny"});
}

TEST_F(WebhookTest, TheStatusOfARefusalIsTheWebhooksOwn) {
  make(validating_, configuration("forbid", "/forbid", R"("CREATE")", R"("configmaps")"));
  auto refused = post(kConfigMaps, named("a"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(json::str(refused.body, "reason"), "Forbidden");
  EXPECT_EQ(json::num(refused.body, "code"), 403);
}

TEST_F(WebhookTest, UpdatesPatchesAndDeletionsAreAsked) {
  make(kConfigMaps, named("a"));
  make(validating_, configuration("deny", "/deny", R"("UPDATE","DELETE")", R"("configmaps")"));
  EXPECT_EQ(put(kConfigMaps + "/a", config_map("a", "2")).status, 400);
  EXPECT_EQ(merge(kConfigMaps + "/a", *json::parse(R"({"data":{"value":"3"}})")).status, 400);
  EXPECT_EQ(remove(kConfigMaps + "/a").status, 400);
  EXPECT_EQ(call("DELETE", kConfigMaps + "?labelSelector=value=1").status, 400);
  EXPECT_EQ(json::str(get(kConfigMaps + "/a").body, "data", "value"), "1");
  auto asked = hooks_.requests();
  ASSERT_EQ(asked.size(), 4u);
  EXPECT_EQ(json::str(asked[0].second, "oldObject", "data", "value"), "1");
  EXPECT_EQ(json::str(asked[0].second, "object", "data", "value"), "2");
  EXPECT_EQ(json::str(asked[1].second, "options", "kind"), "UpdateOptions");
  EXPECT_EQ(json::str(asked[2].second, "operation"), "DELETE");
  EXPECT_TRUE(json::at(asked[2].second, "object").is_null());
  EXPECT_EQ(json::str(asked[2].second, "oldObject", "metadata", "name"), "a");
}

TEST_F(WebhookTest, MutationsComeOneAfterTheOtherByName) {
  make(mutating_, configuration("b-second", "/stage-2", R"("CREATE")", R"("configmaps")"));
  make(mutating_, configuration("a-first", "/data", R"("CREATE")", R"("configmaps")"));
  make(validating_, configuration("see", "/see", R"("CREATE")", R"("configmaps")"));
  auto made = make(kConfigMaps, named("a"));
  EXPECT_EQ(json::map(made, "data").size(), 3u) << json::dump(made);
  EXPECT_EQ(hooks_.paths(), (std::vector<std::string>{"/data", "/stage-2", "/see"}));
  EXPECT_EQ(json::str(hooks_.requests()[2].second, "object", "data", "stage2"), "yes");
}

TEST_F(WebhookTest, WhoAsksForItIsCalledAgainWhenALaterOneChangedTheObject) {
  make(mutating_,
       configuration("a-again", "/stage-2", R"("CREATE")", R"("configmaps")", R"({"reinvocationPolicy":"IfNeeded"})"));
  make(mutating_, configuration("b-data", "/data", R"("CREATE")", R"("configmaps")"));
  EXPECT_EQ(json::str(make(kConfigMaps, named("a")), "data", "stage2"), "yes");
  EXPECT_EQ(hooks_.paths(), (std::vector<std::string>{"/stage-2", "/data", "/stage-2"}));
}

TEST_F(WebhookTest, WhatIsAddedGetsItsDefaultsAndIsValidated) {
  make(mutating_, configuration("init", "/init", R"("CREATE")", R"("pods")"));
  auto made = make(kPods, pod("p"));
  const auto& added = json::list(made, "spec", "initContainers");
  ASSERT_EQ(added.size(), 1u);
  EXPECT_EQ(json::str(added[0], "terminationMessagePolicy"), "File");
  EXPECT_EQ(json::list(added[0], "volumeMounts"),
            json::list(made, "spec", "containers").at(0).at("volumeMounts").as_array())
      << "the server's plugins ran again";
  // ... and added what they add once.
  EXPECT_EQ(json::list(made, "spec", "tolerations").size(), 2u);
  EXPECT_EQ(json::list(made, "spec", "volumes").size(), 1u);
}

TEST_F(WebhookTest, FailuresAreFatalOrIgnoredAsThePolicySays) {
  make(validating_, configuration("broken", "/broken", R"("CREATE")", R"("configmaps")"));
  auto refused = post(kConfigMaps, named("a"));
  EXPECT_EQ(refused.status, 500);
  EXPECT_EQ(json::str(refused.body, "reason"), "InternalError");
  EXPECT_TRUE(
      message(refused).starts_with("Internal error occurred: failed calling webhook \"broken.example.com\": failed "
                                   "to call webhook: an error on the server (\"it is broken\")"))
      << message(refused);
  merge(validating_ + "/broken",
        json::Object{{"webhooks", json::at(configuration("broken", "/broken", R"("CREATE")", R"("configmaps")",
                                                         R"({"failurePolicy":"Ignore"})"),
                                           "webhooks")}});
  EXPECT_EQ(post(kConfigMaps, named("a")).status, 201);
}

TEST_F(WebhookTest, ACertificateOfAnotherAuthorityIsNotTaken) {
  WebhookServer other(answer_by);
  auto config = configuration("ca", "/allow", R"("CREATE")", R"("configmaps")");
  config.at("webhooks").at(0).at("clientConfig").as_object()["caBundle"] = other.ca_bundle();
  make(mutating_, config);
  auto refused = post(kConfigMaps, named("a"));
  EXPECT_EQ(refused.status, 500);
  const auto url = "Post \"https://127.0.0.1:" + std::to_string(hooks_.port()) + "/allow?timeout=10s\": ";
  EXPECT_NE(message(refused).find(url + "TLS with "), std::string::npos) << message(refused);
  EXPECT_TRUE(hooks_.requests().empty());
}

TEST_F(WebhookTest, TimeoutsEndACall) {
  make(validating_, configuration("slow", "/slow", R"("CREATE")", R"("configmaps")", R"({"timeoutSeconds":1})"));
  auto refused = post(kConfigMaps, named("a"));
  EXPECT_EQ(refused.status, 500);
  EXPECT_NE(message(refused).find("/slow?timeout=1s\": context deadline exceeded"), std::string::npos)
      << message(refused);
}

TEST_F(WebhookTest, AnswersThatAreNoneAreFailures) {
  make(validating_, configuration("uid", "/wrong-uid", R"("CREATE")", R"("configmaps")"));
  EXPECT_NE(message(post(kConfigMaps, named("a"))).find("received invalid webhook response: expected response.uid="),
            std::string::npos);
}

TEST_F(WebhookTest, WarningsReachTheClientAlsoWithARefusal) {
  make(validating_, configuration("warn", "/warn", R"("CREATE")", R"("configmaps")"));
  EXPECT_EQ(post(kConfigMaps, named("a")).headers.get("Warning"), "299 - \"think again\"");
  make(validating_, configuration("warn-deny", "/warn-deny", R"("CREATE")", R"("configmaps")"));
  auto refused = post(kConfigMaps, named("b"));
  EXPECT_EQ(message(refused), "admission webhook \"warn-deny.example.com\" denied the request without explanation");
  auto warnings = refused.headers.all("Warning");
  EXPECT_NE(std::ranges::find(warnings, "299 - \"one last warning\""), warnings.end());
}

TEST_F(WebhookTest, SelectorsAndConditionsChoose) {
  make("/api/v1/namespaces", *json::parse(R"({"metadata":{"name":"skipped","labels":{"skip":"yes"}}})"));
  make(validating_,
       configuration("deny", "/deny", R"("CREATE")", R"("configmaps")",
                     R"({"namespaceSelector":{"matchExpressions":[{"key":"skip","operator":"DoesNotExist"}]},
                                      "objectSelector":{"matchLabels":{"value":"1"}},
                                      "matchConditions":[{"name":"skip","expression":"object.metadata.name != 'skip-me'"}]})"));
  EXPECT_EQ(post(kConfigMaps, config_map("a", "1")).status, 400);
  EXPECT_EQ(post(kConfigMaps, config_map("b", "2")).status, 201);
  EXPECT_EQ(post(kConfigMaps, config_map("skip-me", "1")).status, 201);
  EXPECT_EQ(post("/api/v1/namespaces/skipped/configmaps", config_map("c", "1")).status, 201);
}

TEST_F(WebhookTest, ConfigurationsThemselvesAreExempt) {
  make(mutating_, configuration("all", "/data", R"("*")", R"("*/*")"));
  make(validating_, configuration("all", "/deny", R"("*")", R"("*/*")"));
  EXPECT_EQ(post(kConfigMaps, named("a")).status, 400);
  EXPECT_EQ(merge(validating_ + "/all", *json::parse(R"({"metadata":{"labels":{"a":"b"}}})")).status, 200);
  EXPECT_EQ(remove(validating_ + "/all").status, 200);
  EXPECT_EQ(remove(mutating_ + "/all").status, 200);
  EXPECT_EQ(post(kConfigMaps, named("a")).status, 201);
}

TEST_F(WebhookTest, DryRunsAreForThoseWithoutSideEffects) {
  auto config = configuration("see", "/see", R"("CREATE")", R"("configmaps")");
  make(validating_, config);
  EXPECT_EQ(post(kConfigMaps + "?dryRun=All", named("a")).status, 201);
  EXPECT_TRUE(json::flag(hooks_.requests().at(0).second, "dryRun"));
  EXPECT_EQ(json::list(hooks_.requests().at(0).second, "options", "dryRun").size(), 1u);
  EXPECT_EQ(get(kConfigMaps + "/a").status, 404);
}

TEST_F(WebhookTest, ConnectionsAreAdmitted) {
  make(kPods, pod("p"));
  make(validating_, configuration("attach", "/deny", R"("CONNECT")", R"("pods/attach")"));
  auto refused = call("POST", kPods + "/p/attach?container=c&stdin=true&tty=true");
  EXPECT_EQ(message(refused), "admission webhook \"attach.example.com\" denied the request: not here");
  auto request = hooks_.requests().at(0).second;
  EXPECT_EQ(json::str(request, "operation"), "CONNECT");
  EXPECT_EQ(json::str(request, "subResource"), "attach");
  EXPECT_EQ(json::at(request, "object"),
            *json::parse(R"({"kind":"PodAttachOptions","apiVersion":"v1","stdin":true,"tty":true,"container":"c"})"));
  EXPECT_EQ(call("POST", kPods + "/p/exec?command=ls").status, 400);
  EXPECT_EQ(hooks_.requests().size(), 1u);
}

TEST_F(WebhookTest, SubresourcesAreSeenInTheirOwnForm) {
  const std::string deployments = "/apis/apps/v1/namespaces/default/deployments";
  make(deployments, *json::parse(R"({"metadata":{"name":"d"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},
    "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})"));
  make(validating_, configuration("limit", "/limit", R"("UPDATE")", R"("deployments/scale")"));
  EXPECT_EQ(merge(deployments + "/d/scale", *json::parse(R"({"spec":{"replicas":6}})")).status, 400);
  EXPECT_EQ(merge(deployments + "/d/scale", *json::parse(R"({"spec":{"replicas":5}})")).status, 200);
  auto request = hooks_.requests().back().second;
  EXPECT_EQ(json::str(request, "kind", "kind"), "Scale");
  EXPECT_EQ(json::str(request, "resource", "resource"), "deployments");
  EXPECT_EQ(json::num(request, "oldObject", "spec", "replicas"), 1);
  make(mutating_, configuration("halve", "/halve", R"("UPDATE")", R"("deployments/scale")"));
  EXPECT_EQ(
      json::num(merge(deployments + "/d/scale", *json::parse(R"({"spec":{"replicas":4}})")).body, "spec", "replicas"),
      2);
  // A binding is asked about as what it is, and once.
  make(kPods, pod("p"));
  make(validating_, configuration("bind", "/see", R"("*")", R"("pods","pods/binding")"));
  auto before = hooks_.requests().size();
  EXPECT_EQ(post(kPods + "/p/binding", *json::parse(R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},
    "target":{"kind":"Node","name":"n1"}})"))
                .status,
            201);
  ASSERT_EQ(hooks_.requests().size(), before + 1);
  EXPECT_EQ(json::str(hooks_.requests().back().second, "object", "kind"), "Binding");
}

TEST_F(WebhookTest, ADeletionCannotBePatched) {
  make(kConfigMaps, named("a"));
  make(mutating_, configuration("none", "/no-object", R"("*")", R"("configmaps")"));
  auto refused = remove(kConfigMaps + "/a");
  EXPECT_EQ(refused.status, 500);
  EXPECT_NE(message(refused).find("attempted to modify the object, which is not supported for this operation"),
            std::string::npos);
  EXPECT_NE(message(post(kConfigMaps, named("b"))).find("/nowhere"), std::string::npos);
}

TEST_F(WebhookTest, OtherVersionsOfAResourceAreTheSameUnlessExactIsAskedFor) {
  auto config = configuration("hpa", "/deny", R"("CREATE")", R"("horizontalpodautoscalers")");
  config.at("webhooks").at(0).at("rules").at(0).as_object()["apiVersions"] = json::Array{"v1"};
  make(validating_, config);
  const auto scaler = *json::parse(R"({"metadata":{"name":"h"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d",
    "apiVersion":"apps/v1"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"cpu",
    "target":{"type":"Utilization","averageUtilization":50}}}]}})");
  const std::string path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
  EXPECT_EQ(post(path, scaler).status, 400);
  auto request = hooks_.requests().at(0).second;
  EXPECT_EQ(json::str(request, "resource", "version"), "v1");
  EXPECT_EQ(json::str(request, "requestResource", "version"), "v2");
  EXPECT_EQ(json::str(request, "object", "apiVersion"), "autoscaling/v1");
  EXPECT_EQ(json::num(request, "object", "spec", "targetCPUUtilizationPercentage"), 50);
  config.at("webhooks").at(0).as_object()["matchPolicy"] = "Exact";
  merge(validating_ + "/hpa", json::Object{{"webhooks", config.at("webhooks")}});
  EXPECT_EQ(post(path, scaler).status, 201);
}

TEST_F(WebhookTest, CustomResourcesAreMutatedInTheVersionThatTheRuleNamesAndPruned) {
  const std::string things = "/apis/example.com/v2/namespaces/default/things";
  make("/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
       *json::parse(R"({"metadata":{"name":"things.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
    "names":{"plural":"things","kind":"Thing"},"versions":[
    {"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":
      {"data":{"type":"object","properties":{"mutated":{"type":"string"},"more":{"type":"string","default":"x"}}}}}}},
    {"name":"v2","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","properties":
      {"data":{"type":"object","properties":{"mutated":{"type":"string"}}}}}}}]}})"));
  for (int i = 0; i < 600 && get(things).status != 200; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  auto first = configuration("first", "/data", R"("CREATE")", R"("things")");
  first.at("webhooks").at(0).at("rules").at(0).as_object()["apiVersions"] = json::Array{"v1"};
  make(mutating_, first);
  make(mutating_, configuration("second", "/stage-2", R"("CREATE")", R"("things")"));
  auto made = make(things, *json::parse(R"({"apiVersion":"example.com/v2","kind":"Thing","metadata":{"name":"t"},
    "data":{}})"));
  EXPECT_EQ(json::str(made, "apiVersion"), "example.com/v2");
  EXPECT_EQ(json::at(made, "data"), *json::parse(R"({"mutated":"yes"})"));  // stage2 is in no schema
  auto asked = hooks_.requests();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(json::str(asked[0].second, "object", "apiVersion"), "example.com/v1");
  EXPECT_EQ(json::str(asked[0].second, "requestKind", "version"), "v2");
  EXPECT_EQ(json::str(asked[1].second, "object", "apiVersion"), "example.com/v2");
  EXPECT_EQ(json::str(asked[1].second, "object", "data", "mutated"), "yes");
}

TEST_F(WebhookTest, AServiceIsDialledAtItsEndpoints) {
  auto config = configuration("svc", "/deny", R"("CREATE")", R"("configmaps")");
  config.at("webhooks").at(0).as_object()["clientConfig"] = json::Object{
      {"service", json::Object{{"namespace", "default"}, {"name", "hook"}, {"path", "/deny"}, {"port", hooks_.port()}}},
      {"caBundle", hooks_.ca_bundle()}};
  make(validating_, config);
  const auto url = "Post \"https://hook.default.svc:" + std::to_string(hooks_.port()) + "/deny?timeout=10s\": ";
  EXPECT_NE(message(post(kConfigMaps, named("a"))).find(url + "service \"hook\" not found"), std::string::npos);
  const std::string services = "/api/v1/namespaces/default/services";
  auto service = *json::parse(R"({"metadata":{"name":"hook"},"spec":{"ports":[{"port":1}]}})");
  service.at("spec").at("ports").at(0).as_object()["port"] = hooks_.port();
  make(services, service);
  EXPECT_NE(message(post(kConfigMaps, named("a"))).find(url + "no endpoints available for service \"hook\""),
            std::string::npos);
  EXPECT_EQ(remove(services + "/hook").status, 200);
  make(services,
       *json::parse(R"({"metadata":{"name":"hook"},"spec":{"type":"ExternalName","externalName":"localhost"}})"));
  EXPECT_EQ(message(post(kConfigMaps, named("a"))),
            "admission webhook \"svc.example.com\" denied the request: not here");
}

TEST_F(WebhookTest, ManyWritersAreAnsweredWhileConfigurationsComeAndGo) {
  make(mutating_, configuration("data", "/data", R"("CREATE","UPDATE")", R"("configmaps")"));
  make(validating_, configuration("see", "/see", R"("*")", R"("configmaps")"));
  std::atomic<int> mutated{0};
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      for (int i = 0; i < 15; ++i) {
        const auto name = "w" + std::to_string(w) + "-" + std::to_string(i);
        auto made = post(kConfigMaps, named(name));
        mutated += made.status == 201 && json::str(made.body, "data", "mutated") == "yes";
        EXPECT_EQ(put(kConfigMaps + "/" + name, config_map(name, "2")).status, 200);
        EXPECT_EQ(remove(kConfigMaps + "/" + name).status, 200);
      }
    });
  for (int i = 0; i < 10; ++i) {
    make(validating_, configuration("more", "/see", R"("*")", R"("configmaps")"));
    EXPECT_EQ(remove(validating_ + "/more").status, 200);
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(mutated, 60);
}

TEST_F(WebhookTest, WrongConfigurationsAreRefusedInKubernetesWords) {
  auto config = configuration("bad", "/deny", R"("CREATE","*")", R"("*","pods")",
                              R"({"name":"bad","timeoutSeconds":31,"sideEffects":"Some","failurePolicy":"Perhaps",
                                  "clientConfig":{"url":"http://host?a=b"},"admissionReviewVersions":["v7"],
                                  "matchConditions":[{"name":"c","expression":"bad expression"}]})");
  auto refused = post(validating_, config);
  EXPECT_EQ(refused.status, 422);
  for (auto text :
       {"webhooks[0].name: Invalid value: \"bad\": should be a domain with at least three segments separated by dots",
        "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
        "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
        "webhooks[0].failurePolicy: Unsupported value: \"Perhaps\"", "'https' is the only allowed URL scheme",
        "query parameters are not permitted in the URL", "must include at least one of v1, v1beta1",
        "if '*' is present, must not specify other operations",
        "if '*' is present, must not specify other resources without subresources",
        "webhooks[0].matchConditions[0].expression: Invalid value: \"bad expression\": compilation failed: "})
    EXPECT_NE(message(refused).find(text), std::string::npos) << text << "\nin " << message(refused);
  auto defaulted = make(validating_, configuration("good", "/deny", R"("CREATE")", R"("pods")"));
  const auto& hook = json::list(defaulted, "webhooks").at(0);
  EXPECT_EQ(json::str(hook, "failurePolicy"), "Fail");
  EXPECT_EQ(json::str(hook, "matchPolicy"), "Equivalent");
  EXPECT_EQ(json::num(hook, "timeoutSeconds"), 10);
}

}  // namespace
}  // namespace lab::apiserver
