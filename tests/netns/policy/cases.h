// The matrix: policies, and what they mean for connections between the pods of nodes.h.
//
// A probe is "+a>c:80" (must get through) or "-a>c:80" (must be blocked): TCP; "53u" is UDP, "9s" SCTP, "icmp" an echo.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lab::overlay::policy {

struct Case {
  const char* name;
  std::vector<std::pair<std::string, std::string>> policies;  // "NAMESPACE/NAME", spec
  const char* probes;
};

const std::vector<Case>& cases();

}  // namespace lab::overlay::policy
