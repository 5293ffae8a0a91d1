// A configuration file as kubeadm takes it: several YAML documents, each an API kind.
//
// Everything in it is checked against the table of fields before anything is done. What is wrong is named with line and
// column, all of it at once; what is accepted without effect becomes a warning. v1beta3 documents are given in
// v1beta4's form, so that readers know one version. Any thread.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::bootstrap::config {

struct File {
  std::map<std::string, json::Value> documents;  // by kind, in v1beta4's form; KubeletConfiguration too
  std::vector<std::string> warnings;             // "line 7, column 3: imageRepository has no effect: ..."

  const json::Value& document(std::string_view kind) const;  // null when absent
};

// Invalid lists every finding; NotFound or Io when the file cannot be read. `name` stands before line and column.
Result<File> read_file(const std::string& path);
Result<File> parse_file(std::string_view text, const std::string& name);

// Flags for a component: a v1beta4 list of {name, value}. The last of several wins; "" when it is absent.
std::string extra_arg(const json::Value& args, std::string_view name);

// metav1.Duration: Go's form. `fallback` where the field is absent or null.
std::chrono::seconds seconds_of(const json::Value& field, std::chrono::seconds fallback);

}  // namespace lab::bootstrap::config
