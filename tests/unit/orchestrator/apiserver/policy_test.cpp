// Authentication, authorization, admission and hooks as a client meets them, over a real server.
#include <thread>

#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "fixture.h"
#include "pki/csr.h"
#include "pki/key.h"

namespace lab::apiserver {
namespace {

json::Value js(std::string_view text) {
  auto v = json::parse(text);
  EXPECT_TRUE(v) << text;
  return v ? *v : json::Value();
}

class PolicyTest : public ServerTest {
 protected:
  PolicyTest() {
    stop_server();
    options_.authorization = true;
    options_.anonymous_auth = true;
    options_.advertise_address = "192.0.2.1";
    options_.advertise_port = 6443;
    for (const char* name : {"jane", "joe", "lead"})
      options_.tokens.push_back({std::string(name) + "-token", name, "", {}});
    options_.tokens.push_back({"n1-token", "system:node:n1", "", {"system:nodes"}});
    options_.tokens.push_back(
        {"joiner-token", "system:bootstrap:abcdef", "", {"system:bootstrappers:kubeadm:default-node-token"}});
    options_.tokens.push_back({"manager-token", "system:kube-controller-manager", "", {}});
    options_.service_account_signing_key_file = fs::join(directory_, "sa.key");
    EXPECT_TRUE(fs::write_file(options_.service_account_signing_key_file, pki::PrivateKey::generate().pem(), 0600));
    start_server();
  }
  Answer as(const std::string& who, std::string method, std::string target, const json::Value& body = nullptr) {
    http::Headers headers{{"Authorization", who.empty() ? "" : "Bearer " + who + "-token"}};
    return call(std::move(method), std::move(target), body.is_null() ? "" : json::dump(body), headers);
  }
  static std::string said(const Answer& a) {
    return std::to_string(a.status) + " " + std::string(json::str(a.body, "message"));
  }
  // lead becomes admin of namespace default.
  void make_lead() {
    make(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
        js(R"({"metadata":{"name":"lead"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"admin"},
                "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"lead"}]})"));
  }
};

const std::string kRoles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const std::string kServices = "/api/v1/namespaces/default/services";
const std::string kRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

TEST_F(PolicyTest, DenialsAndGrants) {
  EXPECT_EQ(said(as("jane", "GET", kPods)),
            "403 pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace "
            "\"default\"");
  EXPECT_EQ(said(as("jane", "GET", "/api/v1/nodes/n1")),
            "403 nodes \"n1\" is forbidden: User \"jane\" cannot get resource \"nodes\" in API group \"\" at the "
            "cluster scope");
  EXPECT_EQ(said(as("jane", "GET", "/metrics")), "403 forbidden: User \"jane\" cannot get path \"/metrics\"");
  make(kRoles, js(R"({"metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["list"]}]})"));
  make("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
       js(R"({"metadata":{"name":"r"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},
              "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"jane"}]})"));
  EXPECT_EQ(as("jane", "GET", kPods).status, 200);
  EXPECT_EQ(as("jane", "GET", "/api/v1/pods").status, 403);
}

TEST_F(PolicyTest, ServicesHaveTheirRangeAsAnObject) {
  const std::string ranges = "/apis/networking.k8s.io/v1/servicecidrs";
  auto own = get(ranges + "/kubernetes");
  for (int i = 0; i < 600 && json::list(own.body, "status", "conditions").empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    own = get(ranges + "/kubernetes");
  }
  ASSERT_EQ(own.status, 200) << own.text;
  EXPECT_EQ(json::dump(json::at(own.body, "spec", "cidrs")), "[\"" + options_.service_cidr + "\"]");
  ASSERT_FALSE(json::list(own.body, "status", "conditions").empty()) << own.text;
  EXPECT_EQ(json::str(json::list(own.body, "status", "conditions")[0], "type"), "Ready");
}

TEST_F(PolicyTest, WhoIsAsking) {
  EXPECT_EQ(as("", "GET", "/version").status, 200);
  EXPECT_EQ(said(as("", "GET", "/api/v1/pods")),
            "403 pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the "
            "cluster scope");
  EXPECT_EQ(said(as("forged", "GET", "/version")).substr(0, 44), "401 the bearer token is unknown to this clus");
  EXPECT_NE(said(call("GET", "/version", {}, {{"Authorization", "Bearer abcdef.0123456789abcdef"}}))
                .find("401 bootstrap token \"abcdef\""),
            std::string::npos);
  auto me = call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                 R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})",
                 {{"Impersonate-User", "eve"}, {"Impersonate-Group", "dev"}});
  EXPECT_EQ(me.status, 201);
  EXPECT_EQ(json::str(me.body, "status", "userInfo", "username"), "eve");
  EXPECT_EQ(json::at(me.body, "status", "userInfo", "groups"), js(R"(["dev","system:authenticated"])"));
  auto refused = call("GET", kPods, {}, {{"Authorization", "Bearer jane-token"}, {"Impersonate-User", "admin"}});
  EXPECT_EQ(refused.status, 403);
  auto can = [&](const char* who, const char* verb) {
    auto answer = as(
        who, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        js(std::string(
               R"({"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":
                        {"resource":"pods","namespace":"default","verb":")") +
           verb + R"("}}})"));
    EXPECT_EQ(answer.status, 201) << answer.text;
    return json::flag(answer.body, "status", "allowed");
  };
  EXPECT_FALSE(can("jane", "delete"));
  make_lead();
  EXPECT_TRUE(can("lead", "delete"));
}

TEST_F(PolicyTest, ServiceAccountTokens) {
  make("/api/v1/namespaces/default/serviceaccounts", js(R"({"metadata":{"name":"bot"}})"));
  auto issued =
      post("/api/v1/namespaces/default/serviceaccounts/bot/token",
           js(R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600}})"));
  ASSERT_EQ(issued.status, 201) << issued.text;
  http::Headers bearer{{"Authorization", "Bearer " + std::string(json::str(issued.body, "status", "token"))}};
  auto refused = call("GET", kPods, {}, bearer);
  EXPECT_EQ(
      said(refused),
      "403 pods is forbidden: User \"system:serviceaccount:default:bot\" cannot list resource \"pods\" in API group "
      "\"\" in the namespace \"default\"");
  auto review = post("/apis/authentication.k8s.io/v1/tokenreviews",
                     json::Object{{"apiVersion", "authentication.k8s.io/v1"},
                                  {"kind", "TokenReview"},
                                  {"spec", json::Object{{"token", json::at(issued.body, "status", "token")}}}});
  EXPECT_TRUE(json::flag(review.body, "status", "authenticated")) << review.text;
  EXPECT_EQ(remove("/api/v1/namespaces/default/serviceaccounts/bot").status, 200);
  auto gone = call("GET", kPods, {}, bearer);
  EXPECT_EQ(said(gone), "401 the token belongs to ServiceAccount \"default/bot\", which no longer exists");
}

TEST_F(PolicyTest, PodsAreCompleted) {
  auto p = make(kPods, pod("p"));
  EXPECT_EQ(json::str(p, "status", "phase"), "Pending");
  EXPECT_EQ(json::str(p, "status", "qosClass"), "BestEffort");
  EXPECT_EQ(json::str(p, "spec", "serviceAccountName"), "default");
  EXPECT_EQ(json::num(p, "spec", "priority"), 0);
  EXPECT_EQ(json::list(p, "spec", "tolerations").size(), 2u);
  EXPECT_TRUE(json::str(json::list(p, "spec", "volumes")[0], "name").starts_with("kube-api-access-"));
  auto critical = pod("c");
  json::set(critical, "system-node-critical", "spec", "priorityClassName");
  EXPECT_EQ(json::num(make(kPods, critical), "spec", "priority"), 2000001000);
  auto lost = pod("l");
  json::set(lost, "nobody", "spec", "serviceAccountName");
  EXPECT_EQ(said(post(kPods, lost)),
            "403 pods \"l\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" "
            "not found");
  EXPECT_EQ(said(post("/api/v1/namespaces/nowhere/pods", pod("x"))), "404 namespaces \"nowhere\" not found");
  EXPECT_EQ(said(remove("/api/v1/namespaces/kube-system")),
            "403 namespaces \"kube-system\" is forbidden: this namespace may not be deleted");
}

json::Value service(const std::string& name, const char* spec) {
  json::Value s = json::Object{{"metadata", json::Object{{"name", name}}}};
  json::set(s, js(spec), "spec");
  return s;
}

TEST_F(PolicyTest, ServiceAddressesAndPorts) {
  auto a = make(kServices, service("a", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30080}]})"));
  EXPECT_TRUE(json::str(a, "spec", "clusterIP").starts_with("10.")) << json::dump(a);
  auto taken = post(kServices, service("b", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30080}]})"));
  EXPECT_EQ(
      said(taken),
      "422 Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated");
  auto same = service("c", "{\"ports\":[{\"port\":1}]}");
  json::set(same, json::at(a, "spec", "clusterIP"), "spec", "clusterIP");
  EXPECT_NE(said(post(kServices, same)).find("provided IP is already allocated"), std::string::npos);
  EXPECT_EQ(remove(kServices + "/a").status, 200);
  EXPECT_EQ(post(kServices, service("b", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30080}]})")).status, 201);
  EXPECT_EQ(json::num(json::list(post(kServices, same).body, "spec", "ports")[0], "targetPort"), 1);
  // After a restart what was given is still known.
  stop_server();
  start_server();
  EXPECT_EQ(post(kServices, service("d", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30080}]})")).status, 422);
  // Dry runs take nothing.
  EXPECT_EQ(
      post(kServices + "?dryRun=All", service("e", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30081}]})"))
          .status,
      201);
  EXPECT_EQ(post(kServices, service("f", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30081}]})")).status, 201);
}

TEST_F(PolicyTest, TheServersOwnService) {
  Answer own;
  for (int i = 0; i < 200 && own.status != 200; ++i) {
    own = get("/api/v1/namespaces/default/endpoints/kubernetes");
    if (own.status != 200) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_EQ(own.status, 200);
  EXPECT_EQ(json::str(json::list(json::list(own.body, "subsets")[0], "addresses")[0], "ip"), "192.0.2.1");
  auto s = get(kServices + "/kubernetes");
  EXPECT_EQ(json::str(s.body, "spec", "clusterIP"), "10.96.0.1");
}

TEST_F(PolicyTest, NobodyGivesMoreThanTheyHold) {
  make_lead();
  EXPECT_EQ(as("lead", "POST", kRoles,
               js(R"({"metadata":{"name":"ok"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]})"))
                .status,
            201);
  auto refused =
      as("lead", "POST", kRoles,
         js(R"({"metadata":{"name":"much"},"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]})"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.text.find("attempting to grant RBAC permissions not currently held"), std::string::npos)
      << refused.text;
  auto merged = call("PATCH", kRoles + "/ok", R"({"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}]})",
                     {{"Authorization", "Bearer lead-token"}, {"Content-Type", "application/merge-patch+json"}});
  EXPECT_EQ(merged.status, 403) << merged.text;
}

TEST_F(PolicyTest, PuttingWhatIsNotThereIsCreating) {
  make(
      kRoles,
      js(R"({"metadata":{"name":"updater"},"rules":[{"apiGroups":["coordination.k8s.io"],"resources":["leases"],"verbs":["update"]}]})"));
  make(
      "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
      js(R"({"metadata":{"name":"updater"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"updater"},
              "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"joe"}]})"));
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
  auto lease = js(R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"x"}})");
  EXPECT_EQ(
      said(as("joe", "PUT", leases + "/l", lease)),
      "403 leases.coordination.k8s.io \"l\" is forbidden: User \"joe\" cannot create resource \"leases\" in API group "
      "\"coordination.k8s.io\" in the namespace \"default\"");
  EXPECT_EQ(put(leases + "/l", lease).status, 201);
  EXPECT_EQ(as("joe", "PUT", leases + "/l", lease).status, 200);
}

TEST_F(PolicyTest, CertificateRequests) {
  json::Value csr =
      js(R"({"metadata":{"name":"node-csr"},"spec":{"signerName":"kubernetes.io/kube-apiserver-client-kubelet",
      "usages":["client auth","digital signature"],"username":"root","groups":["system:masters"]}})");
  pki::CertificateSpec spec;
  spec.common_name = "system:node:n1";
  spec.organizations = {"system:nodes"};
  json::set(csr, crypto::base64_encode(pki::make_csr(pki::PrivateKey::generate(), spec)), "spec", "request");
  auto made = as("joiner", "POST", kRequests, csr);
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(json::str(made.body, "spec", "username"), "system:bootstrap:abcdef");
  auto approved = made.body;
  json::set(approved, js(R"([{"type":"Approved","status":"True","reason":"Test","message":"yes"}])"), "status",
            "conditions");
  EXPECT_EQ(as("joiner", "PUT", kRequests + "/node-csr/approval", approved).status, 403);
  // On the main resource the approval is simply not taken.
  auto sneaky = put(kRequests + "/node-csr", approved);
  EXPECT_TRUE(json::list(sneaky.body, "status", "conditions").empty()) << sneaky.text;
  json::erase(approved, "metadata", "resourceVersion");
  auto done = as("manager", "PUT", kRequests + "/node-csr/approval", approved);
  ASSERT_EQ(done.status, 200) << done.text;
  EXPECT_TRUE(json::has(json::list(done.body, "status", "conditions")[0], "lastUpdateTime"));
  auto issued = done.body;
  json::set(issued, crypto::base64_encode("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), "status",
            "certificate");
  EXPECT_EQ(as("lead", "PUT", kRequests + "/node-csr/status", issued).status, 403);
  auto signed_csr = as("manager", "PUT", kRequests + "/node-csr/status", issued);
  EXPECT_EQ(signed_csr.status, 200) << signed_csr.text;
}

TEST_F(PolicyTest, NodesKeepToThemselves) {
  auto n1 = js(R"({"metadata":{"name":"n1","labels":{"kubernetes.io/hostname":"n1"}}})");
  auto made = as("n1", "POST", "/api/v1/nodes", n1);
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(json::str(json::list(made.body, "spec", "taints")[0], "key"), "node.kubernetes.io/not-ready");
  EXPECT_EQ(said(as("n1", "POST", "/api/v1/nodes", js(R"({"metadata":{"name":"n2"}})"))),
            "403 nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"");
  make("/api/v1/namespaces/default/secrets", js(R"({"metadata":{"name":"used"},"stringData":{"a":"b"}})"));
  make("/api/v1/namespaces/default/secrets", js(R"({"metadata":{"name":"other"},"stringData":{"a":"b"}})"));
  auto p = pod("p", "n1");
  json::set(p, js(R"([{"name":"v","secret":{"secretName":"used"}}])"), "spec", "volumes");
  make(kPods, p);
  EXPECT_EQ(as("n1", "GET", "/api/v1/namespaces/default/secrets/used").status, 200);
  auto refused = as("n1", "GET", "/api/v1/namespaces/default/secrets/other");
  EXPECT_EQ(said(refused),
            "403 secrets \"other\" is forbidden: User \"system:node:n1\" cannot get resource \"secrets\" in API group "
            "\"\" in "
            "the namespace \"default\": no relationship found between node 'n1' and this object");
  auto lease = js(R"({"metadata":{"name":"n1"},"spec":{"holderIdentity":"n1"}})");
  EXPECT_EQ(as("n1", "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease).status, 201);
  json::set(lease, "n2", "metadata", "name");
  EXPECT_EQ(as("n1", "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease).status, 403);
}

}  // namespace
}  // namespace lab::apiserver
