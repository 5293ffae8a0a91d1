// serviceaccounts/token: issues a token for a time, an audience, and as long as what it is bound to exists (KEP-1205).
#include "base/crypto/digest.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/authz/node.h"
#include "orchestrator/apiserver/hooks/policy.h"
#include "pki/jwt.h"

namespace lab::apiserver::hooks {
namespace {

using json::Array;
using json::Object;
using json::Value;

constexpr std::int64_t kDefaultSeconds = 3600, kLeastSeconds = 600, kMostSeconds = std::int64_t(1) << 32;
// Tokens mounted by admission ask for this; they hold a year for clients that never read the file again, and the agent
// replaces them within the hour all the same.
constexpr std::int64_t kMountedSeconds = 3607, kExtendedSeconds = 365 * 24 * 3600;

std::int64_t epoch(WallTime t) {
  return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
}

struct Bound {
  Value claim, node;  // {name, uid}; null where there is none
  std::string key;    // "pod", "secret", "node"
};

Value reference(const Value& object) {
  return Object{{"name", json::str(object, "metadata", "name")}, {"uid", json::str(object, "metadata", "uid")}};
}

Error not_found(const std::string& resource, std::string_view name) {
  return {.code = Code::kNotFound,
          .message = resource + " \"" + std::string(name) + "\" not found",
          .hint = {},
          .sys_errno = 0,
          .details = json::dump(Object{{"name", name}, {"kind", resource}})};
}

Error refused(const Call& call, const std::string& why) {
  return {.code = Code::kForbidden,
          .message = "serviceaccounts \"" + call.name + "\" is forbidden: " + why,
          .hint = {},
          .sys_errno = 0,
          .details = json::dump(Object{{"name", call.name}, {"kind", "serviceaccounts"}})};
}

Result<Bound> bind(const Call& call, const Value& ref) {
  std::string_view kind = json::str(ref, "kind"), name = json::str(ref, "name"), uid = json::str(ref, "uid");
  Bound out;
  std::string plural = kind == "Pod" ? "pods" : kind == "Secret" ? "secrets" : kind == "Node" ? "nodes" : "";
  if (plural.empty())
    return fail(Code::kBadRequest, "cannot bind token to object of type v1, Kind=" + std::string(kind) +
                                       ": only Pod, Secret and Node are possible");
  auto object = call.reader.get(*api::find_kind("", "v1", plural), kind == "Node" ? "" : call.ns, name);
  if (!object) return Failure(not_found(plural, name));
  if (std::string_view actual = json::str(*object, "metadata", "uid"); !uid.empty() && uid != actual)
    return fail(Code::kConflict,
                "Operation cannot be fulfilled on " + plural + " \"" + std::string(name) +
                    "\": the UID in the bound object reference (" + std::string(uid) +
                    ") does not match the UID in record. The object might have been deleted and then recreated");
  if (kind == "Pod") {
    if (json::str(*object, "spec", "serviceAccountName") != call.name)
      return fail(Code::kBadRequest, "cannot bind token for serviceaccount \"" + call.name +
                                         "\" to pod running with different serviceaccount name.");
    if (std::string_view node = json::str(*object, "spec", "nodeName"); !node.empty()) {
      auto found = call.reader.get(*api::find_kind("", "v1", "nodes"), "", node);
      out.node = found ? reference(*found) : Value(Object{{"name", node}});
    }
  }
  out.key = kind == "Pod" ? "pod" : kind == "Secret" ? "secret" : "node";
  out.claim = reference(*object);
  return out;
}

// An agent gets tokens only for the Pods that run on its node.
Result<void> restrict_node(const Call& call, const Value& ref) {
  std::string_view node = authz::node_name(call.user);
  if (node.empty()) return {};
  if (json::str(ref, "kind") != "Pod") return Failure(refused(call, "node requested token not bound to a pod"));
  if (json::str(ref, "uid").empty())
    return Failure(refused(call, "node requested token with a pod binding without a uid"));
  auto pod = call.reader.get(*api::find_kind("", "v1", "pods"), call.ns, json::str(ref, "name"));
  if (!pod) return Failure(not_found("pods", json::str(ref, "name")));
  if (json::str(*pod, "spec", "nodeName") != node)
    return Failure(refused(call, "node requested token bound to a pod scheduled on a different node"));
  return {};
}

Result<std::int64_t> lifetime(const Value& request) {
  const Value& asked = json::at(request, "spec", "expirationSeconds");
  std::int64_t seconds = asked.is_null() ? kDefaultSeconds : json::as_int(asked);
  const char* why = seconds < kLeastSeconds  ? "may not specify a duration less than 10 minutes"
                    : seconds > kMostSeconds ? "may not specify a duration larger than 2^32 seconds"
                                             : nullptr;
  if (!why) return seconds;
  api::Kind kind;  // TokenRequest has no row of its own
  kind.group = "authentication.k8s.io";
  kind.kind = "TokenRequest";
  kind.plural = "tokenrequests";
  return Failure(api::invalid(
      kind, "",
      {{"spec.expirationSeconds", "FieldValueInvalid", "Invalid value: " + std::to_string(seconds) + ": " + why}}));
}

Value claims_of(const Call& call, const TokenIssuer& issuer, const Value& account, const Bound& bound,
                const Array& audiences, std::int64_t seconds) {
  std::int64_t now = epoch(call.now);
  bool extended = seconds == kMountedSeconds && bound.key == "pod";
  Object k8s{{"namespace", call.ns}, {"serviceaccount", reference(account)}};
  if (!bound.claim.is_null()) k8s[bound.key] = bound.claim;
  if (!bound.node.is_null()) k8s["node"] = bound.node;
  if (extended) k8s["warnafter"] = now + seconds;
  return Object{{"aud", audiences},
                {"exp", now + (extended ? kExtendedSeconds : seconds)},
                {"iat", now},
                {"iss", issuer.issuer},
                {"jti", crypto::random_uuid()},
                {"kubernetes.io", std::move(k8s)},
                {"nbf", now},
                {"sub", std::string(kServiceAccountUserPrefix) + call.ns + ":" + call.name}};
}

Result<Value> issue(const TokenIssuer& issuer, const Call& call) {
  if (!issuer.key)
    return fail(Code::kNotFound,
                "the server could not find the requested resource: it has no key to sign ServiceAccount tokens with");
  auto account = call.reader.get(*call.kind, call.ns, call.name);
  if (!account) return Failure(not_found("serviceaccounts", call.name));
  Value out = call.body;
  LAB_TRY(auto seconds, lifetime(out));
  const Value& ref = json::at(out, "spec", "boundObjectRef");
  LAB_CHECK(restrict_node(call, ref));
  Bound bound;
  if (!ref.is_null()) {
    LAB_TRY(bound, bind(call, ref));
  }
  Array audiences = json::list(out, "spec", "audiences");
  if (audiences.empty())
    for (const auto& a : issuer.audiences) audiences.emplace_back(a);
  if (audiences.empty()) audiences.emplace_back(issuer.issuer);
  std::string token = pki::sign_jwt(*issuer.key, claims_of(call, issuer, *account, bound, audiences, seconds));
  json::set(out, audiences, "spec", "audiences");
  json::set(out, seconds, "spec", "expirationSeconds");
  json::set(out, call.name, "metadata", "name");
  json::set(out, call.ns, "metadata", "namespace");
  json::set(out, api::format_time(call.now), "metadata", "creationTimestamp");
  json::set(
      out,
      Object{{"token", token}, {"expirationTimestamp", api::format_time(call.now + std::chrono::seconds(seconds))}},
      "status");
  return out;
}

Task<Result<Value>> token_request(std::shared_ptr<const TokenIssuer> issuer, Call& call) {
  co_return issue(*issuer, call);
}

}  // namespace

void add_token_calls(CallTable& calls, TokenIssuer issuer) {
  auto shared = std::make_shared<const TokenIssuer>(std::move(issuer));
  calls.add("", "serviceaccounts", "token", [shared](Call& call) { return token_request(shared, call); });
}

}  // namespace lab::apiserver::hooks
