// CustomResources: makes what CustomResourceDefinitions say true: serves their kinds, tells so in their status, and
// clears their objects away when they go.
//
// Level-triggered: every pass looks at all definitions. Runs on the server's own loop.
#pragma once

#include <stop_token>
#include <string>

#include "orchestrator/apiserver/registry.h"

namespace lab::apiserver {

class CustomResources {
 public:
  CustomResources(Registry& registry, KindTable& kinds) : registry_(registry), kinds_(kinds) {}
  // One pass: after it, the kinds of the definitions that are stored now are served.
  Task<Result<void>> reconcile();
  // Passes after every change, until stopped.
  Task<void> run(std::stop_token stop);

 private:
  Task<Result<void>> establish(api::KindPtr definitions, ObjectPtr definition);
  Task<Result<void>> clear_away(api::KindPtr definitions, ObjectPtr definition);

  Registry& registry_;
  KindTable& kinds_;
  std::string served_;  // the definitions whose kinds are in the table
};

}  // namespace lab::apiserver
