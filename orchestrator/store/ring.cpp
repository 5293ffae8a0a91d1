#include "orchestrator/store/ring.h"

#include <algorithm>

namespace lab::store {

void Ring::push(TxnEventsPtr txn) {
  bytes_ += txn->bytes;
  txns_.push_back(std::move(txn));
  while (!txns_.empty() && bytes_ > max_bytes_) {
    bytes_ -= txns_.front()->bytes;
    txns_.pop_front();
    ++begin_;
  }
}

std::optional<std::vector<TxnEventsPtr>> Ring::after(Revision after, std::size_t max) const {
  if (after < begin_) return std::nullopt;
  std::size_t from = std::min<std::size_t>(after - begin_, txns_.size());
  std::size_t to = from + std::min(max, txns_.size() - from);
  return std::vector<TxnEventsPtr>(txns_.begin() + from, txns_.begin() + to);
}

}  // namespace lab::store
