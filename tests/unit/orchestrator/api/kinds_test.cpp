#include <gtest/gtest.h>

#include <map>
#include <set>

#include "orchestrator/api/kind.h"
#include "orchestrator/api/schema.h"

namespace lab::api {
namespace {

TEST(Kinds, EveryRowIsWhole) {
  std::set<std::string> seen;
  std::map<std::string, std::string> storage;  // prefix to group/plural
  for (const auto& k : builtin_kinds()) {
    EXPECT_TRUE(seen.insert(k->api_version() + "/" + k->plural).second) << k->plural;
    EXPECT_NE(find_type(k->schema), nullptr) << k->schema;
    EXPECT_FALSE(k->verbs.empty()) << k->plural;
    EXPECT_EQ(find_kind(k->group, k->version, k->plural), k);
    EXPECT_EQ(find_kind_by_name(k->api_version(), k->kind), k);
    EXPECT_FALSE(columns_of(*k).empty());
    if (k->virtual_kind) {
      EXPECT_EQ(k->storage_prefix, "");
      continue;
    }
    EXPECT_TRUE(k->storage_prefix.starts_with("/registry/") && k->storage_prefix.ends_with("/")) << k->storage_prefix;
    auto [it, fresh] = storage.emplace(k->storage_prefix, k->plural);
    EXPECT_EQ(it->second, k->plural) << "two kinds share " << k->storage_prefix;
  }
  // A prefix inside another one would mix two kinds in one list.
  for (const auto& [a, x] : storage)
    for (const auto& [b, y] : storage) EXPECT_TRUE(a == b || !b.starts_with(a)) << a << " " << b;
}

TEST(Kinds, ShortNamesAreUniqueAcrossWhatKubectlPrefers) {
  std::map<std::string, std::string> owner;
  for (const auto& k : builtin_kinds())
    for (const auto& s : k->short_names) {
      auto [it, fresh] = owner.emplace(s, k->plural);
      EXPECT_EQ(it->second, k->plural) << s;
    }
  EXPECT_EQ(owner.at("po"), "pods");
  EXPECT_EQ(owner.at("deploy"), "deployments");
  EXPECT_EQ(owner.at("pc"), "priorityclasses");
}

TEST(Kinds, Details) {
  auto pods = find_kind("", "v1", "pods");
  ASSERT_TRUE(pods);
  EXPECT_EQ(pods->singular, "pod");
  EXPECT_TRUE(pods->namespaced && pods->status && !pods->scale);
  EXPECT_EQ(pods->categories, std::vector<std::string>{"all"});
  EXPECT_EQ(find_kind("apps", "v1", "deployments")->api_version(), "apps/v1");
  EXPECT_TRUE(find_kind("apps", "v1", "deployments")->scale);
  EXPECT_FALSE(find_kind("", "v1", "nodes")->namespaced);
  EXPECT_TRUE(find_kind("authorization.k8s.io", "v1", "subjectaccessreviews")->virtual_kind);
  // One storage for both versions.
  EXPECT_EQ(find_kind("autoscaling", "v1", "horizontalpodautoscalers")->storage_prefix,
            find_kind("autoscaling", "v2", "horizontalpodautoscalers")->storage_prefix);
  EXPECT_EQ(find_kind("events.k8s.io", "v1", "events")->storage_prefix, find_kind("", "v1", "events")->storage_prefix);
  EXPECT_EQ(find_kind("apps", "v2", "deployments"), nullptr);
  EXPECT_EQ(find_kind_by_name("v1", "Deployment"), nullptr);
}

}  // namespace
}  // namespace lab::api
