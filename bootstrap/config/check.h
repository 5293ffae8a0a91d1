// Checks of documents against the table of fields, for this folder.
#pragma once

#include <string>
#include <vector>

#include "base/yaml/locate.h"
#include "bootstrap/config/fields.h"

namespace lab::bootstrap::config {

struct Findings {
  std::vector<std::string> errors, warnings;  // "line 4, column 3: unknown field \"networking.podSubent\" ..."
};

void check_fields(const yaml::Document& document, const Fields& fields, unsigned version, Findings& out);
// The kubelet's own kind: which fields are not taken is said; names that nobody knows are warned of.
void check_kubelet(const yaml::Document& document, Findings& out);

}  // namespace lab::bootstrap::config
