// ServiceAccount tokens (KEP-1205): JWTs whose claims name the ServiceAccount and what the token is bound to.
//
// A token is good while its signature holds, its time has come and not passed, its audience is asked for, and
// everything it names (ServiceAccount, Pod, Secret, Node) still exists with the same uid. Signatures are checked once
// and remembered; the rest is checked every time, so that deleting a Pod or ServiceAccount revokes its tokens at once.
#include <mutex>
#include <unordered_map>

#include "base/crypto/encoding.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/authn/token_source.h"
#include "pki/jwt.h"

namespace lab::apiserver::authn {
namespace {

using json::Value;

constexpr std::string_view kLegacyIssuer = "kubernetes/serviceaccount";
constexpr std::string_view kExtraPrefix = "authentication.kubernetes.io/";
// A Pod that is being deleted may use its tokens until this long after its grace period.
constexpr std::chrono::seconds kDeletionLeeway{60};

WallTime seconds_since_epoch(const Value& claim) {
  return WallTime(std::chrono::seconds(json::as_int(claim)));
}

class ServiceAccountTokens final : public TokenSource {
 public:
  ServiceAccountTokens(const Options& options, const ObjectReader& reader)
      : keys_(options.service_account_keys), issuer_(options.issuer), now_(options.now), reader_(reader) {}

  Result<std::optional<TokenIdentity>> authenticate(std::string_view token,
                                                    const std::vector<std::string>& audiences) const override {
    if (keys_.empty() || std::ranges::count(token, '.') != 2) return std::nullopt;
    auto peeked = pki::peek_jwt(token);
    if (!peeked) return std::nullopt;
    std::string_view issuer = json::str(*peeked, "iss");
    if (issuer != issuer_ && issuer != kLegacyIssuer)
      return fail(
          Code::kUnauthorized,
          "the token was issued by \"" + std::string(issuer) + "\", this cluster's issuer is \"" + issuer_ + "\"",
          "it belongs to another cluster");
    LAB_TRY(auto claims, verified(token));
    if (issuer == kLegacyIssuer) return legacy(*claims, token, audiences);
    return bound(*claims, audiences);
  }

 private:
  using Claims = std::shared_ptr<const Value>;

  Result<Claims> verified(std::string_view token) const {
    std::string key(token);
    {
      std::lock_guard lock(mutex_);
      if (auto it = verified_.find(key); it != verified_.end()) return it->second;
    }
    auto claims = pki::verify_jwt(keys_, token);
    if (!claims)
      return fail(Code::kUnauthorized, "the ServiceAccount token is not signed by this cluster's keys",
                  "it belongs to another cluster, or to this one before its keys were renewed");
    auto shared = std::make_shared<const Value>(std::move(*claims));
    std::lock_guard lock(mutex_);
    if (verified_.size() >= kRemembered) verified_.clear();
    verified_.emplace(std::move(key), shared);
    return shared;
  }

  Result<void> check_time(const Value& claims) const {
    WallTime now = now_();
    if (auto expires = seconds_since_epoch(json::at(claims, "exp")); expires <= now)
      return fail(Code::kUnauthorized, "the ServiceAccount token expired at " + moment(expires, now),
                  "ask for a new one: kubectl create token NAME");
    if (auto starts = seconds_since_epoch(json::at(claims, "nbf")); starts > now + kDeletionLeeway)
      return fail(Code::kUnauthorized, "the ServiceAccount token is not valid before " + api::format_time(starts),
                  "check this machine's clock");
    return {};
  }

  Result<std::vector<std::string>> check_audience(const Value& claims, const std::vector<std::string>& wanted) const {
    std::vector<std::string> has, both;
    if (const Value& aud = json::at(claims, "aud"); aud.is_string())
      has.emplace_back(json::as_str(aud));
    else
      for (const auto& a : json::as_array(aud)) has.emplace_back(json::as_str(a));
    for (const auto& w : wanted)
      if (std::ranges::find(has, w) != has.end()) both.push_back(w);
    if (!both.empty()) return both;
    auto quoted = [](const std::vector<std::string>& list) {
      std::string out;
      for (const auto& s : list) out += (out.empty() ? "\"" : ", \"") + s + "\"";
      return out.empty() ? std::string("none") : out;
    };
    return fail(Code::kUnauthorized,
                "the ServiceAccount token is for audience " + quoted(has) + ", not for " + quoted(wanted));
  }

  // An object that the token names must be there, and be the same one.
  Result<void> check_object(const char* plural, const char* what, std::string_view ns, const Value& ref,
                            bool must_stay) const {
    std::string_view name = json::str(ref, "name"), uid = json::str(ref, "uid");
    auto object = reader_.get(*api::find_kind("", "v1", plural), ns, name);
    std::string label =
        std::string(what) + " \"" + (ns.empty() ? "" : std::string(ns) + "/") + std::string(name) + "\"";
    if (!object) return fail(Code::kUnauthorized, "the token belongs to " + label + ", which no longer exists");
    if (json::str(*object, "metadata", "uid") != uid)
      return fail(Code::kUnauthorized, "the token belongs to an earlier " + label + " of the same name");
    if (auto deleted = api::parse_time(json::str(*object, "metadata", "deletionTimestamp"));
        must_stay && deleted && *deleted + kDeletionLeeway < now_())
      return fail(Code::kUnauthorized, "the token belongs to " + label + ", which is being deleted");
    return {};
  }

  Identity identity_of(std::string_view ns, std::string_view name, std::string_view uid) const {
    std::string n(ns);
    return {.username = std::string(kServiceAccountUserPrefix) + n + ":" + std::string(name),
            .uid = std::string(uid),
            .groups = {"system:serviceaccounts", "system:serviceaccounts:" + n},
            .extra = {}};
  }

  Result<std::optional<TokenIdentity>> bound(const Value& claims, const std::vector<std::string>& audiences) const {
    LAB_CHECK(check_time(claims));
    LAB_TRY(auto good_for, check_audience(claims, audiences));
    const Value& k8s = json::at(claims, "kubernetes.io");
    std::string_view ns = json::str(k8s, "namespace");
    const Value& account = json::at(k8s, "serviceaccount");
    LAB_CHECK(check_object("serviceaccounts", "ServiceAccount", ns, account, false));
    Identity id = identity_of(ns, json::str(account, "name"), json::str(account, "uid"));
    auto extra = [&](std::string key, std::string value) {
      id.extra.emplace_back(std::string(kExtraPrefix) + key, std::vector<std::string>{std::move(value)});
    };
    if (std::string_view jti = json::str(claims, "jti"); !jti.empty())
      extra("credential-id", "JTI=" + std::string(jti));
    if (const Value& pod = json::at(k8s, "pod"); !pod.is_null()) {
      LAB_CHECK(check_object("pods", "Pod", ns, pod, true));
      extra("pod-name", std::string(json::str(pod, "name")));
      extra("pod-uid", std::string(json::str(pod, "uid")));
    }
    if (const Value& secret = json::at(k8s, "secret"); !secret.is_null())
      LAB_CHECK(check_object("secrets", "Secret", ns, secret, true));
    if (const Value& node = json::at(k8s, "node"); !node.is_null()) {
      // A Pod's token names its node for information only; a token bound to the node ends with it.
      if (!json::has(k8s, "pod")) LAB_CHECK(check_object("nodes", "Node", "", node, true));
      extra("node-name", std::string(json::str(node, "name")));
      if (json::has(node, "uid")) extra("node-uid", std::string(json::str(node, "uid")));
    }
    return TokenIdentity{std::move(id), std::move(good_for)};
  }

  // Tokens of Secrets of type kubernetes.io/service-account-token: no expiry, as good as the Secret.
  Result<std::optional<TokenIdentity>> legacy(const Value& claims, std::string_view token,
                                              const std::vector<std::string>& audiences) const {
    std::string_view ns = json::str(claims, "kubernetes.io/serviceaccount/namespace");
    std::string_view name = json::str(claims, "kubernetes.io/serviceaccount/service-account.name");
    std::string_view uid = json::str(claims, "kubernetes.io/serviceaccount/service-account.uid");
    std::string_view secret_name = json::str(claims, "kubernetes.io/serviceaccount/secret.name");
    auto secret = reader_.get(*api::find_kind("", "v1", "secrets"), ns, secret_name);
    if (!secret || json::has(*secret, "metadata", "deletionTimestamp") ||
        crypto::base64_decode(json::str(*secret, "data", "token")).value_or("") != token)
      return fail(Code::kUnauthorized, "the token of Secret \"" + std::string(ns) + "/" + std::string(secret_name) +
                                           "\" was revoked: the Secret is gone or holds another token");
    Value ref = json::Object{{"name", name}, {"uid", uid}};
    LAB_CHECK(check_object("serviceaccounts", "ServiceAccount", ns, ref, false));
    return TokenIdentity{identity_of(ns, name, uid), audiences};
  }

  static constexpr std::size_t kRemembered = 4096;
  std::vector<pki::PublicKey> keys_;
  std::string issuer_;
  Clock now_;
  const ObjectReader& reader_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, Claims> verified_;
};

}  // namespace

std::unique_ptr<TokenSource> service_account_tokens(const Options& options, const ObjectReader& reader) {
  return std::make_unique<ServiceAccountTokens>(options, reader);
}

}  // namespace lab::apiserver::authn
