// Printers: what `kubectl get` shows of a kind, as kube-apiserver's printers show it. To add a kind, add a Printer to
// the list of its area. Internal to the api folder: others call columns_of() and row_of().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/api/time.h"

namespace lab::api::printers {

struct Printer {
  std::string_view group, kind;
  // "NAME", "NAME:TYPE", and "NAME:TYPE*" for wide ones; the first column, Name, goes without saying unless there is
  // a column called Name in the list.
  std::vector<std::string_view> columns;
  // The cells after the name.
  json::Array (*cells)(const json::Value& object, WallTime now);
};

std::vector<Printer> core_printers();
std::vector<Printer> workload_printers();
std::vector<Printer> network_printers();
std::vector<Printer> policy_printers();
std::vector<Printer> storage_printers();

json::Array pod_cells(const json::Value& pod, WallTime now);

// "5m3s" since the time; "<unknown>" where there is none.
std::string since(std::string_view timestamp, WallTime now);
std::string age(const json::Value& object, WallTime now);
// The text, or "<none>" / "<unset>" for an empty one.
std::string or_none(std::string_view text, std::string_view none = "<none>");
std::string join(const std::vector<std::string>& parts, std::string_view separator = ",");
// "a=b,c=d", sorted; "<none>" for no labels.
std::string format_labels(const json::Object& labels);
// A LabelSelector object: "a=b,c in (d)"; "<none>" for an empty or absent one.
std::string format_selector(const json::Value& selector);
// IntOrString as text.
std::string int_or_text(const json::Value& v);
// Names and images of a pod template's containers: appended as two cells.
void container_cells(json::Array& cells, const json::Value& pod_spec);
// Access modes in short: "RWO,ROX".
std::string access_modes(const json::Array& modes);

}  // namespace lab::api::printers
