#include "orchestrator/controllers/revision_history.h"

#include <algorithm>

#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/pod_control.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

std::string RevisionHistory::current_hash() const {
  return current ? std::string(label_of(*current, kRevisionHash)) : std::string();
}

json::Value revision_data(const json::Value& owner) {
  json::Value data;
  json::set(data, json::at(owner, "spec", "template"), "spec", "template");
  json::set(data, "replace", "spec", "template", "$patch");
  return data;
}

json::Value template_of_revision(const json::Value& revision) {
  json::Value out = json::at(revision, "data", "spec", "template");
  json::erase(out, "$patch");
  return out;
}

static json::Value make_revision(const json::Value& owner, const client::Resource& kind, json::Value data,
                                 std::int64_t number) {
  std::string hash = template_hash(json::at(owner, "spec", "template"), json::num(owner, "status", "collisionCount"));
  json::Value out;
  json::set(out, "apps/v1", "apiVersion");
  json::set(out, "ControllerRevision", "kind");
  json::set(out, name_of(owner) + "-" + hash, "metadata", "name");
  json::set(out, ns_of(owner), "metadata", "namespace");
  json::set(out, json::at(owner, "spec", "template", "metadata", "labels"), "metadata", "labels");
  json::set(out, hash, "metadata", "labels", kRevisionHash);
  json::Object annotations = json::map(owner, "metadata", "annotations");
  annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
  if (!annotations.empty()) json::set(out, std::move(annotations), "metadata", "annotations");
  json::set(out, json::Array{controller_ref(kind, owner)}, "metadata", "ownerReferences");
  json::set(out, std::move(data), "data");
  json::set(out, number, "revision");
  return out;
}

Task<Result<RevisionHistory>> sync_history(Context& context, client::Informer& revisions, client::Resource owner_kind,
                                           ObjectPtr owner, api::LabelSelector selector) {
  ClaimRequest request{owner_kind, res::controllerrevisions,
                       [&selector](const json::Value& r) { return selector.matches(labels_of(r)); }};
  LAB_CO_TRY(auto all, co_await claim(context, revisions, owner, request));
  std::sort(all.begin(), all.end(), [](const ObjectPtr& a, const ObjectPtr& b) {
    return std::pair(json::num(*a, "revision"), name_of(*a)) < std::pair(json::num(*b, "revision"), name_of(*b));
  });
  RevisionHistory history;
  json::Value data = revision_data(*owner);
  std::int64_t highest = 0;
  for (auto& revision : all) {
    highest = std::max(highest, json::num(*revision, "revision"));
    if (json::at(*revision, "data") == data) {
      if (history.current) history.old.push_back(history.current);
      history.current = revision;
    } else {
      history.old.push_back(revision);
    }
  }
  if (!history.current) {
    json::Value fresh = make_revision(*owner, owner_kind, std::move(data), highest + 1);
    auto created = co_await context.client.create(res::controllerrevisions, ns_of(*owner), fresh);
    // The name is taken: by us in a life before, which the informer will show, or by another template's hash.
    if (!created) co_return std::unexpected(std::move(created).error());
    history.current = std::make_shared<const json::Value>(*created);
    revisions.observe(std::move(*created));
  } else if (json::num(*history.current, "revision") < highest) {
    // A rollback: the old template is the newest again.
    json::Value patch = json::Object{{"revision", highest + 1}};
    LAB_CO_TRY(auto written,
               co_await context.client.patch(res::controllerrevisions, ns_of(*owner), name_of(*history.current),
                                             client::PatchType::kMerge, std::move(patch)));
    history.current = std::make_shared<const json::Value>(written);
    revisions.observe(std::move(written));
  }
  co_return history;
}

Task<Result<void>> trim_history(Context& context, client::Informer& revisions, ObjectPtr owner, RevisionHistory history,
                                std::vector<std::string> live) {
  auto limit =
      json::has(*owner, "spec", "revisionHistoryLimit") ? json::num(*owner, "spec", "revisionHistoryLimit") : 10;
  std::erase_if(history.old, [&](const ObjectPtr& r) {
    return std::find(live.begin(), live.end(), std::string(label_of(*r, kRevisionHash))) != live.end();
  });
  auto surplus = static_cast<std::int64_t>(history.old.size()) - limit;
  for (std::int64_t i = 0; i < surplus; ++i)
    LAB_CO_CHECK(co_await delete_observed(context, revisions, res::controllerrevisions,
                                          history.old[static_cast<std::size_t>(i)]));
  co_return Result<void>();
}

}  // namespace lab::controllers
