// Pod garbage collector: removes pods that nobody will ever finish or look after.
#pragma once

#include "orchestrator/controllers/controller.h"

namespace lab::controllers {

// In rounds: pods of nodes that are gone (after `quarantine`, in which the node may come back), pods that are being
// deleted but were never scheduled, and the oldest finished pods beyond the threshold.
class PodGcController final : public Controller {
 public:
  struct Options {
    std::size_t finished_threshold = 12500;
    Duration period = std::chrono::seconds(20);
    Duration quarantine = std::chrono::seconds(40);
  };
  PodGcController(Context& context, Options options);
  std::string_view name() const override { return "pod-gc"; }
  void start(Scope& scope) override;

 private:
  Task<void> run(std::stop_token stop);
  Task<void> round();
  Task<void> force_delete(client::ObjectPtr pod, bool fail_first, std::string message);
  Context& context_;
  Options options_;
  client::Informer& pods_;
  client::Informer& nodes_;
  std::map<std::string, TimePoint> missing_nodes_;  // since when
};

}  // namespace lab::controllers
