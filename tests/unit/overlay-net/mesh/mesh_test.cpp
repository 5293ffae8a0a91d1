// Meshes of one process, over TCP on the loopback.
#include "overlay-net/mesh/mesh.h"

#include <gtest/gtest.h>

#include "base/io/scope.h"

namespace lab::overlay {
namespace {

using namespace std::chrono_literals;

MeshOptions options(const std::string& name, const std::string& word, std::vector<std::string> peers = {}) {
  static std::map<std::string, std::shared_ptr<const MeshCredentials>> keys;
  auto& key = keys[word];
  if (!key) key = std::make_shared<MeshCredentials>(MeshCredentials{.password_key = mesh_password_key(word)});
  return {.node_name = name,
          .listen = "127.0.0.1",
          .port = 0,
          .peers = std::move(peers),
          .credentials = [key]() -> Result<std::shared_ptr<const MeshCredentials>> { return key; },
          .times = {.heartbeat = 200ms, .dead_after = 3s, .gossip_every = 1s},
          .back_off = {.first = 50ms, .most = 500ms},
          .courtesy = 200ms};
}

std::string at(const Mesh& m) {
  return "127.0.0.1:" + std::to_string(m.port());
}

Task<bool> until(std::function<bool()> condition) {
  for (int i = 0; i < 1500; ++i) {
    if (condition()) co_return true;
    co_await sleep_for(20ms);
  }
  co_return false;
}

std::size_t peers_of(const Mesh& m) {
  return m.router().topology().peers().size();
}

struct Node {
  Scope scope{*Loop::current()};
  std::unique_ptr<Mesh> mesh;
  explicit Node(MeshOptions o) : mesh(std::make_unique<Mesh>(std::move(o))) { mesh->start(scope); }
};

Task<void> meet() {
  Node a(options("a", "x"));
  Node b(options("b", "x", {at(*a.mesh)}));
  Node c(options("c", "x", {at(*b.mesh)}));
  a.mesh->announce("I am a");
  // c is told of b alone, and finds a.
  EXPECT_TRUE(co_await until([&] { return c.mesh->router().link_count() == 2 && a.mesh->router().link_count() == 2; }));
  EXPECT_TRUE(co_await until([&] { return c.mesh->announcements().size() == 1; }));
  EXPECT_EQ(c.mesh->announcements().at(0).info, "I am a");
  auto status = json::dump(c.mesh->status());
  EXPECT_NE(status.find("established"), std::string::npos) << status;
  EXPECT_NE(c.mesh->metrics().find("lab_mesh_peers 3"), std::string::npos) << c.mesh->metrics();
  // b goes, and comes back as another run at another port.
  co_await b.scope.close();
  EXPECT_TRUE(co_await until([&] { return peers_of(*a.mesh) == 2 && peers_of(*c.mesh) == 2; }));
  Node again(options("b", "x", {at(*c.mesh)}));
  EXPECT_TRUE(co_await until([&] { return peers_of(*a.mesh) == 3 && a.mesh->router().link_count() == 2; }));
  co_await again.scope.close();
  co_await c.scope.close();
  co_await a.scope.close();
}

TEST(Mesh, PeersFindOneAnotherFromAnyOne) {
  run_task(meet());
}

Task<void> wrong_password() {
  Node a(options("a", "right"));
  Node b(options("b", "wrong", {at(*a.mesh)}));
  auto failed = [&] { return json::dump(b.mesh->status()).find("wrong password") != std::string::npos; };
  EXPECT_TRUE(co_await until(failed));
  // It goes on trying, and is refused each time; nobody gets to know anybody.
  EXPECT_TRUE(
      co_await until([&] { return a.mesh->metrics().find("reason=\"Unauthorized\"} 3") != std::string::npos; }));
  EXPECT_EQ(peers_of(*a.mesh), 1u);
  EXPECT_EQ(peers_of(*b.mesh), 1u);
  co_await b.scope.close();
  co_await a.scope.close();
}

TEST(Mesh, AWrongPasswordIsRefused) {
  run_task(wrong_password());
}

Task<void> same_name() {
  Node a(options("a", "x"));
  Node one(options("twin", "x", {at(*a.mesh)}));
  EXPECT_TRUE(co_await until([&] { return a.mesh->router().link_count() == 1; }));
  Node two(options("twin", "x", {at(*a.mesh)}));
  auto told = [&] {
    return json::dump(two.mesh->status()).find("another peer has the name of this node") != std::string::npos;
  };
  EXPECT_TRUE(co_await until(told)) << json::dump(two.mesh->status());
  EXPECT_EQ(a.mesh->router().topology().find(one.mesh->self().name)->id.uid, one.mesh->self().uid);
  co_await two.scope.close();
  co_await one.scope.close();
  co_await a.scope.close();
}

TEST(Mesh, ASecondPeerOfOneNameIsNamed) {
  run_task(same_name());
}

Task<void> garbage() {
  Node a(options("a", "x"));
  for (int i = 0; i < 50; ++i) {
    auto s = co_await dial_tcp("127.0.0.1", a.mesh->port(), 5s);
    if (!s) continue;
    (void)co_await (*s)->write(i % 2 ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : "LAB-MESH\n");
    if (i % 3) (void)co_await (*s)->shutdown_write();
    std::array<char, 16> back;
    if (i % 2) (void)co_await (*s)->read(back);  // it hangs up
  }
  Node b(options("b", "x", {at(*a.mesh)}));
  EXPECT_TRUE(co_await until([&] { return a.mesh->router().link_count() == 1; }));
  EXPECT_NE(a.mesh->metrics().find("lab_mesh_refused_total{reason=\"Invalid\"}"), std::string::npos)
      << a.mesh->metrics();
  co_await b.scope.close();
  co_await a.scope.close();
}

TEST(Mesh, GarbageOnThePortHarmsNobody) {
  run_task(garbage());
}

Task<void> itself() {
  auto o = options("a", "x");
  Node other(options("b", "x"));
  Mesh probe(options("c", "x"));
  // A port that is taken is told, and tried again.
  o.port = other.mesh->port();
  Node a(o);
  EXPECT_NE(json::str(a.mesh->status(), "problem"), "");
  // Its own address under another spelling is found out and left alone.
  Node self(options("d", "x"));
  self.mesh->set_known({"localhost:" + std::to_string(self.mesh->port())});
  EXPECT_TRUE(co_await until([&] { return json::list(self.mesh->status(), "targets").empty(); }))
      << json::dump(self.mesh->status());
  co_await self.scope.close();
  co_await a.scope.close();
  co_await other.scope.close();
}

TEST(Mesh, ItsOwnAddressAndATakenPort) {
  run_task(itself());
}

}  // namespace
}  // namespace lab::overlay
