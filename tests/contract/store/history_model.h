// A deterministic sequence of transactions and the state each of them leads to: what a store must hold after a crash.
#pragma once

#include <map>
#include <string>

#include "tests/contract/store/backend.h"

namespace lab::store {

inline constexpr const char* kCounterKey = "/counter";

// Transaction number n (from 1) of the sequence `seed`: one to four keys of twenty, puts and deletions of various
// sizes, and the counter.
Txn model_txn(std::uint64_t seed, int n);

class Model {
 public:
  explicit Model(std::uint64_t seed) : seed_(seed) {}
  void advance_to(int n);
  int at() const { return at_; }
  // Empty when the store holds exactly this state; else what differs. `n`: how many transactions the store holds.
  static int count_in(Store& store);
  std::string differs(Store& store) const;

 private:
  std::uint64_t seed_;
  int at_ = 0;
  std::map<std::string, std::string> state_;
};

int rounds_from_environment(int normally);  // LAB_ROUNDS

}  // namespace lab::store
