#include "orchestrator/controllers/pod_control.h"

#include "base/log.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/parallel.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

json::Value pod_of_template(const json::Value& pod_template, const client::Resource& kind, const json::Value& owner) {
  json::Value pod;
  json::set(pod, "v1", "apiVersion");
  json::set(pod, "Pod", "kind");
  for (const char* field : {"labels", "annotations", "finalizers"})
    if (json::has(pod_template, "metadata", field))
      json::set(pod, json::at(pod_template, "metadata", field), "metadata", field);
  json::set(pod, name_of(owner) + "-", "metadata", "generateName");
  json::set(pod, ns_of(owner), "metadata", "namespace");
  json::set(pod, json::Array{controller_ref(kind, owner)}, "metadata", "ownerReferences");
  json::set(pod, json::at(pod_template, "spec"), "spec");
  return pod;
}

Task<Result<void>> create_pod(Context& context, client::Informer& pods, ObjectPtr owner, json::Value pod) {
  std::string ns = ns_of(pod);
  auto created = co_await context.client.create(res::pods, ns, std::move(pod));
  if (!created) {
    if (namespace_terminating(created.error())) co_return Result<void>();
    context.events.event(*owner, "Warning", "FailedCreate", "Error creating: " + created.error().message);
    co_return std::unexpected(std::move(created).error());
  }
  std::string name = name_of(*created);
  pods.observe(std::move(*created));
  context.events.event(*owner, "Normal", "SuccessfulCreate", "Created pod: " + name);
  co_return Result<void>();
}

Task<Result<void>> delete_pod(Context& context, client::Informer& pods, ObjectPtr owner, ObjectPtr pod) {
  std::string name = name_of(*pod);
  auto deleted = co_await delete_observed(context, pods, res::pods, pod);
  if (!deleted) {
    context.events.event(*owner, "Warning", "FailedDelete", "Error deleting: " + deleted.error().message);
    co_return std::unexpected(std::move(deleted).error());
  }
  context.events.event(*owner, "Normal", "SuccessfulDelete", "Deleted pod: " + name);
  co_return Result<void>();
}

namespace {

// Gives an orphan its controller. The uid in the patch makes the server refuse when the name has a new bearer.
Task<Result<json::Value>> adopt(Context& context, ObjectPtr owner, ClaimRequest request, ObjectPtr orphan) {
  json::Array refs = json::list(*orphan, "metadata", "ownerReferences");
  refs.push_back(controller_ref(request.owner_kind, *owner));
  json::Value patch;
  json::set(patch, uid_of(*orphan), "metadata", "uid");
  json::set(patch, json::str(*orphan, "metadata", "resourceVersion"), "metadata", "resourceVersion");
  json::set(patch, std::move(refs), "metadata", "ownerReferences");
  co_return co_await context.client.patch(request.kind, ns_of(*orphan), name_of(*orphan), client::PatchType::kMerge,
                                          std::move(patch));
}

Task<Result<json::Value>> release(Context& context, ObjectPtr owner, ClaimRequest request, ObjectPtr object) {
  json::Array refs;
  for (const auto& ref : json::list(*object, "metadata", "ownerReferences"))
    if (json::str(ref, "uid") != uid_of(*owner)) refs.push_back(ref);
  json::Value patch;
  json::set(patch, uid_of(*object), "metadata", "uid");
  json::set(patch, json::str(*object, "metadata", "resourceVersion"), "metadata", "resourceVersion");
  json::set(patch, std::move(refs), "metadata", "ownerReferences");
  co_return co_await context.client.patch(request.kind, ns_of(*object), name_of(*object), client::PatchType::kMerge,
                                          std::move(patch));
}

// The owner may have been deleted or replaced since the informer saw it; an adoption must not go to a dead owner.
Task<Result<bool>> may_adopt(Context& context, ObjectPtr owner, client::Resource kind) {
  auto live = co_await context.client.get(kind, ns_of(*owner), name_of(*owner));
  if (!live && live.error().code == Code::kNotFound) co_return false;
  if (!live) co_return std::unexpected(std::move(live).error());
  co_return uid_of(*live) == uid_of(*owner) && !is_terminating(*live);
}

}  // namespace

Task<Result<std::vector<ObjectPtr>>> claim(Context& context, client::Informer& informer, ObjectPtr owner,
                                           ClaimRequest request) {
  std::vector<ObjectPtr> claimed;
  for (const auto& object : informer.by_index("controller", uid_of(*owner))) {
    if (request.selects(*object)) {
      claimed.push_back(object);
    } else if (!is_terminating(*owner)) {
      auto released = co_await release(context, owner, request, object);
      if (released)
        informer.observe(std::move(*released));
      else if (released.error().code != Code::kNotFound && released.error().code != Code::kInvalid)
        co_return std::unexpected(std::move(released).error());
    }
  }
  if (is_terminating(*owner)) co_return claimed;
  std::optional<bool> adoption_allowed;
  for (const auto& orphan : informer.by_index("controller", orphans_of(ns_of(*owner)))) {
    if (is_terminating(*orphan) || !request.selects(*orphan)) continue;
    if (!adoption_allowed) {
      LAB_CO_TRY(adoption_allowed, co_await may_adopt(context, owner, request.owner_kind));
    }
    if (!*adoption_allowed) break;
    auto adopted = co_await adopt(context, owner, request, orphan);
    if (!adopted && adopted.error().code == Code::kNotFound) continue;
    if (!adopted) co_return std::unexpected(std::move(adopted).error());
    claimed.push_back(std::make_shared<const json::Value>(*adopted));
    informer.observe(std::move(*adopted));
  }
  co_return claimed;
}

std::vector<std::size_t> slow_start_batches(std::size_t count, std::size_t initial) {
  std::vector<std::size_t> batches;
  for (std::size_t size = std::min(count, initial); size > 0; size = std::min(2 * size, count)) {
    batches.push_back(size);
    count -= size;
  }
  return batches;
}

Task<Result<void>> slow_start(std::size_t count, std::function<Task<Result<void>>(std::size_t)> make) {
  std::size_t done = 0;
  for (std::size_t size : slow_start_batches(count)) {
    std::vector<Task<Result<void>>> batch;
    for (std::size_t i = 0; i < size; ++i) batch.push_back(make(done + i));
    done += size;
    for (auto& outcome : co_await run_parallel(std::move(batch)))
      if (!outcome) co_return std::unexpected(std::move(outcome).error());
  }
  co_return Result<void>();
}

}  // namespace lab::controllers
