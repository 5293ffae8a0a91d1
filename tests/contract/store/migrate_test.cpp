// Moving content between stores, each implementation into each: the same objects, later revisions, nothing half-made.
#include "orchestrator/store/migrate.h"

#include "tests/contract/store/backend.h"

namespace lab::store {
namespace {

constexpr int kObjectCount = 1234;  // several pages, several batches

struct Pair {
  Backend from, to;
};

class Migrate : public testing::TestWithParam<Pair> {
 protected:
  void SetUp() override {
    auto a = GetParam().from.open(from_dir.path(), {});
    auto b = GetParam().to.open(to_dir.path(), {});
    ASSERT_TRUE(a) << a.error().text();
    ASSERT_TRUE(b) << b.error().text();
    from = std::move(*a);
    to = std::move(*b);
  }
  static std::string key(int i) { return "/registry/things/ns-" + std::to_string(i % 7) + "/" + std::to_string(i); }
  static std::string value(int i) {
    return std::string(static_cast<std::size_t>(i % 3000), static_cast<char>(i)) + '\0' + std::to_string(i);
  }
  void fill() {
    std::vector<Change> batch;
    for (int i = 0; i < kObjectCount; ++i) {
      batch.push_back(put(key(i), value(i)));
      if (batch.size() == 100 || i + 1 == kObjectCount) ASSERT_TRUE(commit(*from, std::exchange(batch, {})));
    }
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(commit(*from, {put("/registry/changed/often", std::to_string(i))}));
    ASSERT_TRUE(commit(*from, {put("/registry/gone", "x")}));
    ASSERT_TRUE(commit(*from, {del("/registry/gone")}));
    ASSERT_TRUE(commit(*from, {put("/elsewhere/not-moved", "x")}));
  }

  TempDir from_dir, to_dir;
  std::unique_ptr<Store> from, to;
};

TEST_P(Migrate, TheTargetHoldsTheSameAndIsAhead) {
  fill();
  auto done = migrate(*from, *to);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->objects, kObjectCount + 1u);
  EXPECT_GT(done->to_revision, done->from_revision) << "a version given before could come again";
  EXPECT_EQ(to->revision(), done->to_revision);
  auto all = range_prefix(*to, "/");
  ASSERT_TRUE(all);
  ASSERT_EQ(all->items.size(), kObjectCount + 1u) << "objects alone, no mark";
  for (int i : {0, 1, 499, 500, kObjectCount - 1}) {
    auto one = range_prefix(*to, key(i) + "");
    ASSERT_TRUE(one && !one->items.empty()) << key(i);
    EXPECT_EQ(*one->items.front().value, value(i)) << key(i);
  }
  EXPECT_EQ(*range_prefix(*to, "/registry/changed/often")->items.front().value, "49");
  EXPECT_TRUE(refuse_half_migrated(*to));
  EXPECT_EQ(range_prefix(*from, "/registry/")->items.size(), kObjectCount + 1u) << "the source stays";
}

TEST_P(Migrate, ATargetThatHoldsObjectsIsLeftAlone) {
  fill();
  ASSERT_TRUE(commit(*to, {put("/registry/precious", "x")}));
  auto refused = migrate(*from, *to);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_NE(refused.error().message.find("/registry/precious"), std::string::npos) << refused.error().text();
  auto all = range_prefix(*to, "/");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->items.size(), 1u);
}

TEST_P(Migrate, OneThatWasCutOffIsBegunAnew) {
  fill();
  ASSERT_TRUE(
      commit(*to, {put(kMigrationMark, "begun"), put(key(3), "half"), put("/registry/of-an-earlier-run", "x")}));
  auto half = refuse_half_migrated(*to);
  ASSERT_FALSE(half);
  EXPECT_NE(half.error().message.find("cut off"), std::string::npos);
  EXPECT_FALSE(migrate(*to, *from)) << "a half one is no source";
  auto done = migrate(*from, *to);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(range_prefix(*to, "/")->items.size(), kObjectCount + 1u);
}

TEST_P(Migrate, AWriterOfTheSourceIsNoticed) {
  fill();
  bool written = false;
  auto refused = migrate(*from, *to, [&](const std::string& step) {
    if (step.starts_with("Comparing")) written = commit(*from, {put("/registry/late", "x")}).has_value();
  });
  ASSERT_TRUE(written);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the source was written meanwhile"), std::string::npos)
      << refused.error().text();
  EXPECT_FALSE(refuse_half_migrated(*to)) << "no server must start on it";
}

TEST_P(Migrate, AnEmptyOneIsMovedToo) {
  auto done = migrate(*from, *to);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->objects, 0u);
}

std::vector<Pair> pairs() {
  const auto all = backends();
  return {{all[0], all[1]}, {all[1], all[0]}, {all[0], all[0]}};
}
INSTANTIATE_TEST_SUITE_P(, Migrate, testing::ValuesIn(pairs()),
                         [](const auto& info) { return info.param.from.name + "_to_" + info.param.to.name; });

}  // namespace
}  // namespace lab::store
