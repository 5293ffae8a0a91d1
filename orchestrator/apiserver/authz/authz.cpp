#include "orchestrator/apiserver/authz/authz.h"

#include <algorithm>

#include "orchestrator/apiserver/authz/node.h"
#include "orchestrator/apiserver/authz/rbac.h"

namespace lab::apiserver {

std::string describe_denial(const Attributes& a) {
  std::string user = "User \"" + std::string(a.user ? a.user->username : "") + "\" cannot ";
  if (!a.resource_request) return user + std::string(a.verb) + " path \"" + std::string(a.path) + "\"";
  std::string resource(a.resource);
  if (!a.subresource.empty()) resource += "/" + std::string(a.subresource);
  std::string text =
      user + std::string(a.verb) + " resource \"" + resource + "\" in API group \"" + std::string(a.group) + "\"";
  return text + (a.ns.empty() ? " at the cluster scope" : " in the namespace \"" + std::string(a.ns) + "\"");
}

Error forbidden(const Attributes& a, const Decision& decision) {
  Error e;
  e.code = Code::kForbidden;
  std::string why = describe_denial(a) + (decision.reason.empty() ? "" : ": " + decision.reason);
  if (!a.resource_request) {
    e.message = "forbidden: " + why;
    e.details = "{}";
    return e;
  }
  std::string resource(a.resource);
  if (!a.group.empty()) resource += "." + std::string(a.group);
  std::string name = a.name.empty() ? "" : " \"" + std::string(a.name) + "\"";
  e.message = resource + name + " is forbidden: " + why;
  json::Object details;
  if (!a.name.empty()) details["name"] = a.name;
  if (!a.group.empty()) details["group"] = a.group;
  details["kind"] = a.resource;
  e.details = json::dump(details);
  return e;
}

namespace authz {
namespace {

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

bool same_field(const json::Value* old, const json::Value& now, std::string_view field) {
  return old && json::at(*old, field) == json::at(now, field);
}

std::string groups_text(const Identity& user) {
  std::string out = "[";
  for (const auto& g : user.groups) out += (&g == &user.groups.front() ? "\"" : " \"") + g + "\"";
  return out + "]";
}

class Chain final : public ChainAuthorizer {
 public:
  explicit Chain(const ObjectReader& reader) : node_(reader), rbac_(reader) {}

  Decision authorize(const Attributes& a, bool explain) const override {
    if (a.user->in_group(kMastersGroup)) return {Decision::kAllow, {}};
    Decision by_node = node_.authorize(a, explain);
    if (by_node.verdict != Decision::kNoOpinion) return by_node;
    Decision by_rbac = rbac_.authorize(a, explain);
    if (!by_rbac.allowed() && !by_node.reason.empty())
      by_rbac.reason = by_rbac.reason.empty() ? by_node.reason : by_node.reason + ", " + by_rbac.reason;
    return by_rbac;
  }

  RuleSet rules_for(const Identity& user, std::string_view ns) const override {
    RuleSet out = rbac_.rules_for(user, ns);
    if (user.in_group(kMastersGroup)) {
      out.resources.insert(out.resources.begin(), {{"*"}, {"*"}, {"*"}, {}});
      out.non_resources.insert(out.non_resources.begin(), {{"*"}, {"*"}});
    }
    RuleSet node = node_.rules_for(user, ns);
    out.resources.insert(out.resources.end(), node.resources.begin(), node.resources.end());
    out.incomplete = node.incomplete;
    out.evaluation_error = node.evaluation_error;
    return out;
  }

  Result<void> check_escalation(const Identity& user, const api::Kind& kind, const json::Value* old,
                                const json::Value& object) const override {
    if (user.in_group(kMastersGroup)) return {};
    bool binding = kind.kind == "RoleBinding" || kind.kind == "ClusterRoleBinding";
    bool unchanged = binding ? same_field(old, object, "roleRef") && same_field(old, object, "subjects")
                             : same_field(old, object, "rules") && same_field(old, object, "aggregationRule");
    if (unchanged) return {};
    std::string_view ns = json::str(object, "metadata", "namespace"), name = json::str(object, "metadata", "name");
    std::string_view role_kind = json::str(object, "roleRef", "kind"), role = json::str(object, "roleRef", "name");
    if (may(user, binding ? "bind" : "escalate",
            !binding              ? std::string_view(kind.plural)
            : role_kind == "Role" ? "roles"
                                  : "clusterroles",
            ns, binding ? role : name))
      return {};
    std::vector<Rule> wanted;
    if (binding) {
      LAB_TRY(wanted, rbac_.rules_of_role(role_kind, ns, role));
    } else {
      wanted = rules_of(object);
      // Who aggregates takes over whatever the labelled roles will hold.
      if (json::has(object, "aggregationRule"))
        wanted = {Rule{{"*"}, {"*"}, {"*"}, {}, {}}, Rule{{"*"}, {}, {}, {}, {"*"}}};
    }
    auto missing = uncovered(rbac_.rules_held(user, ns), wanted);
    if (missing.empty()) return {};
    Error e{.code = Code::kForbidden,
            .message = kind.plural + "." + kind.group + " \"" + std::string(name) + "\" is forbidden: user \"" +
                       user.username + "\" (groups=" + groups_text(user) +
                       ") is attempting to grant RBAC permissions not currently held:",
            .hint = {},
            .sys_errno = 0,
            .details = json::dump(json::Object{{"name", name}, {"group", kind.group}, {"kind", kind.plural}})};
    for (const auto& m : missing) e.message += "\n" + m.text();
    return Failure(std::move(e));
  }

 private:
  bool may(const Identity& user, std::string_view verb, std::string_view resource, std::string_view ns,
           std::string_view name) const {
    Attributes a{.user = &user,
                 .verb = verb,
                 .group = kGroup,
                 .version = "v1",
                 .resource = resource,
                 .subresource = {},
                 .ns = ns,
                 .name = name,
                 .path = {}};
    return authorize(a, false).allowed();
  }

  NodeAuthorizer node_;
  Rbac rbac_;
};

class AllowAll final : public ChainAuthorizer {
 public:
  Decision authorize(const Attributes&, bool) const override { return {Decision::kAllow, {}}; }
  RuleSet rules_for(const Identity&, std::string_view) const override {
    RuleSet out;
    out.resources.push_back({{"*"}, {"*"}, {"*"}, {}});
    out.non_resources.push_back({{"*"}, {"*"}});
    return out;
  }
  Result<void> check_escalation(const Identity&, const api::Kind&, const json::Value*,
                                const json::Value&) const override {
    return {};
  }
};

}  // namespace

std::unique_ptr<ChainAuthorizer> make_authorizer(const ObjectReader& reader) {
  return std::make_unique<Chain>(reader);
}
std::unique_ptr<ChainAuthorizer> make_allow_all() {
  return std::make_unique<AllowAll>();
}

}  // namespace authz
}  // namespace lab::apiserver
