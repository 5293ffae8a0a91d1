// YAML to JSON values and back, with the scalar rules of Kubernetes' own YAML library (sigs.k8s.io/yaml), so that a
// manifest means here what it means to kubectl: yes/no/on/off are booleans, 0644 is octal, 0x1f and 0b11 are integers,
// quoted scalars and timestamps are strings, anchors, aliases and merge keys (<<) are expanded.
//
// Errors are BadRequest with line and column. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::yaml {

// The first document; null for empty text. Fails when a mapping holds a key twice, unless `duplicates` takes those
// findings (worded `line 4: key "b" already set in map`; the last value then wins).
Result<json::Value> parse(std::string_view text, std::vector<std::string>* duplicates = nullptr);
// All documents that are not empty.
Result<std::vector<json::Value>> parse_all(std::string_view text);
// Block style, keys in the value's order, two spaces; strings are quoted only where plain text would mean otherwise.
std::string dump(const json::Value& value);

}  // namespace lab::yaml
