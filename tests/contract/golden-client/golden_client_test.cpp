// What Kubernetes' own Go client sends as protobuf is stored as what it sends as JSON.
#include <map>
#include <regex>
#include <set>

#include "base/subprocess.h"
#include "orchestrator/api/kind.h"
#include "tests/unit/orchestrator/apiserver/fixture.h"

namespace lab::apiserver {
namespace {

// Kinds that the client cannot send, and why.
const std::set<std::string> kNotSent{
    "apiextensions.k8s.io/v1 CustomResourceDefinition",  // no Debian package holds its Go types
    "apiregistration.k8s.io/v1 APIService",              // nor this one's
    // Younger than the packages' client.
    "admissionregistration.k8s.io/v1 MutatingAdmissionPolicy",
    "admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding",
    "networking.k8s.io/v1 IPAddress",
    "networking.k8s.io/v1 ServiceCIDR",
    "resource.k8s.io/v1 DeviceClass",
    "resource.k8s.io/v1 ResourceClaim",
    "resource.k8s.io/v1 ResourceClaimTemplate",
    "resource.k8s.io/v1 ResourceSlice",
    "storage.k8s.io/v1 VolumeAttributesClass",
};

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

// A stored object without what the server makes anew for every object; NAME-protobuf reads as NAME-json.
std::string neutral(const std::string& stored) {
  static const std::vector<std::pair<std::regex, std::string>> own{
      {std::regex(R"("uid":"[0-9a-f-]{36}")"), R"("uid":"")"},
      {std::regex(R"("creationTimestamp":"[^"]+")"), R"("creationTimestamp":"")"},
      {std::regex(R"("clusterIP":"[0-9.]+","clusterIPs":\["[0-9.]+"\])"), R"("clusterIP":"")"},
      {std::regex("kube-api-access-[a-z0-9]{5}"), "kube-api-access-"},
  };
  std::string text = replaced(stored, "-protobuf", "-json");
  for (const auto& [pattern, with] : own) text = std::regex_replace(text, pattern, with);
  return text;
}

TEST_F(ServerTest, ProtobufFromTheGoClientIsStoredAsItsJsonIs) {
  auto client = run_checked({.argv = {LAB_SOURCE_DIR "/tools/fetch-golden-client"}});
  ASSERT_TRUE(client) << client.error().text();
  auto ran = run({.argv = {client->substr(0, client->find('\n')), "http://127.0.0.1:" + std::to_string(server_->port()),
                           "admin-token", LAB_SOURCE_DIR "/tests/contract/golden-client/minimal.yaml"},
                  .timeout = std::chrono::minutes(5)});
  ASSERT_TRUE(ran) << ran.error().text();
  EXPECT_TRUE(ran->ok()) << ran->out << ran->err;

  const auto kept = stored("/registry/");
  std::set<std::string> pairs;  // prefixes of kinds that are there twice
  for (const auto& [key, value] : kept) {
    if (!key.ends_with("-protobuf")) continue;
    auto twin = kept.find(replaced(key, "-protobuf", "-json"));
    ASSERT_NE(twin, kept.end()) << key << " has no twin that was sent as JSON";
    auto object = json::parse(neutral(value)), other = json::parse(neutral(twin->second));
    ASSERT_TRUE(object && other) << key;
    EXPECT_TRUE(*object == *other) << key << "\n" << value << "\n" << twin->second;  // whatever the order of keys
    auto kind = api::find_kind_by_name(json::str(*object, "apiVersion"), json::str(*object, "kind"));
    ASSERT_TRUE(kind) << value;
    pairs.insert(kind->storage_prefix);
  }
  for (const auto& kind : api::builtin_kinds()) {
    const std::string name = kind->api_version() + " " + kind->kind;
    if (std::ranges::find(kind->verbs, "create") == kind->verbs.end()) continue;
    if (kNotSent.contains(name)) {
      EXPECT_FALSE(pairs.contains(kind->storage_prefix)) << name << " is sent after all";
      continue;
    }
    EXPECT_NE(("\n" + ran->out).find("\n" + name + ": equal\n"), std::string::npos) << name << " was not sent\n"
                                                                                    << ran->out;
    if (!kind->virtual_kind) EXPECT_TRUE(pairs.contains(kind->storage_prefix)) << name << " is not in the store twice";
  }
}

}  // namespace
}  // namespace lab::apiserver
