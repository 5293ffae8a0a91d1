// The API's own golden data: each kind once as JSON and once as protobuf, every field set.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/fs.h"
#include "orchestrator/api/codec.h"
#include "orchestrator/api/kind.h"

namespace lab::api {
namespace {

// Objects compared without regard to the order of keys; the first difference is named.
std::string difference(const json::Value& a, const json::Value& b, const std::string& path = "") {
  if (a.is_object() && b.is_object()) {
    for (const auto& [key, value] : a.get_object()) {
      const auto* other = b.get_object().if_contains(key);
      const std::string below = path + "." + std::string(key);
      if (!other) return below + " is missing: " + json::dump(value);
      if (auto d = difference(value, *other, below); !d.empty()) return d;
    }
    for (const auto& [key, value] : b.get_object())
      if (!a.get_object().contains(key)) return path + "." + std::string(key) + " is extra: " + json::dump(value);
    return {};
  }
  if (a.is_array() && b.is_array() && a.get_array().size() == b.get_array().size()) {
    for (std::size_t i = 0; i < a.get_array().size(); ++i)
      if (auto d = difference(a.get_array()[i], b.get_array()[i], path + "[" + std::to_string(i) + "]"); !d.empty())
        return d;
    return {};
  }
  return a == b ? std::string() : path + ": " + json::dump(a) + " is not " + json::dump(b);
}

struct Golden {
  std::string name, protobuf;
  json::Value object;
};

// The pairs whose kind the schema knows.
const std::vector<Golden>& golden() {
  static const std::vector<Golden> all = [] {
    std::vector<Golden> out;
    for (const auto& name : fs::list_dir(LAB_GOLDEN_DIR).value_or(std::vector<std::string>())) {
      if (!name.ends_with(".json")) continue;
      const std::string stem = fs::join(LAB_GOLDEN_DIR, name.substr(0, name.size() - 5));
      auto object = json::parse(fs::read_file(stem + ".json").value_or(""));
      auto bytes = fs::read_file(stem + ".pb");
      if (!object || !bytes) {
        ADD_FAILURE() << "cannot read the pair " << stem;
        continue;
      }
      if (type_of(json::str(*object, "apiVersion"), json::str(*object, "kind"))) out.push_back({name, *bytes, *object});
    }
    return out;
  }();
  return all;
}

// Kinds served for which the packages hold no pair, and why. Nothing else may be missing.
const std::set<std::string> kWithoutPair{
    "apiextensions.k8s.io.v1.CustomResourceDefinition",  // no package holds that group's test data
    "apiregistration.k8s.io.v1.APIService",              // nor this one's
    "metrics.k8s.io.v1beta1.NodeMetrics",                // nor this one's
    "metrics.k8s.io.v1beta1.PodMetrics",
    // Younger than the packages, which hold them as alpha or beta.
    "admissionregistration.k8s.io.v1.MutatingAdmissionPolicy",
    "admissionregistration.k8s.io.v1.MutatingAdmissionPolicyBinding",
    "networking.k8s.io.v1.IPAddress",
    "networking.k8s.io.v1.ServiceCIDR",
    "resource.k8s.io.v1.DeviceClass",
    "resource.k8s.io.v1.ResourceClaim",
    "resource.k8s.io.v1.ResourceClaimTemplate",
    "resource.k8s.io.v1.ResourceSlice",
    "storage.k8s.io.v1.VolumeAttributesClass",
};

bool has_pair(const std::string& name) {
  return std::ranges::any_of(golden(), [&](const Golden& g) { return g.name == name + ".json"; });
}

TEST(Golden, CoversEveryKindServed) {
  for (const auto& kind : builtin_kinds()) {
    const std::string name = (kind->group.empty() ? "core" : kind->group) + "." + kind->version + "." + kind->kind;
    EXPECT_EQ(has_pair(name), !kWithoutPair.contains(name)) << name << ": its pair in " << LAB_GOLDEN_DIR;
  }
  // What is sent beside the objects of resources.
  for (const char* name : {"core.v1.Status", "core.v1.DeleteOptions", "core.v1.PodExecOptions", "autoscaling.v1.Scale",
                           "policy.v1.Eviction", "policy.v1beta1.Eviction", "authentication.k8s.io.v1.TokenRequest"})
    EXPECT_TRUE(has_pair(name)) << name;
}

TEST(Golden, ProtobufBecomesTheSameJson) {
  for (const auto& g : golden()) {
    auto object = decode_protobuf(g.protobuf);
    ASSERT_TRUE(object) << g.name << ": " << object.error().message;
    EXPECT_EQ(difference(g.object, *object), "") << g.name;
  }
}

TEST(Golden, JsonBecomesTheSameBytes) {
  for (const auto& g : golden()) {
    auto bytes = encode_protobuf(g.object);
    ASSERT_TRUE(bytes) << g.name << ": " << bytes.error().message;
    EXPECT_EQ(*bytes == g.protobuf, true) << g.name << ": " << bytes->size() << " bytes, " << g.protobuf.size();
  }
}

TEST(Golden, EveryFieldIsKnownAndSurvivesNormalising) {
  for (const auto& g : golden()) {
    const Type* type = type_of(json::str(g.object, "apiVersion"), json::str(g.object, "kind"));
    EXPECT_EQ(unknown_fields(*type, g.object), std::vector<std::string>()) << g.name;
    json::Value object = g.object;
    add_zero_values(*type, object);
    EXPECT_EQ(difference(g.object, object), "") << g.name << ": zero values were added to a full object";
    auto normal = normalize(*type, object);
    ASSERT_TRUE(normal) << g.name << ": " << normal.error().message;
    EXPECT_EQ(difference(g.object, object), "") << g.name;
  }
}

TEST(Golden, CutOrFlippedBytesAreRefusedOrRead) {
  // Never a crash, whatever arrives; sanitizers watch this one.
  for (const auto& g : golden()) {
    for (std::size_t cut = 4; cut < g.protobuf.size(); cut += 7) (void)decode_protobuf(g.protobuf.substr(0, cut));
    std::string flipped = g.protobuf;
    for (std::size_t i = 4; i < flipped.size(); i += 5) {
      flipped[i] ^= static_cast<char>(1 << (i % 8));
      (void)decode_protobuf(flipped);
    }
  }
}

}  // namespace
}  // namespace lab::api
