// ResourceQuota: what a namespace's objects use together stays within its quotas.
//
// Usage is counted from the objects that exist, plus what has been admitted and not yet come into the caches, so that
// requests at the same time cannot pass a quota together.
#include <chrono>
#include <map>
#include <mutex>

#include "orchestrator/api/quota.h"
#include "orchestrator/apiserver/admission/admission.h"

namespace lab::apiserver::admission {
namespace {

using api::Quantity;
using api::QuotaUsage;
using json::Value;
using Clock = std::chrono::steady_clock;

bool is_pod(const api::Kind& kind) {
  return kind.group.empty() && kind.plural == "pods";
}

// What the change asks for beyond what the object had: only that can pass a quota.
QuotaUsage growth(const api::Kind& kind, const Value* old, const Value& object) {
  QuotaUsage out = api::quota_usage(kind, object);
  if (!old) return out;
  for (const auto& [name, had] : api::quota_usage(kind, *old))
    if (auto it = out.find(name); it != out.end()) it->second = it->second > had ? it->second - had : Quantity();
  std::erase_if(out, [](const auto& entry) { return entry.second.is_zero(); });
  return out;
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
  QuotaUsage usage;
  bool committed = false;
  Clock::time_point since;
};

class Quotas {
 public:
  // `old` is null on create.
  Result<void> admit(WriteContext& ctx, const Value* old, const Value& object) {
    static const api::KindPtr quotas = api::find_kind("", "v1", "resourcequotas");
    auto found = ctx.reader.list(*quotas, ctx.ns);
    std::erase_if(found, [&](const ObjectPtr& q) { return !api::quota_covers(*q, ctx.kind, object); });
    if (found.empty()) return {};
    QuotaUsage wanted = growth(ctx.kind, old, object);
    if (wanted.empty()) return {};
    std::lock_guard lock(mutex_);
    for (const auto& quota : found) LAB_CHECK(check(ctx, *quota, object, wanted, !old));
    // A change takes effect on an object that is counted already; what grows at the same time elsewhere is seen then.
    if (old) return {};
    if (!ctx.dry_run) reserve(ctx, std::move(wanted));
    return {};
  }

 private:
  Result<void> check(const WriteContext& ctx, const Value& quota, const Value& object, const QuotaUsage& wanted,
                     bool create) {
    std::string name(json::str(quota, "metadata", "name"));
    if (create && is_pod(ctx.kind))
      if (auto missing = unspecified(quota, object); !missing.empty())
        return refuse(ctx, "failed quota: " + name + ": must specify " + missing);
    QuotaUsage used;
    bool counted = false;
    std::string requested_text, used_text, limited_text;
    for (const auto& [key, limit] : json::map(quota, "spec", "hard")) {
      std::string resource(key);
      auto want = wanted.find(resource);
      if (want == wanted.end() || want->second.is_zero()) continue;
      if (!counted) used = current(ctx, quota);
      counted = true;
      Quantity hard = api::quantity_of(limit);
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

  QuotaUsage current(const WriteContext& ctx, const Value& quota) {
    QuotaUsage sum;
    for (const auto& object : ctx.reader.list(ctx.kind, ctx.ns))
      if (api::quota_covers(quota, ctx.kind, *object)) api::add_usage(sum, api::quota_usage(ctx.kind, *object));
    auto now = Clock::now();
    std::erase_if(pending_, [&](const auto& entry) {
      const Pending& p = *entry.second;
      return (p.committed && now - p.since > kForget) ||
             (p.ns == ctx.ns && p.plural == ctx.kind.plural && p.group == ctx.kind.group &&
              ctx.reader.get(ctx.kind, p.ns, p.name));
    });
    for (const auto& [id, p] : pending_)
      if (p->ns == ctx.ns && p->plural == ctx.kind.plural && p->group == ctx.kind.group) api::add_usage(sum, p->usage);
    return sum;
  }

  void reserve(WriteContext& ctx, QuotaUsage wanted) {
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
            if (!ctx.kind.namespaced || !object || ctx.kind.plural == "events") return {};
            if (is_create(ctx, old, object)) return quotas->admit(ctx, nullptr, *object);
            const bool core = ctx.kind.group.empty();
            const bool grows = (core && ctx.subresource.empty() &&
                                (ctx.kind.plural == "services" || ctx.kind.plural == "persistentvolumeclaims")) ||
                               (is_pod(ctx.kind) && ctx.subresource == "resize");
            return old && grows ? quotas->admit(ctx, old, *object) : Result<void>();
          }};
}

}  // namespace lab::apiserver::admission
