#include "orchestrator/apiserver/authz/authz.h"

#include <gtest/gtest.h>

#include <set>

#include "orchestrator/apiserver/authz/node.h"
#include "orchestrator/apiserver/authz/policy.h"
#include "tests/unit/orchestrator/apiserver/objects.h"

namespace lab::apiserver::authz {
namespace {

struct World {
  Objects objects;
  std::unique_ptr<ChainAuthorizer> chain = make_authorizer(objects);

  void bootstrap() {
    for (auto& o : bootstrap_objects()) objects.put(std::move(o));
  }
  Decision ask(const Identity& who, std::string_view verb, std::string_view group, std::string_view resource,
               std::string_view ns = {}, std::string_view name = {}, bool explain = false) {
    auto slash = resource.find('/');
    Attributes a{.user = &who,
                 .verb = verb,
                 .group = group,
                 .version = "v1",
                 .resource = resource.substr(0, slash),
                 .subresource = slash == std::string_view::npos ? std::string_view() : resource.substr(slash + 1),
                 .ns = ns,
                 .name = name,
                 .path = {}};
    return chain->authorize(a, explain);
  }
  bool may(const Identity& who, std::string_view verb, std::string_view group, std::string_view resource,
           std::string_view ns = {}, std::string_view name = {}) {
    return ask(who, verb, group, resource, ns, name).allowed();
  }
  bool may_path(const Identity& who, std::string_view path) {
    Attributes a{.user = &who,
                 .verb = "get",
                 .group = {},
                 .version = {},
                 .resource = {},
                 .subresource = {},
                 .ns = {},
                 .name = {},
                 .path = path,
                 .resource_request = false};
    return chain->authorize(a).allowed();
  }
};

constexpr const char* kReader =
    R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"reader","namespace":"dev"},
    "rules":[{"apiGroups":[""],"resources":["pods","pods/log"],"verbs":["get","list"]},
             {"apiGroups":["apps"],"resources":["deployments"],"verbs":["*"],"resourceNames":["web"]}]})";
constexpr const char* kReaderBinding = R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding",
    "metadata":{"name":"readers","namespace":"dev"},"roleRef":{"kind":"Role","name":"reader"},
    "subjects":[{"kind":"User","name":"jane"},{"kind":"ServiceAccount","name":"bot"}]})";

TEST(Rbac, RolesInTheirNamespace) {
  World w;
  w.objects.put(kReader);
  w.objects.put(kReaderBinding);
  EXPECT_TRUE(w.may(user("jane"), "get", "", "pods", "dev", "p"));
  EXPECT_TRUE(w.may(user("jane"), "get", "", "pods/log", "dev", "p"));
  EXPECT_FALSE(w.may(user("jane"), "create", "", "pods/exec", "dev", "p"));
  EXPECT_FALSE(w.may(user("jane"), "get", "", "pods", "prod"));
  EXPECT_FALSE(w.may(user("jane"), "list", "", "pods"));
  EXPECT_FALSE(w.may(user("joe"), "get", "", "pods", "dev"));
  EXPECT_TRUE(w.may(user("jane"), "delete", "apps", "deployments", "dev", "web"));
  EXPECT_FALSE(w.may(user("jane"), "delete", "apps", "deployments", "dev", "other"));
  EXPECT_FALSE(w.may(user("jane"), "list", "apps", "deployments", "dev"));
  EXPECT_TRUE(w.may(user("system:serviceaccount:dev:bot"), "get", "", "pods", "dev"));
  // A change is seen at once.
  w.objects.remove("rbac.authorization.k8s.io/v1", "RoleBinding", "dev", "readers");
  EXPECT_FALSE(w.may(user("jane"), "get", "", "pods", "dev"));
}

TEST(Rbac, WordsOfADenial) {
  World w;
  auto d = w.ask(user("x"), "list", "", "pods", "default");
  Identity x = user("x");
  Attributes a{.user = &x,
               .verb = "list",
               .group = "",
               .version = "v1",
               .resource = "pods",
               .subresource = "",
               .ns = "default",
               .name = "",
               .path = ""};
  EXPECT_EQ(describe_denial(a),
            "User \"x\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"");
  auto e = forbidden(a, d);
  EXPECT_EQ(e.code, Code::kForbidden);
  EXPECT_EQ(
      e.message,
      "pods is forbidden: User \"x\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"");
  a.group = "apps";
  a.resource = "deployments";
  a.name = "web";
  a.ns = "";
  EXPECT_EQ(forbidden(a, d).message,
            "deployments.apps \"web\" is forbidden: User \"x\" cannot list resource \"deployments\" in API group "
            "\"apps\" at the "
            "cluster scope");
  EXPECT_EQ(json::str(js(forbidden(a, d).details), "group"), "apps");
  a.resource_request = false;
  a.verb = "get";
  a.path = "/metrics";
  EXPECT_EQ(forbidden(a, d).message, "forbidden: User \"x\" cannot get path \"/metrics\"");
}

TEST(Rbac, ReasonsNameTheBinding) {
  World w;
  w.objects.put(kReader);
  w.objects.put(kReaderBinding);
  EXPECT_EQ(w.ask(user("jane"), "get", "", "pods", "dev", "p", true).reason,
            "RBAC: allowed by RoleBinding \"readers/dev\" of Role \"reader\" to User \"jane\"");
  w.objects.remove("rbac.authorization.k8s.io/v1", "Role", "dev", "reader");
  EXPECT_EQ(w.ask(user("jane"), "get", "", "pods", "dev").reason,
            "RBAC: role.rbac.authorization.k8s.io \"reader\" not found");
}

TEST(Rbac, WildcardsUrlsAndScale) {
  World w;
  w.objects.put(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"c"},
    "rules":[{"apiGroups":["*"],"resources":["*/scale"],"verbs":["get"]},{"nonResourceURLs":["/healthz","/logs/*"],"verbs":["get"]}]})");
  w.objects.put(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"c"},
    "roleRef":{"kind":"ClusterRole","name":"c"},"subjects":[{"kind":"Group","name":"ops"}]})");
  auto ops = user("o", {"ops"});
  EXPECT_TRUE(w.may(ops, "get", "apps", "deployments/scale", "any", "d"));
  EXPECT_FALSE(w.may(ops, "get", "apps", "deployments", "any", "d"));
  EXPECT_FALSE(w.may(ops, "get", "apps", "deployments/status", "any", "d"));
  EXPECT_TRUE(w.may_path(ops, "/healthz"));
  EXPECT_TRUE(w.may_path(ops, "/logs/a/b"));
  EXPECT_FALSE(w.may_path(ops, "/metrics"));
  EXPECT_TRUE(w.may_path(admin(), "/anything"));
}

TEST(Policy, TableIsConsistent) {
  std::set<std::string> names;
  for (const auto& r : policy_table().roles) {
    EXPECT_TRUE(names.insert(std::string(r.ns) + "/" + std::string(r.name)).second) << r.name;
    EXPECT_TRUE(r.aggregated || !r.rules.empty()) << r.name;
    for (const auto& rule : r.rules) {
      EXPECT_FALSE(rule.verbs.empty()) << r.name;
      EXPECT_NE(rule.urls.empty(), rule.resources.empty()) << r.name;
      EXPECT_EQ(rule.groups.empty(), rule.resources.empty()) << r.name;
    }
  }
  std::set<std::string> bindings;
  for (const auto& b : policy_table().bindings) {
    EXPECT_TRUE(bindings.insert(std::string(b.ns) + "/" + std::string(b.name)).second) << b.name;
    std::string role = (b.role_kind == "Role" ? std::string(b.ns) : "") + "/" + std::string(b.role);
    EXPECT_TRUE(names.contains(role)) << b.name << " binds " << role;
  }
}

TEST(Policy, DefaultRolesDoWhatTheyAreFor) {
  World w;
  w.bootstrap();
  w.objects.put(
      R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"e","namespace":"dev"},
    "roleRef":{"kind":"ClusterRole","name":"edit"},"subjects":[{"kind":"User","name":"ed"}]})");
  w.objects.put(
      R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"v","namespace":"dev"},
    "roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[{"kind":"User","name":"vi"}]})");
  w.objects.put(
      R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"a","namespace":"dev"},
    "roleRef":{"kind":"ClusterRole","name":"admin"},"subjects":[{"kind":"User","name":"ad"}]})");
  EXPECT_TRUE(w.may(user("vi"), "list", "apps", "deployments", "dev"));
  EXPECT_FALSE(w.may(user("vi"), "get", "", "secrets", "dev", "s"));
  EXPECT_FALSE(w.may(user("vi"), "create", "", "pods", "dev"));
  EXPECT_TRUE(w.may(user("ed"), "get", "", "secrets", "dev", "s"));
  EXPECT_TRUE(w.may(user("ed"), "list", "", "pods", "dev"));
  EXPECT_TRUE(w.may(user("ed"), "create", "", "pods/exec", "dev", "p"));
  EXPECT_FALSE(w.may(user("ed"), "create", "rbac.authorization.k8s.io", "roles", "dev"));
  EXPECT_TRUE(w.may(user("ad"), "create", "rbac.authorization.k8s.io", "roles", "dev"));
  EXPECT_TRUE(w.may(user("ad"), "get", "", "pods", "dev"));
  EXPECT_FALSE(w.may(user("ad"), "get", "", "nodes"));

  Identity anonymous{.username = "system:anonymous", .uid = {}, .groups = {"system:unauthenticated"}, .extra = {}};
  EXPECT_TRUE(w.may_path(anonymous, "/version"));
  EXPECT_TRUE(w.may_path(anonymous, "/readyz"));
  EXPECT_FALSE(w.may_path(anonymous, "/apis"));
  EXPECT_TRUE(w.may(anonymous, "get", "", "configmaps", "kube-public", "cluster-info"));
  EXPECT_FALSE(w.may(anonymous, "get", "", "configmaps", "kube-public", "other"));
  EXPECT_TRUE(w.may_path(user("anyone"), "/openapi/v3/apis/apps/v1"));
  EXPECT_TRUE(w.may(user("anyone"), "create", "authorization.k8s.io", "selfsubjectaccessreviews"));

  auto joiner =
      user("system:bootstrap:abcdef", {"system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token"});
  EXPECT_TRUE(w.may(joiner, "create", "certificates.k8s.io", "certificatesigningrequests"));
  EXPECT_TRUE(w.may(joiner, "create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"));
  EXPECT_TRUE(w.may(joiner, "get", "", "configmaps", "kube-system", "kubeadm-config"));
  EXPECT_FALSE(w.may(joiner, "list", "", "secrets", "kube-system"));

  auto scheduler = user("system:kube-scheduler");
  EXPECT_TRUE(w.may(scheduler, "create", "", "pods/binding", "dev", "p"));
  EXPECT_TRUE(w.may(scheduler, "update", "coordination.k8s.io", "leases", "kube-system", "kube-scheduler"));
  EXPECT_FALSE(w.may(scheduler, "create", "", "pods", "dev"));
  auto manager = user("system:kube-controller-manager");
  EXPECT_TRUE(w.may(manager, "create", "", "pods", "dev"));
  EXPECT_TRUE(w.may(manager, "watch", "anything.io", "widgets"));
  EXPECT_TRUE(w.may(manager, "update", "", "namespaces/finalize", "", "dev"));
  EXPECT_TRUE(w.may(manager, "update", "", "configmaps", "kube-public", "cluster-info"));
  EXPECT_TRUE(w.may(user("system:serviceaccount:kube-system:deployment-controller"), "update", "apps",
                    "deployments/status", "x", "y"));
  EXPECT_TRUE(w.may(user("u", {"kubeadm:cluster-admins"}), "delete", "", "nodes", "", "n1"));
}

TEST(NodeAuthorizer, OnlyWhatItsPodsUse) {
  World w;
  w.bootstrap();
  w.objects.put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"dev"},"spec":{"nodeName":"n1",
    "serviceAccountName":"bot","imagePullSecrets":[{"name":"pull"}],
    "containers":[{"name":"c","env":[{"name":"E","valueFrom":{"secretKeyRef":{"name":"env","key":"k"}}}],
                   "envFrom":[{"configMapRef":{"name":"from"}}]}],
    "volumes":[{"name":"v","secret":{"secretName":"vol"}},{"name":"w","projected":{"sources":[{"configMap":{"name":"proj"}}]}},
               {"name":"x","persistentVolumeClaim":{"claimName":"claim"}}]}})");
  w.objects.put(
      R"({"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"pv"},"spec":{"claimRef":{"namespace":"dev","name":"claim"}}})");
  for (const char* name : {"pull", "env", "vol"})
    EXPECT_TRUE(w.may(node("n1"), "get", "", "secrets", "dev", name)) << name;
  for (const char* name : {"from", "proj"})
    EXPECT_TRUE(w.may(node("n1"), "get", "", "configmaps", "dev", name)) << name;
  EXPECT_TRUE(w.may(node("n1"), "watch", "", "secrets", "dev", "env"));
  EXPECT_TRUE(w.may(node("n1"), "get", "", "persistentvolumeclaims", "dev", "claim"));
  EXPECT_TRUE(w.may(node("n1"), "get", "", "persistentvolumes", "", "pv"));
  EXPECT_TRUE(w.may(node("n1"), "create", "", "serviceaccounts/token", "dev", "bot"));
  EXPECT_FALSE(w.may(node("n1"), "create", "", "serviceaccounts/token", "dev", "default"));
  EXPECT_FALSE(w.may(node("n1"), "get", "", "secrets", "dev", "other"));
  EXPECT_FALSE(w.may(node("n1"), "get", "", "secrets", "prod", "env"));
  EXPECT_FALSE(w.may(node("n1"), "list", "", "secrets", "dev"));
  EXPECT_FALSE(w.may(node("n1"), "update", "", "secrets", "dev", "env"));
  EXPECT_FALSE(w.may(node("n2"), "get", "", "secrets", "dev", "env"));
  EXPECT_EQ(w.ask(node("n2"), "get", "", "secrets", "dev", "env").reason,
            "no relationship found between node 'n2' and this object");
  // The name alone makes no node.
  EXPECT_FALSE(w.may(user("system:node:n1"), "get", "", "secrets", "dev", "env"));
}

TEST(NodeAuthorizer, OwnLeaseAndTheRest) {
  World w;
  w.bootstrap();
  EXPECT_TRUE(w.may(node("n1"), "update", "coordination.k8s.io", "leases", "kube-node-lease", "n1"));
  EXPECT_TRUE(w.may(node("n1"), "create", "coordination.k8s.io", "leases", "kube-node-lease"));
  EXPECT_FALSE(w.may(node("n1"), "update", "coordination.k8s.io", "leases", "kube-node-lease", "n2"));
  EXPECT_FALSE(w.may(node("n1"), "update", "coordination.k8s.io", "leases", "kube-system", "n1"));
  EXPECT_TRUE(w.may(node("n1"), "watch", "", "pods"));
  EXPECT_TRUE(w.may(node("n1"), "patch", "", "nodes/status", "", "n1"));
  EXPECT_TRUE(w.may(node("n1"), "create", "", "events", "dev"));
  EXPECT_TRUE(w.may(node("n1"), "list", "discovery.k8s.io", "endpointslices"));
  EXPECT_FALSE(w.may(node("n1"), "create", "apps", "deployments", "dev"));
  EXPECT_FALSE(w.may(node("n1"), "delete", "", "nodes", "", "n2"));
}

TEST(Escalation, NobodyGivesMoreThanTheyHold) {
  World w;
  w.bootstrap();
  w.objects.put(
      R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"a","namespace":"dev"},
    "roleRef":{"kind":"ClusterRole","name":"admin"},"subjects":[{"kind":"User","name":"ad"}]})");
  auto roles = api::find_kind("rbac.authorization.k8s.io", "v1", "roles");
  auto bindings = api::find_kind("rbac.authorization.k8s.io", "v1", "rolebindings");
  auto cluster = api::find_kind("rbac.authorization.k8s.io", "v1", "clusterroles");
  auto fine = js(
      R"({"metadata":{"name":"r","namespace":"dev"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get","list"]},
                     {"apiGroups":["apps"],"resources":["deployments/scale"],"verbs":["update"],"resourceNames":["x"]}]})");
  EXPECT_EQ(message(w.chain->check_escalation(user("ad"), *roles, nullptr, fine)), "");
  auto much = js(
      R"({"metadata":{"name":"r","namespace":"dev"},"rules":[{"apiGroups":[""],"resources":["pods","nodes"],"verbs":["get","delete"]}]})");
  auto r = w.chain->check_escalation(user("ad"), *roles, nullptr, much);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kForbidden);
  EXPECT_EQ(r.error().message,
            "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"ad\" (groups=[\"system:authenticated\"]) is "
            "attempting to "
            "grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" "
            "\"delete\"]}");
  EXPECT_TRUE(w.chain->check_escalation(admin(), *roles, nullptr, much));
  // What stays as it was is nobody's doing.
  EXPECT_TRUE(w.chain->check_escalation(user("ad"), *roles, &much, much));
  auto bind =
      js(R"({"metadata":{"name":"b","namespace":"dev"},"roleRef":{"kind":"ClusterRole","name":"edit"},"subjects":[]})");
  EXPECT_EQ(message(w.chain->check_escalation(user("ad"), *bindings, nullptr, bind)), "");
  json::set(bind, "cluster-admin", "roleRef", "name");
  EXPECT_FALSE(w.chain->check_escalation(user("ad"), *bindings, nullptr, bind));
  json::set(bind, "absent", "roleRef", "name");
  auto absent = w.chain->check_escalation(user("ad"), *bindings, nullptr, bind);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  // The aggregation controller may escalate.
  EXPECT_TRUE(w.chain->check_escalation(user("system:kube-controller-manager"), *cluster, nullptr, much));
}

TEST(Rules, ForSelfSubjectRulesReview) {
  World w;
  w.objects.put(kReader);
  w.objects.put(kReaderBinding);
  auto rules = w.chain->rules_for(user("jane"), "dev");
  ASSERT_EQ(rules.resources.size(), 2u);
  EXPECT_EQ(rules.resources[0].resources, (std::vector<std::string>{"pods", "pods/log"}));
  EXPECT_TRUE(w.chain->rules_for(user("jane"), "prod").resources.empty());
  EXPECT_EQ(w.chain->rules_for(admin(), "dev").resources[0].verbs, std::vector<std::string>{"*"});
  EXPECT_TRUE(w.chain->rules_for(node("n1"), "dev").incomplete);
}

}  // namespace
}  // namespace lab::apiserver::authz
