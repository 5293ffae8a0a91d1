// ControllerRevisions: the history of pod templates of DaemonSets and StatefulSets, as `kubectl rollout` reads it.
#pragma once

#include "orchestrator/api/selector.h"
#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

inline constexpr const char* kRevisionHash = "controller-revision-hash";

struct RevisionHistory {
  client::ObjectPtr current;           // with the owner's template now
  std::vector<client::ObjectPtr> old;  // lowest revision first
  std::string current_hash() const;
};

// Finds or makes the revision of the owner's template and renumbers it to be the highest.
Task<Result<RevisionHistory>> sync_history(Context& context, client::Informer& revisions, client::Resource owner_kind,
                                           client::ObjectPtr owner, api::LabelSelector selector);
// Removes the oldest beyond spec.revisionHistoryLimit, but none whose name is in `live`.
Task<Result<void>> trim_history(Context& context, client::Informer& revisions, client::ObjectPtr owner,
                                RevisionHistory history, std::vector<std::string> live);
// {"spec":{"template":{...,"$patch":"replace"}}}
json::Value revision_data(const json::Value& owner);
// The pod template of a revision.
json::Value template_of_revision(const json::Value& revision);

}  // namespace lab::controllers
