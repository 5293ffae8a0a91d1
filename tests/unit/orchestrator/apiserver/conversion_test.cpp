// Custom resources in several versions: by name alone, and through a conversion webhook that is a real HTTPS server.
#include <thread>

#include "webhook_server.h"

namespace lab::apiserver {
namespace {

// v1 has spec.hostPort ("a:1"), v2 has spec.host and spec.port.
json::Value converted(json::Value object, const std::string& version) {
  auto& spec = object.at("spec").as_object();
  if (version == "example.com/v2" && spec.contains("hostPort")) {
    const std::string both(json::as_str(spec.at("hostPort")));
    spec.erase("hostPort");
    spec["host"] = both.substr(0, both.find(':'));
    spec["port"] = both.substr(both.find(':') + 1);
  } else if (version == "example.com/v1" && spec.contains("host")) {
    spec["hostPort"] = std::string(json::as_str(spec.at("host"))) + ":" + std::string(json::as_str(spec.at("port")));
    spec.erase("host");
    spec.erase("port");
  }
  object.as_object()["apiVersion"] = version;
  return object;
}

json::Value answer_conversion(const std::string& path, const json::Value& request) {
  if (path == "/fail")
    return json::Object{{"result", json::Object{{"status", "Failure"}, {"message", "cannot be done"}}}};
  json::Array out;
  for (const auto& object : json::list(request, "objects"))
    out.push_back(converted(object, std::string(json::str(request, "desiredAPIVersion"))));
  if (path == "/short" && !out.empty()) out.pop_back();
  if (path == "/rename") out[0].at("metadata").as_object()["name"] = "another";
  return json::Object{{"result", json::Object{{"status", "Success"}}}, {"convertedObjects", std::move(out)}};
}

class ConversionTest : public ServerTest {
 protected:
  const std::string definitions_ = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const std::string v1_ = "/apis/example.com/v1/namespaces/default/ends",
                    v2_ = "/apis/example.com/v2/namespaces/default/ends";

  json::Value definition(const std::string& stored, const std::string& path) const {
    json::Array versions;
    for (std::string name : {"v1", "v2"})
      versions.push_back(json::Object{
          {"name", name},
          {"served", true},
          {"storage", name == stored},
          {"schema",
           *json::parse(R"({"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":)" +
                        std::string(name == "v1" ? R"({"hostPort":{"type":"string"}})"
                                                 : R"({"host":{"type":"string"},"port":{"type":"string"}})") +
                        "}}}}")}});
    json::Object conversion{{"strategy", "None"}};
    if (!path.empty())
      conversion = {{"strategy", "Webhook"},
                    {"webhook", json::Object{{"clientConfig", hooks_.by_url(path)},
                                             {"conversionReviewVersions", json::Array{"v1"}}}}};
    return json::Object{{"metadata", json::Object{{"name", "ends.example.com"}}},
                        {"spec", json::Object{{"group", "example.com"},
                                              {"scope", "Namespaced"},
                                              {"names", json::Object{{"plural", "ends"}, {"kind", "End"}}},
                                              {"versions", std::move(versions)},
                                              {"conversion", std::move(conversion)}}}};
  }
  void define(const std::string& stored, const std::string& path) {
    make(definitions_, definition(stored, path));
    ASSERT_TRUE(eventually(v2_, [](const Answer& a) { return a.status == 200; }));
  }
  // Changes the definition, and waits until what `path` answers shows it.
  bool redefine(const std::string& stored, const std::string& hook, const std::string& path,
                std::function<bool(const Answer&)> shows) {
    EXPECT_EQ(
        merge(definitions_ + "/ends.example.com", json::Object{{"spec", json::at(definition(stored, hook), "spec")}})
            .status,
        200);
    return eventually(path, std::move(shows));
  }
  bool eventually(const std::string& path, std::function<bool(const Answer&)> holds) {
    for (int i = 0; i < 600; ++i) {
      if (holds(get(path))) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }
  static json::Value end(std::string name, std::string version, std::string spec) {
    return json::Object{{"apiVersion", "example.com/" + version},
                        {"kind", "End"},
                        {"metadata", json::Object{{"name", name}}},
                        {"spec", *json::parse(spec)}};
  }

  WebhookServer hooks_{answer_conversion};
};

TEST_F(ConversionTest, EachVersionIsAnsweredInItsOwnShape) {
  define("v1", "/convert");
  auto made = make(v2_, end("a", "v2", R"({"host":"h","port":"80"})"));
  EXPECT_EQ(json::str(made, "apiVersion"), "example.com/v2");
  EXPECT_EQ(json::str(made, "spec", "host"), "h");
  EXPECT_EQ(json::str(get(v1_ + "/a").body, "spec", "hostPort"), "h:80");
  EXPECT_NE(stored("/registry/example.com/").begin()->second.find("hostPort"), std::string::npos);
  auto changed = merge(v2_ + "/a", *json::parse(R"({"spec":{"port":"81"}})"));
  EXPECT_EQ(json::str(changed.body, "spec", "port"), "81") << changed.text;
  EXPECT_EQ(json::str(get(v1_ + "/a").body, "spec", "hostPort"), "h:81");
  EXPECT_EQ(json::str(changed.body, "metadata", "uid"), json::str(made, "metadata", "uid"));
  auto events = watch(v2_ + "?watch=true", 1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(json::str(events[0], "object", "spec", "host"), "h");
  EXPECT_EQ(remove(v2_ + "/a").status, 200);
}

TEST_F(ConversionTest, AListOfObjectsStoredInDifferentVersionsIsConvertedAtOnce) {
  define("v1", "/convert");
  make(v1_, end("a", "v1", R"({"hostPort":"a:1"})"));
  ASSERT_TRUE(redefine("v2", "/convert", definitions_ + "/ends.example.com",
                       [](const Answer& a) { return json::list(a.body, "status", "storedVersions").size() == 2; }));
  make(v2_, end("b", "v2", R"({"host":"b","port":"2"})"));
  make(v1_, end("c", "v1", R"({"hostPort":"c:3"})"));
  const auto before = hooks_.requests().size();
  auto first = get(v1_), second = get(v2_);
  ASSERT_EQ(json::list(first.body, "items").size(), 3u) << first.text;
  for (const auto& item : json::list(first.body, "items")) {
    EXPECT_EQ(json::str(item, "apiVersion"), "example.com/v1");
    EXPECT_TRUE(json::has(item, "spec", "hostPort")) << json::dump(item);
  }
  for (const auto& item : json::list(second.body, "items")) {
    EXPECT_EQ(json::str(item, "apiVersion"), "example.com/v2");
    EXPECT_TRUE(json::has(item, "spec", "host")) << json::dump(item);
  }
  auto asked = hooks_.requests();
  ASSERT_EQ(asked.size(), before + 2);
  EXPECT_EQ(json::list(asked[before].second, "objects").size(), 2u);      // b and c are stored as v2
  EXPECT_EQ(json::list(asked[before + 1].second, "objects").size(), 1u);  // a as v1
}

TEST_F(ConversionTest, WhatCannotBeConvertedIsSaid) {
  define("v1", "/convert");
  make(v1_, end("a", "v1", R"({"hostPort":"a:1"})"));
  auto says = [](const char* text) {
    return [text](const Answer& a) { return a.status == 500 && a.text.find(text) != std::string::npos; };
  };
  EXPECT_TRUE(redefine("v1", "/fail", v2_ + "/a",
                       says("conversion webhook for example.com/v1, Kind=End failed: cannot be done")));
  EXPECT_TRUE(redefine("v1", "/short", v2_ + "/a", says("webhook returned 0 objects, expected 1")));
  EXPECT_TRUE(redefine("v1", "/rename", v2_ + "/a", says("must have the same name: a != another")));
  EXPECT_EQ(get(v1_ + "/a").status, 200);  // what is stored needs nobody
}

TEST_F(ConversionTest, WithoutAWebhookVersionsDifferInTheirNameAlone) {
  define("v1", "");
  make(v1_, end("a", "v1", R"({"hostPort":"a:1"})"));
  auto other = get(v2_ + "/a");
  EXPECT_EQ(json::str(other.body, "apiVersion"), "example.com/v2");
  EXPECT_TRUE(hooks_.requests().empty());
}

TEST_F(ConversionTest, TheWebhookOfADefinitionIsValidated) {
  auto bad = definition("v1", "/convert");
  bad.at("spec").at("conversion").at("webhook").as_object()["conversionReviewVersions"] = json::Array{};
  auto refused = post(definitions_, bad);
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.text.find("spec.conversion.webhook.conversionReviewVersions"), std::string::npos) << refused.text;
}

}  // namespace
}  // namespace lab::apiserver
