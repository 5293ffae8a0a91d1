#include "orchestrator/apiserver/webhooks/review.h"

#include <gtest/gtest.h>

namespace lab::apiserver::webhooks {
namespace {

// The reason why an answer is refused; "" when it is taken.
std::string refused(std::string text, bool mutating = true, std::string_view version = "v1") {
  auto answer = read_review(*json::parse(text), version, "u1", mutating);
  return answer ? "" : answer.error().message;
}

std::string review(std::string response) {
  return R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":)" + response + "}";
}

TEST(Review, TellsWhoAsksForWhat) {
  Identity user{.username = "jane", .uid = "7", .groups = {"dev"}, .extra = {{"scopes", {"a"}}}};
  AdmissionRequest request{.operation = "UPDATE",
                           .resource = {"apps", "v1", "deployments"},
                           .kind = {"autoscaling", "v1", "Scale"},
                           .subresource = "scale",
                           .ns = "default",
                           .name = "web",
                           .user = &user,
                           .dry_run = true,
                           .options = json::Object{{"kind", "UpdateOptions"}}};
  auto made = make_review(request, "v1", "u1", request.resource, request.kind, json::Object{{"a", 1}}, nullptr);
  EXPECT_EQ(made, *json::parse(R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u1",
    "kind":{"group":"autoscaling","version":"v1","kind":"Scale"},
    "resource":{"group":"apps","version":"v1","resource":"deployments"},"subResource":"scale",
    "requestKind":{"group":"autoscaling","version":"v1","kind":"Scale"},
    "requestResource":{"group":"apps","version":"v1","resource":"deployments"},"requestSubResource":"scale",
    "name":"web","namespace":"default","operation":"UPDATE",
    "userInfo":{"username":"jane","uid":"7","groups":["dev"],"extra":{"scopes":["a"]}},"dryRun":true,
    "object":{"a":1},"oldObject":null,"options":{"kind":"UpdateOptions"}}})"));
}

TEST(Review, AnswersAreHeldAgainstWhatWasAsked) {
  EXPECT_EQ(refused(review(R"({"uid":"u1","allowed":true})")), "");
  EXPECT_EQ(refused(R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"})"), "webhook response was absent");
  EXPECT_EQ(refused(review(R"({"uid":"u2","allowed":true})")), R"(expected response.uid="u1", got "u2")");
  EXPECT_EQ(refused(R"({"kind":"Pod","apiVersion":"v1","response":{}})"),
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got v1, Kind=Pod");
  EXPECT_EQ(refused(review(R"({"uid":"u1","allowed":true,"patch":"W10="})")),
            "webhook returned response.patch but not response.patchType");
  EXPECT_EQ(refused(review(R"({"uid":"u1","allowed":true,"patchType":"JSONPatch"})")),
            "webhook returned response.patchType but not response.patch");
  EXPECT_EQ(refused(review(R"({"uid":"u1","allowed":true,"patch":"W10=","patchType":"JSONPatch"})"), false),
            "validating webhook may not return response.patch");
  EXPECT_EQ(refused(review(R"({"uid":"u1","allowed":true,"patchType":"JSONPatch"})"), false),
            "validating webhook may not return response.patchType");
  // The version before asked less of its answers.
  EXPECT_EQ(refused(R"({"response":{"allowed":true,"patch":"W10="}})", true, "v1beta1"), "");
}

TEST(Review, PatchWarningsAndAnnotationsAreRead) {
  auto answer = read_review(*json::parse(review(R"({"uid":"u1","allowed":true,"patchType":"JSONPatch",
    "patch":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2EiLCJ2YWx1ZSI6MX1d","warnings":["old"],"auditAnnotations":{"k":"v"}})")),
                            "v1", "u1", true);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->patch, *json::parse(R"([{"op":"add","path":"/a","value":1}])"));
  EXPECT_EQ(answer->warnings, std::vector<std::string>{"old"});
  EXPECT_EQ(answer->audit_annotations.at(0).second, "v");
}

TEST(Review, RefusalsAreWordedAsKubernetesWordsThem) {
  auto said = [](const char* status) { return refusal_status("x.y.z", *json::parse(status)); };
  auto full = said(R"({"message":"no","reason":"Forbidden","code":403})");
  EXPECT_EQ(json::str(full, "message"), "admission webhook \"x.y.z\" denied the request: no");
  EXPECT_EQ(json::str(full, "reason"), "Forbidden");
  EXPECT_EQ(json::num(full, "code"), 403);
  EXPECT_EQ(json::str(said(R"({"reason":"Because"})"), "message"),
            "admission webhook \"x.y.z\" denied the request: Because");
  auto bare = said("null");
  EXPECT_EQ(json::str(bare, "message"), "admission webhook \"x.y.z\" denied the request without explanation");
  EXPECT_EQ(json::str(bare, "status"), "Failure");
  EXPECT_FALSE(json::has(bare, "reason"));
  EXPECT_EQ(json::num(said(R"({"code":200,"status":"Success"})"), "code"), 400);
}

}  // namespace
}  // namespace lab::apiserver::webhooks
