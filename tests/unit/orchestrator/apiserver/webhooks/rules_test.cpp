#include "orchestrator/apiserver/webhooks/rules.h"

#include <gtest/gtest.h>

#include "orchestrator/apiserver/webhooks/hook.h"

namespace lab::apiserver::webhooks {
namespace {

bool rule_matches(const char* text, std::string_view operation, const ResourceName& resource,
                  std::string_view subresource = "", std::string_view ns = "default") {
  return matches(read_rule(*json::parse(text)), {operation, resource, subresource, ns});
}

const ResourceName kPods{"", "v1", "pods"}, kDeployments{"apps", "v1", "deployments"}, kNodes{"", "v1", "nodes"},
    kNamespaces{"", "v1", "namespaces"};

TEST(Rules, NameOperationsGroupsAndVersions) {
  const char* rule = R"({"operations":["CREATE","UPDATE"],"apiGroups":["","apps"],"apiVersions":["v1"],
                         "resources":["pods","deployments"]})";
  EXPECT_TRUE(rule_matches(rule, "CREATE", kPods));
  EXPECT_TRUE(rule_matches(rule, "UPDATE", kDeployments));
  EXPECT_FALSE(rule_matches(rule, "DELETE", kPods));
  EXPECT_FALSE(rule_matches(rule, "CREATE", {"batch", "v1", "pods"}));
  EXPECT_FALSE(rule_matches(rule, "CREATE", {"apps", "v1beta1", "deployments"}));
  const char* all = R"({"operations":["*"],"apiGroups":["*"],"apiVersions":["*"],"resources":["*/*"],"scope":"*"})";
  EXPECT_TRUE(rule_matches(all, "CONNECT", kPods, "exec"));
  EXPECT_TRUE(rule_matches(all, "DELETE", kNodes, "", ""));
}

bool names_resource(std::string_view resources, const ResourceName& resource, std::string_view subresource) {
  auto text =
      R"({"operations":["*"],"apiGroups":["*"],"apiVersions":["*"],"resources":[)" + std::string(resources) + "]}";
  return rule_matches(text.c_str(), "CREATE", resource, subresource);
}

TEST(Rules, SubresourcesAreMeantOnlyWhereTheyAreNamed) {
  EXPECT_TRUE(names_resource(R"("*")", kPods, ""));
  EXPECT_FALSE(names_resource(R"("*")", kPods, "status"));
  EXPECT_TRUE(names_resource(R"("pods/status")", kPods, "status"));
  EXPECT_FALSE(names_resource(R"("pods/status")", kPods, ""));
  EXPECT_FALSE(names_resource(R"("pods/status")", kPods, "binding"));
  EXPECT_TRUE(names_resource(R"("pods/*")", kPods, "exec"));
  EXPECT_TRUE(names_resource(R"("pods/*")", kPods, ""));
  EXPECT_TRUE(names_resource(R"("*/scale")", kDeployments, "scale"));
  EXPECT_FALSE(names_resource(R"("*/scale")", kDeployments, "status"));
  EXPECT_TRUE(names_resource(R"("nodes","*/scale")", kNodes, ""));
}

TEST(Rules, NamespacesAreClusterScopedAlthoughTheyNameOne) {
  auto with_scope = [](std::string scope) {
    return R"({"operations":["*"],"apiGroups":["*"],"apiVersions":["*"],"resources":["*"],"scope":")" + scope + "\"}";
  };
  auto namespaced = with_scope("Namespaced"), cluster = with_scope("Cluster");
  EXPECT_TRUE(rule_matches(namespaced.c_str(), "CREATE", kPods));
  EXPECT_FALSE(rule_matches(cluster.c_str(), "CREATE", kPods));
  EXPECT_FALSE(rule_matches(namespaced.c_str(), "CREATE", kNodes, "", ""));
  EXPECT_TRUE(rule_matches(cluster.c_str(), "CREATE", kNodes, "", ""));
  EXPECT_TRUE(rule_matches(cluster.c_str(), "CREATE", kNamespaces, "", "team"));
  EXPECT_FALSE(rule_matches(namespaced.c_str(), "CREATE", kNamespaces, "", "team"));
}

TEST(Hooks, AreReadWithTheirDefaults) {
  auto hooks = read_hooks(*json::parse(R"({"metadata":{"name":"config"},"webhooks":[
    {"name":"a.b.c","clientConfig":{"service":{"namespace":"ns","name":"hook","path":"/x","port":8443}},
     "admissionReviewVersions":["v7","v1beta1","v1"],"sideEffects":"NoneOnDryRun","timeoutSeconds":3,
     "failurePolicy":"Ignore","matchPolicy":"Exact","reinvocationPolicy":"IfNeeded"},
    {"name":"d.e.f","clientConfig":{"url":"https://example.com/y"},"admissionReviewVersions":["v7"]}]})"));
  ASSERT_EQ(hooks.size(), 2u);
  EXPECT_EQ(hooks[0].configuration, "config");
  EXPECT_EQ(hooks[0].review_version, "v1beta1");
  EXPECT_EQ(hooks[0].client->url(), "https://hook.ns.svc:8443/x");
  EXPECT_TRUE(hooks[0].ignore_failure && hooks[0].reinvoke && hooks[0].dry_runs && !hooks[0].equivalent);
  EXPECT_EQ(hooks[0].timeout, std::chrono::seconds(3));
  EXPECT_EQ(hooks[1].client->url(), "https://example.com/y");
  EXPECT_EQ(hooks[1].review_version, "");
  EXPECT_TRUE(!hooks[1].ignore_failure && !hooks[1].reinvoke && !hooks[1].dry_runs && hooks[1].equivalent);
  EXPECT_EQ(hooks[1].timeout, std::chrono::seconds(10));
  EXPECT_TRUE(hooks[1].namespaces.empty() && hooks[1].objects.empty());
}

}  // namespace
}  // namespace lab::apiserver::webhooks
