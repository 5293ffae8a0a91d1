#include "fixture.h"
#include "orchestrator/apiserver/field_set.h"

namespace lab::apiserver {
namespace {

json::Value parsed(std::string_view text) {
  return *json::parse(text);
}

const api::Type* deployment() {
  return api::find_type("k8s.io.api.apps.v1.Deployment");
}

TEST(FieldSetTest, NamesItemsOfListsByTheirKeys) {
  auto set = fields::of(deployment(), parsed(R"({"spec":{"replicas":1,"template":{"spec":{"containers":[
    {"name":"c","image":"nginx","args":["a"]}]}}}})"));
  EXPECT_EQ(json::Value(set), parsed(R"({"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{
    "k:{\"name\":\"c\"}":{".":{},"f:name":{},"f:image":{},"f:args":{}}}}}}})"));
}

TEST(FieldSetTest, SubtractsAndUnites) {
  auto a = parsed(R"({"f:spec":{"f:a":{},"f:b":{}}})").as_object(), b = parsed(R"({"f:spec":{"f:a":{}}})").as_object();
  EXPECT_EQ(json::Value(fields::subtract(a, b)), parsed(R"({"f:spec":{"f:b":{}}})"));
  EXPECT_EQ(json::Value(fields::unite(b, a)), json::Value(a));
  EXPECT_EQ(fields::common(a, b), std::vector<std::string>{".spec.a"});
}

class ApplyTest : public ServerTest {
 protected:
  const std::string deployment_ = "/apis/apps/v1/namespaces/default/deployments/web";
  static std::string config(int replicas, const std::string& extra_container = {}) {
    return R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"owner":"one"}},"spec":{"replicas":)" +
           std::to_string(replicas) +
           R"(,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
      "spec":{"containers":[{"name":"c","image":"nginx"})" +
           extra_container + "]}}}}";
  }
  Answer apply(const std::string& body, const std::string& manager, bool force = false) {
    return call("PATCH", deployment_ + "?fieldManager=" + manager + (force ? "&force=true" : ""), body,
                {{"Content-Type", "application/apply-patch+yaml"}});
  }
};

TEST_F(ApplyTest, CreatesMergesAndTakesOutWhatIsNoLongerNamed) {
  auto made = apply(config(2, R"(,{"name":"side","image":"busybox"})"), "one");
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(json::str(json::list(made.body, "metadata", "managedFields")[0], "manager"), "one");
  auto again = apply(config(2, R"(,{"name":"side","image":"busybox"})"), "one");
  EXPECT_EQ(again.status, 200) << again.text;
  EXPECT_EQ(json::str(again.body, "metadata", "resourceVersion"), json::str(made.body, "metadata", "resourceVersion"));
  auto less = apply(config(2), "one");
  ASSERT_EQ(less.status, 200) << less.text;
  EXPECT_EQ(json::list(less.body, "spec", "template", "spec", "containers").size(), 1u);
}

TEST_F(ApplyTest, RefusesToOverwriteOthersUnlessForced) {
  ASSERT_EQ(apply(config(2), "one").status, 201);
  auto conflict = apply(config(5), "two");
  EXPECT_EQ(conflict.status, 409);
  EXPECT_EQ(json::str(conflict.body, "message"), "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas");
  EXPECT_EQ(json::str(json::list(conflict.body, "details", "causes")[0], "field"), ".spec.replicas");
  auto forced = apply(config(5), "two", true);
  EXPECT_EQ(forced.status, 200) << forced.text;
  EXPECT_EQ(json::num(forced.body, "spec", "replicas"), 5);
  EXPECT_EQ(apply(config(2), "one").status, 409);
}

TEST_F(ApplyTest, OtherWritesTakeOwnershipOfWhatTheyChange) {
  ASSERT_EQ(apply(config(2), "one").status, 201);
  EXPECT_EQ(merge(deployment_ + "?fieldManager=scaler", parsed(R"({"spec":{"replicas":7}})")).status, 200);
  auto conflict = apply(config(2), "one");
  EXPECT_EQ(conflict.status, 409);
  EXPECT_EQ(json::str(conflict.body, "message"),
            "Apply failed with 1 conflict: conflict with \"scaler\" using apps/v1: .spec.replicas");
  EXPECT_EQ(apply(config(7), "one").status, 200);  // of one mind: shared
}

TEST_F(ApplyTest, NeedsAManager) {
  auto answer = call("PATCH", deployment_, config(1), {{"Content-Type", "application/apply-patch+yaml"}});
  EXPECT_EQ(answer.status, 400);
}

}  // namespace
}  // namespace lab::apiserver
