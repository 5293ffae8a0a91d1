// Authorizer: may this user do this? RBAC and Node authorization behind one interface.
//
// Thread-safe and synchronous; decisions come from an index over what the caches hold, without allocation when allowed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "orchestrator/apiserver/identity.h"

namespace lab::apiserver {

// One question. The views and the identity must live as long as the call.
struct Attributes {
  const Identity* user = nullptr;
  std::string_view verb;         // get list watch create update patch delete deletecollection proxy; bind, escalate...
  std::string_view group;        // "" is core
  std::string_view version;      // "v1"; not matched, kept for reasons
  std::string_view resource;     // plural
  std::string_view subresource;  // "status"; "" for the object itself
  std::string_view ns;           // "" for cluster scope and for lists over all namespaces
  std::string_view name;         // "" for lists and most creates
  std::string_view path;         // non-resource requests: "/version"
  bool resource_request = true;
};

struct Decision {
  enum Verdict { kNoOpinion, kAllow, kDeny } verdict = kNoOpinion;
  std::string reason;  // filled for denials, and for allowances only where it was asked for
  bool allowed() const { return verdict == kAllow; }
};

// A PolicyRule as rules_for() gives it (rbac/v1 field names).
struct RuleSet {
  struct ResourceRule {
    std::vector<std::string> verbs, api_groups, resources, resource_names;
  };
  struct NonResourceRule {
    std::vector<std::string> verbs, non_resource_urls;
  };
  std::vector<ResourceRule> resources;
  std::vector<NonResourceRule> non_resources;
  bool incomplete = false;
  std::string evaluation_error;
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  virtual Decision authorize(const Attributes& attributes, bool explain = false) const = 0;
  // What the user may do in a namespace, for SelfSubjectRulesReview.
  virtual RuleSet rules_for(const Identity& user, std::string_view ns) const = 0;
};

// `User "x" cannot list resource "pods" in API group "" in the namespace "default"`.
std::string describe_denial(const Attributes& attributes);
// The 403 as kube-apiserver words it: `pods is forbidden: User ... : REASON`, with Status.details.
Error forbidden(const Attributes& attributes, const Decision& decision);

}  // namespace lab::apiserver
