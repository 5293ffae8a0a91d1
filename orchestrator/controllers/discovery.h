// Discovery: which resources the API server serves, CRDs included.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/client/client.h"

namespace lab::controllers {

struct Discovered {
  std::string group, version, plural, kind;
  bool namespaced = true;
  std::vector<std::string> verbs;
  bool can(std::string_view verb) const;
  // Points into this value.
  client::Resource resource() const { return {group, version, plural, kind, namespaced}; }
};

// Every resource once, in its group's preferred version; without subresources. A group that cannot be read (its
// aggregated server is down) is left out, named in `failed` where that is given.
Task<Result<std::vector<Discovered>>> discover(client::Client& client, std::vector<std::string>* failed = nullptr);

}  // namespace lab::controllers
