#include <chrono>
#include <thread>

#include "fixture.h"

namespace lab::apiserver {
namespace {

const char* kDefinition = R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
  "metadata":{"name":"crontabs.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
  "names":{"plural":"crontabs","singular":"crontab","kind":"CronTab","shortNames":["ct"]},
  "versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},
    "additionalPrinterColumns":[{"name":"Spec","type":"string","jsonPath":".spec.cronSpec"}],
    "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","required":["cronSpec"],
      "properties":{"cronSpec":{"type":"string"},"replicas":{"type":"integer","minimum":1,"default":3}}},
      "status":{"type":"object","properties":{"seen":{"type":"integer"}}}}}}}]}})";

class CustomTest : public ServerTest {
 protected:
  const std::string definitions_ = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const std::string tabs_ = "/apis/example.com/v1/namespaces/default/crontabs";

  // Waits until a path answers with a status.
  bool eventually(const std::string& path, int status) {
    for (int i = 0; i < 600; ++i) {
      if (get(path).status == status) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }
  static json::Value tab(std::string spec) {
    return *json::parse(R"({"apiVersion":"example.com/v1","kind":"CronTab","metadata":{"name":"a"},"spec":)" + spec +
                        "}");
  }
};

TEST_F(CustomTest, ADefinitionServesItsKind) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  auto made = make(tabs_, tab(R"({"cronSpec":"* * *","colour":"red"})"));
  EXPECT_EQ(json::num(made, "spec", "replicas"), 3);
  EXPECT_FALSE(json::has(made, "spec", "colour"));
  EXPECT_EQ(json::num(made, "metadata", "generation"), 1);
  auto table = get(tabs_, {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}}).body;
  EXPECT_EQ(json::as_str(json::list(json::list(table, "rows")[0], "cells")[1]), "* * *");
  auto status = merge(tabs_ + "/a/status", *json::parse(R"({"spec":{"replicas":9},"status":{"seen":1}})"));
  EXPECT_EQ(json::num(status.body, "spec", "replicas"), 3);
  EXPECT_EQ(json::num(status.body, "status", "seen"), 1);
}

TEST_F(CustomTest, ObjectsAreHeldAgainstTheSchema) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  EXPECT_EQ(post(tabs_, tab(R"({"replicas":2})")).status, 422);
  EXPECT_EQ(post(tabs_, tab(R"({"cronSpec":5})")).status, 422);
  EXPECT_EQ(post(tabs_, tab(R"({"cronSpec":"x","replicas":0})")).status, 422);
  EXPECT_EQ(post(tabs_ + "?fieldValidation=Strict", tab(R"({"cronSpec":"x","colour":"red"})")).status, 400);
}

TEST_F(CustomTest, KindsComeBackAfterARestartAndGoWithTheirDefinition) {
  make(definitions_, *json::parse(kDefinition));
  ASSERT_TRUE(eventually(tabs_, 200));
  auto made = make(tabs_, tab(R"({"cronSpec":"x"})"));
  start_server();
  EXPECT_EQ(get(tabs_ + "/a").body, made);
  EXPECT_EQ(remove(definitions_ + "/crontabs.example.com").status, 200);
  EXPECT_TRUE(eventually(definitions_ + "/crontabs.example.com", 404));
  EXPECT_TRUE(eventually(tabs_, 404));
}

}  // namespace
}  // namespace lab::apiserver
