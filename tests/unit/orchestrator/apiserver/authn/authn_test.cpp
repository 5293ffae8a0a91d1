#include <gtest/gtest.h>

#include "base/crypto/encoding.h"
#include "orchestrator/apiserver/authn/impersonation.h"
#include "orchestrator/apiserver/authn/token_source.h"
#include "orchestrator/apiserver/authz/authz.h"
#include "pki/jwt.h"
#include "tests/unit/orchestrator/apiserver/objects.h"

namespace lab::apiserver::authn {
namespace {

const WallTime kNow = *api::parse_time("2026-01-01T00:00:00Z");
constexpr std::int64_t kNowSeconds = 1767225600;

struct World {
  Objects objects;
  pki::PrivateKey key = pki::PrivateKey::generate();
  WallTime now = kNow;
  bool anonymous = true;

  ChainAuthenticator chain() const {
    Options o;
    o.service_account_keys.push_back(*pki::PublicKey::from_pem(key.public_pem()));
    o.issuer = "https://issuer";
    o.anonymous = anonymous;
    o.tokens.push_back({"sesame", "ali", "u1", {"thieves"}});
    o.now = [n = now] { return n; };
    return ChainAuthenticator(std::move(o), objects);
  }
  Result<std::optional<Identity>> bearer(const std::string& token) const {
    http::Request r;
    r.headers.set("Authorization", "Bearer " + token);
    return chain().authenticate(r);
  }
  std::string refusal(const std::string& token) const {
    auto r = bearer(token);
    EXPECT_FALSE(r) << "accepted";
    if (r) return "accepted";
    EXPECT_EQ(r.error().code, Code::kUnauthorized);
    return r.error().message;
  }
};

json::Value bootstrap_secret(const std::string& expiration, const std::string& usage = "true") {
  auto b64 = [](std::string_view s) { return json::Value(crypto::base64_encode(s)); };
  json::Value s =
      js(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"bootstrap-token-abcdef","namespace":"kube-system"},
                         "type":"bootstrap.kubernetes.io/token"})");
  json::set(s, b64("abcdef"), "data", "token-id");
  json::set(s, b64("0123456789abcdef"), "data", "token-secret");
  json::set(s, b64(usage), "data", "usage-bootstrap-authentication");
  json::set(s, b64("system:bootstrappers:kubeadm:default-node-token,system:masters"), "data", "auth-extra-groups");
  if (!expiration.empty()) json::set(s, b64(expiration), "data", "expiration");
  return s;
}

TEST(Authentication, CertificateBeforeToken) {
  World w;
  http::Request r;
  r.peer.certificate_subject_cn = "system:node:n1";
  r.peer.certificate_organizations = {"system:nodes"};
  r.headers.set("Authorization", "Bearer nonsense");
  auto id = w.chain().authenticate(r);
  ASSERT_TRUE(id && *id);
  EXPECT_EQ((*id)->username, "system:node:n1");
  EXPECT_EQ((*id)->groups, (std::vector<std::string>{"system:nodes", "system:authenticated"}));
}

TEST(Authentication, AnonymousOnlyWithoutCredentials) {
  World w;
  auto id = w.chain().authenticate({});
  ASSERT_TRUE(id && *id);
  EXPECT_EQ((*id)->username, "system:anonymous");
  EXPECT_EQ((*id)->groups, std::vector<std::string>{"system:unauthenticated"});
  EXPECT_NE(w.refusal("nonsense").find("unknown to this cluster"), std::string::npos);
  w.anonymous = false;
  auto refused = w.chain().authenticate({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnauthorized);
}

TEST(Authentication, AForeignCertificateMakesNobodyAnonymous) {
  World w;
  http::Request r;
  r.peer.certificate_pem = "of another cluster";  // given, but without a verified subject
  auto refused = w.chain().authenticate(r);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnauthorized);
  EXPECT_NE(refused.error().text().find("not signed by this cluster's CA"), std::string::npos);
  r.headers.set("Authorization", "Bearer sesame");
  EXPECT_TRUE(w.chain().authenticate(r)) << "a token that holds is enough";
}

TEST(Authentication, StaticTokenAndWebSocketSpelling) {
  World w;
  auto id = w.bearer("sesame");
  ASSERT_TRUE(id && *id);
  EXPECT_EQ((*id)->username, "ali");
  EXPECT_TRUE((*id)->in_group("thieves"));
  http::Request r;
  r.headers.set("Sec-WebSocket-Protocol",
                "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io." + crypto::base64url_encode("sesame"));
  auto ws = w.chain().authenticate(r);
  ASSERT_TRUE(ws && *ws);
  EXPECT_EQ((*ws)->username, "ali");
  r = {};
  r.headers.set("Authorization", "bearer   sesame ");
  EXPECT_EQ((*w.chain().authenticate(r))->username, "ali");
}

TEST(Authentication, BootstrapTokens) {
  World w;
  EXPECT_NE(w.refusal("abcdef.0123456789abcdef").find("bootstrap token \"abcdef\" is unknown to this cluster"),
            std::string::npos);
  w.objects.put(bootstrap_secret("2026-01-01T01:00:00Z"));
  auto id = w.bearer("abcdef.0123456789abcdef");
  ASSERT_TRUE(id && *id) << id.error().message;
  EXPECT_EQ((*id)->username, "system:bootstrap:abcdef");
  // A group outside system:bootstrappers: is not taken from the Secret.
  EXPECT_EQ((*id)->groups,
            (std::vector<std::string>{"system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token",
                                      "system:authenticated"}));
  EXPECT_NE(w.refusal("abcdef.0000000000000000").find("has another secret"), std::string::npos);
  w.now = kNow + std::chrono::hours(3);
  EXPECT_EQ(w.refusal("abcdef.0123456789abcdef"),
            "bootstrap token \"abcdef\" expired at 2026-01-01T01:00:00Z (120m ago)");
  w.objects.put(bootstrap_secret("", "false"));
  EXPECT_NE(w.refusal("abcdef.0123456789abcdef").find("may not be used to authenticate"), std::string::npos);
  w.objects.put(bootstrap_secret("tomorrow"));
  EXPECT_NE(w.refusal("abcdef.0123456789abcdef").find("no RFC 3339 time: tomorrow"), std::string::npos);
}

json::Value claims(std::int64_t expires, const char* extra = "{}") {
  json::Value c = js(R"({"iss":"https://issuer","aud":["https://issuer"],"jti":"J","sub":"system:serviceaccount:ns:sa",
      "kubernetes.io":{"namespace":"ns","serviceaccount":{"name":"sa","uid":"U"}}})");
  json::set(c, expires, "exp");
  json::set(c, kNowSeconds - 10, "nbf");
  for (const auto& [key, value] : js(extra).as_object()) json::set(c, value, "kubernetes.io", std::string_view(key));
  return c;
}

TEST(Authentication, ServiceAccountTokens) {
  World w;
  w.objects.put(R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"sa","namespace":"ns","uid":"U"}})");
  auto token = pki::sign_jwt(w.key, claims(kNowSeconds + 100));
  auto id = w.bearer(token);
  ASSERT_TRUE(id && *id) << id.error().message;
  EXPECT_EQ((*id)->username, "system:serviceaccount:ns:sa");
  EXPECT_EQ((*id)->uid, "U");
  EXPECT_EQ((*id)->groups,
            (std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"}));
  ASSERT_FALSE((*id)->extra.empty());
  EXPECT_EQ((*id)->extra[0].second[0], "JTI=J");

  EXPECT_EQ(w.refusal(pki::sign_jwt(w.key, claims(kNowSeconds - 720))),
            "the ServiceAccount token expired at 2025-12-31T23:48:00Z (12m ago)");
  EXPECT_NE(w.refusal(pki::sign_jwt(pki::PrivateKey::generate(), claims(kNowSeconds + 100)))
                .find("not signed by this cluster's keys"),
            std::string::npos);
  auto foreign = claims(kNowSeconds + 100);
  json::set(foreign, "https://other", "iss");
  EXPECT_NE(w.refusal(pki::sign_jwt(w.key, foreign)).find("issued by \"https://other\""), std::string::npos);
  auto audience = claims(kNowSeconds + 100);
  json::set(audience, "vault", "aud");
  auto vault = pki::sign_jwt(w.key, audience);
  EXPECT_NE(w.refusal(vault).find("is for audience \"vault\""), std::string::npos);
  auto chain = w.chain();
  auto review = chain.authenticate_token(vault, {"vault", "other"});
  ASSERT_TRUE(review);
  EXPECT_EQ(review->audiences, std::vector<std::string>{"vault"});

  // Made again under the same name: the old tokens are void.
  w.objects.put(R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"sa","namespace":"ns","uid":"V"}})");
  EXPECT_NE(w.refusal(token).find("an earlier ServiceAccount \"ns/sa\""), std::string::npos);
  w.objects.remove("v1", "ServiceAccount", "ns", "sa");
  EXPECT_NE(w.refusal(token).find("no longer exists"), std::string::npos);
}

TEST(Authentication, BoundTokensEndWithTheirPod) {
  World w;
  w.objects.put(R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"sa","namespace":"ns","uid":"U"}})");
  w.objects.put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"ns","uid":"P"}})");
  auto token = pki::sign_jwt(
      w.key, claims(kNowSeconds + 10000, R"({"pod":{"name":"p","uid":"P"},"node":{"name":"n1","uid":"N"}})"));
  auto chain = w.chain();
  http::Request r;
  r.headers.set("Authorization", "Bearer " + token);
  auto id = chain.authenticate(r);
  ASSERT_TRUE(id && *id) << id.error().message;
  std::map<std::string, std::string> extra;
  for (const auto& [k, v] : (*id)->extra) extra[k] = v[0];
  EXPECT_EQ(extra["authentication.kubernetes.io/pod-name"], "p");
  EXPECT_EQ(extra["authentication.kubernetes.io/node-name"], "n1");
  // The signature is remembered, the Pod is looked at every time.
  w.objects.put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"ns","uid":"P",
                    "deletionTimestamp":"2025-12-31T23:00:00Z"}})");
  EXPECT_FALSE(chain.authenticate(r));
  w.objects.remove("v1", "Pod", "ns", "p");
  EXPECT_FALSE(chain.authenticate(r));
}

TEST(Authentication, GarbageIsRefusedNotCrashedOn) {
  World w;
  for (std::string token :
       {std::string("a.b.c"), std::string(".."), std::string(3, '.'), std::string(100000, 'x'),
        std::string("e30.e30.e30"), std::string("abcdef.0123456789ABCDEF"), std::string("\xff\xfe", 2)})
    w.refusal(token);
}

TEST(Impersonation, ChecksEveryPart) {
  Objects o;
  auto authorizer = authz::make_authorizer(o);
  http::Headers none;
  auto same = impersonated(none, admin(), *authorizer);
  ASSERT_TRUE(same);
  EXPECT_FALSE(*same);
  http::Headers h{{"Impersonate-User", "jane"}, {"Impersonate-Group", "dev"}, {"Impersonate-Extra-Scopes%2fx", "view"}};
  auto as = impersonated(h, admin(), *authorizer);
  ASSERT_TRUE(as && *as);
  EXPECT_EQ((*as)->username, "jane");
  EXPECT_EQ((*as)->groups, (std::vector<std::string>{"dev", "system:authenticated"}));
  EXPECT_EQ((*as)->extra[0].first, "scopes/x");
  auto refused = impersonated(h, user("joe"), *authorizer);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kForbidden);
  EXPECT_EQ(refused.error().message,
            "users \"jane\" is forbidden: User \"joe\" cannot impersonate resource \"users\" in API group \"\" at the "
            "cluster scope");
  auto groups_only = impersonated(http::Headers{{"Impersonate-Group", "dev"}}, admin(), *authorizer);
  ASSERT_FALSE(groups_only);
  EXPECT_EQ(groups_only.error().code, Code::kBadRequest);
  auto sa = impersonated(http::Headers{{"Impersonate-User", "system:serviceaccount:ns:sa"}}, admin(), *authorizer);
  EXPECT_TRUE((*sa)->in_group("system:serviceaccounts:ns"));
  // May act as jane, but not take a group along.
  o.put(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"i"},
            "rules":[{"apiGroups":[""],"resources":["users"],"verbs":["impersonate"],"resourceNames":["jane"]}]})");
  o.put(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"i"},
            "roleRef":{"kind":"ClusterRole","name":"i"},"subjects":[{"kind":"User","name":"joe"}]})");
  EXPECT_TRUE(impersonated(http::Headers{{"Impersonate-User", "jane"}}, user("joe"), *authorizer));
  EXPECT_FALSE(impersonated(http::Headers{{"Impersonate-User", "root"}}, user("joe"), *authorizer));
  EXPECT_FALSE(impersonated(http::Headers{{"Impersonate-User", "jane"}, {"Impersonate-Group", "system:masters"}},
                            user("joe"), *authorizer));
}

}  // namespace
}  // namespace lab::apiserver::authn
