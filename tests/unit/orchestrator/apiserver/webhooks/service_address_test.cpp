#include "orchestrator/apiserver/webhooks/service_address.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace lab::apiserver::webhooks {
namespace {

// What the caches would hold.
class Objects final : public ObjectReader {
 public:
  void add(std::string_view plural, std::string_view name, const char* text) {
    objects_[std::string(plural) + "/" + std::string(name)] = std::make_shared<const json::Value>(*json::parse(text));
  }
  ObjectPtr get(const api::Kind& kind, std::string_view ns, std::string_view name) const override {
    auto it = objects_.find(kind.plural + "/" + std::string(name));
    return it == objects_.end() || ns != "ns" ? nullptr : it->second;
  }
  std::vector<ObjectPtr> list(const api::Kind&, std::string_view) const override { return {}; }
  std::vector<ObjectPtr> pods_of_node(std::string_view, std::string_view) const override { return {}; }
  std::int64_t revision_of(const api::Kind&) const override { return 0; }

 private:
  std::map<std::string, ObjectPtr> objects_;
};

TEST(ServiceAddress, IsThatOfAReadyEndpointOfThePort) {
  Objects objects;
  objects.add("services", "hook", R"({"spec":{"ports":[{"name":"metrics","port":80},{"name":"https","port":443}]}})");
  objects.add("endpoints", "hook", R"({"subsets":[{"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}],
    "notReadyAddresses":[{"ip":"10.0.0.3"}],"ports":[{"name":"metrics","port":9090},{"name":"https","port":8443}]}]})");
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    auto address = resolve_service(objects, "ns", "hook", 443);
    ASSERT_TRUE(address) << address.error().text();
    EXPECT_EQ(address->port, 8443);
    seen.insert(address->host);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(resolve_service(objects, "ns", "hook", 80)->port, 9090);
}

TEST(ServiceAddress, SaysWhatIsMissing) {
  Objects objects;
  auto why = [&](int port) { return resolve_service(objects, "ns", "hook", port).error().message; };
  EXPECT_EQ(why(443), "service \"hook\" not found");
  objects.add("services", "hook", R"({"spec":{"ports":[{"port":443}]}})");
  EXPECT_EQ(why(444), "no service port 444 found for service \"hook\"");
  EXPECT_EQ(why(443), "no endpoints available for service \"hook\"");
  objects.add("endpoints", "hook",
              R"({"subsets":[{"notReadyAddresses":[{"ip":"10.0.0.3"}],"ports":[{"port":8443}]}]})");
  EXPECT_EQ(why(443), "no endpoints available for service \"hook\"");
  objects.add("services", "hook", R"({"spec":{"type":"ExternalName","externalName":"example.org"}})");
  EXPECT_EQ(resolve_service(objects, "ns", "hook", 443)->host, "example.org");
}

}  // namespace
}  // namespace lab::apiserver::webhooks
