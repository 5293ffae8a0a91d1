// Ring: the most recent transactions' events, bounded in bytes. All watches read from it; none has a queue of its own.
//
// Not locked: the owner does that. The revisions it holds are contiguous.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "orchestrator/store/store.h"

namespace lab::store {

struct TxnEvents {
  Revision revision = 0;
  std::vector<Event> events;
  std::size_t bytes = 0;
};
using TxnEventsPtr = std::shared_ptr<const TxnEvents>;

class Ring {
 public:
  Ring(std::size_t max_bytes, Revision now) : max_bytes_(max_bytes), begin_(now) {}
  void push(TxnEventsPtr txn);
  Revision newest() const { return begin_ + static_cast<Revision>(txns_.size()); }
  // Up to `max` transactions that follow revision `after`; nullopt when some of them have left the ring.
  std::optional<std::vector<TxnEventsPtr>> after(Revision after, std::size_t max) const;

 private:
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  Revision begin_;  // the ring holds (begin_, newest()]
  std::deque<TxnEventsPtr> txns_;
};

}  // namespace lab::store
