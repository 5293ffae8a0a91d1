// ServiceAccount: every Pod runs as one, with a token, the cluster's CA and its namespace mounted where clients look.
#include "base/crypto/digest.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/admission/edit.h"

namespace lab::apiserver::admission {
namespace {

using json::Array;
using json::Object;
using json::Value;

constexpr std::string_view kMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view kVolumePrefix = "kube-api-access-";
constexpr std::string_view kMirror = "kubernetes.io/config.mirror";
// An hour, and seven seconds by which the issuer knows such tokens and gives them longer where that is asked for.
constexpr int kTokenSeconds = 3607;

// {a: b} with a nested object as a list of one; Boost.JSON's braces would take a single element for a copy.
Array list_of(Value v) {
  Array out;
  out.push_back(std::move(v));
  return out;
}

Value token_volume(std::string_view name) {
  Array sources;
  sources.push_back(Object{{"serviceAccountToken", Object{{"expirationSeconds", kTokenSeconds}, {"path", "token"}}}});
  sources.push_back(Object{{"configMap", Object{{"items", list_of(Object{{"key", "ca.crt"}, {"path", "ca.crt"}})},
                                                {"name", "kube-root-ca.crt"}}}});
  Object field{{"apiVersion", "v1"}, {"fieldPath", "metadata.namespace"}};
  sources.push_back(Object{
      {"downwardAPI", Object{{"items", list_of(Object{{"fieldRef", std::move(field)}, {"path", "namespace"}})}}}});
  return Object{{"name", name}, {"projected", Object{{"defaultMode", 420}, {"sources", std::move(sources)}}}};
}

bool mounts_token(const Value& container) {
  for (const auto& m : json::list(container, "volumeMounts"))
    if (json::str(m, "mountPath") == kMountPath) return true;
  return false;
}

void mount_token(Value& spec) {
  std::string volume;
  for (const auto& v : json::list(spec, "volumes"))
    if (json::str(v, "name").starts_with(kVolumePrefix)) volume = json::str(v, "name");
  bool fresh = volume.empty();
  if (fresh) volume = std::string(kVolumePrefix) + crypto::random_text(5, "bcdfghjklmnpqrstvwxz2456789");
  bool used = false;
  for (const char* field : {"initContainers", "containers"}) {
    auto* containers = find_list(spec, field);
    if (!containers) continue;
    for (auto& c : *containers) {
      if (mounts_token(c)) continue;
      make_list(c, "volumeMounts").push_back(Object{{"name", volume}, {"readOnly", true}, {"mountPath", kMountPath}});
      used = true;
    }
  }
  if (used && fresh) make_list(spec, "volumes").push_back(token_volume(volume));
}

bool wants_token(const Value& pod, const Value& account) {
  if (const Value& own = json::at(pod, "spec", "automountServiceAccountToken"); own.is_bool()) return own.get_bool();
  if (const Value& shared = json::at(account, "automountServiceAccountToken"); shared.is_bool())
    return shared.get_bool();
  return true;
}

// Mirror Pods stand for what a node runs by itself: they may name nothing of the API.
Result<void> check_mirror(const WriteContext& ctx, const Value& pod) {
  if (!json::str(pod, "spec", "serviceAccountName").empty())
    return refuse(ctx, "a mirror pod may not reference service accounts");
  for (const auto& v : json::list(pod, "spec", "volumes")) {
    if (json::has(v, "secret")) return refuse(ctx, "a mirror pod may not reference secrets");
    for (const auto& s : json::list(v, "projected", "sources"))
      if (json::has(s, "serviceAccountToken"))
        return refuse(ctx, "a mirror pod may not use ServiceAccountToken volume projections");
  }
  return {};
}

}  // namespace

Result<void> service_account(WriteContext& ctx, const Value* old, Value* object) {
  if (!is(ctx, "", "pods") || !is_create(ctx, old, object)) return {};
  if (json::has(*object, "metadata", "annotations", kMirror)) return check_mirror(ctx, *object);
  std::string name(json::str(*object, "spec", "serviceAccountName"));
  if (name.empty()) name = json::str(*object, "spec", "serviceAccount");
  if (name.empty()) name = "default";
  static const api::KindPtr accounts = api::find_kind("", "v1", "serviceaccounts");
  auto account = ctx.reader.get(*accounts, ctx.ns, name);
  if (!account)
    return refuse(
        ctx, "error looking up service account " + ctx.ns + "/" + name + ": serviceaccount \"" + name + "\" not found");
  Value& spec = json::ensure(*object, "spec");
  json::set(spec, name, "serviceAccountName");
  json::set(spec, name, "serviceAccount");
  if (wants_token(*object, *account)) mount_token(spec);
  if (json::list(spec, "imagePullSecrets").empty() && !json::list(*account, "imagePullSecrets").empty())
    json::set(spec, json::list(*account, "imagePullSecrets"), "imagePullSecrets");
  return {};
}

}  // namespace lab::apiserver::admission
