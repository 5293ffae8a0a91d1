// PodControl: what the controllers that own pods have in common: making pods of a template, adopting, deleting.
#pragma once

#include <functional>

#include "orchestrator/api/selector.h"
#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

// A pod of the template, controlled by `owner`; its name is left to generateName.
json::Value pod_of_template(const json::Value& pod_template, const client::Resource& kind, const json::Value& owner);

// Creates a pod and takes it into the informer; events SuccessfulCreate or FailedCreate on the owner. An error because
// the namespace is terminating is swallowed: nothing is to be done about it.
Task<Result<void>> create_pod(Context& context, client::Informer& pods, client::ObjectPtr owner, json::Value pod);
// Deletes a pod; events SuccessfulDelete or FailedDelete on the owner.
Task<Result<void>> delete_pod(Context& context, client::Informer& pods, client::ObjectPtr owner, client::ObjectPtr pod);

// The objects that `owner` controls, after the rules of controllerRef: those it controls and still selects, and orphans
// it selects, which are adopted first; those it no longer selects are released. Works on informers that have the
// "controller" index.
struct ClaimRequest {
  client::Resource owner_kind;
  client::Resource kind;
  std::function<bool(const json::Value&)> selects;
};
Task<Result<std::vector<client::ObjectPtr>>> claim(Context& context, client::Informer& informer,
                                                   client::ObjectPtr owner, ClaimRequest request);

// Sizes of the batches in which `count` creations are done: 1, 2, 4, ..., so that a quota that refuses all of them is
// hit once, not `count` times.
std::vector<std::size_t> slow_start_batches(std::size_t count, std::size_t initial = 1);
// Runs `make` count times in such batches; stops after a batch with a failure. Returns the first error.
Task<Result<void>> slow_start(std::size_t count, std::function<Task<Result<void>>(std::size_t)> make);

}  // namespace lab::controllers
