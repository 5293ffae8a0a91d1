// Resources: amounts a pod asks for or a node offers. CPU in millicores, everything else in units (bytes, pieces).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace lab::scheduler {

struct Resources {
  std::int64_t cpu = 0, memory = 0, ephemeral = 0;
  std::vector<std::pair<std::string, std::int64_t>> scalar;  // extended resources and huge pages, by name

  std::int64_t get(std::string_view name) const;  // 0 where absent
  void add(const Resources& other);
  void subtract(const Resources& other);
  void raise_to(const Resources& other);  // the greater of each
  bool operator==(const Resources&) const = default;
};

// A ResourceList ({"cpu": "500m", ...}) without its "pods".
Resources parse_resources(const json::Object& list);
std::int64_t parse_amount(const json::Value& quantity, bool milli);  // 0 where absent or bad

// What a pod occupies: the sum of its containers, or what its init containers need at their peak, plus overhead;
// pod-level requests replace the sum (KEP-753, KEP-2837).
Resources pod_requests(const json::Value& pod);
// The same with 100m CPU and 200 MiB for containers that ask for none: the scores' view, so that such pods still
// spread.
Resources pod_requests_or_defaults(const json::Value& pod);

}  // namespace lab::scheduler
