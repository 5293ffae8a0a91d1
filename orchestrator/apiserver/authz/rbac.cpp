#include "orchestrator/apiserver/authz/rbac.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "orchestrator/api/selector.h"

namespace lab::apiserver::authz {
namespace {

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
};
template <class T>
using ByName = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

using Rules = std::shared_ptr<const std::vector<Rule>>;

// What one binding gives to one subject.
struct Grant {
  Rules rules;                                // null: the role is missing
  std::shared_ptr<const std::string> origin;  // `ClusterRoleBinding "x" of ClusterRole "y"`, or what is missing
};

struct Subjects {
  ByName<std::vector<Grant>> users, groups;
};

// Calls f(grant, subject kind, subject) for every grant to the user, until f returns true.
template <class F>
bool each_grant(const Subjects& subjects, const Identity& user, F f) {
  if (auto it = subjects.users.find(user.username); it != subjects.users.end())
    for (const auto& g : it->second)
      if (f(g, "User", user.username)) return true;
  for (const auto& group : user.groups)
    if (auto it = subjects.groups.find(group); it != subjects.groups.end())
      for (const auto& g : it->second)
        if (f(g, "Group", group)) return true;
  return false;
}

}  // namespace

struct Rbac::Index {
  std::array<std::int64_t, 4> revisions{};
  ByName<Rules> cluster_roles;
  ByName<ByName<Rules>> roles;  // by namespace
  Subjects cluster;
  ByName<Subjects> namespaces;

  void read_cluster_roles(const std::vector<ObjectPtr>& objects) {
    for (const auto& role : objects) {
      std::vector<Rule> rules = rules_of(*role);
      for (const auto& selector : json::list(*role, "aggregationRule", "clusterRoleSelectors")) {
        auto parsed = api::LabelSelector::from_object(selector);
        if (!parsed) continue;
        for (const auto& other : objects)
          if (other != role && parsed->matches(json::map(*other, "metadata", "labels")))
            for (auto& r : rules_of(*other))
              if (std::ranges::find(rules, r) == rules.end()) rules.push_back(std::move(r));
      }
      cluster_roles.emplace(std::string(json::str(*role, "metadata", "name")),
                            std::make_shared<const std::vector<Rule>>(std::move(rules)));
    }
  }

  void read_roles(const std::vector<ObjectPtr>& objects) {
    for (const auto& role : objects)
      roles[std::string(json::str(*role, "metadata", "namespace"))].emplace(
          std::string(json::str(*role, "metadata", "name")),
          std::make_shared<const std::vector<Rule>>(rules_of(*role)));
  }

  Rules find_role(std::string_view kind, std::string_view ns, std::string_view name) const {
    const ByName<Rules>* where = &cluster_roles;
    if (kind == "Role") {
      auto it = roles.find(ns);
      if (it == roles.end()) return nullptr;
      where = &it->second;
    }
    auto it = where->find(name);
    return it == where->end() ? nullptr : it->second;
  }

  void read_binding(const json::Value& binding, const char* binding_kind, Subjects& into) {
    std::string_view ns = json::str(binding, "metadata", "namespace");
    std::string_view kind = json::str(binding, "roleRef", "kind"), name = json::str(binding, "roleRef", "name");
    Grant grant{.rules = find_role(kind, ns, name), .origin = {}};
    std::string role = std::string(kind) + " \"" + std::string(name) + "\"";
    std::string label = "\"" + std::string(json::str(binding, "metadata", "name"));
    if (!ns.empty()) label += "/" + std::string(ns);
    grant.origin = std::make_shared<const std::string>(
        grant.rules ? std::string(binding_kind) + " " + label + "\" of " + role
                    : (kind == "Role" ? "role" : "clusterrole") + std::string(".") + std::string(kGroup) + " \"" +
                          std::string(name) + "\" not found");
    for (const auto& s : json::list(binding, "subjects")) {
      std::string_view subject = json::str(s, "kind");
      std::string subject_name(json::str(s, "name"));
      if (subject == "Group") {
        into.groups[subject_name].push_back(grant);
      } else if (subject == "User") {
        into.users[subject_name].push_back(grant);
      } else if (subject == "ServiceAccount") {
        std::string_view in = json::str(s, "namespace");
        into.users[std::string(kServiceAccountUserPrefix) + std::string(in.empty() ? ns : in) + ":" + subject_name]
            .push_back(grant);
      }
    }
  }

  const Subjects* in(std::string_view ns) const {
    if (ns.empty()) return nullptr;
    auto it = namespaces.find(ns);
    return it == namespaces.end() ? nullptr : &it->second;
  }
};

Rbac::Rbac(const ObjectReader& reader)
    : reader_(reader),
      kinds_{api::find_kind(kGroup, "v1", "roles"), api::find_kind(kGroup, "v1", "rolebindings"),
             api::find_kind(kGroup, "v1", "clusterroles"), api::find_kind(kGroup, "v1", "clusterrolebindings")} {}

Rbac::~Rbac() = default;

std::shared_ptr<const Rbac::Index> Rbac::index() const {
  std::array<std::int64_t, 4> now{};
  for (std::size_t i = 0; i < kinds_.size(); ++i) now[i] = reader_.revision_of(*kinds_[i]);
  std::lock_guard lock(mutex_);
  if (index_ && index_->revisions == now) return index_;
  auto fresh = std::make_shared<Index>();
  // Taken before the lists: a change in between makes the next call build again.
  fresh->revisions = now;
  fresh->read_roles(reader_.list(*kinds_[0]));
  fresh->read_cluster_roles(reader_.list(*kinds_[2]));
  for (const auto& b : reader_.list(*kinds_[1]))
    fresh->read_binding(*b, "RoleBinding", fresh->namespaces[std::string(json::str(*b, "metadata", "namespace"))]);
  for (const auto& b : reader_.list(*kinds_[3])) fresh->read_binding(*b, "ClusterRoleBinding", fresh->cluster);
  index_ = fresh;
  return index_;
}

Decision Rbac::authorize(const Attributes& a, bool explain) const {
  auto current = index();
  Decision decision;
  std::vector<std::string> missing;
  auto look = [&](const Grant& grant, std::string_view kind, std::string_view subject) {
    if (!grant.rules) {
      if (std::ranges::find(missing, *grant.origin) == missing.end()) missing.push_back(*grant.origin);
      return false;
    }
    for (const auto& rule : *grant.rules) {
      if (!rule.allows(a)) continue;
      decision.verdict = Decision::kAllow;
      if (explain)
        decision.reason =
            "RBAC: allowed by " + *grant.origin + " to " + std::string(kind) + " \"" + std::string(subject) + "\"";
      return true;
    }
    return false;
  };
  if (each_grant(current->cluster, *a.user, look)) return decision;
  if (const Subjects* local = a.resource_request ? current->in(a.ns) : nullptr;
      local && each_grant(*local, *a.user, look))
    return decision;
  if (!missing.empty()) {
    decision.reason = "RBAC: ";
    for (const auto& m : missing) decision.reason += (&m == &missing.front() ? "" : ", ") + m;
    if (missing.size() > 1) decision.reason = "RBAC: [" + decision.reason.substr(6) + "]";
  }
  return decision;
}

std::vector<Rule> Rbac::rules_held(const Identity& user, std::string_view ns) const {
  auto current = index();
  std::vector<Rule> out;
  auto take = [&](const Grant& grant, std::string_view, std::string_view) {
    if (grant.rules) out.insert(out.end(), grant.rules->begin(), grant.rules->end());
    return false;
  };
  each_grant(current->cluster, user, take);
  if (const Subjects* local = current->in(ns)) each_grant(*local, user, take);
  return out;
}

RuleSet Rbac::rules_for(const Identity& user, std::string_view ns) const {
  RuleSet out;
  for (auto& r : rules_held(user, ns)) {
    if (!r.resources.empty()) out.resources.push_back({r.verbs, r.groups, r.resources, r.names});
    if (!r.urls.empty()) out.non_resources.push_back({r.verbs, r.urls});
  }
  return out;
}

Result<std::vector<Rule>> Rbac::rules_of_role(std::string_view kind, std::string_view ns, std::string_view name) const {
  if (auto rules = index()->find_role(kind, ns, name)) return *rules;
  return fail(Code::kNotFound, (kind == "Role" ? "roles." : "clusterroles.") + std::string(kGroup) + " \"" +
                                   std::string(name) + "\" not found");
}

}  // namespace lab::apiserver::authz
