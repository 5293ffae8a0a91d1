#include "overlay-net/ipam/range_allocator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <set>

#include "base/fs.h"

namespace lab::overlay {
namespace {

struct RangeAllocatorTest : testing::Test {
  std::string dir = std::string("/dev/shm/lab-ipam-") + std::to_string(::getpid());
  std::string path = dir + "/addresses.journal";
  std::unique_ptr<RangeAllocator> open(const char* range = "10.244.1.0/24") {
    auto r = RangeAllocator::open(path, *Cidr::parse(range));
    if (!r) throw std::runtime_error(r.error().text());
    return std::move(*r);
  }
  void TearDown() override { (void)fs::remove_all(dir); }
};

TEST_F(RangeAllocatorTest, GivesEachOwnerItsAddressAndKeepsItOverARestart) {
  auto a = open();
  auto first = a->allocate("c1/eth0", "{}")->address;
  EXPECT_EQ(first.text(), "10.244.1.2");
  EXPECT_EQ(a->allocate("c1/eth0", "{}")->address, first);
  EXPECT_EQ(a->allocate("c2/eth0", "note")->address.text(), "10.244.1.3");
  a = open();
  EXPECT_EQ(a->find("c1/eth0")->address, first);
  EXPECT_EQ(a->find("c2/eth0")->note, "note");
  EXPECT_EQ(a->usage().used, 2u);
}

TEST_F(RangeAllocatorTest, AReleasedAddressRestsUntilTheOthersAreUsed) {
  auto a = open("10.0.0.0/28");
  auto first = a->allocate("a", "")->address;
  ASSERT_TRUE(a->release("a"));
  ASSERT_TRUE(a->release("a"));
  EXPECT_NE(a->allocate("b", "")->address, first);
  a = open("10.0.0.0/28");
  EXPECT_EQ(a->allocate("c", "")->address.text(), "10.0.0.4");
}

TEST_F(RangeAllocatorTest, FullRangeSaysSoAndRecovers) {
  auto a = open("10.0.0.0/29");
  std::set<IpAddress> given;
  for (int i = 0; i < 5; ++i) given.insert(a->allocate("o" + std::to_string(i), "")->address);
  EXPECT_EQ(given.size(), 5u);
  EXPECT_EQ(given.begin()->text(), "10.0.0.2");
  EXPECT_EQ(given.rbegin()->text(), "10.0.0.6");
  auto full = a->allocate("more", "");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kTooManyRequests);
  EXPECT_NE(full.error().text().find("10.0.0.0/29"), std::string::npos);
  ASSERT_TRUE(a->release("o3"));
  EXPECT_EQ(a->allocate("more", "")->address.text(), "10.0.0.5");
}

TEST_F(RangeAllocatorTest, ATornLastLineIsDroppedAndDamageElsewhereIsRefused) {
  {
    auto a = open();
    ASSERT_TRUE(a->allocate("a", ""));
  }
  ASSERT_TRUE(fs::append_file(path, "{\"add\":\"b\",\"ip\":\"10.244"));
  {
    auto a = open();
    EXPECT_TRUE(a->find("a"));
    EXPECT_FALSE(a->find("b"));
    EXPECT_EQ(a->allocate("c", "")->address.text(), "10.244.1.3");
  }
  ASSERT_TRUE(fs::append_file(path, "rubbish\n"));
  auto damaged = RangeAllocator::open(path, *Cidr::parse("10.244.1.0/24"));
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().text().find("line 4"), std::string::npos) << damaged.error().text();
  ASSERT_TRUE(fs::write_file(path, "{\"add\":\"a\",\"ip\":\"10.244.1.2\"}\n{\"add\":\"b\",\"ip\":\"10.244.1.2\"}\n"));
  EXPECT_FALSE(RangeAllocator::open(path, *Cidr::parse("10.244.1.0/24")));
}

TEST_F(RangeAllocatorTest, AChangedRangeKeepsOldOwnersAndGivesOnlyNewAddresses) {
  open()->allocate("old", "").value();
  auto a = open("10.244.7.0/24");
  EXPECT_EQ(a->find("old")->address.text(), "10.244.1.2");
  EXPECT_EQ(a->allocate("new", "")->address.text(), "10.244.7.2");
}

TEST_F(RangeAllocatorTest, RefusesUnusableRanges) {
  for (const char* range : {"10.0.0.0/30", "10.0.0.1/32", "fd00::/64"}) {
    EXPECT_FALSE(RangeAllocator::open(path, *Cidr::parse(range))) << range;
  }
}

// Random allocations, releases and crashes that cut the journal anywhere after the last answer.
TEST_F(RangeAllocatorTest, NeverGivesAnAddressTwice) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::map<std::string, IpAddress> model;
    (void)fs::remove_all(dir);
    auto a = open("10.0.0.0/26");
    for (int step = 0; step < 400; ++step) {
      auto owner = "o" + std::to_string(random() % 80);
      switch (random() % 8) {
        case 0: {  // a crash in the middle of writing the next line
          a.reset();
          ASSERT_TRUE(
              fs::append_file(path, std::string("{\"add\":\"x\",\"ip\":\"10.0.0.9\"}").substr(0, random() % 27)));
          a = open("10.0.0.0/26");
          break;
        }
        case 1:
        case 2:
        case 3:
          ASSERT_TRUE(a->release(owner));
          model.erase(owner);
          break;
        default: {
          auto got = a->allocate(owner, "");
          if (!got) {
            ASSERT_EQ(model.size(), 61u);
            break;
          }
          if (model.contains(owner)) {
            ASSERT_EQ(model[owner], got->address);
            break;
          }
          for (const auto& [other, address] : model) ASSERT_NE(address, got->address) << other;
          model[owner] = got->address;
        }
      }
      ASSERT_EQ(a->usage().used, model.size());
    }
  }
}

TEST_F(RangeAllocatorTest, TheJournalDoesNotGrowForEver) {
  auto a = open();
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(a->allocate("x", "note"));
    ASSERT_TRUE(a->release("x"));
  }
  EXPECT_LT(fs::read_file(path)->size(), 120'000u);
}

}  // namespace
}  // namespace lab::overlay
