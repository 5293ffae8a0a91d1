// A real server on loopback with certificates of its own, and a client loop.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "base/fs.h"
#include "base/http/client.h"
#include "base/http/server.h"
#include "base/io/descriptor.h"
#include "base/io/scope.h"
#include "base/io/sync.h"
#include "base/subprocess.h"
#include "tests/unit/base/io/test_certs.h"

namespace lab::http::test {

using lab::test::CertOptions;
using lab::test::Pem;
using lab::test::TestCa;

class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lab-http-XXXXXX";
    dir_ = mkdtemp(name);
    ASSERT_TRUE(fs::write_file(dir_ + "/ca.pem", ca_.pem()));
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(dir_);
  }

  ServerOptions tls_options() {
    ServerOptions o;
    o.tls = [this]() -> Result<TlsServerConfig> {
      return TlsServerConfig{
          .certificate_chain_pem = identity_.certificate, .private_key_pem = identity_.key, .client_ca_pem = ca_.pem()};
    };
    return o;
  }

  void serve(ServerOptions options, Handler handler) {
    auto server = Server::start(std::move(options), std::move(handler));
    ASSERT_TRUE(server) << server.error().text();
    server_ = std::move(*server);
  }

  Endpoint plain_endpoint() { return {.host = "127.0.0.1", .port = server_->port()}; }
  Endpoint tls_endpoint() {
    return {.host = "127.0.0.1", .port = server_->port(), .tls = TlsClientConfig{.ca_pem = ca_.pem()}};
  }
  std::string url(const std::string& target) { return "https://127.0.0.1:" + std::to_string(server_->port()) + target; }

  // What a program printed; its status must be 0 unless told otherwise.
  std::string run(std::vector<std::string> argv, std::string input = {}, int expected_status = 0);

  // Raw bytes to the server and everything it answers until it closes (plain servers).
  std::string raw(std::string bytes, bool end_after = false);  // end_after: half-closes behind them

  TestCa ca_;
  Pem identity_ = ca_.issue({.cn = "kube-apiserver"});
  std::string dir_;
  std::unique_ptr<Server> server_;
};

inline std::string dump(const Result<Response>& r) {
  return r ? std::to_string(r->status) + " " + r->text() : "error: " + r.error().text();
}

}  // namespace lab::http::test
