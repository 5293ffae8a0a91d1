// Allocator: who has which pod address on this node.
//
// An owner is a sandbox's interface ("CONTAINERID/eth0"). Asking again for the same owner gives the same address, so a
// caller that died between asking and using may simply ask again. Used from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::overlay {

struct Allocation {
  std::string owner;
  IpAddress address;
  std::string note;  // the caller's own, kept with the allocation (JSON text)
};

struct AllocatorUsage {
  std::uint64_t total = 0;  // addresses that pods can have
  std::uint64_t used = 0;
};

class Allocator {
 public:
  virtual ~Allocator() = default;
  // Durable on return. kTooManyRequests when no address is free.
  virtual Result<Allocation> allocate(const std::string& owner, const std::string& note) = 0;
  virtual Result<void> release(const std::string& owner) = 0;  // absent is fine
  virtual std::optional<Allocation> find(const std::string& owner) const = 0;
  virtual std::vector<Allocation> all() const = 0;
  virtual AllocatorUsage usage() const = 0;
};

}  // namespace lab::overlay
