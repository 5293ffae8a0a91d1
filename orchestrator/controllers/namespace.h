// Namespace controller: empties a namespace that is being deleted, then lets it go (finalizer "kubernetes").
#pragma once

#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/discovery.h"

namespace lab::controllers {

class NamespaceController final : public QueueController {
 public:
  explicit NamespaceController(Context& context);

 private:
  // What is still there after everything was asked to go.
  struct Remains {
    std::vector<std::string> content;     // "pods. has 2 resource instances"
    std::vector<std::string> finalizers;  // "example.com/f in 1 resource instances"
    std::vector<std::string> errors, undiscovered;
    bool empty() const { return content.empty() && errors.empty() && undiscovered.empty(); }
  };
  Task<Result<void>> reconcile(std::string name) override;
  Task<Result<Remains>> empty(std::string name);
  Task<Result<void>> report(client::ObjectPtr ns, Remains remains);
  Task<Result<void>> finalize(client::ObjectPtr ns);
  client::Informer& namespaces_;
  std::map<std::string, int> rounds_;  // looks at a namespace that is not empty yet: they become rarer
};

}  // namespace lab::controllers
