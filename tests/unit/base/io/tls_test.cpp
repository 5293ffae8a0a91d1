// TLS streams with certificates made here: who is accepted, and what the errors say.
#include <gtest/gtest.h>

#include <sys/socket.h>

#include "base/io/descriptor.h"
#include "base/io/listener.h"
#include "base/io/scope.h"
#include "base/io/tls.h"
#include "tests/unit/base/io/test_certs.h"

namespace lab {
namespace {

using namespace std::chrono_literals;
using test::Pem;
using test::TestCa;

struct Outcome {
  Result<TlsDialed> client = fail(Code::kInternal, "none");
  Result<Accepted> server = fail(Code::kInternal, "none");
};

Task<void> accept_one(Listener* listener, std::shared_ptr<TlsContext> context, Outcome* out, int send_buffer) {
  auto fd = co_await listener->accept();
  if (fd && send_buffer > 0) ::setsockopt(fd->get(), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
  if (fd) out->server = co_await accept_tls(fd->release(), context, 10s);
}

// One connection: each end writes 1 MB, closes, and reads the other's.
Task<void> talk(std::unique_ptr<Stream> s, std::string what, bool* ok) {
  std::string got;
  std::vector<char> buffer(10000);
  Scope scope(*Loop::current());
  bool wrote = false;
  scope.spawn("write", [&]() -> Task<void> {
    wrote = (co_await s->write(std::string(1'000'000, what[0]))).has_value();
    wrote = wrote && co_await s->shutdown_write();
  });
  while (true) {
    auto n = co_await s->read(buffer);
    if (!n || *n == 0) break;
    got.append(buffer.data(), *n);
  }
  co_await scope.close();
  *ok = wrote && got == std::string(1'000'000, what[1]);
}

// send_buffer: of the server's socket, small where a write shall leave much behind; 0 leaves it to the kernel.
Task<void> connect_both(TlsServerConfig server, TlsClientConfig client, Outcome* out, bool data, int send_buffer = 0) {
  auto context = TlsContext::server(std::move(server));
  EXPECT_TRUE(context) << context.error().text();
  if (!context) co_return;
  auto listener = Listener::bind("127.0.0.1", 0);
  Scope scope(*Loop::current());
  scope.spawn("accept", accept_one(listener->get(), *context, out, send_buffer));
  out->client = co_await dial_tls("127.0.0.1", (*listener)->port(), std::move(client), 10s);
  co_await scope.close();
  if (!data || !out->client || !out->server) co_return;
  bool a = false, b = false;
  Scope talkers(*Loop::current());
  talkers.spawn("server", talk(std::move(out->server->stream), "sc", &a));
  co_await talk(std::move(out->client->stream), "cs", &b);
  co_await talkers.close();
  EXPECT_TRUE(a);
  EXPECT_TRUE(b);
}

class Tls : public ::testing::Test {
 protected:
  Outcome connect(TlsServerConfig server, TlsClientConfig client, bool data = false) {
    Outcome out;
    run_task([](TlsServerConfig s, TlsClientConfig c, Outcome* o, bool d) -> Task<void> {
      co_await connect_both(std::move(s), std::move(c), o, d);
      if (o->client) o->client->stream.reset();  // streams end on their loop
      if (o->server) o->server->stream.reset();
    }(std::move(server), std::move(client), &out, data));
    return out;
  }
  TlsServerConfig server(test::CertOptions o = {.cn = "kube-apiserver"}) {
    Pem leaf = ca_.issue(o);
    return {.certificate_chain_pem = leaf.certificate, .private_key_pem = leaf.key, .client_ca_pem = ca_.pem()};
  }
  static std::string error(const Outcome& o) { return o.client ? "none" : o.client.error().text(); }

  TestCa ca_{"kubernetes"};
};

TEST_F(Tls, DataFlowsBothWaysAndAlpnIsAgreed) {
  auto o = connect(server(), {.ca_pem = ca_.pem(), .alpn = {"h2", "http/1.1"}}, true);
  ASSERT_TRUE(o.client) << o.client.error().text();
  ASSERT_TRUE(o.server) << o.server.error().text();
  EXPECT_EQ(o.client->alpn, "h2");
  EXPECT_EQ(o.server->peer.alpn, "h2");
  EXPECT_EQ(o.server->peer.address.find("127.0.0.1:"), 0u);
  EXPECT_EQ(o.server->peer.certificate_subject_cn, "");
  EXPECT_NE(o.client->peer_certificate_pem.find("BEGIN CERTIFICATE"), std::string::npos);
}

// A peer that takes nothing more until it was listened to: what it says must be readable while a write waits for it.
TEST_F(Tls, ReadingGoesOnWhileAWriteWaitsForThePeer) {
  run_task([](TlsServerConfig server, TlsClientConfig client) -> Task<void> {
    constexpr std::size_t kMuch = 2'000'000, kAnswer = 1'000'000;
    Outcome o;
    co_await connect_both(std::move(server), std::move(client), &o, false, 16 * 1024);
    EXPECT_TRUE(o.client && o.server);
    if (!o.client || !o.server) co_return;
    Stream *near = o.server->stream.get(), *far = o.client->stream.get();
    bool wrote = false;
    Scope scope(*Loop::current());
    scope.spawn("write much", [&]() -> Task<void> {
      wrote = (co_await near->write(std::string(kMuch, 'm'))).has_value();
      (void)co_await near->shutdown_write();
    });
    co_await sleep_for(50ms);  // the buffers between are full now
    EXPECT_FALSE(wrote);
    scope.spawn("answer", [&]() -> Task<void> { (void)co_await far->write(std::string(kAnswer, 'a')); });
    std::vector<char> buffer(64 * 1024);
    std::size_t answer = 0, much = 0;
    {
      Deadline deadline(20s, [near] { near->close(); });
      while (answer < kAnswer) {
        auto n = co_await near->read(buffer);
        if (!n || *n == 0) break;
        answer += *n;
      }
      EXPECT_FALSE(deadline.expired());
    }
    EXPECT_EQ(answer, kAnswer);
    while (true) {
      auto n = co_await far->read(buffer);
      if (!n || *n == 0) break;
      much += *n;
    }
    co_await scope.close();
    EXPECT_EQ(much, kMuch);
  }(server(), {.ca_pem = ca_.pem()}));
}

TEST_F(Tls, ClientCertificateTellsNameAndGroups) {
  Pem me = ca_.issue({.cn = "admin", .organizations = {"system:masters", "dev"}, .names = "", .client = true});
  auto o = connect(server(), {.ca_pem = ca_.pem(), .certificate_pem = me.certificate, .private_key_pem = me.key});
  ASSERT_TRUE(o.server) << o.server.error().text();
  EXPECT_EQ(o.server->peer.certificate_subject_cn, "admin");
  EXPECT_EQ(o.server->peer.certificate_organizations, (std::vector<std::string>{"system:masters", "dev"}));
  EXPECT_EQ(o.server->peer.certificate_pem, me.certificate);
}

TEST_F(Tls, AStrangersCertificateCountsAsNoneUnlessOneIsRequired) {
  TestCa other("kubernetes");
  Pem me = other.issue({.cn = "admin", .organizations = {"system:masters"}, .names = "", .client = true});
  TlsClientConfig client{.ca_pem = ca_.pem(), .certificate_pem = me.certificate, .private_key_pem = me.key};
  auto o = connect(server(), client);
  ASSERT_TRUE(o.server) << o.server.error().text();
  EXPECT_EQ(o.server->peer.certificate_subject_cn, "");
  EXPECT_TRUE(o.server->peer.certificate_organizations.empty());

  auto strict = server();
  strict.require_client_certificate = true;
  auto refused = connect(strict, client);
  ASSERT_FALSE(refused.server);
  EXPECT_NE(refused.server.error().text().find("CN=kubernetes"), std::string::npos) << refused.server.error().text();
  auto without = connect(strict, {.ca_pem = ca_.pem()});
  EXPECT_FALSE(without.server);
}

TEST_F(Tls, AServerCertificateOfAnotherPurposeOrExpiredClientCountsAsNone) {
  Pem serving = ca_.issue({.cn = "admin", .names = ""});
  auto o =
      connect(server(), {.ca_pem = ca_.pem(), .certificate_pem = serving.certificate, .private_key_pem = serving.key});
  ASSERT_TRUE(o.server) << o.server.error().text();
  EXPECT_EQ(o.server->peer.certificate_subject_cn, "");
  EXPECT_EQ(o.server->peer.certificate_pem, serving.certificate) << "given, though it names nobody";
  Pem old = ca_.issue({.cn = "admin", .names = "", .client = true, .to_seconds = -60});
  o = connect(server(), {.ca_pem = ca_.pem(), .certificate_pem = old.certificate, .private_key_pem = old.key});
  ASSERT_TRUE(o.server) << o.server.error().text();
  EXPECT_EQ(o.server->peer.certificate_subject_cn, "");
}

TEST_F(Tls, AnotherCaIsNamedOnBothSides) {
  TestCa mine("lab-ca");
  auto o = connect(server(), {.ca_pem = mine.pem()});
  EXPECT_NE(error(o).find("CN=kube-apiserver was issued by CN=kubernetes, expected was CN=lab-ca"), std::string::npos)
      << error(o);
  EXPECT_FALSE(o.server);
  TestCa same_name("kubernetes");
  o = connect(server(), {.ca_pem = same_name.pem()});
  EXPECT_NE(error(o).find("expected was CN=kubernetes with another key"), std::string::npos) << error(o);
}

TEST_F(Tls, AWrongNameSaysWhichNamesThereAre) {
  auto o = connect(server({.cn = "kube-apiserver", .names = "DNS:api.lab,IP:10.0.0.3"}), {.ca_pem = ca_.pem()});
  EXPECT_NE(error(o).find("the certificate is for api.lab, 10.0.0.3, not for 127.0.0.1"), std::string::npos)
      << error(o);
  o = connect(server({.cn = "kube-apiserver", .names = "DNS:api.lab"}),
              {.ca_pem = ca_.pem(), .server_name = "api.lab"});
  EXPECT_TRUE(o.client) << error(o);
}

TEST_F(Tls, ExpiryNamesTheDate) {
  auto o = connect(server({.cn = "kube-apiserver", .to_seconds = -60}), {.ca_pem = ca_.pem()});
  EXPECT_NE(error(o).find("CN=kube-apiserver expired on "), std::string::npos) << error(o);
}

TEST_F(Tls, InsecureAcceptsAnythingAndShowsTheChain) {
  auto o = connect(server(), {.insecure = true});
  ASSERT_TRUE(o.client) << error(o);
  EXPECT_NE(o.client->peer_certificate_pem.find("BEGIN CERTIFICATE"), std::string::npos);
}

TEST_F(Tls, BadPemIsRefusedWithTheReason) {
  EXPECT_FALSE(TlsContext::client({.ca_pem = "nonsense"}));
  auto config = server();
  config.private_key_pem = ca_.issue({}).key;
  auto mismatch = TlsContext::server(config);
  ASSERT_FALSE(mismatch);
  EXPECT_NE(mismatch.error().message.find("does not belong to the certificate of CN=kube-apiserver"),
            std::string::npos);
}

TEST_F(Tls, ASilentServerTimesOut) {
  run_task([](std::string ca) -> Task<void> {
    auto listener = Listener::bind("127.0.0.1", 0);  // takes connections into its queue, and says nothing
    auto r = co_await dial_tls("127.0.0.1", (*listener)->port(), TlsClientConfig{.ca_pem = ca}, 200ms);
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error().code, Code::kTimeout) << r.error().text();
  }(ca_.pem()));
}

}  // namespace
}  // namespace lab
