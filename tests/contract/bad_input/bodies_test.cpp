// Bodies that are no object: too big, cut off, of another form, random. Each gets a Status that says what is wrong, and
// changes nothing.
#include <random>

#include "orchestrator/api/codec.h"
#include "tests/contract/bad_input/unharmed.h"

namespace lab::apiserver {
namespace {

const http::Headers kProtobuf{{"Content-Type", "application/vnd.kubernetes.protobuf"}};

TEST_F(BadInput, OversizedBodiesAreTooLarge) {
  const auto before = stored();
  auto big = config_map("big");
  json::set(big, std::string(4u << 20, 'x'), "data", "value");
  expect_refused(post(kConfigMaps, big), 413, "Request entity too large: limit is 3145728");
  json::set(big, std::string(2u << 20, 'x'), "data", "value");  // passes the door, but is more than the kind may hold
  expect_refused(post(kConfigMaps, big), 422, "Too long: may not be more than 1048576 bytes");
  EXPECT_EQ(stored(), before);
  make(kConfigMaps, config_map("small"));
}

TEST_F(BadInput, BrokenJsonIsNamed) {
  const auto before = stored();
  const std::string whole = json::dump(pod("p"));
  for (std::size_t cut = 1; cut < whole.size(); cut += 3)
    expect_refused(call("POST", kPods, whole.substr(0, cut)), 400, "JSON");
  for (const char* text : {"[]", "null", "17", "\"text\"", "{}{}", "{\"a\":}", "{a: 1}", "\xff\xfe{}", "<html>"})
    expect_refused(call("POST", kPods, text), 400, "");
  expect_refused(call("POST", kPods, std::string(100000, '[')), 400, "");
  expect_refused(call("POST", kPods, whole, {{"Content-Type", "text/plain"}}), 415, "application/json");
  auto wrong = pod("p");
  json::set(wrong, "many", "spec", "terminationGracePeriodSeconds");
  expect_refused(
      post(kPods, wrong), 400,
      "cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64");
  EXPECT_EQ(stored(), before);
  EXPECT_EQ(call("POST", kPods, whole).status, 201);
}

TEST_F(BadInput, UnknownAndDoubleFieldsAreNamedWhenStrict) {
  const auto before = stored();
  const std::string text =
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"nodename":"n","containers":
      [{"name":"c","image":"x","image":"y","env":[{"nam":"a"}]}]}})";
  const std::string strict = kPods + "?fieldValidation=Strict";
  for (const auto& [type, twice] : {std::pair{"application/json", "duplicate field \"spec.containers[0].image\""},
                                    {"application/yaml", "line 2: key \"image\" already set in map"}})
    for (const char* words : {"strict decoding error: ", "unknown field \"spec.nodename\"",
                              "unknown field \"spec.containers[0].env[0].nam\"", twice})
      expect_refused(call("POST", strict, text, {{"Content-Type", type}}), 400, words);  // JSON is YAML
  expect_refused(call("POST", kPods + "?fieldValidation=Loud", text), 400, "supported values");
  EXPECT_EQ(stored(), before);
}

TEST_F(BadInput, BrokenPatchesAreNamed) {
  make(kConfigMaps, config_map("a"));
  const auto before = stored();
  for (const char* type : {"application/json-patch+json", "application/merge-patch+json",
                           "application/strategic-merge-patch+json", "application/apply-patch+yaml"})
    for (const char* text : {"{", "17", "[{]", "{\"data\": 3}"}) {
      auto answer = call("PATCH", kConfigMaps + "/a?fieldManager=me", text, {{"Content-Type", type}});
      EXPECT_TRUE(answer.status == 400 || answer.status == 422) << type << " " << text << ": " << answer.text;
      EXPECT_FALSE(json::str(answer.body, "message").empty()) << answer.text;
    }
  EXPECT_EQ(stored(), before);
}

TEST_F(BadInput, BrokenProtobufIsNamed) {
  const auto before = stored();
  const auto whole = api::encode_protobuf(pod("p"));
  ASSERT_TRUE(whole);
  // The envelope ends with two empty fields of two bytes each, which may be missing.
  for (std::size_t cut = 1; cut < whole->size() - 4; ++cut) {
    auto answer = call("POST", kPods, whole->substr(0, cut), kProtobuf);
    EXPECT_TRUE(answer.status == 400 || answer.status == 422) << cut << " bytes: " << answer.text;
    EXPECT_FALSE(json::str(answer.body, "message").empty()) << cut << " bytes: " << answer.text;
  }
  expect_refused(call("POST", kPods, "k8s\1" + whole->substr(4), kProtobuf), 400, "prefix");
  expect_refused(call("POST", kPods, json::dump(pod("p")), kProtobuf), 400, "prefix");
  expect_refused(call("POST", kPods, whole->substr(0, whole->size() - 10), kProtobuf), 400,
                 "malformed protobuf at byte");
  const auto other = api::encode_protobuf(config_map("c"));
  expect_refused(call("POST", kPods, *other, kProtobuf), 400, "ConfigMap");
  EXPECT_EQ(stored(), before);
}

TEST_F(BadInput, RandomBytesAreRefused) {
  const auto before = stored();
  std::mt19937 random(20240607);
  for (int i = 0; i < 300; ++i) {
    std::string bytes(1 + random() % 300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const bool protobuf = i % 2 == 0;
    if (protobuf && i % 4 == 0) bytes = std::string(api::kProtobufMagic) + bytes;
    auto answer = call("POST", kPods, bytes,
                       {{"Content-Type", protobuf ? "application/vnd.kubernetes.protobuf" : "application/json"}});
    EXPECT_TRUE(answer.status == 400 || answer.status == 422) << "round " << i << ": " << answer.text;
  }
  EXPECT_EQ(stored(), before);
  make(kPods, pod("p"));
}

TEST_F(BadInput, APortThatIsTakenIsNamed) {
  auto options = options_;
  options.port = server_->port();
  auto second = ApiServer::start(options);
  ASSERT_FALSE(second);
  const auto said = second.error().text();
  EXPECT_NE(said.find(std::to_string(server_->port())), std::string::npos) << said;
  EXPECT_NE(said.find("Address already in use"), std::string::npos) << said;
  make(kConfigMaps, config_map("a"));  // the first one goes on
}

TEST_F(BadInput, TokensThatDoNotHoldAreNamed) {
  const auto before = stored();
  const std::string unknown = "the bearer token is unknown to this cluster";
  for (const auto& [token, words] : std::map<std::string, std::string>{
           {"Bearer nobody", unknown + "; check that the token is whole and belongs to this cluster"},
           {"Bearer a.b.c", unknown},
           {"Bearer abcdef.0123456789abcdef", "bootstrap token \"abcdef\" is unknown to this cluster"},
           {"Bearer", "carries no credentials"},
           {"Basic YTpi", "carries no credentials"}})
    expect_refused(call("POST", kConfigMaps, json::dump(config_map("a")),
                        {{"Authorization", token}, {"Content-Type", "application/json"}}),
                   401, words);
  EXPECT_EQ(stored(), before);
}

}  // namespace
}  // namespace lab::apiserver
