#include "fixture.h"

#include <stdlib.h>

#include <future>

#include "base/fs.h"

namespace lab::apiserver {
namespace {

http::Endpoint endpoint(int port) {
  http::Endpoint out;
  out.host = "127.0.0.1";
  out.port = port;
  return out;
}

http::Request request_of(std::string method, std::string target, std::string body, http::Headers headers) {
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  request.headers = std::move(headers);
  if (!request.headers.has("Authorization")) request.headers.set("Authorization", "Bearer admin-token");
  if (!request.body.empty() && !request.headers.has("Content-Type"))
    request.headers.set("Content-Type", "application/json");
  return request;
}

Task<Answer> exchange(int port, http::Request request) {
  auto client = http::Client::make(endpoint(port));
  auto response = co_await client->send(std::move(request));
  Answer out;
  if (!response) {
    out.text = response.error().text();
    co_return out;
  }
  out.status = response->status;
  out.headers = response->headers;
  out.text = response->text();
  if (auto parsed = json::parse(out.text)) out.body = std::move(*parsed);
  co_return out;
}

Task<std::vector<json::Value>> collect(int port, http::Request request, std::size_t count) {
  auto client = http::Client::make(endpoint(port));
  std::vector<json::Value> events;
  auto stream = co_await client->open(std::move(request));
  if (!stream) co_return events;
  std::string buffered;
  while (events.size() < count) {
    auto piece = co_await (*stream)->read();
    if (!piece || piece->empty()) break;
    buffered += *piece;
    for (auto end = buffered.find('\n'); end != std::string::npos; end = buffered.find('\n')) {
      auto event = json::parse(std::string_view(buffered).substr(0, end));
      buffered.erase(0, end + 1);
      if (event) events.push_back(std::move(*event));
    }
  }
  (*stream)->close();
  co_return events;
}

}  // namespace

ServerTest::ServerTest() {
  std::string pattern = ::testing::TempDir() + "apiserver-XXXXXX";
  directory_ = ::mkdtemp(pattern.data());
  options_.authorization = false;
  options_.anonymous_auth = false;
  options_.tokens = {{"admin-token", "kubernetes-admin", "", {"system:masters"}}};
  start_server();
  // What the controllers would have made: no pod is admitted without it.
  make("/api/v1/namespaces/default/serviceaccounts", json::Object{{"metadata", json::Object{{"name", "default"}}}});
}

ServerTest::~ServerTest() {
  stop_server();
  (void)fs::remove_all(directory_);
}

void ServerTest::start_server() {
  stop_server();
  auto store = store::open_embedded({.path = directory_ + "/db"});
  ASSERT_TRUE(store) << store.error().text();
  store_ = std::move(*store);
  options_.store = store_.get();
  auto server = ApiServer::start(options_);
  ASSERT_TRUE(server) << server.error().text();
  server_ = std::move(*server);
  auto ready = server_->wait_ready(std::chrono::seconds(60));
  ASSERT_TRUE(ready) << ready.error().text();
}

void ServerTest::stop_server() {
  server_.reset();
  store_.reset();
}

Answer ServerTest::call(std::string method, std::string target, std::string body, http::Headers headers) {
  return run_task(
      exchange(server_->port(), request_of(std::move(method), std::move(target), std::move(body), std::move(headers))));
}

Answer ServerTest::merge(std::string target, const json::Value& body) {
  return call("PATCH", std::move(target), json::dump(body), {{"Content-Type", "application/merge-patch+json"}});
}

Answer ServerTest::remove(std::string target, const json::Value& body) {
  return call("DELETE", std::move(target), body.is_null() ? std::string() : json::dump(body));
}

json::Value ServerTest::make(std::string collection, const json::Value& object) {
  auto answer = post(std::move(collection), object);
  EXPECT_EQ(answer.status, 201) << answer.text;
  return answer.body;
}

std::vector<json::Value> ServerTest::watch(std::string target, std::size_t count, http::Headers headers) {
  return run_task(collect(server_->port(), request_of("GET", std::move(target), {}, std::move(headers)), count));
}

json::Value config_map(std::string name, std::string value) {
  return json::Object{{"apiVersion", "v1"},
                      {"kind", "ConfigMap"},
                      {"metadata", json::Object{{"name", name}, {"labels", json::Object{{"value", value}}}}},
                      {"data", json::Object{{"value", value}}}};
}

json::Value pod(std::string name, std::string node) {
  json::Object spec{{"containers", json::Array{json::Object{{"name", "c"}, {"image", "nginx"}}}}};
  if (!node.empty()) spec["nodeName"] = node;
  return json::Object{{"apiVersion", "v1"},
                      {"kind", "Pod"},
                      {"metadata", json::Object{{"name", name}, {"labels", json::Object{{"app", "web"}}}}},
                      {"spec", std::move(spec)}};
}

std::map<std::string, std::string> ServerTest::stored(const std::string& prefix) {
  std::promise<Result<store::RangeResult>> promise;
  store_->range({.start = prefix, .end = store::prefix_end(prefix)},
                [&](Result<store::RangeResult> r) { promise.set_value(std::move(r)); });
  auto read = promise.get_future().get();
  EXPECT_TRUE(read) << (read ? "" : read.error().text());
  std::map<std::string, std::string> out;
  if (read)
    for (const auto& item : read->items) out.emplace(item.key, *item.value);
  return out;
}

}  // namespace lab::apiserver
