// Executor: carries programs out on the kernel of one network namespace, that of the thread that opened it.
//
// Blocking; one call at a time.
#pragma once

#include <optional>
#include <string>

#include "base/nft/nft.h"
#include "overlay-net/policy/program.h"

namespace lab::overlay::policy {

class Executor {
 public:
  static Result<Executor> open();

  // Makes the kernel show packets between two pods of one node to the rules. kUnavailable when it cannot: then only
  // traffic between nodes is filtered.
  Result<void> prepare();
  Result<bool> table_is_there();
  Result<std::optional<Program>> list();  // nothing when there is no table
  Result<void> run(const std::string& script);
  Result<void> remove_table();  // absent is fine

  static Result<void> clean_up();

 private:
  explicit Executor(Nft nft) : nft_(std::move(nft)) {}
  Nft nft_;
};

}  // namespace lab::overlay::policy
