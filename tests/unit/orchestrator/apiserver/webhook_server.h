// A real HTTPS webhook on loopback, and configurations that point to it.
#pragma once

#include <functional>
#include <mutex>

#include "base/crypto/encoding.h"
#include "base/http/server.h"
#include "fixture.h"
#include "pki/certificate.h"

namespace lab::apiserver {

class WebhookServer {
 public:
  // The `response` to the `request` of a review, by the path it was sent to.
  using Answer = std::function<json::Value(const std::string& path, const json::Value& request)>;

  explicit WebhookServer(Answer answer) : answer_(std::move(answer)) {
    auto key = pki::PrivateKey::generate();
    auto certificate = authority_.issue({.common_name = "hook",
                                         .dns_names = {"hook.default.svc", "localhost"},
                                         .addresses = {"127.0.0.1"},
                                         .server_auth = true},
                                        key);
    EXPECT_TRUE(certificate);
    http::ServerOptions options;
    options.tls = [chain = *certificate, pem = key.pem()]() -> Result<TlsServerConfig> {
      TlsServerConfig tls;
      tls.certificate_chain_pem = chain;
      tls.private_key_pem = pem;
      return tls;
    };
    auto started = http::Server::start(std::move(options), [this](http::Request request, http::ResponseWriter& writer) {
      return serve(std::move(request), writer);
    });
    EXPECT_TRUE(started);
    server_ = std::move(*started);
  }

  int port() const { return server_->port(); }
  std::string ca_bundle() const { return crypto::base64_encode(authority_.certificate_pem()); }
  json::Value by_url(const std::string& path) const {
    return json::Object{{"url", "https://127.0.0.1:" + std::to_string(port()) + path}, {"caBundle", ca_bundle()}};
  }
  // What was asked, by path and in order.
  std::vector<std::pair<std::string, json::Value>> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> out;
    for (const auto& [path, request] : requests()) out.push_back(path);
    return out;
  }

 private:
  Task<void> serve(http::Request request, http::ResponseWriter& writer) {
    auto review = json::parse(request.body);
    std::string path(request.path());
    http::Response response;
    if (path == "/slow") co_await sleep_for(std::chrono::seconds(20), writer.closed());
    if (!review || path == "/broken") {
      response.status = 500;
      response.body.push_back(http::buffer("it is broken"));
    } else {
      auto inner = json::at(*review, "request");
      {
        std::lock_guard lock(mutex_);
        requests_.emplace_back(path, inner);
      }
      auto answer = answer_(path, inner);
      if (!json::has(answer, "uid")) json::set(answer, json::str(inner, "uid"), "uid");
      json::set(*review, std::move(answer), "response");
      response.headers.set("Content-Type", "application/json");
      response.body.push_back(http::buffer(json::dump(*review)));
    }
    (void)co_await writer.send(std::move(response));
  }

  Answer answer_;
  pki::Authority authority_ = pki::Authority::create("webhooks", std::chrono::hours(24), pki::PrivateKey::generate());
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, json::Value>> requests_;
  std::unique_ptr<http::Server> server_;
};

inline json::Value allow() {
  return json::Object{{"allowed", true}};
}
inline json::Value deny(std::string message) {
  return json::Object{{"allowed", false}, {"status", json::Object{{"message", message}}}};
}
inline json::Value patch(std::string operations) {
  return json::Object{{"allowed", true}, {"patchType", "JSONPatch"}, {"patch", crypto::base64_encode(operations)}};
}

}  // namespace lab::apiserver
