#include "overlay-net/ring/state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "overlay-net/ring/merge.h"
#include "overlay-net/ring/paxos.h"
#include "overlay-net/ring/space.h"

namespace lab::overlay::ring {
namespace {

PeerName name(int i) {
  return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(i)}};
}
MemberId id(int i) {
  return {name(i), 0};
}
std::uint32_t at(const char* address) {
  return IpAddress::parse(address)->v4_value();
}

// Founders 1, 2 and 3 of 10.0.0.0/24, all of which share it.
RingState three() {
  auto s = make_state(*Cidr::parse("10.0.0.0/24"), {name(3), name(1), name(2), name(2)});
  make_ring(s, 0b111);
  for (auto& m : s.members) m.nickname = "n" + std::to_string(m.id.name.bytes[5]);
  return s;
}

Token& token_of(RingState& s, int owner) {
  return *std::ranges::find(s.tokens, id(owner), &Token::owner);
}

std::string refused(const RingState& mine, const RingState& theirs, const MemberId& me) {
  auto before = mine;
  auto out = merge(mine, theirs, me);
  EXPECT_EQ(mine, before);
  return out ? "" : out.error().text();
}

TEST(RingState, TheFirstRingIsSplitEvenly) {
  auto s = three();
  ASSERT_EQ(s.tokens.size(), 3u);
  EXPECT_EQ(s.span(0), (Span{at("10.0.0.0"), at("10.0.0.85")}));
  EXPECT_EQ(s.span(1), (Span{at("10.0.0.85"), at("10.0.0.170")}));
  EXPECT_EQ(s.span(2).size(), 86u);
  auto large = make_state(*Cidr::parse("10.32.0.0/12"), {name(1), name(2), name(3)});
  make_ring(large, 0b101);
  EXPECT_EQ(large.spans_of(id(1)), (std::vector<Span>{{at("10.32.0.0"), at("10.40.0.0")}}));
  EXPECT_TRUE(large.spans_of(id(2)).empty());
  EXPECT_TRUE(large.registered(id(2)));
}

TEST(RingState, BytesComeBack) {
  auto s = three();
  auto& guest = s.add_member({name(9), 77});
  guest.nickname = "guest";
  guest.known = 0b011;
  auto& r = s.add_removal(id(3));
  r.heir = id(1);
  r.round = 4;
  r.adopted = {id(1), {name(9), 77}};
  propose(s, 1);
  think(s, 1);
  auto back = decode(encode(s));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(*back, s);
  EXPECT_TRUE(s.registered({name(9), 77}));
  EXPECT_FALSE(s.registered({name(9), 78}));
}

// Cut anywhere, a byte changed anywhere, and random bytes: refused, or read as something that is a ring.
TEST(RingState, MalformedBytesAreRefused) {
  auto s = three();
  s.add_member({name(9), 77}).nickname = "guest";
  s.add_removal(id(3)).heir = id(1);
  auto bytes = encode(s);
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode(bytes.substr(0, n))) << n;
  EXPECT_FALSE(decode(bytes + "x"));
  for (unsigned seed = 1; seed <= 20000; ++seed) {
    std::mt19937 random(seed);
    auto bad = bytes;
    for (int i = 0; i < 1 + int(random() % 4); ++i) bad[random() % bad.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    auto read = decode(bad);
    if (!read) continue;
    ASSERT_EQ(encode(*read), bad) << "seed " << seed;
    (void)merge(s, *read, id(1));
    (void)merge(*read, s, id(2));
  }
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string noise = "ring1";
    while (random() % 200) noise.push_back(static_cast<char>(random()));
    EXPECT_FALSE(decode(noise));
  }
}

TEST(RingState, WhatIsNoRingIsRefused) {
  auto refused_when = [](auto change) {
    auto s = three();
    change(s);
    return !decode(encode(s)).has_value();
  };
  EXPECT_FALSE(refused_when([](RingState&) {}));
  EXPECT_TRUE(refused_when([](RingState& s) { s.tokens[2].start = at("10.0.1.0"); }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.tokens[0].start = at("10.0.0.1"); }));
  EXPECT_TRUE(refused_when([](RingState& s) { std::swap(s.tokens[1], s.tokens[2]); }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.tokens[1].owner = id(8); }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.tokens[1].version = 0; }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.tokens[1].version = kMaxVersion + 1; }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.tokens[1].free = 87; }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.tokens.clear(); }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.members.erase(s.members.begin()); }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.add_member({name(9), 1}).known = 0b1000; }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.add_removal(id(1)).heir = id(1); }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.initial = 0b1000; }));
  EXPECT_TRUE(refused_when([](RingState& s) { s.votes[0].value = 1; }));
}

TEST(Merge, IsAJoin) {
  auto base = three(), a = base, b = base;
  token_of(a, 1).free = 5;
  token_of(a, 1).version = 2;
  b.tokens.insert(b.tokens.begin() + 2, {at("10.0.0.100"), id(3), 1, 70});
  token_of(b, 2).version = 2;
  auto ab = merge(a, b, id(1)), ba = merge(b, a, id(2));
  ASSERT_TRUE(ab && ba);
  EXPECT_EQ(ab->state, ba->state);
  EXPECT_TRUE(ab->news);
  EXPECT_FALSE(ba->news);
  EXPECT_TRUE(ba->detail);
  auto again = merge(ab->state, b, id(1));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, ab->state);
  EXPECT_FALSE(again->news || again->detail);
}

TEST(Merge, OldVersionsChangeNothing) {
  auto old = three(), now = old;
  token_of(now, 2).version = 5;
  token_of(now, 2).owner = id(1);
  auto out = merge(now, old, id(3));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->state, now);
  EXPECT_FALSE(out->news || out->detail);
}

TEST(Merge, ForgedUpdatesAreRefusedWhole) {
  auto mine = three(), forged = mine;
  token_of(forged, 2).version = 9;  // would be news on its own
  auto with_edit = forged;
  token_of(with_edit, 1).version = 7;
  EXPECT_NE(refused(mine, with_edit, id(1)).find("edits this peer's token 10.0.0.0"), std::string::npos);
  auto with_theft = mine;
  token_of(with_theft, 1) = {at("10.0.0.0"), id(2), 2, 0};
  EXPECT_NE(refused(mine, with_theft, id(1)), "");
  auto with_split = mine;
  with_split.tokens.insert(with_split.tokens.begin() + 1, {at("10.0.0.40"), id(3), 1, 0});
  EXPECT_NE(refused(mine, with_split, id(1)).find("splits this peer's range at 10.0.0.40"), std::string::npos);
  EXPECT_EQ(refused(mine, with_split, id(2)), "");  // who is not concerned cannot know better
  auto with_two = mine;
  token_of(with_two, 2).free = 3;
  EXPECT_NE(refused(mine, with_two, id(1)).find("same version"), std::string::npos);
  auto with_note = mine;
  with_note.add_member({name(9), 5}).known = 0b001;
  EXPECT_NE(refused(mine, with_note, id(1)).find("took note"), std::string::npos);
  EXPECT_EQ(refused(mine, with_note, id(2)), "");
  auto with_removal = mine;
  with_removal.add_removal(id(3)).heir = id(2);
  with_removal.add_removal(id(3)).adopted = {id(1)};
  EXPECT_NE(refused(mine, with_removal, id(1)).find("adopted"), std::string::npos);
}

TEST(Merge, AnotherRingIsRefused) {
  auto mine = three();
  auto range = make_state(*Cidr::parse("10.0.0.0/23"), mine.founders);
  make_ring(range, 0b111);
  EXPECT_NE(refused(mine, range, id(1)).find("10.0.0.0/23"), std::string::npos);
  auto founders = make_state(mine.range, {name(1), name(2)});
  make_ring(founders, 0b11);
  EXPECT_NE(refused(mine, founders, id(1)).find("other founders"), std::string::npos);
  auto other = make_state(mine.range, mine.founders);
  make_ring(other, 0b011);
  EXPECT_NE(refused(mine, other, id(1)).find("another ring"), std::string::npos);
}

TEST(Merge, VotesInThisPeersNameAreRefused) {
  auto mine = make_state(*Cidr::parse("10.0.0.0/24"), {name(1), name(2), name(3)}), theirs = mine;
  propose(theirs, 0);
  EXPECT_NE(refused(mine, theirs, id(1)).find("votes"), std::string::npos);
  EXPECT_EQ(refused(mine, theirs, id(2)), "");
}

TEST(Merge, TokensOfAnUpdateThatLacksARemovalAreLeftAside) {
  auto mine = three(), theirs = mine;
  mine.add_removal(id(3)).heir = id(1);
  token_of(theirs, 3) = {token_of(theirs, 3).start, id(2), 2, 1};  // on its way while 3 died
  auto out = merge(mine, theirs, id(1));
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->stale);
  EXPECT_EQ(out->state.tokens, mine.tokens);
}

// Five acceptors, two proposers, messages in every order that the seeds give: no two decide differently.
TEST(Paxos, NeverDecidesTwice) {
  int decisions = 0;
  for (unsigned seed = 1; seed <= 2000; ++seed) {
    std::mt19937 random(seed);
    std::vector<RingState> peers(
        5, make_state(*Cidr::parse("10.0.0.0/24"), {name(1), name(2), name(3), name(4), name(5)}));
    std::optional<std::uint64_t> first;
    for (int step = 0; step < 300; ++step) {
      auto i = random() % 5, from = random() % 5;
      if (step < 150 && random() % 25 == 0) propose(peers[i], static_cast<std::uint32_t>(i));
      auto told = peers[from];
      if (random() % 3 == 0) {  // only one vote of it arrives
        auto only = random() % 5;
        for (std::size_t k = 0; k < 5; ++k) {
          if (k != only) told.votes[k] = {};
        }
      }
      auto merged = merge(peers[i], told, id(int(i) + 1));
      ASSERT_TRUE(merged) << merged.error().text();
      peers[i] = merged->state;
      think(peers[i], static_cast<std::uint32_t>(i));
      if (auto value = decided(peers[i])) {
        if (!first) first = value;
        ASSERT_EQ(*value, *first) << "seed " << seed;
      }
    }
    decisions += first.has_value();
  }
  EXPECT_GT(decisions, 1500);
}

TEST(Space, GivesInTurnAndNeverTheEnds) {
  Space space(*Cidr::parse("10.0.0.0/29"));
  std::vector<Span> all{{at("10.0.0.0"), std::uint64_t(at("10.0.0.7")) + 1}};
  EXPECT_EQ(space.free_in(all[0]), 6u);
  for (int i = 1; i <= 6; ++i) EXPECT_EQ(*space.take(all), at("10.0.0.0") + std::uint32_t(i));
  EXPECT_FALSE(space.take(all));
  space.give_back(at("10.0.0.3"));
  EXPECT_EQ(*space.take(all), at("10.0.0.3"));
  EXPECT_EQ(space.free_in(all[0]), 0u);
  EXPECT_FALSE(space.donation(all));
}

TEST(Space, DonatesTheUpperHalfAsOneBlock) {
  Space space(*Cidr::parse("10.0.0.0/24"));
  std::vector<Span> all{{at("10.0.0.0"), std::uint64_t(at("10.0.0.255")) + 1}};
  auto given = space.donation(all);
  ASSERT_TRUE(given);
  EXPECT_EQ(given->size(), 64u);  // .255 is never free, so the upper half has no /25
  EXPECT_EQ(prefixes(*given).size(), 1u);
  for (auto a = at("10.0.0.20"); a <= at("10.0.0.254"); ++a) space.claim(a);
  given = space.donation(all);
  ASSERT_TRUE(given);
  EXPECT_EQ(*given, (Span{at("10.0.0.8"), at("10.0.0.16")}));
  for (auto a = at("10.0.0.2"); a <= at("10.0.0.20"); ++a) space.claim(a);
  EXPECT_EQ(*space.donation(all), (Span{at("10.0.0.1"), at("10.0.0.2")}));
}

TEST(Space, PrefixesCoverExactly) {
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {
    std::uint64_t begin = at("10.0.0.0") + random() % 5000;
    Span s{begin, begin + 1 + random() % 5000};
    auto next = s.begin;
    auto cover = prefixes(s);
    for (const auto& c : cover) {
      EXPECT_EQ(c.network(), c);
      EXPECT_EQ(c.address.v4_value(), next);
      next += c.size();
    }
    EXPECT_EQ(next, s.end);
    EXPECT_LE(cover.size(), 26u);
  }
  EXPECT_EQ(prefixes({0, 1ull << 32}).size(), 1u);
}

}  // namespace
}  // namespace lab::overlay::ring
