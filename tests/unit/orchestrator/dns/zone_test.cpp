#include "orchestrator/dns/zone.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lab::dns {
namespace {

json::Value parse(const char* text) {
  return json::parse(text).value();
}

struct ZoneTest : testing::Test {
  Zone zone{"cluster.local", *IpAddress::parse("10.96.0.10")};
  void SetUp() override {
    zone.set_namespace("default", true);
    set("default/web",
        R"({"spec":{"clusterIP":"10.96.0.5","clusterIPs":["10.96.0.5","fd00::5"],"ports":[{"name":"http","port":80,"protocol":"TCP"},{"name":"dns","port":53,"protocol":"UDP"}]}})");
    set("default/db", R"({"spec":{"clusterIP":"None","ports":[{"name":"sql","port":5432}]}})",
        R"({"addressType":"IPv4","ports":[{"name":"sql","port":5433,"protocol":"TCP"}],"endpoints":[
          {"addresses":["10.244.1.5"],"hostname":"db-0","conditions":{"ready":true}},
          {"addresses":["10.244.2.6"]},
          {"addresses":["10.244.2.7"],"hostname":"db-2","conditions":{"ready":false}}]})");
    set("default/empty", R"({"spec":{"clusterIP":"None"}})");
    set("default/ext", R"({"spec":{"type":"ExternalName","externalName":"www.Example.org."}})");
    set("default/alias", R"({"spec":{"type":"ExternalName","externalName":"web.default.svc.cluster.local"}})");
  }
  void set(const char* key, const char* service, const char* slice = R"({"addressType":"IPv4"})") {
    auto s = parse(service), e = parse(slice);
    zone.set_service(key, &s, {&e});
  }
  // "RCODE TYPE:DATA ..." with addresses and names in text.
  std::string ask(const std::string& name, std::uint16_t type) {
    auto a = zone.answer(name, type);
    if (!a.ours) return "upstream";
    std::string out = std::to_string(a.answer.rcode);
    for (const auto& r : a.answer.answers) {
      EXPECT_EQ(r.name, name);
      auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(r.data.data()), r.data.size());
      if (r.type == kA || r.type == kAaaa) out += " " + IpAddress::from_bytes(bytes).text();
      if (r.type == kPtr || r.type == kCname || r.type == kNs) out += " " + text(bytes);
      if (r.type == kSrv) out += " " + std::to_string(bytes[4] << 8 | bytes[5]) + ":" + text(bytes.subspan(6));
      if (r.type == kTxt) out += " " + r.data.substr(1);
      if (r.type == kSoa) out += " soa";
    }
    if (a.answer.answers.empty() && !std::ranges::any_of(a.answer.authority, [](auto& r) { return r.type == kSoa; }))
      out += " no soa";
    return out;
  }
  static std::string text(std::span<const std::uint8_t> name) {
    std::string out;
    for (std::size_t at = 0; name[at]; at += name[at] + 1u) {
      out += (out.empty() ? "" : ".") + std::string(reinterpret_cast<const char*>(&name[at + 1]), name[at]);
    }
    return out;
  }
};

TEST_F(ZoneTest, Services) {
  EXPECT_EQ(ask("web.default.svc.cluster.local", kA), "0 10.96.0.5");
  EXPECT_EQ(ask("web.default.svc.cluster.local", kAaaa), "0 fd00::5");
  EXPECT_EQ(ask("web.default.svc.cluster.local", kTxt), "0");
  EXPECT_EQ(ask("nope.default.svc.cluster.local", kA), "3");
  EXPECT_EQ(ask("default.svc.cluster.local", kA), "0");
  EXPECT_EQ(ask("nowhere.svc.cluster.local", kA), "3");
  EXPECT_EQ(ask("svc.cluster.local", kA), "0");
  EXPECT_EQ(ask("cluster.local", kSoa), "0 soa");
  EXPECT_EQ(ask("cluster.local", kNs), "0 ns.dns.cluster.local");
  EXPECT_EQ(ask("ns.dns.cluster.local", kA), "0 10.96.0.10");
  EXPECT_EQ(ask("dns-version.cluster.local", kTxt), "0 1.1.0");
  // What search domains make of an outside name ends here, and what is outside goes upstream.
  EXPECT_EQ(ask("example.org.default.svc.cluster.local", kA), "3");
  EXPECT_EQ(ask("example.org.cluster.local", kA), "3");
  EXPECT_EQ(ask("example.org", kA), "upstream");
  EXPECT_EQ(ask("notcluster.local", kA), "upstream");
}

TEST_F(ZoneTest, HeadlessServices) {
  EXPECT_EQ(ask("db.default.svc.cluster.local", kA), "0 10.244.1.5 10.244.2.6");
  EXPECT_EQ(ask("db.default.svc.cluster.local", kAaaa), "0");
  EXPECT_EQ(ask("db-0.db.default.svc.cluster.local", kA), "0 10.244.1.5");
  EXPECT_EQ(ask("10-244-2-6.db.default.svc.cluster.local", kA), "0 10.244.2.6");
  EXPECT_EQ(ask("db-2.db.default.svc.cluster.local", kA), "3");
  EXPECT_EQ(ask("empty.default.svc.cluster.local", kA), "3");
}

TEST_F(ZoneTest, ServiceRecords) {
  EXPECT_EQ(ask("_http._tcp.web.default.svc.cluster.local", kSrv), "0 80:web.default.svc.cluster.local");
  EXPECT_EQ(ask("_dns._udp.web.default.svc.cluster.local", kSrv), "0 53:web.default.svc.cluster.local");
  EXPECT_EQ(ask("_dns._tcp.web.default.svc.cluster.local", kSrv), "3");
  EXPECT_EQ(ask("_http._tcp.web.default.svc.cluster.local", kA), "0");
  EXPECT_EQ(ask("_sql._tcp.db.default.svc.cluster.local", kSrv),
            "0 5433:db-0.db.default.svc.cluster.local 5433:10-244-2-6.db.default.svc.cluster.local");
  auto a = zone.answer("_sql._tcp.db.default.svc.cluster.local", kSrv);
  EXPECT_EQ(a.answer.additional.size(), 2u);
}

TEST_F(ZoneTest, ReverseNames) {
  EXPECT_EQ(ask("5.0.96.10.in-addr.arpa", kPtr), "0 web.default.svc.cluster.local");
  EXPECT_EQ(ask("5.1.244.10.in-addr.arpa", kPtr), "0 db-0.db.default.svc.cluster.local");
  EXPECT_EQ(ask("6.2.244.10.in-addr.arpa", kPtr), "0 10-244-2-6.db.default.svc.cluster.local");
  EXPECT_EQ(ask("9.9.9.9.in-addr.arpa", kPtr), "upstream");
  EXPECT_EQ(ask(reverse_name(*IpAddress::parse("fd00::5")), kPtr), "0 web.default.svc.cluster.local");
}

TEST_F(ZoneTest, Pods) {
  EXPECT_EQ(ask("10-244-1-5.default.pod.cluster.local", kA), "0 10.244.1.5");
  EXPECT_EQ(ask("10-244-1-5.default.pod.cluster.local", kAaaa), "0");
  EXPECT_EQ(ask("fd00--1.default.pod.cluster.local", kAaaa), "0 fd00::1");
  EXPECT_EQ(ask("10-244-1-5.nowhere.pod.cluster.local", kA), "3");
  EXPECT_EQ(ask("x.default.pod.cluster.local", kA), "3");
  EXPECT_EQ(ask("default.pod.cluster.local", kA), "0");
}

TEST_F(ZoneTest, ExternalNames) {
  EXPECT_EQ(ask("ext.default.svc.cluster.local", kA), "0 www.example.org");
  EXPECT_EQ(zone.answer("ext.default.svc.cluster.local", kA).chase, "www.example.org");
  EXPECT_EQ(zone.answer("ext.default.svc.cluster.local", kCname).chase, "");
}

TEST_F(ZoneTest, ChangesTakeEffectAndLeaveNothing) {
  set("default/web", R"({"spec":{"clusterIP":"10.96.0.6"}})");
  EXPECT_EQ(ask("web.default.svc.cluster.local", kA), "0 10.96.0.6");
  EXPECT_EQ(ask("5.0.96.10.in-addr.arpa", kPtr), "upstream");
  zone.set_service("default/web", nullptr, {});
  EXPECT_EQ(ask("web.default.svc.cluster.local", kA), "3");
  EXPECT_EQ(ask("6.0.96.10.in-addr.arpa", kPtr), "upstream");
  zone.set_namespace("default", false);
  EXPECT_EQ(ask("default.svc.cluster.local", kA), "3");
}

TEST_F(ZoneTest, NonsenseInObjectsIsSurvived) {
  set("default/bad", R"({"spec":{"clusterIP":7,"ports":["x",{"port":{}}]}})",
      R"({"endpoints":[3,{"addresses":[null]}]})");
  EXPECT_EQ(ask("bad.default.svc.cluster.local", kA), "0");
  set("default/bad", R"({"spec":{"type":"ExternalName","externalName":"a..b"}})");
  EXPECT_EQ(ask("bad.default.svc.cluster.local", kA), "2");
}

}  // namespace
}  // namespace lab::dns
