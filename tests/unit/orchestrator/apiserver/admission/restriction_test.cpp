// NodeRestriction, certificate rules and quotas.
#include <gtest/gtest.h>

#include "base/crypto/encoding.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "pki/csr.h"
#include "tests/unit/orchestrator/apiserver/objects.h"

namespace lab::apiserver::admission {
namespace {

TEST(NodeRestriction, Pods) {
  Objects o;
  auto mirror = js(
      R"({"metadata":{"annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"nodeName":"n1","containers":[]}})");
  auto plain = js(R"({"spec":{"nodeName":"n1"}})");
  auto create = [&](json::Value pod, const char* by) {
    Write w(o, "v1", "Pod", "kube-system", "p", "create", "", node(by));
    return message(node_restriction(w.ctx, nullptr, &pod));
  };
  EXPECT_EQ(create(mirror, "n1"), "");
  EXPECT_NE(create(mirror, "n2").find("node \"n2\" can only create pods with spec.nodeName set to itself"),
            std::string::npos);
  EXPECT_NE(create(plain, "n1").find("can only create mirror pods"), std::string::npos);
  json::set(mirror, js(R"([{"name":"v","secret":{"secretName":"s"}}])"), "spec", "volumes");
  EXPECT_NE(create(mirror, "n1").find("reference secrets"), std::string::npos);

  auto change = [&](const char* verb, const char* sub, const char* by) {
    Write w(o, "v1", "Pod", "dev", "p", verb, sub, node(by));
    json::Value now = plain;
    return message(node_restriction(w.ctx, &plain, std::string_view(verb) == "delete" ? nullptr : &now));
  };
  EXPECT_EQ(change("patch", "status", "n1"), "");
  EXPECT_NE(
      change("patch", "status", "n2").find("can only update pod status for pods with spec.nodeName set to itself"),
      std::string::npos);
  EXPECT_NE(change("update", "", "n1").find("can only update pod status"), std::string::npos);
  EXPECT_EQ(change("delete", "", "n1"), "");
  EXPECT_NE(change("delete", "", "n2").find("can only delete pods with spec.nodeName set to itself"),
            std::string::npos);
  // Everybody else is not its business.
  Write w(o, "v1", "Pod", "dev", "p", "create");
  EXPECT_TRUE(node_restriction(w.ctx, nullptr, &plain));
}

TEST(NodeRestriction, NodesAndLeases) {
  Objects o;
  auto change = [&](const json::Value* old, json::Value now, const char* name, const char* by) {
    Write w(o, "v1", "Node", "", name, old ? "patch" : "create", "", node(by));
    return message(node_restriction(w.ctx, old, &now));
  };
  auto fresh = js(R"({"metadata":{"labels":{"kubernetes.io/hostname":"n1","kubernetes.io/os":"linux","mine":"x",
      "topology.kubernetes.io/zone":"a","node.kubernetes.io/instance-type":"t"}},"spec":{"taints":[{"key":"a"}]}})");
  EXPECT_EQ(change(nullptr, fresh, "n1", "n1"), "");
  EXPECT_EQ(change(nullptr, fresh, "n2", "n1"),
            "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"");
  auto claimed = fresh;
  json::set(claimed, "", "metadata", "labels", "node-role.kubernetes.io/control-plane");
  json::set(claimed, "x", "metadata", "labels", "node-restriction.kubernetes.io/pci");
  EXPECT_EQ(change(nullptr, claimed, "n1", "n1"),
            "nodes \"n1\" is forbidden: node \"n1\" is not allowed to set the following labels: "
            "node-restriction.kubernetes.io/pci, node-role.kubernetes.io/control-plane");
  auto untainted = fresh;
  json::erase(untainted, "spec", "taints");
  EXPECT_NE(change(&fresh, untainted, "n1", "n1").find("is not allowed to modify taints"), std::string::npos);
  EXPECT_NE(change(&fresh, claimed, "n1", "n1").find("is not allowed to modify labels"), std::string::npos);
  // A role that an administrator gave is no obstacle to the node's own updates.
  auto annotated = claimed;
  json::set(annotated, "y", "metadata", "annotations", "x");
  EXPECT_EQ(change(&claimed, annotated, "n1", "n1"), "");

  json::Value lease = js("{}");
  Write own(o, "coordination.k8s.io/v1", "Lease", "kube-node-lease", "n1", "create", "", node("n1"));
  EXPECT_TRUE(node_restriction(own.ctx, nullptr, &lease));
  Write other(o, "coordination.k8s.io/v1", "Lease", "kube-node-lease", "n2", "create", "", node("n1"));
  EXPECT_FALSE(node_restriction(other.ctx, nullptr, &lease));
  Write system(o, "coordination.k8s.io/v1", "Lease", "kube-system", "n1", "create", "", node("n1"));
  EXPECT_FALSE(node_restriction(system.ctx, nullptr, &lease));
}

TEST(Certificates, ApproveSignAndSubjects) {
  Objects o;
  o.put(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"a"},
    "rules":[{"apiGroups":["certificates.k8s.io"],"resources":["signers"],"verbs":["approve"],"resourceNames":["example.com/*"]}]})");
  o.put(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"a"},
    "roleRef":{"kind":"ClusterRole","name":"a"},"subjects":[{"kind":"User","name":"ann"}]})");
  auto authorizer = authz::make_authorizer(o);
  auto approve = certificate_approval(*authorizer), sign = certificate_signing(*authorizer);
  auto csr = js(R"({"spec":{"signerName":"example.com/x"}})");
  auto issued = csr;
  json::set(issued, "eA==", "status", "certificate");
  const char *api = "certificates.k8s.io/v1", *kind = "CertificateSigningRequest";
  Write ann(o, api, kind, "", "c", "update", "approval", user("ann"));
  EXPECT_TRUE(approve.admit(ann.ctx, &csr, &csr));
  Write bob(o, api, kind, "", "c", "update", "approval", user("bob"));
  EXPECT_EQ(
      message(approve.admit(bob.ctx, &csr, &csr)),
      "certificatesigningrequests.certificates.k8s.io \"c\" is forbidden: user not permitted to approve requests with "
      "signerName \"example.com/x\"");
  Write status(o, api, kind, "", "c", "update", "status", user("ann"));
  EXPECT_FALSE(sign.admit(status.ctx, &csr, &issued));
  EXPECT_TRUE(sign.admit(status.ctx, &csr, &csr));

  auto key = pki::PrivateKey::generate();
  pki::CertificateSpec spec;
  spec.common_name = "eve";
  spec.organizations = {"system:masters"};
  auto request = js(R"({"spec":{"signerName":"kubernetes.io/kube-apiserver-client"}})");
  json::set(request, crypto::base64_encode(pki::make_csr(key, spec)), "spec", "request");
  Write eve(o, api, kind, "", "c", "create", "", user("eve"));
  EXPECT_NE(message(certificate_subject_restriction(eve.ctx, nullptr, &request))
                .find("with system:masters group is not allowed"),
            std::string::npos);
  json::set(request, "example.com/x", "spec", "signerName");
  EXPECT_TRUE(certificate_subject_restriction(eve.ctx, nullptr, &request));
}

TEST(Quota, CountsWhatIsAndWhatIsComing) {
  Objects o;
  o.put(R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q","namespace":"dev"},
      "spec":{"hard":{"pods":"2","requests.cpu":"1","count/configmaps":"1"}}})");
  auto quota = resource_quota();
  auto pod = [](const char* name, const char* cpu) {
    json::Value p =
        js(R"({"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"dev"},"spec":{"containers":[{"name":"c"}]}})");
    json::set(p, name, "metadata", "name");
    if (*cpu) json::set(p.at("spec").at("containers").at(0), cpu, "resources", "requests", "cpu");
    return p;
  };
  auto missing = pod("x", "");
  Write none(o, "v1", "Pod", "dev", "x");
  EXPECT_EQ(message(quota.admit(none.ctx, nullptr, &missing)),
            "pods \"x\" is forbidden: failed quota: q: must specify requests.cpu for: c");

  auto a = pod("a", "600m");
  Write wa(o, "v1", "Pod", "dev", "a");
  ASSERT_EQ(message(quota.admit(wa.ctx, nullptr, &a)), "");
  // Not yet in the caches, and counted all the same.
  auto b = pod("b", "600m");
  Write wb(o, "v1", "Pod", "dev", "b");
  EXPECT_EQ(message(quota.admit(wb.ctx, nullptr, &b)),
            "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, "
            "limited: requests.cpu=1");
  wa.abort();
  Write again(o, "v1", "Pod", "dev", "b");
  ASSERT_EQ(message(quota.admit(again.ctx, nullptr, &b)), "");
  again.commit();
  o.put(b);
  // Once, not twice.
  auto c = pod("c", "400m");
  Write wc(o, "v1", "Pod", "dev", "c");
  EXPECT_EQ(message(quota.admit(wc.ctx, nullptr, &c)), "");
  wc.commit();
  o.put(c);
  auto d = pod("d", "0");
  Write wd(o, "v1", "Pod", "dev", "d");
  EXPECT_EQ(message(quota.admit(wd.ctx, nullptr, &d)),
            "pods \"d\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2");
  // An ended Pod uses nothing.
  json::set(c, "Succeeded", "status", "phase");
  o.put(c);
  EXPECT_EQ(message(quota.admit(wd.ctx, nullptr, &d)), "");

  json::Value map = js(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"dev"}})");
  Write first(o, "v1", "ConfigMap", "dev", "m");
  EXPECT_EQ(message(quota.admit(first.ctx, nullptr, &map)), "");
  Write second(o, "v1", "ConfigMap", "dev", "n");
  EXPECT_NE(message(quota.admit(second.ctx, nullptr, &map)).find("exceeded quota"), std::string::npos);
  Write elsewhere(o, "v1", "ConfigMap", "prod", "n");
  EXPECT_EQ(message(quota.admit(elsewhere.ctx, nullptr, &map)), "");
}

TEST(Chain, RunsInKubernetesOrder) {
  Objects o;
  auto authorizer = authz::make_authorizer(o);
  std::vector<std::string_view> names;
  for (const auto& p : make_plugins(*authorizer)) names.push_back(p.name);
  EXPECT_EQ(names.front(), "NamespaceLifecycle");
  EXPECT_EQ(names.back(), "ResourceQuota");
  EXPECT_EQ(names.size(), 16u);
}

}  // namespace
}  // namespace lab::apiserver::admission
