// bbolt files: one built here by the format's description, and every way of cutting and bending it.
#include "bootstrap/snapshot/bolt.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

namespace lab::bootstrap {
namespace {

constexpr std::size_t kPage = 4096;

template <class T>
void number(std::string& out, T n) {
  out.append(reinterpret_cast<const char*>(&n), sizeof n);
}

std::string page_header(std::uint64_t id, std::uint16_t flags, std::uint16_t count) {
  std::string out;
  number(out, id);
  number(out, flags);
  number(out, count);
  number(out, std::uint32_t(0));
  return out;
}

struct Entry {
  std::string key, value;
  bool bucket = false;
};

std::string leaf(std::uint64_t id, const std::vector<Entry>& entries) {
  std::string elements, data;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    number(elements, std::uint32_t(entries[i].bucket ? 1 : 0));
    number(elements, std::uint32_t((entries.size() - i) * 16 + data.size()));
    number(elements, std::uint32_t(entries[i].key.size()));
    number(elements, std::uint32_t(entries[i].value.size()));
    data += entries[i].key + entries[i].value;
  }
  return page_header(id, 0x02, static_cast<std::uint16_t>(entries.size())) + elements + data;
}

std::string branch(std::uint64_t id, const std::vector<std::uint64_t>& children) {
  std::string out = page_header(id, 0x01, static_cast<std::uint16_t>(children.size()));
  for (auto child : children) {
    number(out, std::uint32_t(0));
    number(out, std::uint32_t(0));
    number(out, child);
  }
  return out;
}

std::string bucket_of(std::uint64_t root, const std::string& inline_page = {}) {
  std::string out;
  number(out, root);
  number(out, std::uint64_t(0));
  return out + inline_page;
}

std::string meta(std::uint64_t id, std::uint64_t root, std::uint64_t transaction) {
  std::string fields;
  number(fields, std::uint32_t(0xED0CDAED));
  number(fields, std::uint32_t(2));
  number(fields, std::uint32_t(kPage));
  number(fields, std::uint32_t(0));
  number(fields, root);
  number(fields, std::uint64_t(0));
  number(fields, std::uint64_t(2));
  number(fields, std::uint64_t(8));
  number(fields, transaction);
  std::uint64_t sum = 14695981039346656037ull;
  for (unsigned char c : fields) sum = (sum ^ c) * 1099511628211ull;
  number(fields, sum);
  return page_header(id, 0x04, 0) + fields;
}

std::string file_of(const std::vector<std::string>& pages) {
  std::string out;
  for (const auto& p : pages) {
    out += p;
    out.resize((out.size() + kPage - 1) / kPage * kPage);
  }
  return out;
}

// Root page 3: bucket "v1" inline; in it "plain" = "value" and bucket "far" on branch page 4 over leaves 5 and 6.
std::string sample(std::uint64_t first_transaction = 8, std::uint64_t second_transaction = 7) {
  const std::string v1 = bucket_of(0, leaf(0, {{"far", bucket_of(4), true}, {"plain", "value"}}));
  return file_of({meta(0, 3, first_transaction), meta(1, 7, second_transaction), page_header(2, 0x10, 0),
                  leaf(3, {{"v1", v1, true}}), branch(4, {5, 6}), leaf(5, {{"a", "1"}, {"b", ""}}),
                  leaf(6, {{"c", "3"}}), leaf(7, {})});
}

TEST(Bolt, ReadsBucketsInlineAndOnPagesOfTheirOwn) {
  Bolt bolt(sample());
  auto top = bolt.items({"v1"});
  ASSERT_TRUE(top) << top.error().text();
  ASSERT_EQ(top->size(), 2u);
  EXPECT_TRUE((*top)[0].bucket);
  EXPECT_EQ((*top)[1].key, "plain");
  EXPECT_EQ((*top)[1].value, "value");
  auto far = bolt.items({"v1", "far"});
  ASSERT_TRUE(far) << far.error().text();
  std::map<std::string, std::string> seen;
  for (const auto& i : *far) seen.emplace(i.key, i.value);
  EXPECT_EQ(seen, (std::map<std::string, std::string>{{"a", "1"}, {"b", ""}, {"c", "3"}}));
  EXPECT_EQ(bolt.items({"v1", "absent"}).error().code, Code::kNotFound);
  EXPECT_EQ(bolt.items({"v1", "plain"}).error().code, Code::kNotFound) << "a value is no bucket";
}

TEST(Bolt, TheNewestIntactMetaPageCounts) {
  EXPECT_EQ(Bolt(sample(8, 9)).items({}).value().size(), 0u) << "the second one's root is an empty page";
  std::string torn = sample(8, 9);
  torn[kPage + 16 + 20] ^= 1;
  EXPECT_EQ(Bolt(torn).items({}).value().size(), 1u);
  std::string first_torn = sample(8, 7);
  first_torn[16 + 20] ^= 1;
  EXPECT_EQ(Bolt(first_torn).items({}).value().size(), 0u);
}

TEST(Bolt, WhatIsNoDatabaseIsAnError) {
  for (const std::string& bad : {std::string(), std::string(100, 'x'), std::string(3 * kPage, '\0')})
    EXPECT_FALSE(Bolt(bad).items({}));
  const std::string circle = file_of({meta(0, 3, 1), meta(1, 3, 0), page_header(2, 0x10, 0), branch(3, {3, 3, 3})});
  EXPECT_FALSE(Bolt(circle).items({}));
}

// Cut or bent anywhere, it is read or refused; nothing outside the file is touched (the sanitizers would tell).
TEST(Bolt, DamageIsReadOrRefused) {
  const std::string whole = sample();
  std::mt19937 random(7);
  for (std::size_t n = 0; n < whole.size(); n += 97) (void)Bolt(whole.substr(0, n)).items({"v1", "far"});
  for (int round = 0; round < 3000; ++round) {
    std::string bent = whole;
    for (int i = 0; i < 4; ++i) bent[3 * kPage + random() % (4 * kPage)] = static_cast<char>(random());
    (void)Bolt(std::move(bent)).items({"v1", "far"});
  }
}

}  // namespace
}  // namespace lab::bootstrap
