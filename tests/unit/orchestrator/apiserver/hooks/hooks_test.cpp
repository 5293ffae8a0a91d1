// Hooks of the other kinds, reviews and token requests.
#include <gtest/gtest.h>

#include "base/crypto/encoding.h"
#include "base/io/scope.h"
#include "orchestrator/apiserver/authn/token_source.h"
#include "orchestrator/apiserver/hooks/policy.h"
#include "orchestrator/apiserver/hooks/qos.h"
#include "pki/csr.h"
#include "pki/jwt.h"
#include "tests/unit/orchestrator/apiserver/objects.h"

namespace lab::apiserver::hooks {
namespace {

struct World {
  Objects objects;
  std::unique_ptr<authz::ChainAuthorizer> authorizer = authz::make_authorizer(objects);
  std::unique_ptr<WritePolicy> policy = *make_write_policy({}, *authorizer);
};

TEST(Qos, Classes) {
  auto c = [](const char* containers) {
    return std::string(qos_class(js(std::string(R"({"spec":{"containers":)") + containers + "}}")));
  };
  EXPECT_EQ(c(R"([{"name":"a"}])"), "BestEffort");
  EXPECT_EQ(c(R"([{"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1000m","memory":"1024Mi"}}}])"),
            "Guaranteed");
  EXPECT_EQ(c(R"([{"resources":{"limits":{"cpu":"1","memory":"1Gi"}}}])"), "Guaranteed");
  EXPECT_EQ(c(R"([{"resources":{"limits":{"cpu":"1","memory":"1Gi"}}},{}])"), "Burstable");
  EXPECT_EQ(c(R"([{"resources":{"requests":{"cpu":"100m"}}}])"), "Burstable");
  EXPECT_EQ(c(R"([{"resources":{"requests":{"example.com/gpu":"1"}}}])"), "BestEffort");
}

TEST(Pod, FirstStatus) {
  World w;
  Write write(w.objects, "v1", "Pod", "dev", "p");
  auto pod =
      js(R"({"spec":{"containers":[{"name":"a"}],"schedulingGates":[{"name":"g"}]},"status":{"phase":"Running"}})");
  ASSERT_TRUE(w.policy->hooks_of(*write.kind).prepare_create(write.ctx, pod));
  EXPECT_EQ(json::str(pod, "status", "phase"), "Pending");
  EXPECT_EQ(json::str(pod, "status", "qosClass"), "BestEffort");
  EXPECT_EQ(json::str(json::list(pod, "status", "conditions")[0], "reason"), "SchedulingGated");
  Write update(w.objects, "v1", "Pod", "dev", "p", "update");
  auto now = pod;
  json::erase(now, "spec", "schedulingGates");
  ASSERT_TRUE(w.policy->hooks_of(*write.kind).prepare_update(update.ctx, pod, now));
  EXPECT_TRUE(json::list(now, "status", "conditions").empty());
}

TEST(Namespace, ActiveWithItsFinalizer) {
  World w;
  Write write(w.objects, "v1", "Namespace", "", "dev");
  auto ns = js("{}");
  ASSERT_TRUE(w.policy->hooks_of(*write.kind).prepare_create(write.ctx, ns));
  EXPECT_EQ(ns, js(R"({"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}})"));
}

TEST(Job, SelectsByItsUid) {
  World w;
  Write write(w.objects, "batch/v1", "Job", "dev", "j");
  auto job = js(R"({"metadata":{"name":"j","uid":"U"},"spec":{"template":{"metadata":{"labels":{"mine":"x"}}}}})");
  ASSERT_TRUE(w.policy->hooks_of(*write.kind).prepare_create(write.ctx, job));
  EXPECT_EQ(json::at(job, "spec", "selector"), js(R"({"matchLabels":{"batch.kubernetes.io/controller-uid":"U"}})"));
  EXPECT_EQ(
      json::at(job, "spec", "template", "metadata", "labels"),
      js(R"({"mine":"x","controller-uid":"U","batch.kubernetes.io/controller-uid":"U","job-name":"j","batch.kubernetes.io/job-name":"j"})"));
  auto manual =
      js(R"({"metadata":{"name":"j","uid":"U"},"spec":{"manualSelector":true,"selector":{"matchLabels":{"a":"b"}}}})");
  auto before = manual;
  ASSERT_TRUE(w.policy->hooks_of(*write.kind).prepare_create(write.ctx, manual));
  EXPECT_EQ(manual, before);
}

TEST(CertificateRequest, SaysWhoAskedNotWhoItClaims) {
  World w;
  Write write(w.objects, "certificates.k8s.io/v1", "CertificateSigningRequest", "", "c", "create", "",
              user("joe", {"dev"}));
  const auto& hooks = w.policy->hooks_of(*write.kind);
  auto csr = js(R"({"spec":{"username":"root","groups":["system:masters"],"uid":"x","request":"bm8="},
                    "status":{"conditions":[{"type":"Approved"}]}})");
  ASSERT_TRUE(hooks.prepare_create(write.ctx, csr));
  EXPECT_EQ(json::str(csr, "spec", "username"), "joe");
  EXPECT_EQ(json::at(csr, "spec", "groups"), js(R"(["dev","system:authenticated"])"));
  EXPECT_FALSE(json::has(csr, "spec", "uid"));
  EXPECT_EQ(json::at(csr, "status"), js("{}"));
  auto findings = hooks.validate(write.ctx, nullptr, csr);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].field, "spec.request");
  auto key = pki::PrivateKey::generate();
  json::set(csr, crypto::base64_encode(pki::make_csr(key, {.common_name = "joe"})), "spec", "request");
  EXPECT_TRUE(hooks.validate(write.ctx, nullptr, csr).empty());

  Write approve(w.objects, "certificates.k8s.io/v1", "CertificateSigningRequest", "", "c", "update", "approval");
  auto approved = csr;
  json::set(approved, js(R"([{"type":"Approved","status":"True"}])"), "status", "conditions");
  ASSERT_TRUE(hooks.prepare_update(approve.ctx, csr, approved));
  EXPECT_EQ(json::str(json::list(approved, "status", "conditions")[0], "lastUpdateTime"), "2026-01-01T00:00:00Z");
  // A signer keeps the approval whatever it sends, and can make none.
  Write sign(w.objects, "certificates.k8s.io/v1", "CertificateSigningRequest", "", "c", "update", "status");
  auto issued = approved;
  json::set(issued, js(R"([{"type":"Denied"},{"type":"Failed","status":"True"}])"), "status", "conditions");
  ASSERT_TRUE(hooks.prepare_update(sign.ctx, approved, issued));
  ASSERT_EQ(json::list(issued, "status", "conditions").size(), 2u);
  EXPECT_EQ(json::str(json::list(issued, "status", "conditions")[1], "type"), "Approved");
  auto both = approved;
  both.at("status").at("conditions").as_array().push_back(js(R"({"type":"Denied"})"));
  EXPECT_FALSE(hooks.validate(approve.ctx, &approved, both).empty());
  EXPECT_FALSE(hooks.validate(approve.ctx, &approved, csr).empty());  // approval cannot be taken back
}

TEST(PriorityClass, OneDefaultOnly) {
  World w;
  w.objects.put(
      R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"a"},"value":1,"globalDefault":true})");
  Write write(w.objects, "scheduling.k8s.io/v1", "PriorityClass", "", "b");
  auto c = js(R"({"value":2,"globalDefault":true})");
  auto findings = w.policy->hooks_of(*write.kind).validate(write.ctx, nullptr, c);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_NE(findings[0].message.find("PriorityClass a is already marked as default"), std::string::npos);
}

// Hooks and plugins run before validation: they see whatever a client sends, and must not fall over it.
TEST(Policy, OddObjectsOfEveryKind) {
  World w;
  w.objects.put(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"dev"}})");
  w.objects.put(R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"dev"}})");
  w.objects.put(R"({"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l","namespace":"dev"},"spec":{"limits":[
      {"type":"Container","default":{"cpu":"1"},"max":{"cpu":"x"}},{"type":"Pod","max":{"cpu":"1"}},{"type":"PersistentVolumeClaim","min":{"storage":"1"}}]}})");
  w.objects.put(
      R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q","namespace":"dev"},"spec":{"hard":{"pods":"9","services":"9","limits.cpu":"9"}}})");
  const char* odd[] = {
      "{}", R"({"spec":null,"status":3,"metadata":null})", R"({"spec":[],"metadata":[]})",
      R"({"spec":{"containers":{},"initContainers":"x","volumes":7,"tolerations":{},"ports":{},"clusterIPs":"x","taints":1,
                          "template":[],"type":7,"priority":"x","finalizers":{}},"status":{"conditions":{}},"rules":{},"subjects":7,"roleRef":[]})",
      R"({"spec":{"containers":[1,null,"x",{},{"resources":[]},{"volumeMounts":{}}],"volumes":[null,{"projected":{"sources":[1]}}],
                          "tolerations":[1],"ports":[null,7,{"nodePort":"x"}],"clusterIPs":[7],"type":"NodePort","ipFamilies":[{}],
                          "clusterIP":"None"},"status":{"conditions":[1]},"rules":[1,{"verbs":{}}],"subjects":[1],"metadata":{"finalizers":{},"labels":[]}})"};
  for (const auto& kind : api::builtin_kinds()) {
    if (kind->virtual_kind) continue;
    const auto& hooks = w.policy->hooks_of(*kind);
    for (const char* text : odd)
      for (const Identity& by : {admin(), node("n1"), user("joe")}) {
        std::string ns = kind->namespaced ? "dev" : "";
        Write create(w.objects, kind->api_version(), kind->kind, ns, "x", "create", "", by);
        json::Value object = js(text);
        if (!hooks.prepare_create || hooks.prepare_create(create.ctx, object))
          (void)w.policy->admit(create.ctx, nullptr, &object);
        if (hooks.validate) hooks.validate(create.ctx, nullptr, object);
        create.abort();
        for (const char* sub : {"", "status", "approval"}) {
          Write update(w.objects, kind->api_version(), kind->kind, ns, "x", "update", sub, by);
          json::Value old = js(text), now = js(odd[4]);
          if (!hooks.prepare_update || hooks.prepare_update(update.ctx, old, now))
            (void)w.policy->admit(update.ctx, &old, &now);
          if (hooks.validate) hooks.validate(update.ctx, &old, now);
          update.abort();
        }
        Write gone(w.objects, kind->api_version(), kind->kind, ns, "x", "delete", "", by);
        json::Value last = js(text);
        (void)w.policy->admit(gone.ctx, &last, nullptr);
        if (hooks.after_delete) hooks.after_delete(gone.ctx, last);
      }
  }
}

struct NoWriter final : ObjectWriter {
  Task<Result<json::Value>> create(api::KindPtr, json::Value) override {
    co_return fail(Code::kInternal, "no writes here");
  }
  Task<Result<json::Value>> mutate(api::KindPtr, std::string, std::string, Change, std::string) override {
    co_return fail(Code::kInternal, "no writes here");
  }
  Task<Result<void>> remove(api::KindPtr, std::string, std::string) override {
    co_return fail(Code::kInternal, "no writes here");
  }
};

struct Caller {
  World world;
  NoWriter writer;
  CallTable table;
  pki::PrivateKey key = pki::PrivateKey::generate();
  std::unique_ptr<authn::ChainAuthenticator> authenticator;

  Caller() {
    authn::Options o;
    o.issuer = "https://issuer";
    o.service_account_keys.push_back(*pki::PublicKey::from_pem(key.public_pem()));
    o.now = [] { return *api::parse_time("2026-01-01T00:00:00Z"); };
    authenticator = std::make_unique<authn::ChainAuthenticator>(std::move(o), world.objects);
    add_review_calls(table, *authenticator, *world.authorizer);
    add_token_calls(table, {.key = key, .issuer = "https://issuer", .audiences = {}});
  }
  Result<json::Value> call(const char* api_version, const char* kind, std::string ns, std::string name, const char* sub,
                           const char* body, Identity by) {
    auto k = api::find_kind_by_name(api_version, kind);
    Call c{.user = std::move(by),
           .kind = k,
           .verb = "create",
           .ns = std::move(ns),
           .name = std::move(name),
           .subresource = sub,
           .query = {},
           .body = js(body),
           .dry_run = false,
           .now = *api::parse_time("2026-01-01T00:00:00Z"),
           .reader = world.objects,
           .writer = writer,
           .warnings = {},
           .status = 201};
    const auto* handler = table.find(k->group, k->plural, sub);
    EXPECT_TRUE(handler) << kind;
    return run_task((*handler)(c));
  }
};

TEST(Reviews, Access) {
  Caller c;
  auto self = [&](const char* body, Identity by) {
    return c.call("authorization.k8s.io/v1", "SelfSubjectAccessReview", "", "", "", body, by);
  };
  auto yes = self(R"({"spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"dev"}}})", admin());
  ASSERT_TRUE(yes);
  EXPECT_TRUE(json::flag(*yes, "status", "allowed"));
  auto no = self(R"({"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}})", user("joe"));
  EXPECT_FALSE(json::flag(*no, "status", "allowed"));
  auto both = self(R"({"spec":{}})", user("joe"));
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code, Code::kInvalid);
  auto other =
      c.call("authorization.k8s.io/v1", "SubjectAccessReview", "", "", "",
             R"({"spec":{"user":"u","groups":["system:masters"],"nonResourceAttributes":{"verb":"get","path":"/x"}}})",
             admin());
  EXPECT_TRUE(json::flag(*other, "status", "allowed"));
  EXPECT_FALSE(c.call(
      "authorization.k8s.io/v1", "LocalSubjectAccessReview", "dev", "", "",
      R"({"spec":{"user":"u","resourceAttributes":{"verb":"get","resource":"pods","namespace":"prod"}}})", admin()));
  auto rules = c.call("authorization.k8s.io/v1", "SelfSubjectRulesReview", "", "", "",
                      R"({"spec":{"namespace":"dev"}})", admin());
  ASSERT_TRUE(rules);
  EXPECT_EQ(json::list(*rules, "status", "resourceRules").size(), 1u);
  EXPECT_FALSE(json::flag(*rules, "status", "incomplete"));
}

TEST(Reviews, WhoAmI) {
  Caller c;
  auto me = c.call("authentication.k8s.io/v1", "SelfSubjectReview", "", "", "", "{}", user("joe", {"dev"}));
  ASSERT_TRUE(me);
  EXPECT_EQ(json::str(*me, "status", "userInfo", "username"), "joe");
  EXPECT_EQ(json::at(*me, "status", "userInfo", "groups"), js(R"(["dev","system:authenticated"])"));
}

TEST(TokenRequest, IssuesWhatTheServerThenTakes) {
  Caller c;
  auto ask = [&](const char* body, Identity by = admin()) {
    return c.call("v1", "ServiceAccount", "dev", "bot", "token", body, by);
  };
  auto absent = ask(R"({"spec":{}})");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().message, "serviceaccounts \"bot\" not found");
  c.world.objects.put(
      R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"bot","namespace":"dev","uid":"U"}})");
  auto made = ask(R"({"spec":{}})");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(json::num(*made, "spec", "expirationSeconds"), 3600);
  EXPECT_EQ(json::at(*made, "spec", "audiences"), js(R"(["https://issuer"])"));
  EXPECT_EQ(json::str(*made, "status", "expirationTimestamp"), "2026-01-01T01:00:00Z");
  std::string token(json::str(*made, "status", "token"));
  auto who = c.authenticator->authenticate_token(token, {});
  ASSERT_TRUE(who) << who.error().message;
  EXPECT_EQ(who->identity.username, "system:serviceaccount:dev:bot");
  auto review = c.call("authentication.k8s.io/v1", "TokenReview", "", "", "",
                       json::dump(json::Object{{"spec", json::Object{{"token", token}}}}).c_str(), admin());
  ASSERT_TRUE(review);
  EXPECT_TRUE(json::flag(*review, "status", "authenticated"));
  auto bad = c.call("authentication.k8s.io/v1", "TokenReview", "", "", "", R"({"spec":{"token":"nonsense"}})", admin());
  ASSERT_TRUE(bad);
  EXPECT_FALSE(json::flag(*bad, "status", "authenticated"));
  EXPECT_NE(json::str(*bad, "status", "error"), "");
  auto brief = ask(R"({"spec":{"expirationSeconds":5}})");
  ASSERT_FALSE(brief);
  EXPECT_NE(brief.error().message.find("may not specify a duration less than 10 minutes"), std::string::npos);
}

TEST(TokenRequest, BoundToAPod) {
  Caller c;
  c.world.objects.put(
      R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"bot","namespace":"dev","uid":"U"}})");
  c.world.objects.put(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","uid":"N"}})");
  c.world.objects.put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"dev","uid":"P"},
                          "spec":{"nodeName":"n1","serviceAccountName":"bot"}})");
  auto ask = [&](const char* body, Identity by) {
    return c.call("v1", "ServiceAccount", "dev", "bot", "token", body, by);
  };
  const char* mounted =
      R"({"spec":{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"P"}}})";
  auto made = ask(mounted, node("n1"));
  ASSERT_TRUE(made) << made.error().message;
  auto claims = *pki::peek_jwt(json::str(*made, "status", "token"));
  EXPECT_EQ(json::at(claims, "kubernetes.io", "pod"), js(R"({"name":"p","uid":"P"})"));
  EXPECT_EQ(json::at(claims, "kubernetes.io", "node"), js(R"({"name":"n1","uid":"N"})"));
  // A year for clients that read the file once; the agent is told an hour.
  EXPECT_GT(json::num(claims, "exp") - json::num(claims, "iat"), 300 * 24 * 3600);
  EXPECT_EQ(json::num(claims, "kubernetes.io", "warnafter") - json::num(claims, "iat"), 3607);
  EXPECT_EQ(json::str(*made, "status", "expirationTimestamp"), "2026-01-01T01:00:07Z");

  auto refusal = [&](const char* body, Identity by) {
    auto r = ask(body, std::move(by));
    return r ? std::string("issued") : r.error().message;
  };
  EXPECT_NE(refusal(mounted, node("n2")).find("bound to a pod scheduled on a different node"), std::string::npos);
  EXPECT_NE(refusal(R"({"spec":{}})", node("n1")).find("node requested token not bound to a pod"), std::string::npos);
  EXPECT_NE(refusal(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"p","uid":"Q"}}})", admin())
                .find("does not match the UID in record"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"q"}}})", admin()).find("pods \"q\" not found"),
            std::string::npos);
  c.world.objects.put(
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"o","namespace":"dev","uid":"O"},"spec":{"serviceAccountName":"other"}})");
  EXPECT_NE(refusal(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"o"}}})", admin())
                .find("different serviceaccount name"),
            std::string::npos);
}

}  // namespace
}  // namespace lab::apiserver::hooks
