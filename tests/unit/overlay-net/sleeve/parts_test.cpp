// Datagram heads, the search for the path's MTU, reassembly.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "overlay-net/sleeve/pmtu.h"
#include "overlay-net/sleeve/reassembly.h"
#include "tests/unit/overlay-net/sleeve/packets.h"

namespace lab::overlay {
namespace {

using test::Bytes;

TEST(Wire, HeadsComeBackAsTheyWere) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 1000; ++i) {
    wire::Head h{.kind = static_cast<wire::Kind>(1 + random() % 8),
                 .flags = static_cast<std::uint8_t>(random() % 2),
                 .hops = static_cast<std::uint8_t>(random()),
                 .key = static_cast<std::uint8_t>(random()),
                 .counter = random()};
    for (auto& b : h.from.bytes) b = static_cast<std::uint8_t>(random());
    for (auto& b : h.to.bytes) b = static_cast<std::uint8_t>(random());
    Bytes bytes(wire::kHead);
    write(h, bytes.data());
    EXPECT_EQ(wire::read(bytes), h);
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(wire::read(std::span(bytes).first(n)));
    bytes[0] = static_cast<std::uint8_t>(bytes[0] + 0x10);
    EXPECT_FALSE(wire::read(bytes)) << "another version";
  }
  Bytes sealed(wire::kHead + wire::kTag - 1);
  write(wire::Head{.flags = wire::kSealed}, sealed.data());
  EXPECT_FALSE(wire::read(sealed)) << "no room for the tag";
}

TEST(Wire, NotesComeBackAndWhatIsNoneIsEmpty) {
  std::mt19937 random(5);
  for (std::size_t size = 0; size <= wire::kMaxNote + 5; ++size) {
    std::string note(size, '\0');
    for (auto& c : note) c = static_cast<char>(random());
    Bytes bytes(wire::Probe::kSize + 1 + wire::kMaxNote);
    const auto used = wire::write_note(note, bytes.data() + wire::Probe::kSize);
    EXPECT_EQ(wire::read_note(bytes), note.substr(0, wire::kMaxNote));
    for (std::size_t n = 0; n < wire::Probe::kSize + used; ++n) {
      EXPECT_EQ(wire::read_note(std::span(bytes).first(n)), "") << n;
    }
  }
  EXPECT_EQ(wire::read_note(Bytes(500)), "") << "an earlier version's zeros";
  Bytes lies(500, 0xff);
  EXPECT_EQ(wire::read_note(lies), "");
}

// Runs a search over a path that carries `carries`, losing a share of the datagrams. Rounds until it is settled.
int settle(PmtuSearch& search, unsigned carries, unsigned loss_percent, std::mt19937& random) {
  for (int rounds = 1; rounds < 200; ++rounds) {
    for (unsigned size : search.round()) {
      if (size <= carries && random() % 100 >= loss_percent) search.answered(size);
    }
    if (search.settled()) return rounds;
  }
  return 200;
}

TEST(Pmtu, FindsWhatThePathCarries) {
  std::mt19937 random(1);
  for (unsigned carries = PmtuSearch::kLeast; carries <= 8972; carries += 13) {
    PmtuSearch search(8972);
    EXPECT_LT(settle(search, carries, 0, random), 60);
    EXPECT_LE(search.size(), carries);
    EXPECT_GE(search.size() + PmtuSearch::kGrain, carries);
  }
}

TEST(Pmtu, IsRightAtOnceWhereThePathIsAsTheDeviceSays) {
  std::mt19937 random(1);
  PmtuSearch search(1472);
  EXPECT_EQ(search.size(), PmtuSearch::kAssumed);
  EXPECT_FALSE(search.known());
  EXPECT_EQ(settle(search, 1472, 0, random), 1);
  EXPECT_EQ(search.size(), 1472u);
}

TEST(Pmtu, FollowsAPathThatGetsWorseAndBetter) {
  std::mt19937 random(1);
  PmtuSearch search(1472);
  settle(search, 1472, 0, random);
  auto rounds_until = [&](unsigned carries, auto done) {
    int n = 0;
    for (; n < 300 && !done(); ++n) {
      for (unsigned size : search.round()) {
        if (size <= carries) search.answered(size);
      }
    }
    return n;
  };
  EXPECT_LT(rounds_until(1300, [&] { return search.size() <= 1300 && search.settled(); }), 60);
  EXPECT_GE(search.size(), 1300 - PmtuSearch::kGrain);
  EXPECT_LT(rounds_until(1472, [&] { return search.size() == 1472; }), 100);
}

TEST(Pmtu, LossAloneDoesNotShrinkIt) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    PmtuSearch search(1472);
    int below = 0;
    for (int i = 0; i < 500; ++i) {
      for (unsigned size : search.round()) {
        if (random() % 100 >= 19) search.answered(size);  // 10% there, 10% back
      }
      if (i > 10) below += search.size() < 1472;
    }
    EXPECT_LT(below, 100) << seed;
  }
}

TEST(Reassembly, PiecesInAnyOrderGiveThePacket) {
  std::mt19937 random(5);
  Reassembly r;
  const Reassembly::TimePoint now{};
  for (std::uint32_t n = 0; n < 200; ++n) {
    Bytes packet(1 + random() % 9000);
    for (auto& b : packet) b = static_cast<std::uint8_t>(random());
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < packet.size(); i += 500) at.push_back(i);
    std::ranges::shuffle(at, random);
    Bytes got;
    for (std::size_t k = 0; k < at.size(); ++k) {
      auto piece = std::span(packet).subspan(at[k], std::min<std::size_t>(500, packet.size() - at[k]));
      const Reassembly::Piece h{n, at[k], packet.size()};
      auto whole = r.add({}, h, piece, now);
      EXPECT_EQ(whole.has_value(), k + 1 == at.size());
      if (whole) got.assign(whole->begin(), whole->end());
      if (!whole) EXPECT_FALSE(r.add({}, h, piece, now)) << "twice";
    }
    EXPECT_EQ(got, packet);
  }
  EXPECT_EQ(r.waiting(), 0u);
}

TEST(Reassembly, MemoryIsBounded) {
  Reassembly r;
  Reassembly::TimePoint now{};
  Bytes piece(10);
  for (std::uint32_t n = 0; n < 5000; ++n) r.add({}, {n, 0, 65000}, piece, now);
  EXPECT_EQ(r.waiting(), Reassembly::Limits().packets);
  EXPECT_EQ(r.lost({}), 5000 - Reassembly::Limits().packets);
  now += Reassembly::Limits().patience + std::chrono::seconds(1);
  r.add({}, {9999, 0, 100}, piece, now);
  EXPECT_EQ(r.waiting(), 1u);
  EXPECT_EQ(r.lost({}), 5000u);
  EXPECT_EQ(r.lost({{1}}), 0u) << "of another peer";
  EXPECT_FALSE(r.add({}, {9999, 95, 100}, piece, now)) << "beyond the end";
}

TEST(Wire, PiecesOfTrainsComeBackAsTheyWere) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 1000; ++i) {
    wire::TrainHead h{.segment = static_cast<std::uint16_t>(random()), .size = static_cast<std::uint16_t>(random())};
    h.offset = static_cast<std::uint32_t>(random() % (h.size + 16u) / 16 * 16);
    Bytes text(wire::TrainHead::kSize + 1);
    write(h, text.data());
    EXPECT_EQ(wire::read_train(text, 16), h);
    EXPECT_FALSE(wire::read_train(std::span(text).first(wire::TrainHead::kSize), 16)) << "an empty piece";
    text.resize(wire::TrainHead::kSize + h.size + 16 - h.offset);
    EXPECT_EQ(wire::read_train(text, 16), h);
    text.push_back(0);
    EXPECT_FALSE(wire::read_train(text, 16)) << "beyond the end";
  }
  // An earlier version has a nought where peers say what they think of trains.
  Bytes probe(wire::Probe::kSize);
  write(wire::Probe{7, 1472, wire::Probe::kTakesTrains | 5}, probe.data());
  EXPECT_EQ(wire::read_probe(probe)->trains, wire::Probe::kTakesTrains | 5);
}

// Whatever bytes come, reading them does no harm.
TEST(Wire, RandomBytesDoNoHarm) {
  int heads = 0, fragments = 0, probes = 0, trains = 0;
  Reassembly r;
  for (unsigned seed = 1; seed <= 20000; ++seed) {
    std::mt19937 random(seed);
    Bytes bytes(random() % 120);
    for (auto& b : bytes) b = static_cast<std::uint8_t>(random() % 8 ? random() : 0);
    if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(0x10 | random() % 10);
    if (bytes.size() > 1) bytes[1] %= 5;
    bytes.shrink_to_fit();
    auto head = wire::read(bytes);
    if (!head) continue;
    ++heads;
    auto text = std::span(bytes).subspan(wire::kHead);
    if (auto f = wire::read_fragment(text)) {
      ++fragments;
      r.add(head->from, {f->packet, f->offset, f->total}, text.subspan(wire::FragmentHead::kSize), {});
    }
    if (auto t = wire::read_train(text, wire::kTag)) {
      ++trains;
      r.add(head->from, {head->counter, t->offset, t->size + wire::kTag}, text.subspan(wire::TrainHead::kSize), {});
    }
    probes += wire::read_probe(text).has_value();
  }
  EXPECT_GT(heads, 5000);
  EXPECT_GT(fragments, 100);
  EXPECT_GT(trains, 100);
  EXPECT_GT(probes, 5000);
}

}  // namespace
}  // namespace lab::overlay
