// RangeAllocator: allocates out of the node's own pod range (Node.spec.podCIDR), from a journal on disk.
//
// Addresses are given in turn, so that one just released rests as long as possible. The first address (vxlan device),
// the second (gateway) and the last (broadcast) are never given.
#pragma once

#include <memory>

#include "overlay-net/ipam/address_journal.h"

namespace lab::overlay {

class RangeAllocator final : public Allocator {
 public:
  // Allocations outside of `range` (it changed) stay with their owners until released.
  static Result<std::unique_ptr<RangeAllocator>> open(std::string path, Cidr range);

  Result<Allocation> allocate(const std::string& owner, const std::string& note) override;
  Result<void> release(const std::string& owner) override { return journal_->remove(owner); }
  std::optional<Allocation> find(const std::string& owner) const override { return journal_->find(owner); }
  std::vector<Allocation> all() const override { return journal_->all(); }
  AllocatorUsage usage() const override { return {range_.size() - 3, journal_->by_owner().size()}; }

 private:
  RangeAllocator(std::unique_ptr<AddressJournal> journal, Cidr range)
      : journal_(std::move(journal)), range_(range.network()) {}
  std::optional<IpAddress> next_free() const;

  std::unique_ptr<AddressJournal> journal_;
  Cidr range_;
};

}  // namespace lab::overlay
