// AdmissionWebhooks: which webhooks a request concerns, and what becomes of the request.
//
// Mutating webhooks are called one after the other, by the names of their configurations; then the object is validated,
// and validating webhooks are called side by side. Both as kube-apiserver does it, reinvocation included. The objects
// of admissionregistration.k8s.io itself are exempt, or a broken webhook could not be removed.
//
// Where none is configured, begin() costs two comparisons of revisions. Any loop.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/io/task.h"
#include "orchestrator/apiserver/conversion.h"
#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/apiserver/webhooks/hook.h"
#include "orchestrator/apiserver/webhooks/review.h"

namespace lab::apiserver {

// A request that is to be admitted.
struct Admission {
  std::string_view operation;  // CREATE UPDATE DELETE CONNECT
  api::KindPtr resource;       // of the path, in the version that it names
  api::KindPtr object;         // what the object is kept as while it is worked on; null: of `kind`, as it is
  webhooks::ObjectKind kind;   // where `object` is null: Scale, Binding, PodExecOptions...
  std::string_view subresource, ns, name;
  const Identity* user = nullptr;
  bool dry_run = false;
  json::Value options;
  std::vector<std::string>* warnings = nullptr;  // takes what the webhooks warn of
};

// The webhooks of one request. Lives no longer than what the Admission points to.
class WebhookRun {
 public:
  bool mutates() const { return !mutating_.empty(); }
  bool validates() const { return !validating_.empty(); }

  // Calls the mutating webhooks; true when they changed the object (in place, defaulted). Called again, it calls those
  // that are to be reinvoked. `object` is null on a deletion, `old` on a creation.
  Task<Result<bool>> mutate(const json::Value* old, json::Value* object);
  Task<Result<void>> validate(const json::Value* old, const json::Value* object);

 private:
  friend class AdmissionWebhooks;
  using Hooks = std::shared_ptr<const std::vector<webhooks::Hook>>;
  struct Call {  // one webhook, and the version of the resource that its rule names
    const webhooks::Hook* hook;
    webhooks::ResourceName as;
    webhooks::ObjectKind as_kind;
    api::KindPtr version;  // of the objects it is given; null: as they are
  };
  struct Trouble {
    bool calling = false;  // the webhook did not answer as it should: its failurePolicy decides
    Error error;
  };
  template <class T>
  using Outcome = std::expected<T, Trouble>;

  WebhookRun(const ObjectReader& reader, const Conversion& conversion) : reader_(reader), conversion_(conversion) {}
  void choose(const Hooks& hooks, const Admission& admission, const KindTable& kinds, std::vector<Call>& out);
  Result<bool> selects(const webhooks::Hook& hook, const json::Value* old, const json::Value* object) const;
  Result<bool> conditions_hold(const webhooks::Hook& hook, const json::Value* old, const json::Value* object) const;
  Task<Outcome<json::Value>> in_version(const Call& call, const json::Value* object) const;
  Task<Outcome<webhooks::AdmissionAnswer>> ask(const Call& call, json::Value old, json::Value object, bool mutating);
  Task<Outcome<bool>> mutate_by(const Call& call, const json::Value* old, json::Value* object);
  Task<Outcome<bool>> apply(const Call& call, json::Value given, json::Value patch, json::Value* object);
  Task<void> validate_by(const Call& call, const json::Value* old, const json::Value* object, Result<void>& outcome);
  void warn(const std::string& text);

  const ObjectReader& reader_;
  const Conversion& conversion_;
  webhooks::AdmissionRequest request_;
  api::KindPtr object_kind_;
  std::vector<std::string>* warnings_ = nullptr;
  Hooks mutating_hooks_, validating_hooks_;  // what the calls point into
  std::vector<Call> mutating_, validating_;
  // Reinvocation (KEP-492): what was called and may be called again, and what is to be.
  bool second_ = false;
  std::set<std::size_t> called_, again_;
  json::Value last_output_;
};

class AdmissionWebhooks {
 public:
  AdmissionWebhooks(const ObjectReader& reader, const Conversion& conversion, const KindTable& kinds);

  // Null when no webhook's rules name the request.
  std::unique_ptr<WebhookRun> begin(const Admission& admission) const;
  // Whether any webhook is configured: what callers ask before they make an Admission.
  bool configured() const;

 private:
  struct Read {  // the configurations as they were at a revision
    std::int64_t revision = -1;
    WebhookRun::Hooks hooks;  // null: none
  };
  using Cell = std::atomic<std::shared_ptr<const Read>>;
  WebhookRun::Hooks hooks_of(const api::Kind& kind, Cell& cell) const;

  const ObjectReader& reader_;
  const Conversion& conversion_;
  const KindTable& kinds_;
  api::KindPtr mutating_kind_, validating_kind_;
  mutable Cell mutating_, validating_;
};

}  // namespace lab::apiserver
