// ResourceQuota: what a namespace's objects use together stays within its quotas.
//
// Usage is counted from the objects that exist, plus what has been admitted and not yet come into the caches, so that
// requests at the same time cannot pass a quota together.
#include <chrono>
#include <map>
#include <mutex>

#include "orchestrator/api/quantity.h"
#include "orchestrator/apiserver/admission/admission.h"

namespace lab::apiserver::admission {
namespace {

using api::Quantity;
using json::Value;
using Usage = std::map<std::string, Quantity>;
using Clock = std::chrono::steady_clock;

Quantity quantity(const Value& v) {
  auto q = Quantity::parse(v.is_string() ? std::string(json::as_str(v)) : json::dump(v));
  return q ? *q : Quantity();
}
Quantity one() {
  return Quantity::from_milli(1000);
}

void add(Usage& usage, const std::string& name, const Quantity& q) {
  usage[name] = usage[name] + q;
}

bool finished(const Value& pod) {
  std::string_view phase = json::str(pod, "status", "phase");
  return phase == "Succeeded" || phase == "Failed";
}

// requests.cpu, limits.memory...; init containers count by their largest.
Usage pod_compute(const Value& pod) {
  Usage out;
  for (const char* what : {"requests", "limits"}) {
    Usage sum;
    for (const auto& c : json::list(pod, "spec", "containers"))
      for (const auto& [name, q] : json::map(c, "resources", what)) add(sum, std::string(name), quantity(q));
    for (const auto& c : json::list(pod, "spec", "initContainers"))
      for (const auto& [name, q] : json::map(c, "resources", what))
        if (sum[std::string(name)] < quantity(q)) sum[std::string(name)] = quantity(q);
    for (const auto& [name, q] : sum) {
      out[std::string(what) + "." + name] = q;
      // "cpu" and "memory" alone mean requests.
      if (std::string_view(what) == "requests") out[name] = q;
    }
  }
  return out;
}

Usage usage_of(const api::Kind& kind, const Value& object) {
  Usage out;
  std::string counted = "count/" + kind.plural + (kind.group.empty() ? "" : "." + kind.group);
  out[counted] = one();
  if (!kind.group.empty()) return out;
  if (kind.plural == "pods") {
    if (finished(object)) return out;
    for (const auto& [name, q] : pod_compute(object)) out[name] = q;
    out["pods"] = one();
  } else if (kind.plural == "services") {
    std::string_view type = json::str(object, "spec", "type");
    out["services"] = one();
    auto ports = static_cast<std::int64_t>(json::list(object, "spec", "ports").size());
    if (type == "LoadBalancer") out["services.loadbalancers"] = one();
    if (type == "NodePort" || type == "LoadBalancer") out["services.nodeports"] = Quantity::from_milli(ports * 1000);
  } else if (kind.plural == "persistentvolumeclaims") {
    Quantity storage = quantity(json::at(object, "spec", "resources", "requests", "storage"));
    out["persistentvolumeclaims"] = one();
    out["requests.storage"] = storage;
    if (std::string c(json::str(object, "spec", "storageClassName")); !c.empty()) {
      out[c + ".storageclass.storage.k8s.io/requests.storage"] = storage;
      out[c + ".storageclass.storage.k8s.io/persistentvolumeclaims"] = one();
    }
  } else if (kind.plural == "configmaps" || kind.plural == "secrets" || kind.plural == "replicationcontrollers" ||
             kind.plural == "resourcequotas") {
    out[kind.plural] = one();
  }
  return out;
}

bool best_effort(const Value& pod) {
  for (const char* list : {"containers", "initContainers"})
    for (const auto& c : json::list(pod, "spec", list))
      if (!json::map(c, "resources", "requests").empty() || !json::map(c, "resources", "limits").empty()) return false;
  return true;
}

bool scope_matches(const Value& pod, std::string_view scope, std::string_view op, const json::Array& values) {
  if (scope == "Terminating") return json::has(pod, "spec", "activeDeadlineSeconds");
  if (scope == "NotTerminating") return !json::has(pod, "spec", "activeDeadlineSeconds");
  if (scope == "BestEffort") return best_effort(pod);
  if (scope == "NotBestEffort") return !best_effort(pod);
  if (scope != "PriorityClass") return false;
  std::string_view name = json::str(pod, "spec", "priorityClassName");
  bool among = false;
  for (const auto& v : values) among = among || json::as_str(v) == name;
  if (op == "In") return among;
  if (op == "NotIn") return !among;
  return op == "Exists" ? !name.empty() : name.empty();
}

bool quota_applies(const Value& quota, const api::Kind& kind, const Value& object) {
  bool pod = kind.group.empty() && kind.plural == "pods";
  for (const auto& s : json::list(quota, "spec", "scopes"))
    if (!pod || !scope_matches(object, json::as_str(s), "Exists", {})) return false;
  for (const auto& e : json::list(quota, "spec", "scopeSelector", "matchExpressions"))
    if (!pod || !scope_matches(object, json::str(e, "scopeName"), json::str(e, "operator"), json::list(e, "values")))
      return false;
  return true;
}

// Compute resources that a quota counts must be asked for, or nothing could be counted.
std::string unspecified(const Value& quota, const Value& pod) {
  std::string missing;
  for (const auto& [key, value] : json::map(quota, "spec", "hard")) {
    std::string_view name = key;
    const char* what = name.starts_with("limits.") ? "limits" : "requests";
    std::string_view resource = name;
    if (auto dot = name.find('.'); dot != std::string_view::npos) resource = name.substr(dot + 1);
    if (resource != "cpu" && resource != "memory") continue;
    std::string containers;
    for (const char* list : {"containers", "initContainers"})
      for (const auto& c : json::list(pod, "spec", list))
        if (!json::has(c, "resources", what, resource))
          containers += (containers.empty() ? "" : ",") + std::string(json::str(c, "name"));
    if (!containers.empty()) missing += (missing.empty() ? "" : "; ") + std::string(name) + " for: " + containers;
  }
  return missing;
}

struct Pending {
  std::string ns, plural, group, name;
  Usage usage;
  bool committed = false;
  Clock::time_point since;
};

class Quotas {
 public:
  Result<void> admit(WriteContext& ctx, const Value& object) {
    static const api::KindPtr quotas = api::find_kind("", "v1", "resourcequotas");
    auto found = ctx.reader.list(*quotas, ctx.ns);
    std::erase_if(found, [&](const ObjectPtr& q) { return !quota_applies(*q, ctx.kind, object); });
    if (found.empty()) return {};
    Usage wanted = usage_of(ctx.kind, object);
    std::lock_guard lock(mutex_);
    for (const auto& quota : found) LAB_CHECK(check(ctx, *quota, object, wanted));
    if (!ctx.dry_run) reserve(ctx, std::move(wanted));
    return {};
  }

 private:
  Result<void> check(const WriteContext& ctx, const Value& quota, const Value& object, const Usage& wanted) {
    std::string name(json::str(quota, "metadata", "name"));
    if (ctx.kind.group.empty() && ctx.kind.plural == "pods")
      if (auto missing = unspecified(quota, object); !missing.empty())
        return refuse(ctx, "failed quota: " + name + ": must specify " + missing);
    Usage used;
    bool counted = false;
    std::string requested_text, used_text, limited_text;
    for (const auto& [key, limit] : json::map(quota, "spec", "hard")) {
      std::string resource(key);
      auto want = wanted.find(resource);
      if (want == wanted.end() || want->second.is_zero()) continue;
      if (!counted) used = current(ctx, quota);
      counted = true;
      Quantity hard = quantity(limit);
      if (used[resource] + want->second <= hard) continue;
      auto append = [&](std::string& text, const Quantity& q) {
        text += (text.empty() ? "" : ",") + resource + "=" + q.canonical();
      };
      append(requested_text, want->second);
      append(used_text, used[resource]);
      append(limited_text, hard);
    }
    if (requested_text.empty()) return {};
    return refuse(ctx, "exceeded quota: " + name + ", requested: " + requested_text + ", used: " + used_text +
                           ", limited: " + limited_text);
  }

  Usage current(const WriteContext& ctx, const Value& quota) {
    Usage sum;
    for (const auto& object : ctx.reader.list(ctx.kind, ctx.ns))
      if (quota_applies(quota, ctx.kind, *object))
        for (const auto& [name, q] : usage_of(ctx.kind, *object)) add(sum, name, q);
    auto now = Clock::now();
    std::erase_if(pending_, [&](const auto& entry) {
      const Pending& p = *entry.second;
      return (p.committed && now - p.since > kForget) ||
             (p.ns == ctx.ns && p.plural == ctx.kind.plural && p.group == ctx.kind.group &&
              ctx.reader.get(ctx.kind, p.ns, p.name));
    });
    for (const auto& [id, p] : pending_)
      if (p->ns == ctx.ns && p->plural == ctx.kind.plural && p->group == ctx.kind.group)
        for (const auto& [name, q] : p->usage) add(sum, name, q);
    return sum;
  }

  void reserve(WriteContext& ctx, Usage wanted) {
    auto p = std::make_shared<Pending>(
        Pending{ctx.ns, ctx.kind.plural, ctx.kind.group, ctx.name, std::move(wanted), false, Clock::now()});
    auto id = ++last_;
    pending_.emplace(id, p);
    ctx.on_abort.push_back([this, id] {
      std::lock_guard lock(mutex_);
      pending_.erase(id);
    });
    ctx.on_commit.push_back([this, p] {
      std::lock_guard lock(mutex_);
      p->committed = true;
      p->since = Clock::now();
    });
  }

  // A committed object is in the caches long before this; one that was deleted at once is forgotten after it.
  static constexpr std::chrono::seconds kForget{10};
  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Pending>> pending_;
};

}  // namespace

Plugin resource_quota() {
  auto quotas = std::make_shared<Quotas>();
  return {"ResourceQuota", [quotas](WriteContext& ctx, const Value* old, Value* object) -> Result<void> {
            if (!ctx.kind.namespaced || !is_create(ctx, old, object) || ctx.kind.plural == "events") return {};
            return quotas->admit(ctx, *object);
          }};
}

}  // namespace lab::apiserver::admission
