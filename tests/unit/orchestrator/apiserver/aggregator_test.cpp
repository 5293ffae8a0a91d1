// Aggregated APIs: a real HTTPS server behind an APIService, reached through a real API server.
#include <thread>

#include "base/fs.h"
#include "pki/certificate.h"
#include "webhook_server.h"

namespace lab::apiserver {
namespace {

constexpr const char* kResources =
    R"({"kind":"APIResourceList","apiVersion":"v1","groupVersion":"wardle.example.com/v1",
  "resources":[{"name":"flunders","singularName":"flunder","namespaced":true,"kind":"Flunder","shortNames":["fl"],
  "verbs":["get","list","create"]},{"name":"flunders/status","singularName":"","namespaced":true,"kind":"Flunder",
  "verbs":["get"]}]})";

class AggregatorTest : public ServerTest {
 protected:
  AggregatorTest() {
    auto proxy_key = pki::PrivateKey::generate();
    auto proxy = proxy_ca_.issue({.common_name = "front-proxy-client", .client_auth = true}, proxy_key);
    EXPECT_TRUE(proxy);
    options_.proxy_client_cert_file = write("proxy.crt", *proxy);
    options_.proxy_client_key_file = write("proxy.key", proxy_key.pem());
    options_.requestheader_ca_file = write("proxy-ca.crt", proxy_ca_.certificate_pem());
    options_.requestheader_allowed_names = {"front-proxy-client"};
    start_server();
    auto key = pki::PrivateKey::generate();
    auto certificate = ca_.issue({.common_name = "server", .dns_names = {"api.default.svc"}, .server_auth = true}, key);
    EXPECT_TRUE(certificate);
    http::ServerOptions options;
    options.tls = [chain = *certificate, pem = key.pem(),
                   ca = proxy_ca_.certificate_pem()]() -> Result<TlsServerConfig> {
      TlsServerConfig tls;
      tls.certificate_chain_pem = chain;
      tls.private_key_pem = pem;
      tls.client_ca_pem = ca;
      tls.require_client_certificate = true;
      return tls;
    };
    auto started = http::Server::start(std::move(options), [](http::Request request, http::ResponseWriter& writer) {
      return serve(std::move(request), writer);
    });
    EXPECT_TRUE(started);
    backend_ = std::move(*started);
  }

  std::string write(const std::string& name, const std::string& text) {
    auto path = directory_ + "/" + name;
    EXPECT_TRUE(fs::write_file(path, text));
    return path;
  }

  // Tells what it was asked and by whom; streams what is watched.
  static Task<void> serve(http::Request request, http::ResponseWriter& writer) {
    if (request.path() == "/apis/wardle.example.com/v1") {
      http::Response list;
      list.headers.set("Content-Type", "application/json");
      list.body.push_back(http::buffer(kResources));
      (void)co_await writer.send(std::move(list));
      co_return;
    }
    if (request.target.starts_with("/openapi/v3")) {
      http::Response answer;
      answer.headers.set("Content-Type", "application/json");
      answer.body.push_back(http::buffer(request.path() == "/openapi/v3"
                                             ? R"({"paths":{"apis/wardle.example.com/v1":{"serverRelativeURL":
                                                  "/openapi/v3/apis/wardle.example.com/v1?hash=7"}}})"
                                             : R"({"openapi":"3.0.0","asked":")" + request.target + "\"}"));
      (void)co_await writer.send(std::move(answer));
      co_return;
    }
    if (request.target.find("watch=true") != std::string::npos) {
      (void)co_await writer.begin(200, {{"Content-Type", "application/json"}});
      for (int i = 0; i < 2; ++i) (void)co_await writer.write(http::buffer("{\"type\":\"ADDED\"}\n"));
      (void)co_await writer.end();
      co_return;
    }
    json::Array groups;
    for (auto group : request.headers.all("X-Remote-Group")) groups.emplace_back(group);
    http::Response answer;
    answer.status = 418;
    answer.headers.set("Content-Type", "application/json");
    answer.body.push_back(http::buffer(json::dump(json::Object{{"target", request.target},
                                                               {"method", request.method},
                                                               {"body", request.body},
                                                               {"user", request.headers.get("X-Remote-User")},
                                                               {"groups", std::move(groups)},
                                                               {"token", request.headers.get("Authorization")},
                                                               {"proxy", request.peer.certificate_subject_cn}})));
    (void)co_await writer.send(std::move(answer));
  }

  void serve_by_backend() {
    make("/api/v1/namespaces/default/services",
         *json::parse(R"({"metadata":{"name":"api"},"spec":{"type":"ExternalName","externalName":"localhost"}})"));
    make(services_, service());
    ASSERT_TRUE(eventually(services_ + "/v1.wardle.example.com", "Passed"))
        << get(services_ + "/v1.wardle.example.com").text;
  }
  json::Value service() const {
    auto out = *json::parse(R"({"metadata":{"name":"v1.wardle.example.com"},"spec":{"group":"wardle.example.com",
      "version":"v1","groupPriorityMinimum":2000,"versionPriority":200,"service":{"namespace":"default","name":"api"}}})");
    out.at("spec").as_object()["caBundle"] = crypto::base64_encode(ca_.certificate_pem());
    out.at("spec").at("service").as_object()["port"] = backend_->port();
    return out;
  }
  bool eventually(const std::string& path, const std::string& text) {
    for (int i = 0; i < 600; ++i) {
      if (get(path).text.find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

  const std::string services_ = "/apis/apiregistration.k8s.io/v1/apiservices";
  pki::Authority ca_ = pki::Authority::create("api", std::chrono::hours(24), pki::PrivateKey::generate());
  pki::Authority proxy_ca_ = pki::Authority::create("front", std::chrono::hours(24), pki::PrivateKey::generate());
  std::unique_ptr<http::Server> backend_;
};

TEST_F(AggregatorTest, RequestsReachTheOtherServerWithWhoAsks) {
  serve_by_backend();
  auto answer = call("POST", "/apis/wardle.example.com/v1/namespaces/default/flunders?a=b", "{\"x\":1}",
                     {{"X-Remote-User", "forged"}, {"X-Remote-Group", "system:forgers"}});
  EXPECT_EQ(answer.status, 418);
  EXPECT_EQ(answer.body, *json::parse(R"({"target":"/apis/wardle.example.com/v1/namespaces/default/flunders?a=b",
    "method":"POST","body":"{\"x\":1}","user":"kubernetes-admin","groups":["system:masters","system:authenticated"],
    "token":"","proxy":"front-proxy-client"})"))
      << answer.text;
  EXPECT_EQ(watch("/apis/wardle.example.com/v1/flunders?watch=true", 2).size(), 2u);
}

TEST_F(AggregatorTest, DiscoveryShowsWhatTheOtherServerHas) {
  serve_by_backend();
  EXPECT_EQ(json::str(get("/apis/wardle.example.com").body, "preferredVersion", "version"), "v1");
  EXPECT_EQ(json::list(get("/apis/wardle.example.com/v1").body, "resources").size(), 2u);
  EXPECT_NE(get("/apis").text.find("wardle.example.com/v1"), std::string::npos);
  auto all = get("/apis", {{"Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}}).body;
  const json::Value* found = nullptr;
  for (const auto& group : json::list(all, "items"))
    if (json::str(group, "metadata", "name") == "wardle.example.com") found = &group;
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, *json::parse(R"({"metadata":{"creationTimestamp":null,"name":"wardle.example.com"},"versions":[
    {"version":"v1","resources":[{"resource":"flunders","responseKind":{"group":"wardle.example.com","version":"v1",
    "kind":"Flunder"},"scope":"Namespaced","singularResource":"flunder","verbs":["get","list","create"],
    "shortNames":["fl"],"subresources":[{"subresource":"status","responseKind":{"group":"wardle.example.com",
    "version":"v1","kind":"Flunder"},"verbs":["get"]}]}],"freshness":"Current"}]})"))
      << json::dump(*found);
}

TEST_F(AggregatorTest, TheOtherServersDocumentsAreListedAndPassedOn) {
  const std::string document = "/openapi/v3/apis/wardle.example.com/v1";
  EXPECT_EQ(get(document).status, 404);
  auto before = get("/openapi/v3");
  serve_by_backend();
  auto index = get("/openapi/v3");
  EXPECT_EQ(json::str(index.body, "paths", "apis/wardle.example.com/v1", "serverRelativeURL"), document + "?hash=7");
  EXPECT_EQ(json::map(index.body, "paths").size(), json::map(before.body, "paths").size() + 1);
  EXPECT_NE(index.headers.get("ETag"), before.headers.get("ETag"));
  EXPECT_EQ(json::str(get(document + "?hash=7").body, "asked"), document + "?hash=7");
}

TEST_F(AggregatorTest, WhatIsNotThereIsUnavailableAndSaysWhy) {
  make(services_, service());
  EXPECT_TRUE(eventually(services_ + "/v1.wardle.example.com", "\"ServiceNotFound\""));
  auto refused = get("/apis/wardle.example.com/v1/namespaces/default/flunders");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.text, "service unavailable\n");
  make("/api/v1/namespaces/default/services",
       *json::parse(R"({"metadata":{"name":"api"},"spec":{"ports":[{"port":1}]}})"));
  merge(services_ + "/v1.wardle.example.com", *json::parse(R"({"metadata":{"labels":{"look":"again"}}})"));
  EXPECT_TRUE(eventually(services_ + "/v1.wardle.example.com", "\"ServicePortError\""));
  EXPECT_EQ(remove(services_ + "/v1.wardle.example.com").status, 200);
  EXPECT_EQ(get("/apis/wardle.example.com/v1/flunders").status, 404);
}

TEST_F(AggregatorTest, ABuiltInVersionMayBeAnotherServers) {
  EXPECT_EQ(get("/apis/metrics.k8s.io/v1beta1/nodes").status, 200);
  auto metrics = service();
  metrics.at("metadata").as_object()["name"] = "v1beta1.metrics.k8s.io";
  metrics.at("spec").as_object()["group"] = "metrics.k8s.io";
  metrics.at("spec").as_object()["version"] = "v1beta1";
  make(services_, metrics);
  EXPECT_EQ(get("/apis/metrics.k8s.io/v1beta1/nodes").status, 503);
  EXPECT_EQ(remove(services_ + "/v1beta1.metrics.k8s.io").status, 200);
  EXPECT_EQ(get("/apis/metrics.k8s.io/v1beta1/nodes").status, 200);
}

TEST_F(AggregatorTest, OwnVersionsAreLocalAndTheFrontProxyIsPublished) {
  ASSERT_TRUE(eventually(services_ + "/v1.apps", "\"Local\"")) << get(services_).text;
  ASSERT_TRUE(eventually(services_ + "/v1.", "\"Local\""));
  auto table = get(services_ + "/v1.apps", {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}}).body;
  EXPECT_EQ(json::as_str(json::list(json::list(table, "rows")[0], "cells")[1]), "Local");
  const std::string map = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
  ASSERT_TRUE(eventually(map, "requestheader"));
  auto data = json::at(get(map).body, "data");
  EXPECT_EQ(json::str(data, "requestheader-allowed-names"), "[\"front-proxy-client\"]");
  EXPECT_EQ(json::str(data, "requestheader-client-ca-file"), proxy_ca_.certificate_pem());
}

TEST_F(AggregatorTest, WrongApiServicesAreRefused) {
  auto wrong = service();
  wrong.at("metadata").as_object()["name"] = "flunders";
  wrong.at("spec").as_object()["versionPriority"] = 0;
  auto refused = post(services_, wrong);
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.text.find("must be `spec.version+"), std::string::npos) << refused.text;
  EXPECT_NE(refused.text.find("spec.versionPriority: Invalid value: 0: must be positive and less than 1000"),
            std::string::npos);
}

}  // namespace
}  // namespace lab::apiserver
