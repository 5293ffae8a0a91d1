// AddressJournal: the allocations of one node, on disk.
//
// One JSON object a line: {"add": OWNER, "ip": A, "note": N}, {"del": OWNER} or {"cursor": A}; a line is appended and
// synced before the call returns, and the file is rewritten as a whole when most of it is history. A torn last line (a
// crash while writing) was never answered and is dropped; anything else that does not parse is an error, since an
// address might hide behind it. Used from one thread.
#pragma once

#include <map>
#include <memory>

#include "overlay-net/ipam/allocator.h"

namespace lab::overlay {

class AddressJournal {
 public:
  static Result<std::unique_ptr<AddressJournal>> open(std::string path);
  ~AddressJournal();
  AddressJournal(const AddressJournal&) = delete;
  AddressJournal& operator=(const AddressJournal&) = delete;

  // The owner has no address yet, and the address no owner.
  Result<void> add(const Allocation& allocation);
  Result<void> remove(const std::string& owner);  // absent is fine

  const std::map<std::string, Allocation>& by_owner() const { return by_owner_; }
  bool holds(const IpAddress& address) const { return by_address_.contains(address); }
  const IpAddress& latest() const { return latest_; }  // added last, also when it is removed since; empty at first
  std::optional<Allocation> find(const std::string& owner) const;
  std::vector<Allocation> all() const;

 private:
  explicit AddressJournal(std::string path) : path_(std::move(path)) {}
  Result<void> load();
  Result<void> replay(const std::string& line, std::size_t number);
  Result<void> rewrite();
  Result<void> append(const std::string& line);

  std::string path_;
  int fd_ = -1;
  std::size_t lines_ = 0;
  IpAddress latest_;
  std::map<std::string, Allocation> by_owner_;
  std::map<IpAddress, std::string> by_address_;  // owner
};

}  // namespace lab::overlay
