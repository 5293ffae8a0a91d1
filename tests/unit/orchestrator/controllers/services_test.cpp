#include "base/crypto/encoding.h"
#include "cluster.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

using ServicesTest = ControllersTest;

TEST_F(ServicesTest, EndpointsAndSlicesFollowThePods) {
  auto body = [this]() -> Task<void> {
    co_await create(res::services, "default", parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},
      "spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":"http"}]}})"));
    auto ready_in = [this](std::size_t want) -> Task<bool> {
      auto endpoints = co_await get(res::endpoints, "default", "web");
      std::size_t addresses = 0, sliced = 0;
      for (const auto& subset : json::list(endpoints, "subsets")) addresses += json::list(subset, "addresses").size();
      for (auto& slice : co_await list(res::endpointslices, "default", "kubernetes.io/service-name=web"))
        for (const auto& endpoint : json::list(slice, "endpoints"))
          sliced += json::flag(endpoint, "conditions", "ready");
      co_return !endpoints.is_null() && addresses == want && sliced == want;
    };
    auto none = [&]() -> Task<bool> { co_return co_await ready_in(0); };
    auto three = [&]() -> Task<bool> { co_return co_await ready_in(3); };
    auto one = [&]() -> Task<bool> { co_return co_await ready_in(1); };
    EXPECT_TRUE(co_await until(none));
    co_await create(res::deployments, "default", deployment("web", 3, "img"));
    EXPECT_TRUE(co_await until(three));
    auto slices = co_await list(res::endpointslices, "default", "kubernetes.io/service-name=web");
    EXPECT_EQ(json::num(json::list(slices[0], "ports")[0], "port"), 8080);
    EXPECT_EQ(json::str(json::list(slices[0], "endpoints")[0], "targetRef", "kind"), "Pod");
    co_await patch(res::deployments, "default", "web", R"({"spec":{"replicas":1}})");
    EXPECT_TRUE(co_await until(one));

    EXPECT_TRUE(co_await client_->remove(res::services, "default", "web"));
    EXPECT_TRUE(co_await until_gone(res::endpoints, "default", "web"));
    auto unsliced = [this]() -> Task<bool> {
      co_return (co_await list(res::endpointslices, "default", "kubernetes.io/service-name=web")).empty();
    };
    EXPECT_TRUE(co_await until(unsliced));
  };
  run(body);
}

TEST_F(ServicesTest, EndpointsAreForTheirOwnZoneWhereTheServiceAsksForIt) {
  auto body = [this]() -> Task<void> {
    nodes_->names = {"n1", "n2"};
    co_await add_node("n1", R"({"topology.kubernetes.io/zone":"east"})");
    co_await add_node("n2", R"({"topology.kubernetes.io/zone":"west"})");
    co_await create(res::services, "default", parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},
      "spec":{"selector":{"app":"web"},"trafficDistribution":"PreferClose","ports":[{"port":80}]}})"));
    co_await create(res::deployments, "default", deployment("web", 2, "img"));
    // The zones that endpoints are for, in order.
    auto hinted = [this]() -> Task<std::string> {
      std::set<std::string> zones;
      for (auto& slice : co_await list(res::endpointslices, "default", "kubernetes.io/service-name=web"))
        for (const auto& e : json::list(slice, "endpoints"))
          for (const auto& z : json::list(e, "hints", "forZones"))
            if (json::str(z, "name") == json::str(e, "zone")) zones.emplace(json::str(z, "name"));
      std::string out;
      for (const auto& z : zones) out += z + " ";
      co_return out;
    };
    auto both = [&]() -> Task<bool> { co_return co_await hinted() == "east west "; };
    auto none = [&]() -> Task<bool> { co_return (co_await hinted()).empty(); };
    EXPECT_TRUE(co_await until(both));
    co_await patch(res::services, "default", "web", R"({"spec":{"trafficDistribution":null}})");
    EXPECT_TRUE(co_await until(none));
  };
  run(body);
}

TEST_F(ServicesTest, AServiceWithoutSelectorIsLeftAlone) {
  auto body = [this]() -> Task<void> {
    co_await create(
        res::services, "default",
        parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"ext"},"spec":{"ports":[{"port":80}]}})"));
    co_await create(res::endpoints, "default", parse(R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"ext"},
                             "subsets":[{"addresses":[{"ip":"192.0.2.7"}],"ports":[{"port":80}]}]})"));
    // Another service's endpoints show that the controllers had their turn.
    co_await create(res::services, "default", parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"later"},
                             "spec":{"selector":{"a":"b"},"ports":[{"port":80}]}})"));
    auto served = [this]() -> Task<bool> { co_return !(co_await get(res::endpoints, "default", "later")).is_null(); };
    EXPECT_TRUE(co_await until(served));
    auto endpoints = co_await get(res::endpoints, "default", "ext");
    EXPECT_EQ(json::list(endpoints, "subsets").size(), 1u);
  };
  run(body);
}

TEST_F(ServicesTest, TokenSecretsAreFilledAndGoWithTheirAccount) {
  options.root_ca_pem = "PEM";
  options.sign_token = [](const json::Value& account, const json::Value& secret) -> Result<std::string> {
    return "token of " + name_of(account) + " in " + name_of(secret);
  };
  auto body = [this]() -> Task<void> {
    co_await create(res::serviceaccounts, "default",
                    parse(R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot"}})"));
    co_await create(
        res::secrets, "default",
        parse(R"({"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/service-account-token","metadata":{
                             "name":"key","annotations":{"kubernetes.io/service-account.name":"robot"}}})"));
    auto filled = [this]() -> Task<bool> {
      auto secret = co_await get(res::secrets, "default", "key");
      co_return crypto::base64_decode(json::str(secret, "data", "token")).value_or("") == "token of robot in key" &&
          crypto::base64_decode(json::str(secret, "data", "ca.crt")).value_or("") == "PEM";
    };
    EXPECT_TRUE(co_await until(filled));
    EXPECT_TRUE(co_await client_->remove(res::serviceaccounts, "default", "robot"));
    EXPECT_TRUE(co_await until_gone(res::secrets, "default", "key"));
  };
  run(body);
}

TEST_F(ServicesTest, EveryNamespaceGetsItsAccountAndCa) {
  options.root_ca_pem = "PEM";
  auto body = [this]() -> Task<void> {
    co_await create(res::namespaces, "", parse(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}})"));
    auto there = [this]() -> Task<bool> {
      auto account = co_await get(res::serviceaccounts, "shop", "default");
      auto ca = co_await get(res::configmaps, "shop", "kube-root-ca.crt");
      co_return !account.is_null() && json::str(ca, "data", "ca.crt") == "PEM";
    };
    EXPECT_TRUE(co_await until(there));
    EXPECT_TRUE(co_await client_->remove(res::serviceaccounts, "shop", "default"));
    co_await patch(res::configmaps, "shop", "kube-root-ca.crt", R"({"data":{"ca.crt":"forged"}})");
    EXPECT_TRUE(co_await until(there));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
