// ValidatingAdmissionPolicies over a real server.
#include "fixture.h"

namespace lab::apiserver {
namespace {

class ValidatingPolicyTest : public ServerTest {
 protected:
  static json::Value js(const std::string& text) {
    auto value = json::parse(text);
    EXPECT_TRUE(value) << text;
    return value ? *value : json::Value();
  }
  json::Value policy(const std::string& more) {
    return make(base_ + "validatingadmissionpolicies",
                js(R"({"metadata":{"name":"p"},"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":["apps"],
      "apiVersions":["v1"],"operations":["CREATE","UPDATE"],"resources":["deployments"]}]},)" +
                   more + "}}"));
  }
  json::Value bind(const std::string& more) {
    return make(base_ + "validatingadmissionpolicybindings",
                js(R"({"metadata":{"name":"b"},"spec":{"policyName":"p",)" + more + "}}"));
  }
  Answer deploy(const std::string& name, int replicas, const std::string& query = "") {
    return post(deployments_ + query,
                js(R"({"metadata":{"name":")" + name + R"(","labels":{"app":"a"}},"spec":{"replicas":)" +
                   std::to_string(replicas) + R"(,"selector":{"matchLabels":{"a":"b"}},"template":{
      "metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})"));
  }
  const std::string base_ = "/apis/admissionregistration.k8s.io/v1/";
  const std::string deployments_ = "/apis/apps/v1/namespaces/default/deployments";
};

TEST_F(ValidatingPolicyTest, RefusesWhatDoesNotFulfilItsExpressions) {
  policy(R"v("validations":[{"expression":"object.spec.replicas > 1"},
    {"expression":"object.spec.template.spec.containers.all(c, c.name != 'bad')","message":"no bad ones"}])v");
  EXPECT_EQ(deploy("free", 1).status, 201) << "a policy without a binding does nothing";
  bind(R"("validationActions":["Deny"])");
  auto refused = deploy("one", 1);
  EXPECT_EQ(refused.status, 422) << refused.text;
  EXPECT_NE(json::str(refused.body, "message")
                .find("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: "
                      "object.spec.replicas > 1"),
            std::string::npos)
      << refused.text;
  EXPECT_EQ(deploy("two", 2).status, 201);
  EXPECT_EQ(merge(deployments_ + "/two", js(R"({"spec":{"replicas":0}})")).status, 422);
  EXPECT_EQ(merge(deployments_ + "/two", js(R"({"spec":{"replicas":5}})")).status, 200);
  EXPECT_EQ(remove(deployments_ + "/two").status, 200) << "deletions are not its concern";
  make(kConfigMaps, config_map("other"));
  EXPECT_EQ(remove(base_ + "validatingadmissionpolicies/p").status, 200);
  EXPECT_EQ(deploy("three", 1).status, 201);
}

TEST_F(ValidatingPolicyTest, VariablesConditionsAndMessages) {
  policy(R"v("matchConditions":[{"name":"named","expression":"object.metadata.name != 'exempt'"}],
    "variables":[{"name":"replicas","expression":"object.spec.replicas"},
      {"name":"odd","expression":"variables.replicas % 2 == 1"}],
    "validations":[{"expression":"variables.replicas > 1","reason":"Forbidden"},
      {"expression":"variables.odd","messageExpression":"'not odd: ' + string(variables.replicas)"}])v");
  bind(R"("validationActions":["Deny"],"matchResources":{"objectSelector":{"matchLabels":{"app":"a"}}})");
  EXPECT_EQ(deploy("three", 3).status, 201);
  EXPECT_EQ(deploy("one", 1).status, 403);
  auto even = deploy("two", 2);
  EXPECT_EQ(even.status, 422);
  EXPECT_NE(even.text.find("denied request: not odd: 2"), std::string::npos) << even.text;
  EXPECT_EQ(deploy("exempt", 2).status, 201);
}

TEST_F(ValidatingPolicyTest, ParamsWarningsAndWhatCannotBeEvaluated) {
  make(kConfigMaps, js(R"({"metadata":{"name":"most"},"data":{"replicas":"3"}})"));
  policy(R"v("failurePolicy":"Fail","paramKind":{"apiVersion":"v1","kind":"ConfigMap"},
    "validations":[{"expression":"object.spec.replicas <= int(params.data.replicas)"}])v");
  bind(
      R"("validationActions":["Warn"],"paramRef":{"name":"most","namespace":"default","parameterNotFoundAction":"Deny"})");
  EXPECT_EQ(deploy("few", 3).headers.get("Warning"), "");
  auto warned = deploy("many", 4);
  EXPECT_EQ(warned.status, 201);
  EXPECT_NE(warned.headers.get("Warning").find("Validation failed for ValidatingAdmissionPolicy 'p'"),
            std::string::npos);
  merge(base_ + "validatingadmissionpolicybindings/b", js(R"({"spec":{"validationActions":["Deny"]}})"));
  EXPECT_EQ(deploy("more", 4).status, 422);
  remove(kConfigMaps + "/most");
  EXPECT_EQ(deploy("none", 1).status, 422) << "its params are gone";
  auto unknown = merge(base_ + "validatingadmissionpolicies/p",
                       js(R"({"spec":{"paramKind":null,"validations":[{"expression":"object.spec.nothing > 1"}]}})"));
  EXPECT_EQ(unknown.status, 200) << unknown.text;
  EXPECT_EQ(deploy("x", 1).status, 422);
  merge(base_ + "validatingadmissionpolicies/p", js(R"({"spec":{"failurePolicy":"Ignore"}})"));
  EXPECT_EQ(deploy("x", 1).status, 201);
}

}  // namespace
}  // namespace lab::apiserver
