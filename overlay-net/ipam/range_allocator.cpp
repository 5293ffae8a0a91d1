#include "overlay-net/ipam/range_allocator.h"

namespace lab::overlay {

Result<std::unique_ptr<RangeAllocator>> RangeAllocator::open(std::string path, Cidr range) {
  if (!range.address.is_v4() || range.prefix > 29) {
    return fail(Code::kInvalid, "'" + range.text() + "' is no usable pod range", "an IPv4 range of /29 or larger");
  }
  LAB_TRY(auto journal, AddressJournal::open(std::move(path)));
  return std::unique_ptr<RangeAllocator>(new RangeAllocator(std::move(journal), range));
}

std::optional<IpAddress> RangeAllocator::next_free() const {
  constexpr std::uint64_t kFirst = 2;
  std::uint64_t count = usage().total, start = 0;
  if (range_.contains(journal_->latest())) {
    std::uint64_t offset = journal_->latest().v4_value() - range_.address.v4_value();
    if (offset >= kFirst) start = offset - kFirst + 1;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    auto candidate = range_.at(static_cast<std::uint32_t>(kFirst + (start + i) % count));
    if (!journal_->holds(candidate)) return candidate;
  }
  return std::nullopt;
}

Result<Allocation> RangeAllocator::allocate(const std::string& owner, const std::string& note) {
  if (auto found = journal_->find(owner)) return *found;
  auto address = next_free();
  if (!address) {
    return fail(Code::kTooManyRequests,
                "all " + std::to_string(usage().total) + " addresses of " + range_.text() + " are in use",
                "remove pods from this node, or give it a larger pod range");
  }
  Allocation a{owner, *address, note};
  LAB_CHECK(journal_->add(a));
  return a;
}

}  // namespace lab::overlay
