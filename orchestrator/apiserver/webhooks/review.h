// AdmissionReview (admission.k8s.io/v1 and v1beta1): how a webhook is asked, and what its answer says.
//
// Pure functions. The demands on an answer, and the words when it does not meet them, are kube-apiserver's.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "orchestrator/apiserver/identity.h"
#include "orchestrator/apiserver/webhooks/rules.h"

namespace lab::apiserver::webhooks {

struct ObjectKind {
  std::string group, version, kind;
};

// One request as webhooks are told of it, in the version it was made in.
struct AdmissionRequest {
  std::string operation;  // CREATE UPDATE DELETE CONNECT
  ResourceName resource;
  ObjectKind kind;  // of the object: a Scale for deployments/scale
  std::string subresource, ns, name;
  const Identity* user = nullptr;
  bool dry_run = false;
  json::Value options;  // CreateOptions, UpdateOptions, DeleteOptions; null: none
};

// `as`, `as_kind`: what the webhook's rule names, in whose version the objects are given. Null objects: none.
json::Value make_review(const AdmissionRequest& request, std::string_view version, std::string_view uid,
                        const ResourceName& as, const ObjectKind& as_kind, const json::Value& object,
                        const json::Value& old);
// The `request` of a review without objects and options: what conditions see of it.
json::Value request_facts(const AdmissionRequest& request);

struct AdmissionAnswer {
  bool allowed = false;
  json::Value status;  // what a refusal says; may be null
  json::Value patch;   // JSON Patch operations; null: none
  std::vector<std::string> warnings;
  std::vector<std::pair<std::string, std::string>> audit_annotations;
};
// Internal where the answer is not what was asked for: `expected response.uid="a", got "b"`.
Result<AdmissionAnswer> read_review(const json::Value& review, std::string_view version, std::string_view uid,
                                    bool mutating);

// What a refused request is answered with: the webhook's Status, completed: code at least 400, and the message
// `admission webhook "NAME" denied the request: WHY`.
json::Value refusal_status(std::string_view webhook, const json::Value& status);

}  // namespace lab::apiserver::webhooks
