// RangeAllocator: allocates out of the node's own pod range (Node.spec.podCIDR), from a journal on disk.
//
// The journal holds one JSON object a line: {"add": OWNER, "ip": A, "note": N}, {"del": OWNER} or {"cursor": A}; it is
// appended and synced before an answer is given, and rewritten as a whole when most of it is history. A torn last line
// (a crash while writing) was never answered and is dropped; anything else that does not parse is an error, since an
// address might hide behind it. Addresses are given in turn, so that one just released rests as long as possible. The
// first address (vxlan device), the second (gateway) and the last (broadcast) are never given.
#pragma once

#include <map>
#include <memory>

#include "overlay-net/ipam/allocator.h"

namespace lab::overlay {

class RangeAllocator final : public Allocator {
 public:
  // Allocations outside of `range` (it changed) stay with their owners until released.
  static Result<std::unique_ptr<RangeAllocator>> open(std::string path, Cidr range);
  ~RangeAllocator() override;

  Result<Allocation> allocate(const std::string& owner, const std::string& note) override;
  Result<void> release(const std::string& owner) override;
  std::optional<Allocation> find(const std::string& owner) const override;
  std::vector<Allocation> all() const override;
  AllocatorUsage usage() const override;

 private:
  RangeAllocator(std::string path, Cidr range) : path_(std::move(path)), range_(range.network()) {}
  Result<void> load();
  Result<void> replay(const std::string& line, std::size_t number);
  Result<void> rewrite();
  Result<void> append(const std::string& line);
  std::optional<IpAddress> next_free() const;

  std::string path_;
  Cidr range_;
  int fd_ = -1;
  std::size_t lines_ = 0;  // in the journal
  IpAddress cursor_;       // given last
  std::map<std::string, Allocation> by_owner_;
  std::map<IpAddress, std::string> by_address_;  // owner
};

}  // namespace lab::overlay
