// MasterLeases: which masters of a cluster are alive, so that the `kubernetes` Service points at these.
//
// Every master renews a Lease of its own (kube-system/kube-apiserver-ADDRESS); one whose Lease has not changed for
// kLost, by the observer's own monotonic clock, is taken for dead. So clocks need not agree. One loop.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/apiserver/object_writer.h"

namespace lab::apiserver::hooks {

class MasterLeases {
 public:
  static constexpr Duration kRenew = std::chrono::seconds(3), kLost = std::chrono::seconds(10);

  explicit MasterLeases(std::string address);
  // Renews this master's Lease; the addresses of all that live, sorted, this one among them.
  Task<Result<std::vector<std::string>>> renew(const ObjectReader& reader, ObjectWriter& writer);
  // This one ends: the others know at once.
  Task<Result<void>> release(ObjectWriter& writer);

 private:
  std::vector<std::string> living(const ObjectReader& reader);

  std::string address_, name_;
  api::KindPtr kind_;
  struct Seen {
    std::string renewed;
    TimePoint at;
  };
  std::map<std::string, Seen> seen_;  // by Lease
};

}  // namespace lab::apiserver::hooks
