// The bootstrap policy over a writer that keeps what it is given.
#include <gtest/gtest.h>

#include "base/io/scope.h"
#include "orchestrator/apiserver/authz/policy.h"
#include "tests/unit/orchestrator/apiserver/objects.h"

namespace lab::apiserver::authz {
namespace {

class Writer final : public ObjectWriter {
 public:
  explicit Writer(Objects& objects) : objects_(objects) {}
  int created = 0, changed = 0;

  Task<Result<json::Value>> create(api::KindPtr, json::Value object) override {
    ++created;
    objects_.put(object);
    co_return object;
  }
  Task<Result<json::Value>> mutate(api::KindPtr kind, std::string ns, std::string name, Change change,
                                   std::string) override {
    json::Value object = *objects_.get(*kind, ns, name);
    json::Value before = object;
    LAB_CO_CHECK(change(object));
    if (object != before) ++changed;
    objects_.put(object);
    co_return object;
  }
  Task<Result<void>> remove(api::KindPtr, std::string, std::string) override { co_return Result<void>(); }

 private:
  Objects& objects_;
};

TEST(Reconcile, MakesAddsAndLeavesAlone) {
  Objects objects;
  Writer writer(objects);
  ASSERT_TRUE(run_task(reconcile_policy(objects, writer)));
  EXPECT_EQ(static_cast<std::size_t>(writer.created), bootstrap_objects().size());
  ASSERT_TRUE(run_task(reconcile_policy(objects, writer)));
  EXPECT_EQ(static_cast<std::size_t>(writer.created), bootstrap_objects().size());
  EXPECT_EQ(writer.changed, 0);

  auto kind = api::find_kind("rbac.authorization.k8s.io", "v1", "clusterroles");
  // A rule taken away comes back, one added by hand stays.
  json::Value role = *objects.get(*kind, "", "system:kube-scheduler");
  auto& rules = role.at("rules").as_array();
  rules.erase(rules.begin());
  rules.push_back(js(R"({"apiGroups":["x"],"resources":["y"],"verbs":["z"]})"));
  objects.put(role);
  ASSERT_TRUE(run_task(reconcile_policy(objects, writer)));
  EXPECT_EQ(writer.changed, 1);
  auto now = rules_of(*objects.get(*kind, "", "system:kube-scheduler"));
  EXPECT_TRUE(uncovered(now, cluster_role_rules("system:kube-scheduler")).empty());
  EXPECT_TRUE(uncovered(now, {Rule{{"z"}, {"x"}, {"y"}, {}, {}}}).empty());
  // Who says no is left alone.
  json::set(role, "false", "metadata", "annotations", "rbac.authorization.kubernetes.io/autoupdate");
  objects.put(role);
  ASSERT_TRUE(run_task(reconcile_policy(objects, writer)));
  EXPECT_EQ(writer.changed, 1);
}

}  // namespace
}  // namespace lab::apiserver::authz
