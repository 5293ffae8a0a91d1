#include "orchestrator/controllers/bootstrap_token.h"

#include "base/crypto/encoding.h"
#include "base/log.h"
#include "orchestrator/api/time.h"
#include "orchestrator/controllers/objects.h"
#include "pki/bootstrap_token.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr const char* kTokenType = "bootstrap.kubernetes.io/token";
constexpr const char* kClusterInfo = "kube-public/cluster-info";
constexpr std::string_view kSignaturePrefix = "jws-kubeconfig-";

bool is_token(const json::Value& secret) {
  return json::str(secret, "type") == kTokenType && ns_of(secret) == "kube-system";
}

std::string field(const json::Value& secret, const char* name) {
  return crypto::base64_decode(json::str(secret, "data", name)).value_or("");
}

std::optional<WallTime> expiry_of(const json::Value& secret) {
  return time_at(json::Value(field(secret, "expiration")));
}

}  // namespace

TokenCleaner::TokenCleaner(Context& context)
    : QueueController(context, "token-cleaner", 1),
      secrets_(use(res::secrets)),
      configmaps_(use(res::configmaps)) {
  secrets_.on_change([this](const ObjectPtr&, const ObjectPtr& now) {
    if (now && is_token(*now)) queue_.add(client::key_of(*now));
  });
}

Task<Result<void>> TokenCleaner::reconcile(std::string key) {
  ObjectPtr secret = secrets_.get(key);
  if (!secret) co_return Result<void>();
  auto expiry = expiry_of(*secret);
  if (!expiry) co_return Result<void>();
  WallTime now = context_.now();
  if (now < *expiry) {
    queue_.add_after(key, *expiry - now + std::chrono::milliseconds(100));
    co_return Result<void>();
  }
  log::info("removing an expired bootstrap token", {{"secret", key}});
  if (field(*secret, "usage-bootstrap-signing") == "true") LAB_CO_CHECK(co_await remember(field(*secret, "token-id"), *expiry));
  co_return co_await delete_observed(context_, secrets_, res::secrets, secret);
}

Task<Result<void>> TokenCleaner::remember(std::string id, WallTime expiry) {
  ObjectPtr info = configmaps_.get(kClusterInfo);
  if (!info) co_return Result<void>();  // a cluster that nobody joins by token
  const auto list = json::str(*info, "metadata", "annotations", pki::kExpiredTokensAnnotation);
  json::Value patch = json::Object();
  json::set(patch, pki::with_expired_token(list, id, api::format_time(expiry)), "metadata", "annotations",
            pki::kExpiredTokensAnnotation);
  LAB_CO_TRY(auto written, co_await context_.client.patch(res::configmaps, "kube-public", "cluster-info",
                                                          client::PatchType::kMerge, std::move(patch)));
  configmaps_.observe(std::move(written));
  co_return Result<void>();
}

ClusterInfoSigner::ClusterInfoSigner(Context& context)
    : QueueController(context, "cluster-info-signer", 1),
      secrets_(use(res::secrets)),
      configmaps_(use(res::configmaps)) {
  secrets_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (is_token(now ? *now : *old)) queue_.add(kClusterInfo);
  });
  configmaps_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (client::key_of(now ? *now : *old) == kClusterInfo) queue_.add(kClusterInfo);
  });
}

json::Object cluster_info_signatures(std::string_view kubeconfig, const std::vector<ObjectPtr>& secrets, WallTime now) {
  json::Object out;
  for (const auto& secret : secrets) {
    if (!is_token(*secret) || is_terminating(*secret) || field(*secret, "usage-bootstrap-signing") != "true") continue;
    if (auto expiry = expiry_of(*secret); expiry && *expiry <= now) continue;
    auto token = pki::BootstrapToken::parse(field(*secret, "token-id") + "." + field(*secret, "token-secret"));
    if (!token || name_of(*secret) != "bootstrap-token-" + token->id) continue;
    out[std::string(kSignaturePrefix) + token->id] = pki::sign_cluster_info(kubeconfig, *token);
  }
  return out;
}

Task<Result<void>> ClusterInfoSigner::reconcile(std::string key) {
  ObjectPtr configmap = configmaps_.get(key);
  if (!configmap) co_return Result<void>();
  auto kubeconfig = json::str(*configmap, "data", "kubeconfig");
  if (kubeconfig.empty()) co_return Result<void>();
  json::Object data = cluster_info_signatures(kubeconfig, secrets_.list_namespace("kube-system"), context_.now());
  for (const auto& entry : json::map(*configmap, "data"))
    if (!entry.key().starts_with(kSignaturePrefix)) data[entry.key()] = entry.value();
  if (data == json::map(*configmap, "data")) co_return Result<void>();
  json::Value next = *configmap;
  json::set(next, std::move(data), "data");
  LAB_CO_TRY(auto written, co_await context_.client.update(res::configmaps, "kube-public", std::move(next)));
  configmaps_.observe(std::move(written));
  co_return Result<void>();
}

}  // namespace lab::controllers
