#include "orchestrator/apiserver/webhooks/review.h"

#include "base/crypto/encoding.h"

namespace lab::apiserver::webhooks {
namespace {

json::Value kind_value(const ObjectKind& kind) {
  return json::Object{{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}};
}

json::Value resource_value(const ResourceName& name) {
  return json::Object{{"group", name.group}, {"version", name.version}, {"resource", name.resource}};
}

json::Value user_value(const Identity& user) {
  json::Object out{{"username", user.username}};
  if (!user.uid.empty()) out["uid"] = user.uid;
  json::Array groups;
  for (const auto& group : user.groups) groups.emplace_back(group);
  if (!groups.empty()) out["groups"] = std::move(groups);
  json::Object extra;
  for (const auto& [key, values] : user.extra) {
    json::Array list;
    for (const auto& value : values) list.emplace_back(value);
    extra[key] = std::move(list);
  }
  if (!extra.empty()) out["extra"] = std::move(extra);
  return out;
}

// The fields of a request without what differs between webhooks.
json::Object facts(const AdmissionRequest& request, const ResourceName& as, const ObjectKind& as_kind) {
  json::Object out{{"kind", kind_value(as_kind)}, {"resource", resource_value(as)}};
  if (!request.subresource.empty()) out["subResource"] = request.subresource;
  out["requestKind"] = kind_value(request.kind);
  out["requestResource"] = resource_value(request.resource);
  if (!request.subresource.empty()) out["requestSubResource"] = request.subresource;
  if (!request.name.empty()) out["name"] = request.name;
  if (!request.ns.empty()) out["namespace"] = request.ns;
  out["operation"] = request.operation;
  out["userInfo"] = user_value(*request.user);
  out["dryRun"] = request.dry_run;
  return out;
}

Failure wrong(std::string why) {
  return fail(Code::kInternal, std::move(why));
}

std::string group_kind(std::string_view api_version, std::string_view kind) {
  return std::string(api_version) + ", Kind=" + std::string(kind);
}

Result<void> check_envelope(const json::Value& review, std::string_view uid) {
  constexpr std::string_view kVersion = "admission.k8s.io/v1", kKind = "AdmissionReview";
  const auto version = json::str(review, "apiVersion"), kind = json::str(review, "kind");
  if (version != kVersion || kind != kKind)
    return wrong("expected webhook response of " + group_kind(kVersion, kKind) + ", got " + group_kind(version, kind));
  if (!json::at(review, "response").is_object()) return wrong("webhook response was absent");
  const auto given = json::str(review, "response", "uid");
  if (given != uid)
    return wrong("expected response.uid=\"" + std::string(uid) + "\", got \"" + std::string(given) + "\"");
  return {};
}

Result<void> check_patch(const json::Value& response, bool mutating) {
  const bool patch = !json::str(response, "patch").empty(), type = json::has(response, "patchType");
  if (!mutating) {
    if (patch) return wrong("validating webhook may not return response.patch");
    if (type) return wrong("validating webhook may not return response.patchType");
    return {};
  }
  if (patch && !type) return wrong("webhook returned response.patch but not response.patchType");
  if (!patch && type) return wrong("webhook returned response.patchType but not response.patch");
  if (type && json::str(response, "patchType") != "JSONPatch")
    return wrong("unsupported patch type \"" + std::string(json::str(response, "patchType")) + "\"");
  return {};
}

}  // namespace

json::Value request_facts(const AdmissionRequest& request) {
  return facts(request, request.resource, request.kind);
}

json::Value make_review(const AdmissionRequest& request, std::string_view version, std::string_view uid,
                        const ResourceName& as, const ObjectKind& as_kind, const json::Value& object,
                        const json::Value& old) {
  json::Object inner{{"uid", uid}};
  for (auto& [key, value] : facts(request, as, as_kind)) inner[key] = std::move(value);
  inner["object"] = object;
  inner["oldObject"] = old;
  inner["options"] = request.options;
  return json::Object{{"kind", "AdmissionReview"},
                      {"apiVersion", "admission.k8s.io/" + std::string(version)},
                      {"request", std::move(inner)}};
}

Result<AdmissionAnswer> read_review(const json::Value& review, std::string_view version, std::string_view uid,
                                    bool mutating) {
  const auto& response = json::at(review, "response");
  if (version == "v1") {
    LAB_CHECK(check_envelope(review, uid));
    LAB_CHECK(check_patch(response, mutating));
  } else if (!response.is_object()) {
    return wrong("webhook response was absent");
  }
  AdmissionAnswer out;
  out.allowed = json::flag(response, "allowed");
  out.status = json::at(response, "status");
  if (auto text = json::str(response, "patch"); mutating && !text.empty()) {
    auto decoded = crypto::base64_decode(text);
    if (!decoded) return wrong("response.patch is not base64");
    auto patch = json::parse(*decoded);
    if (!patch) return std::unexpected(std::move(patch).error().with_context("response.patch is not JSON"));
    out.patch = std::move(*patch);
  }
  for (const auto& warning : json::list(response, "warnings")) out.warnings.emplace_back(json::as_str(warning));
  for (const auto& [key, value] : json::map(response, "auditAnnotations"))
    out.audit_annotations.emplace_back(std::string(key), std::string(json::as_str(value)));
  return out;
}

json::Value refusal_status(std::string_view webhook, const json::Value& status) {
  json::Object out{{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", json::Object{}}, {"status", "Failure"}};
  const auto denied = "admission webhook \"" + std::string(webhook) + "\" denied the request";
  const auto message = json::str(status, "message"), reason = json::str(status, "reason");
  out["message"] = !message.empty()  ? denied + ": " + std::string(message)
                   : !reason.empty() ? denied + ": " + std::string(reason)
                                     : denied + " without explanation";
  if (!reason.empty()) out["reason"] = reason;
  if (const auto& details = json::at(status, "details"); details.is_object()) out["details"] = details;
  const auto code = json::num(status, "code");
  out["code"] = code < 400 || code > 599 ? 400 : code;
  return out;
}

}  // namespace lab::apiserver::webhooks
