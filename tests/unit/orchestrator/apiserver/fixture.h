// A real API server over a real store in a temporary directory, and a client of it over loopback.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/http/client.h"
#include "base/io/scope.h"
#include "base/json.h"
#include "orchestrator/apiserver/server.h"

namespace lab::apiserver {

struct Answer {
  int status = 0;
  http::Headers headers;
  std::string text;
  json::Value body;  // null when the text is no JSON
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest();
  ~ServerTest() override;

  void start_server();  // stops it first where it runs
  void stop_server();

  Answer call(std::string method, std::string target, std::string body = {}, http::Headers headers = {});
  Answer get(std::string target, http::Headers headers = {}) { return call("GET", std::move(target), {}, headers); }
  Answer post(std::string target, const json::Value& body) { return call("POST", std::move(target), json::dump(body)); }
  Answer put(std::string target, const json::Value& body) { return call("PUT", std::move(target), json::dump(body)); }
  Answer merge(std::string target, const json::Value& body);
  Answer remove(std::string target, const json::Value& body = nullptr);
  // Creates and expects 201; the object as answered.
  json::Value make(std::string collection, const json::Value& object);

  // Everything the store holds below a key, by key.
  std::map<std::string, std::string> stored(const std::string& prefix = "");
  // Events of a watch until `count` have come (bookmarks included), or the server ends it.
  std::vector<json::Value> watch(std::string target, std::size_t count, http::Headers headers = {});

  ServerOptions options_;
  std::string directory_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<ApiServer> server_;
};

json::Value config_map(std::string name, std::string value = "1");
json::Value pod(std::string name, std::string node = {});
inline const std::string kConfigMaps = "/api/v1/namespaces/default/configmaps";
inline const std::string kPods = "/api/v1/namespaces/default/pods";

}  // namespace lab::apiserver
