// StatefulSet controller: pods with a name, an order and claims of their own.
#pragma once

#include "orchestrator/controllers/pod_control.h"
#include "orchestrator/controllers/revision_history.h"

namespace lab::controllers {

class StatefulSetController final : public QueueController {
 public:
  explicit StatefulSetController(Context& context);

 private:
  // One reconcile's view of the pods, by ordinal.
  struct View {
    client::ObjectPtr set;
    RevisionHistory history;
    std::string current_hash, update_hash;                        // hashes of the revisions before and after the update
    std::map<std::int64_t, client::ObjectPtr> wanted, condemned;  // wanted: null where the pod is missing
  };
  Task<Result<void>> reconcile(std::string key) override;
  Task<Result<void>> manage(View& view);
  Task<Result<void>> grow(View& view, bool& wait);
  Task<Result<void>> shrink(View& view, bool& wait);
  Task<Result<void>> roll(View& view);
  Task<Result<void>> start_pod(View& view, std::int64_t ordinal);
  Task<Result<void>> ensure_claims(const json::Value& set, std::string pod_name);
  Task<Result<void>> own_claims(View& view);
  Task<Result<void>> update_status(View& view);
  View look(client::ObjectPtr set, RevisionHistory history) const;
  bool available(const json::Value& set, const json::Value& pod) const;

  client::Informer& sets_;
  client::Informer& pods_;
  client::Informer& revisions_;
  client::Informer& claims_;
};

// The ordinal in a pod's name; nullopt where it is none of the set's.
std::optional<std::int64_t> ordinal_of(const json::Value& set, const json::Value& pod);
// The pod of an ordinal after a template: name, host name, labels, volumes for its claims.
json::Value stateful_pod(const json::Value& set, const json::Value& pod_template, std::int64_t ordinal,
                         const std::string& hash);

}  // namespace lab::controllers
