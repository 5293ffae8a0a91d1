#include "orchestrator/dns/wire.h"

#include <gtest/gtest.h>

#include <random>

#include "orchestrator/dns/cache.h"

namespace lab::dns {
namespace {

using namespace std::string_literals;

std::string query(const std::string& tail, unsigned flags = 0x0100, int additional = 0) {
  return "\x12\x34"s + char(flags >> 8) + char(flags) + "\0\x01\0\0\0\0\0"s + char(additional) + tail;
}
const std::string kQuestion = "\3Web\7default\3svc\7cluster\5local\0\0\1\0\1"s;

TEST(DnsWire, ReadsAQuery) {
  auto q = read_query(query(kQuestion));
  ASSERT_TRUE(q);
  EXPECT_EQ(q->problem, kNoError);
  EXPECT_EQ(q->id, 0x1234);
  EXPECT_EQ(q->name, "web.default.svc.cluster.local");
  EXPECT_EQ(q->type, kA);
  EXPECT_TRUE(q->recursion_desired);
  EXPECT_EQ(q->udp_limit, 512u);
  auto edns = read_query(query(kQuestion + "\0\0\x29\x10\0\0\0\x80\0\0\0"s, 0x0120, 1));
  EXPECT_EQ(edns->udp_limit, kOurUdpLimit);
  EXPECT_TRUE(edns->dnssec_ok);
  EXPECT_EQ(edns->passed_flags, 0x20);
}

TEST(DnsWire, EdnsOfAnotherVersionIsToldSo) {
  const std::string opt = "\0\0\x29\x10\0\0\1\x80\0\0\0"s;
  auto q = *read_query(query(kQuestion + opt, 0x0100, 1));
  EXPECT_EQ(q.problem, kBadVers);
  auto said = write_response(q, {.rcode = q.problem, .authoritative = false}, kPlainUdpLimit);
  EXPECT_EQ(said[3] & 0xf, 0);                                     // the lower bits of 16
  EXPECT_EQ(said.substr(said.size() - 6), "\1\0\x80\0\0\0"s);  // the upper ones; our version; DO is given back
  EXPECT_EQ(read_query(query(kQuestion + opt + opt, 0x0100, 2))->problem, kFormErr);
}

TEST(DnsWire, BadQueries) {
  EXPECT_FALSE(read_query("short"));
  EXPECT_FALSE(read_query(query(kQuestion, 0x8100)));                    // an answer
  EXPECT_EQ(read_query(query(kQuestion, 0x2800))->problem, kNotImp);     // an update
  EXPECT_EQ(read_query(query("\3web"s))->problem, kFormErr);             // ends inside
  EXPECT_EQ(read_query(query("\xc0\x0c\0\1\0\1"s))->problem, kFormErr);  // points at itself
  EXPECT_EQ(read_query(query("\3web\xc0\2\0\1\0\1"s))->problem, kFormErr);  // points into the header
  EXPECT_EQ(read_query(query("\x7f\0\1\0\1"s))->problem, kFormErr);
  EXPECT_EQ(read_query(query(kQuestion, 0x0100, 1))->problem, kFormErr);  // a record is missing
}

TEST(DnsWire, LabelsWithDotsAreNoOtherName) {
  auto q = read_query(query("\7web.def\0\0\1\0\1"s));
  EXPECT_NE(q->name, "web.def");
}

TEST(DnsWire, ResponsesAreCompressedAndReadBack) {
  auto q = *read_query(query(kQuestion));
  Answer a;
  a.answers = {address_record(q.name, 5, *IpAddress::parse("10.96.0.7")),
               name_record("x." + q.name, kCname, 6, "other.example.org")};
  a.additional = {address_record("other.example.org", 7, *IpAddress::parse("fd00::7"))};
  auto packet = write_response(q, a, 512);
  EXPECT_LT(packet.size(), 150u);
  auto r = read_response(packet);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->question, q.question);
  ASSERT_EQ(r->records.size(), 3u);
  EXPECT_EQ(r->records[0].record, a.answers[0]);
  EXPECT_EQ(r->records[1].record, a.answers[1]);
  EXPECT_EQ(r->records[2].record, a.additional[0]);
}

TEST(DnsWire, WhatDoesNotFitIsCutAndSaid) {
  auto q = *read_query(query(kQuestion));
  Answer a;
  for (unsigned i = 0; i < 200; ++i) a.answers.push_back(address_record(q.name, 5, IpAddress::v4(0x0a000000 + i)));
  auto packet = write_response(q, a, q.udp_limit);
  EXPECT_LE(packet.size(), 512u);
  auto r = read_response(packet);
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->truncated);
  EXPECT_GT(r->records.size(), 20u);
  EXPECT_FALSE(read_response(write_response(q, a, 65535))->truncated);
}

TEST(DnsWire, ReverseNames) {
  for (const char* text : {"10.96.0.5", "fd00::1:2"}) {
    auto ip = *IpAddress::parse(text);
    EXPECT_EQ(address_of_reverse_name(reverse_name(ip)), ip);
  }
  EXPECT_EQ(reverse_name(*IpAddress::parse("10.96.0.5")), "5.0.96.10.in-addr.arpa");
  for (const char* bad : {"5.0.96.in-addr.arpa", "1.5.0.96.10.in-addr.arpa", "x.0.96.10.in-addr.arpa",
                          "300.0.96.10.in-addr.arpa", "5..96.10.in-addr.arpa", "example.org", "in-addr.arpa"}) {
    EXPECT_FALSE(address_of_reverse_name(bad)) << bad;
  }
}

TEST(DnsWire, RandomBytesAreSurvived) {
  std::mt19937 random(7);
  auto q = *read_query(query(kQuestion));
  Answer a;
  a.answers = {address_record(q.name, 5, *IpAddress::parse("10.96.0.7")), name_record(q.name, kCname, 6, "a.b.c")};
  auto good = write_response(q, a, 512);
  for (int i = 0; i < 20000; ++i) {
    auto bytes = i % 2 ? good : query(kQuestion);
    for (unsigned n = random() % 6; n-- > 0;) bytes[random() % bytes.size()] = char(random());
    bytes.resize(random() % (bytes.size() + 1));
    (void)read_query(bytes);
    (void)read_response(bytes);
  }
}

TEST(DnsCache, KeepsForTheTtlAndCountsItDown) {
  auto q = make_query("example.org", kA);
  Answer a;
  a.answers = {address_record("example.org", 60, *IpAddress::parse("192.0.2.1"))};
  auto packet = write_response(q, a, 512);
  Cache cache(2);
  TimePoint start{};
  cache.store(q, packet, *read_response(packet), start);
  auto later = cache.find(q, start + std::chrono::seconds(20));
  ASSERT_TRUE(later);
  EXPECT_EQ(read_response(*later)->records[0].record.ttl, 40u);
  EXPECT_FALSE(cache.find(make_query("example.org", kAaaa), start));
  EXPECT_FALSE(cache.find(q, start + std::chrono::seconds(60)));
  EXPECT_EQ(cache.size(), 0u);
}

TEST(DnsCache, NegativeAnswersByTheirSoaFailuresNever) {
  auto q = make_query("none.example.org", kA);
  Answer a{.rcode = kNxDomain};
  auto without = write_response(q, a, 512);
  a.authority = {soa_record("example.org", 10, 1)};
  auto with = write_response(q, a, 512);
  auto failed = write_response(q, {.rcode = kServFail}, 512);
  Cache cache(2);
  TimePoint start{};
  cache.store(q, failed, *read_response(failed), start);
  cache.store(q, without, *read_response(without), start);
  EXPECT_FALSE(cache.find(q, start));
  cache.store(q, with, *read_response(with), start);
  EXPECT_TRUE(cache.find(q, start + std::chrono::seconds(9)));
  EXPECT_FALSE(cache.find(q, start + std::chrono::seconds(11)));
}

TEST(DnsCache, IsBounded) {
  Cache cache(3);
  TimePoint start{};
  for (int i = 0; i < 10; ++i) {
    auto q = make_query("h" + std::to_string(i) + ".org", kA);
    Answer a;
    a.answers = {address_record(q.name, 60, *IpAddress::parse("192.0.2.1"))};
    auto packet = write_response(q, a, 512);
    cache.store(q, packet, *read_response(packet), start);
  }
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_TRUE(cache.find(make_query("h9.org", kA), start));
  EXPECT_FALSE(cache.find(make_query("h0.org", kA), start));
}

}  // namespace
}  // namespace lab::dns
