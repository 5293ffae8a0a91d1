#include "orchestrator/controllers/serviceaccount.h"

#include "base/crypto/encoding.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr const char* kRootCa = "kube-root-ca.crt";
constexpr const char* kTokenType = "kubernetes.io/service-account-token";
constexpr const char* kAccountName = "kubernetes.io/service-account.name";
constexpr const char* kAccountUid = "kubernetes.io/service-account.uid";

bool is_active(const ObjectPtr& ns) {
  return ns && !is_terminating(*ns) && json::str(*ns, "status", "phase") != "Terminating";
}

// Someone else's creation at the same moment, or the namespace's end: both are as good as done.
Result<void> settle(client::Informer& informer, Result<json::Value> made) {
  if (made) {
    informer.observe(std::move(*made));
    return {};
  }
  if (made.error().code == Code::kAlreadyExists || made.error().code == Code::kNotFound ||
      namespace_terminating(made.error()))
    return {};
  return std::unexpected(std::move(made).error());
}

}  // namespace

ServiceAccountController::ServiceAccountController(Context& context)
    : QueueController(context, "serviceaccount", 2),
      namespaces_(own(res::namespaces)),
      accounts_(use(res::serviceaccounts)) {
  accounts_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (!now && name_of(*old) == "default") queue_.add(ns_of(*old));
  });
}

Task<Result<void>> ServiceAccountController::reconcile(std::string ns) {
  if (!is_active(namespaces_.get(ns)) || accounts_.get(ns + "/default")) co_return Result<void>();
  json::Value account = json::Object{{"apiVersion", "v1"},
                                     {"kind", "ServiceAccount"},
                                     {"metadata", json::Object{{"name", "default"}, {"namespace", ns}}}};
  co_return settle(accounts_, co_await context_.client.create(res::serviceaccounts, ns, std::move(account)));
}

RootCaPublisher::RootCaPublisher(Context& context, std::string ca_pem)
    : QueueController(context, "root-ca-publisher", 2),
      namespaces_(own(res::namespaces)),
      configmaps_(use(res::configmaps)),
      ca_pem_(std::move(ca_pem)) {
  configmaps_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (old && name_of(*old) == kRootCa) queue_.add(ns_of(*old));
  });
}

Task<Result<void>> RootCaPublisher::reconcile(std::string ns) {
  if (!is_active(namespaces_.get(ns))) co_return Result<void>();
  ObjectPtr current = configmaps_.get(ns + "/" + kRootCa);
  json::Object data{{"ca.crt", ca_pem_}};
  if (current && json::map(*current, "data") == data) co_return Result<void>();
  json::Value next = current
                         ? *current
                         : json::Value(json::Object{{"apiVersion", "v1"},
                                                    {"kind", "ConfigMap"},
                                                    {"metadata", json::Object{{"name", kRootCa}, {"namespace", ns}}}});
  json::set(next,
            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as "
            "the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
            "Kubernetes clusters.",
            "metadata", "annotations", "kubernetes.io/description");
  json::set(next, std::move(data), "data");
  if (!current) co_return settle(configmaps_, co_await context_.client.create(res::configmaps, ns, std::move(next)));
  co_return settle(configmaps_, co_await context_.client.update(res::configmaps, ns, std::move(next)));
}

TokenSecretController::TokenSecretController(Context& context, std::string ca_pem, SignToken sign)
    : QueueController(context, "serviceaccount-token", 2),
      secrets_(use(res::secrets)),
      accounts_(use(res::serviceaccounts)),
      ca_pem_(std::move(ca_pem)),
      sign_(std::move(sign)) {
  secrets_.on_change([this](const ObjectPtr&, const ObjectPtr& now) {
    if (now && json::str(*now, "type") == kTokenType) queue_.add(client::key_of(*now));
  });
  accounts_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    const auto& account = now ? *now : *old;
    for (const auto& secret : secrets_.list_namespace(ns_of(account)))
      if (json::str(*secret, "type") == kTokenType && annotation_of(*secret, kAccountName) == name_of(account))
        queue_.add(client::key_of(*secret));
  });
}

Task<Result<void>> TokenSecretController::reconcile(std::string key) {
  ObjectPtr secret = secrets_.get(key);
  if (!secret || is_terminating(*secret)) co_return Result<void>();
  std::string ns = ns_of(*secret), account_name(annotation_of(*secret, kAccountName));
  if (account_name.empty()) co_return Result<void>();
  ObjectPtr account = accounts_.get(ns + "/" + account_name);
  auto bound_uid = annotation_of(*secret, kAccountUid);
  if (!account || (!bound_uid.empty() && bound_uid != uid_of(*account))) {
    // The cache may lag behind a new account: only a live look condemns the Secret.
    auto live = co_await context_.client.get(res::serviceaccounts, ns, account_name);
    if (!live && live.error().code != Code::kNotFound) co_return std::unexpected(std::move(live).error());
    if (!live || (!bound_uid.empty() && bound_uid != uid_of(*live)))
      co_return co_await delete_observed(context_, secrets_, res::secrets, secret);
    account = std::make_shared<const json::Value>(std::move(*live));
  }
  json::Value next = *secret;
  json::set(next, uid_of(*account), "metadata", "annotations", kAccountUid);
  json::set(next, crypto::base64_encode(ca_pem_), "data", "ca.crt");
  json::set(next, crypto::base64_encode(ns), "data", "namespace");
  if (json::str(next, "data", "token").empty()) {
    LAB_CO_TRY(std::string token, sign_(*account, *secret));
    json::set(next, crypto::base64_encode(token), "data", "token");
  }
  if (next == *secret) co_return Result<void>();
  co_return settle(secrets_, co_await context_.client.update(res::secrets, ns, std::move(next)));
}

}  // namespace lab::controllers
