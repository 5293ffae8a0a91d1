#include <thread>

#include "tests/contract/store/backend.h"

namespace lab::store {
namespace {

class RangeContract : public StoreContract {};
INSTANTIATE_TEST_SUITE_P(Store, RangeContract, ::testing::ValuesIn(backends()), backend_name);

std::vector<std::string> keys_of(const RangeResult& result) {
  std::vector<std::string> out;
  for (const auto& item : result.items) out.push_back(item.key);
  return out;
}

TEST(PrefixEnd, IsTheFirstKeyBeyond) {
  EXPECT_EQ(prefix_end("/a/"), "/a0");
  EXPECT_EQ(prefix_end("a"), "b");
  EXPECT_EQ(prefix_end(std::string("a\xff\xff")), "b");
  EXPECT_EQ(prefix_end(std::string("\xff")), "");
  EXPECT_EQ(prefix_end(""), "");
}

TEST_P(RangeContract, BoundsAreStartInclusiveEndExclusive) {
  ASSERT_TRUE(commit(*store, {put("/a", "1"), put("/a/x", "2"), put("/b", "3"), put("/c", "4")}));
  EXPECT_EQ(keys_of(*range(*store, {.start = "/a", .end = "/c"})), (std::vector<std::string>{"/a", "/a/x", "/b"}));
  EXPECT_EQ(keys_of(*range_prefix(*store, "/a/")), (std::vector<std::string>{"/a/x"}));
  EXPECT_EQ(keys_of(*range(*store, {.start = "/b", .end = std::string("/b\0", 3)})), (std::vector<std::string>{"/b"}));
  EXPECT_EQ(keys_of(*range(*store, {.start = "/b"})), (std::vector<std::string>{"/b", "/c"})) << "no upper bound";
  EXPECT_TRUE(range(*store, {.start = "/x", .end = "/y"})->items.empty());
}

TEST_P(RangeContract, AnOlderRevisionShowsTheStateOfThen) {
  Revision r1 = put1("/a", "1");
  Revision r2 = put1("/b", "1");
  Revision r3 = put1("/a", "2");
  ASSERT_TRUE(commit(*store, {del("/b"), put("/c", "1")}));

  auto at = [&](Revision r) {
    std::string out;
    auto result = range_prefix(*store, "/", r);
    EXPECT_TRUE(result);
    EXPECT_EQ(result->revision, r);
    for (const auto& item : result->items) out += item.key + "=" + *item.value + " ";
    return out;
  };
  EXPECT_EQ(at(r1), "/a=1 ");
  EXPECT_EQ(at(r2), "/a=1 /b=1 ");
  EXPECT_EQ(at(r3), "/a=2 /b=1 ");
  EXPECT_EQ(at(r3 + 1), "/a=2 /c=1 ");
}

TEST_P(RangeContract, AFutureRevisionIsRefused) {
  Revision r = put1("/a", "1");
  EXPECT_EQ(range_prefix(*store, "/", r + 1).error().code, Code::kInvalid);
}

TEST_P(RangeContract, PagesAtOneRevisionAddUpWhileWritesGoOn) {
  constexpr int kKeys = 10'000;
  std::vector<Change> changes;
  for (int i = 0; i < kKeys; ++i) {
    char key[32];
    snprintf(key, sizeof key, "/k/%06d", i);
    changes.push_back(put(key, "v" + std::to_string(i)));
    if (changes.size() == 500) {
      ASSERT_TRUE(commit(*store, std::move(changes)));
      changes.clear();
    }
  }
  Revision at = store->revision();
  std::string start = "/k/", end = prefix_end("/k/");
  int seen = 0, pages = 0;
  for (bool more = true; more; ++pages) {
    auto page = range(*store, {.start = start, .end = end, .revision = at, .limit = 700});
    ASSERT_TRUE(page) << page.error().text();
    EXPECT_EQ(page->revision, at);
    for (const auto& item : page->items) EXPECT_EQ(*item.value, "v" + std::to_string(seen++));
    more = page->more;
    EXPECT_EQ(more, seen < kKeys);
    ASSERT_FALSE(page->items.empty());
    start = page->items.back().key + '\0';
    // Writes ahead of, behind and at the reader must not show.
    ASSERT_TRUE(commit(*store, {put("/k/000001", "new"), del("/k/009999"), put("/k/5", "new")}));
  }
  EXPECT_EQ(seen, kKeys);
  EXPECT_EQ(pages, 15);
  EXPECT_EQ(range_prefix(*store, "/k/")->items.size(), std::size_t{kKeys});  // one gone, one new
}

TEST_P(RangeContract, MoreIsFalseWhenTheLimitIsJustMet) {
  ASSERT_TRUE(commit(*store, {put("/a", "1"), put("/b", "1"), put("/c", "1")}));
  ASSERT_TRUE(commit(*store, {del("/c")}));
  auto two = range_prefix(*store, "/", 0, 2);
  EXPECT_EQ(two->items.size(), 2u);
  EXPECT_FALSE(two->more) << "a deleted key does not count";
  EXPECT_TRUE(range_prefix(*store, "/", 0, 1)->more);
}

TEST_P(RangeContract, CompactedRevisionsAreGone) {
  Revision r1 = put1("/a", "1");
  put1("/b", "1");
  Revision r3 = put1("/a", "2");
  ASSERT_TRUE(commit(*store, {del("/b")}));
  Revision r4 = store->revision();
  ASSERT_TRUE(compact(*store, r3));
  EXPECT_EQ(range_prefix(*store, "/", r1).error().code, Code::kGone);
  EXPECT_EQ(range_prefix(*store, "/", r3 - 1).error().code, Code::kGone);
  EXPECT_EQ(keys_of(*range_prefix(*store, "/", r3)), (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(keys_of(*range_prefix(*store, "/", r4)), (std::vector<std::string>{"/a"}));
  ASSERT_TRUE(compact(*store, r1)) << "again, or further back: nothing happens";
  EXPECT_EQ(compact(*store, r4 + 1).error().code, Code::kInvalid);
  reopen();
  EXPECT_EQ(range_prefix(*store, "/", r3 - 1).error().code, Code::kGone);
  EXPECT_EQ(*range_prefix(*store, "/", r3)->items.at(0).value, "2");
}

TEST_P(RangeContract, CompactionKeepsWhatIsCurrent) {
  for (int round = 0; round < 40; ++round) {
    std::vector<Change> changes;
    for (int i = 0; i < 50; ++i) {
      bool remove = (i + round) % 7 == 0;
      std::string key = "/k" + std::to_string(i);
      changes.push_back(remove ? del(key) : put(key, std::to_string(round)));
    }
    ASSERT_TRUE(commit(*store, std::move(changes)));
    if (round % 5 == 4) ASSERT_TRUE(compact(*store, store->revision() - 2));
  }
  auto before = range_prefix(*store, "/");
  ASSERT_TRUE(compact(*store, store->revision()));
  for (int i = 0; i < 20; ++i) put1("/other", "x");  // gives removal the time of some batches
  reopen();
  auto after = range_prefix(*store, "/k");
  ASSERT_EQ(after->items.size(), before->items.size());
  for (std::size_t i = 0; i < after->items.size(); ++i) {
    EXPECT_EQ(after->items[i].key, before->items[i].key);
    EXPECT_EQ(*after->items[i].value, *before->items[i].value);
    EXPECT_EQ(after->items[i].mod_revision, before->items[i].mod_revision);
    EXPECT_EQ(after->items[i].create_revision, before->items[i].create_revision);
  }
}

TEST_P(RangeContract, HistoryAges) {
  reopen({.history = std::chrono::seconds(1)});
  Revision r1 = put1("/a", "1");
  put1("/a", "2");
  ASSERT_TRUE(range_prefix(*store, "/", r1));
  // No commits in between: age alone must do it.
  for (int i = 0; i < 600 && range_prefix(*store, "/", r1); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(range_prefix(*store, "/", r1).error().code, Code::kGone);
  EXPECT_EQ(*range_prefix(*store, "/")->items.at(0).value, "2");
}

}  // namespace
}  // namespace lab::store
