#include "labs/classroom/server/rewrite.h"

#include <gtest/gtest.h>

#include "labs/classroom/server/listeners.h"
#include "labs/classroom/server/node_ports.h"

namespace lab::classroom {
namespace {

const PortPath kPath{"ada", "node1", 30080, "/x"};
constexpr const char* kAddress = "192.168.77.2";

TEST(PortPath, IsTakenApart) {
  const auto path = parse_port_path("/ada/node1/30080/a%20b/c");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->student, "ada");
  EXPECT_EQ(path->node, "node1");
  EXPECT_EQ(path->port, 30080);
  EXPECT_EQ(path->rest, "/a%20b/c");
  EXPECT_EQ(path->prefix(), "/ada/node1/30080");
  EXPECT_EQ(parse_port_path("/ada/node1/1")->rest, "/");
}

TEST(PortPath, IsNothingElse) {
  for (const char* path :
       {"", "/", "/ada", "/ada/node1", "/ada/node1/", "/ada/node1/0/", "/ada/node1/65536/", "/ada/node1/80x/",
        "/ada/node1/-1/", "//node1/80/", "/ada//80/", "/../node1/80/", "/ada/192.168.0.1/80/", "/a%64a/node1/80/"})
    EXPECT_FALSE(parse_port_path(path)) << path;
}

TEST(Inward, TheNodeSeesItselfAndNotTheSession) {
  http::Request r;
  r.method = "POST";
  r.target = "/ada/node1/30080/x?q=1";
  r.headers = {{"Host", "lab:8081"},
               {"Cookie", "lab_session=s3cret; theme=dark"},
               {"Origin", "http://lab:8081"},
               {"Connection", "keep-alive, X-Hop"},
               {"X-Hop", "1"},
               {"TE", "trailers"},
               {"Accept", "*/*"},
               {"X-Forwarded-For", "forged"},
               {"Content-Length", "999"}};
  r.body = "hello";
  r.peer.address = "10.0.0.5:4711";
  const auto out = inward(r, kPath, kAddress, false);
  EXPECT_EQ(out.target, "/x?q=1");
  EXPECT_EQ(out.headers.get("host"), "192.168.77.2:30080");
  EXPECT_EQ(out.headers.get("origin"), "http://192.168.77.2:30080");
  EXPECT_EQ(out.headers.get("cookie"), "theme=dark");
  EXPECT_EQ(out.headers.get("x-forwarded-for"), "10.0.0.5");
  EXPECT_EQ(out.headers.get("x-forwarded-host"), "lab:8081");
  EXPECT_EQ(out.headers.get("x-forwarded-prefix"), "/ada/node1/30080");
  EXPECT_EQ(out.headers.get("x-forwarded-proto"), "http");
  EXPECT_EQ(inward(r, kPath, kAddress, true).headers.get("x-forwarded-proto"), "https");
  EXPECT_EQ(out.headers.get("content-length"), "5");
  EXPECT_EQ(out.headers.all("content-length").size(), 1u);
  EXPECT_EQ(out.headers.get("accept"), "*/*");
  EXPECT_FALSE(out.headers.has("x-hop"));
  EXPECT_FALSE(out.headers.has("te"));
}

TEST(Inward, AnUpgradeStaysOne) {
  http::Request r;
  r.headers = {{"Host", "lab:8081"}, {"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Key", "k"}};
  const auto out = inward(r, kPath, kAddress, false);
  EXPECT_EQ(out.headers.get("connection"), "Upgrade");
  EXPECT_EQ(out.headers.get("upgrade"), "websocket");
  EXPECT_EQ(out.headers.get("sec-websocket-key"), "k");
}

TEST(Outward, LocationsStayBelowThePrefix) {
  EXPECT_EQ(rewrite_location("/login?x=1", kPath, kAddress), "/ada/node1/30080/login?x=1");
  EXPECT_EQ(rewrite_location("http://192.168.77.2:30080/a", kPath, kAddress), "/ada/node1/30080/a");
  EXPECT_EQ(rewrite_location("http://192.168.77.2:30080", kPath, kAddress), "/ada/node1/30080/");
  EXPECT_EQ(rewrite_location("http://192.168.77.2:300801/", kPath, kAddress), "http://192.168.77.2:300801/");
  EXPECT_EQ(rewrite_location("next", kPath, kAddress), "next");
  EXPECT_EQ(rewrite_location("https://example.org/", kPath, kAddress), "https://example.org/");
}

TEST(Outward, CookiesToo) {
  EXPECT_EQ(rewrite_set_cookie("a=b; Path=/app; HttpOnly", kPath), "a=b; Path=/ada/node1/30080/app; HttpOnly");
  EXPECT_EQ(rewrite_set_cookie("a=b; path=/; Domain=192.168.77.2", kPath), "a=b; Path=/ada/node1/30080/");
  EXPECT_EQ(rewrite_set_cookie("a=b", kPath), "a=b");
  EXPECT_FALSE(rewrite_set_cookie("lab_session=theirs; Path=/api", kPath)) << "nobody's page sets ours";
  const auto out = outward(
      {{"Set-Cookie", "lab_session=x"}, {"Connection", "close"}, {"Location", "/a"}, {"ETag", "1"}}, kPath, kAddress);
  EXPECT_FALSE(out.has("set-cookie"));
  EXPECT_FALSE(out.has("connection"));
  EXPECT_EQ(out.get("location"), "/ada/node1/30080/a");
  EXPECT_EQ(out.get("etag"), "1");
}

TEST(Referer, TellsWhereAnAbsoluteLinkCameFrom) {
  EXPECT_EQ(prefix_of_referer({{"Host", "lab:8081"}, {"Referer", "http://lab:8081/ada/node1/80/page?x"}})->prefix(),
            "/ada/node1/80");
  EXPECT_FALSE(prefix_of_referer({{"Host", "lab:8081"}, {"Referer", "http://evil:8081/ada/node1/80/"}}));
  EXPECT_FALSE(prefix_of_referer({{"Host", "lab:8081"}, {"Referer", "http://lab:8081/style.css"}}));
  EXPECT_FALSE(prefix_of_referer({{"Host", "lab:8081"}}));
}

TEST(Listeners, AreThoseThatOthersReach) {
  const std::string tcp =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 00000000:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"   // 9000
      "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"   // loopback
      "   2: 024DA8C0:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"   // 8081
      "   3: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"   // 6443
      "   4: 024DA8C0:1F92 024DA8C0:2328 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n";  // connected
  const std::string tcp6 =
      "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0\n"   // 80
      "   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0 0\n"   // ::1
      "   2: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A 0 0\n"   // 127.0.0.1
      "   3: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A 0 0\n";  // the kubelet's
  EXPECT_EQ(listening_ports(tcp, tcp6), (std::vector<int>{80, 8081, 9000}));
  EXPECT_EQ(listening_ports("", "nonsense\n:::\n 1: x:zz y 0A\n 2: 00000000:F00000 y 0A"), std::vector<int>{});
}

TEST(Ports, AreThoseOfServicesWithNodePorts) {
  const auto services = *json::parse(R"({"items": [
    {"metadata": {"namespace": "default", "name": "web"}, "spec": {"ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}]}},
    {"metadata": {"namespace": "default", "name": "inner"}, "spec": {"ports": [{"port": 80}]}}]})");
  const auto ports = ports_of(services, "node1", "ada", 8081);
  ASSERT_EQ(ports.size(), 1u);
  EXPECT_EQ(json::str(ports[0], "service"), "default/web");
  EXPECT_EQ(json::num(ports[0], "port"), 30080);
  const auto frame = json::dump(json::Object{{"ports", ports}, {"title", "\"url\":\"http://@:1/\""}});
  const auto shown = *json::parse(for_host(frame, "lab.school:8080", false));
  EXPECT_EQ(json::str(json::list(shown, "ports")[0], "url"), "http://lab.school:8081/ada/node1/30080/");
  EXPECT_EQ(json::str(shown, "title"), "\"url\":\"http://@:1/\"") << "what looks alike in a text stays";
  EXPECT_NE(for_host(frame, "a\"b<script>", false).find("http://localhost:8081"), std::string::npos);
  EXPECT_NE(for_host(frame, "[::1]:8080", true).find("https://[::1]:8081"), std::string::npos);
}

}  // namespace
}  // namespace lab::classroom
