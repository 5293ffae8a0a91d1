// Messages, queries, URLs, gzip.
#include "base/http/message.h"

#include <gtest/gtest.h>

#include "base/http/client.h"
#include "base/http/gzip.h"
#include "base/http/websocket.h"

namespace lab::http {
namespace {

TEST(Headers, CompareWithoutCaseKeepRepeatsAndReplace) {
  Headers h{{"Content-Type", "a"}, {"Warning", "1"}, {"warning", "2"}};
  EXPECT_EQ(h.get("content-type"), "a");
  EXPECT_EQ(h.all("WARNING"), (std::vector<std::string_view>{"1", "2"}));
  h.set("warning", "3");
  EXPECT_EQ(h.all("Warning"), (std::vector<std::string_view>{"3"}));
  EXPECT_FALSE(h.has("warn"));
}

TEST(Query, DecodesInOrderAndEncodesBack) {
  Query q("labelSelector=app%3Dweb%2Ctier+in+(a)&watch=true&limit=&watch=1&flagonly");
  EXPECT_EQ(q.get("labelSelector"), "app=web,tier in (a)");
  EXPECT_TRUE(q.flag("watch"));
  EXPECT_TRUE(q.has("limit"));
  EXPECT_TRUE(q.has("flagonly"));
  EXPECT_EQ(q.all("watch").size(), 2u);
  EXPECT_EQ(Query(q.encode()).pairs(), q.pairs());
  EXPECT_EQ(percent_decode("a%2Fb%zz%4"), "a/b%zz%4");
}

TEST(Request, SplitsItsTarget) {
  Request r{.target = "/api/v1/pods?limit=5?x"};
  EXPECT_EQ(r.path(), "/api/v1/pods");
  EXPECT_EQ(r.raw_query(), "limit=5?x");
}

TEST(Url, TakenApartOrRefused) {
  auto u = parse_url("https://[fd00::1]:6443/k8s?x");
  ASSERT_TRUE(u);
  EXPECT_EQ(u->host, "fd00::1");
  EXPECT_EQ(u->port, 6443);
  EXPECT_EQ(u->path, "/k8s?x");
  EXPECT_EQ(parse_url("http://node")->port, 80);
  for (auto bad : {"node:6443", "ftp://x", "https://", "https://x:0", "https://x:99999", "https://x:1a", "https://[::1",
                   "https://user@x"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

TEST(Gzip, RoundTripAndLimits) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += std::to_string(i) + ",";
  auto packed = gzip({buffer(text.substr(0, 1000)), buffer(text.substr(1000))});
  EXPECT_LT(packed.size(), text.size() / 2);
  auto back = gunzip(packed, text.size());
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, text);
  EXPECT_EQ(gunzip(packed, text.size() - 1).error().code, Code::kTooLarge);
  EXPECT_EQ(gunzip(packed.substr(0, 500), 1 << 20).error().code, Code::kBadRequest);
  EXPECT_EQ(gunzip("not gzip", 1 << 20).error().code, Code::kBadRequest);
  EXPECT_TRUE(accepts_gzip("deflate, gzip;q=0.5"));
  EXPECT_TRUE(accepts_gzip("*"));
  EXPECT_FALSE(accepts_gzip("gzip;q=0"));
  EXPECT_FALSE(accepts_gzip(""));
}

TEST(ErrorResponse, IsAStatusObject) {
  auto r = error_response({Code::kNotFound, "pods \"x\" not found"});
  EXPECT_EQ(r.status, 404);
  EXPECT_NE(r.text().find(R"("reason":"NotFound")"), std::string::npos) << r.text();
}

TEST(WebSocket, AcceptKeyOfTheRfc) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace lab::http
