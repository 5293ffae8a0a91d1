// Reviews: questions to the server about tokens and permissions, answered and never stored.
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/authn/token_source.h"
#include "orchestrator/apiserver/hooks/policy.h"

namespace lab::apiserver::hooks {
namespace {

using json::Array;
using json::Object;
using json::Value;

constexpr const char* kAuthn = "authentication.k8s.io";
constexpr const char* kAuthz = "authorization.k8s.io";

Array array(const std::vector<std::string>& list) {
  Array out;
  for (const auto& s : list) out.emplace_back(s);
  return out;
}

std::vector<std::string> strings(const Array& list) {
  std::vector<std::string> out;
  for (const auto& v : list) out.emplace_back(json::as_str(v));
  return out;
}

Value user_info(const Identity& user) {
  Object out{{"username", user.username}};
  if (!user.uid.empty()) out["uid"] = user.uid;
  if (!user.groups.empty()) out["groups"] = array(user.groups);
  if (!user.extra.empty()) {
    Object extra;
    for (const auto& [key, values] : user.extra) extra[key] = array(values);
    out["extra"] = std::move(extra);
  }
  return out;
}

Error invalid(const Call& call, std::string field, std::string message) {
  return api::invalid(*call.kind, "", {{std::move(field), "FieldValueInvalid", std::move(message)}});
}

Task<Result<Value>> token_review(const authn::ChainAuthenticator& authenticator, Call& call) {
  Value out = call.body;
  std::string token(json::str(out, "spec", "token"));
  if (token.empty()) co_return fail(Code::kBadRequest, "token is required for TokenReview in authentication");
  auto found = authenticator.authenticate_token(token, strings(json::list(out, "spec", "audiences")));
  if (found) {
    Object status{{"authenticated", true}, {"user", user_info(found->identity)}};
    if (!json::list(out, "spec", "audiences").empty()) status["audiences"] = array(found->audiences);
    json::set(out, std::move(status), "status");
  } else {
    json::set(out, Object{{"user", Object()}, {"error", found.error().message}}, "status");
  }
  co_return out;
}

Task<Result<Value>> self_subject_review(Call& call) {
  Value out = call.body;
  json::set(out, api::format_time(call.now), "metadata", "creationTimestamp");
  json::set(out, Object{{"userInfo", user_info(call.user)}}, "status");
  co_return out;
}

// The views of an access review's attributes live as long as the review.
Result<Attributes> attributes_of(const Call& call, const Value& review, const Identity& user) {
  const Value& resource = json::at(review, "spec", "resourceAttributes");
  const Value& path = json::at(review, "spec", "nonResourceAttributes");
  if (resource.is_null() == path.is_null())
    return Failure(
        invalid(call, "spec.resourceAttributes",
                "Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified"));
  Attributes a;
  a.user = &user;
  if (!path.is_null()) {
    a.resource_request = false;
    a.verb = json::str(path, "verb");
    a.path = json::str(path, "path");
    return a;
  }
  a.verb = json::str(resource, "verb");
  a.group = json::str(resource, "group");
  a.version = json::str(resource, "version");
  a.resource = json::str(resource, "resource");
  a.subresource = json::str(resource, "subresource");
  a.ns = json::str(resource, "namespace");
  a.name = json::str(resource, "name");
  return a;
}

Result<Value> answer(const Authorizer& authorizer, const Call& call, const Identity& user) {
  Value out = call.body;
  LAB_TRY(auto attributes, attributes_of(call, out, user));
  auto decision = authorizer.authorize(attributes, true);
  Object status{{"allowed", decision.allowed()}};
  if (decision.verdict == Decision::kDeny) status["denied"] = true;
  if (!decision.reason.empty()) status["reason"] = decision.reason;
  json::set(out, std::move(status), "status");
  return out;
}

Task<Result<Value>> self_access_review(const Authorizer& authorizer, Call& call) {
  co_return answer(authorizer, call, call.user);
}

Task<Result<Value>> access_review(const Authorizer& authorizer, Call& call) {
  const Value& spec = json::at(call.body, "spec");
  Identity user{.username = std::string(json::str(spec, "user")),
                .uid = std::string(json::str(spec, "uid")),
                .groups = strings(json::list(spec, "groups")),
                .extra = {}};
  for (const auto& [key, values] : json::map(spec, "extra"))
    user.extra.emplace_back(std::string(key), strings(json::as_array(values)));
  if (user.username.empty() && user.groups.empty())
    co_return Failure(
        invalid(call, "spec.user", "Invalid value: \"\": at least one of user or group must be specified"));
  if (call.kind->kind == "LocalSubjectAccessReview" && json::str(spec, "resourceAttributes", "namespace") != call.ns)
    co_return Failure(invalid(call, "spec.resourceAttributes.namespace",
                              "Invalid value: must match the namespace of the request: " + call.ns));
  co_return answer(authorizer, call, user);
}

Task<Result<Value>> rules_review(const Authorizer& authorizer, Call& call) {
  Value out = call.body;
  std::string ns(json::str(out, "spec", "namespace"));
  if (ns.empty()) co_return fail(Code::kBadRequest, "no namespace on request");
  RuleSet rules = authorizer.rules_for(call.user, ns);
  Array resources, urls;
  for (const auto& r : rules.resources) {
    Object rule{{"verbs", array(r.verbs)}, {"apiGroups", array(r.api_groups)}, {"resources", array(r.resources)}};
    if (!r.resource_names.empty()) rule["resourceNames"] = array(r.resource_names);
    resources.push_back(std::move(rule));
  }
  for (const auto& r : rules.non_resources)
    urls.push_back(Object{{"verbs", array(r.verbs)}, {"nonResourceURLs", array(r.non_resource_urls)}});
  Object status{
      {"resourceRules", std::move(resources)}, {"nonResourceRules", std::move(urls)}, {"incomplete", rules.incomplete}};
  if (!rules.evaluation_error.empty()) status["evaluationError"] = rules.evaluation_error;
  json::set(out, std::move(status), "status");
  co_return out;
}

}  // namespace

void add_review_calls(CallTable& calls, const authn::ChainAuthenticator& authenticator, const Authorizer& authorizer) {
  calls.add(kAuthn, "tokenreviews", "", [&authenticator](Call& call) { return token_review(authenticator, call); });
  calls.add(kAuthn, "selfsubjectreviews", "", [](Call& call) { return self_subject_review(call); });
  calls.add(kAuthz, "selfsubjectaccessreviews", "",
            [&authorizer](Call& call) { return self_access_review(authorizer, call); });
  for (const char* plural : {"subjectaccessreviews", "localsubjectaccessreviews"})
    calls.add(kAuthz, plural, "", [&authorizer](Call& call) { return access_review(authorizer, call); });
  calls.add(kAuthz, "selfsubjectrulesreviews", "",
            [&authorizer](Call& call) { return rules_review(authorizer, call); });
}

}  // namespace lab::apiserver::hooks
