#include "overlay-net/ipam/range_allocator.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/fs.h"
#include "base/json.h"

namespace lab::overlay {
namespace {

constexpr std::size_t kHistoryAllowed = 1024;  // lines beyond the live ones before the journal is rewritten

std::string add_line(const Allocation& a) {
  return json::dump(json::Object{{"add", a.owner}, {"ip", a.address.text()}, {"note", a.note}}) + "\n";
}

}  // namespace

Result<std::unique_ptr<RangeAllocator>> RangeAllocator::open(std::string path, Cidr range) {
  if (!range.address.is_v4() || range.prefix > 29) {
    return fail(Code::kInvalid, "'" + range.text() + "' is no usable pod range", "an IPv4 range of /29 or larger");
  }
  std::unique_ptr<RangeAllocator> out(new RangeAllocator(std::move(path), range));
  LAB_CHECK(out->load());
  LAB_CHECK(out->rewrite());
  return out;
}

RangeAllocator::~RangeAllocator() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> RangeAllocator::load() {
  if (!fs::exists(path_)) return {};
  LAB_TRY(auto text, fs::read_file(path_));
  std::size_t at = 0, number = 0;
  while (true) {
    auto end = text.find('\n', at);
    if (end == std::string::npos) return {};  // what follows the last newline was never answered
    LAB_CHECK(replay(text.substr(at, end - at), ++number));
    at = end + 1;
  }
}

Result<void> RangeAllocator::replay(const std::string& line, std::size_t number) {
  auto where = path_ + " line " + std::to_string(number);
  const char* hint = "restore the file from a copy, or drain the node and remove the file";
  auto record = json::parse(line);
  if (!record) return fail(Code::kInternal, "address journal " + where + " is damaged", hint);
  if (auto owner = json::str(*record, "del"); !owner.empty()) {
    if (auto found = by_owner_.find(std::string(owner)); found != by_owner_.end()) {
      by_address_.erase(found->second.address);
      by_owner_.erase(found);
    }
    return {};
  }
  if (auto cursor = IpAddress::parse(json::str(*record, "cursor"))) {
    cursor_ = *cursor;
    return {};
  }
  Allocation a{std::string(json::str(*record, "add")), {}, std::string(json::str(*record, "note"))};
  auto address = IpAddress::parse(json::str(*record, "ip"));
  if (a.owner.empty() || !address) return fail(Code::kInternal, "address journal " + where + " is damaged", hint);
  a.address = cursor_ = *address;
  if (!by_address_.emplace(a.address, a.owner).second || !by_owner_.emplace(a.owner, a).second) {
    return fail(Code::kInternal, "address journal " + where + " gives " + a.address.text() + " a second time", hint);
  }
  return {};
}

Result<void> RangeAllocator::rewrite() {
  std::string text;
  for (const auto& [owner, a] : by_owner_) text += add_line(a);
  lines_ = by_owner_.size();
  if (!cursor_.empty()) {
    text += json::dump(json::Object{{"cursor", cursor_.text()}}) + "\n";
    ++lines_;
  }
  if (auto slash = path_.rfind('/'); slash != std::string::npos) LAB_CHECK(fs::make_dirs(path_.substr(0, slash)));
  LAB_CHECK(fs::write_file(path_, text, 0600));
  if (fd_ >= 0) ::close(fd_);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) return fail_errno("cannot open address journal " + path_);
  return {};
}

Result<void> RangeAllocator::append(const std::string& line) {
  auto before = ::lseek(fd_, 0, SEEK_END);
  ssize_t written = ::write(fd_, line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size()) && ::fdatasync(fd_) == 0) {
    ++lines_;
    return {};
  }
  int err = written < 0 || written == static_cast<ssize_t>(line.size()) ? errno : ENOSPC;
  // Half a line must not stay in the middle of the journal.
  if (before < 0 || ::ftruncate(fd_, before) != 0) (void)rewrite();
  return fail_errno(err, "cannot write address journal " + path_, "check the disk's free space");
}

std::optional<IpAddress> RangeAllocator::next_free() const {
  constexpr std::uint64_t kFirst = 2;
  std::uint64_t count = usage().total, start = 0;
  if (range_.contains(cursor_)) {
    std::uint64_t offset = cursor_.v4_value() - range_.address.v4_value();
    if (offset >= kFirst) start = offset - kFirst + 1;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    auto candidate = range_.at(static_cast<std::uint32_t>(kFirst + (start + i) % count));
    if (!by_address_.contains(candidate)) return candidate;
  }
  return std::nullopt;
}

Result<Allocation> RangeAllocator::allocate(const std::string& owner, const std::string& note) {
  if (auto found = by_owner_.find(owner); found != by_owner_.end()) return found->second;
  auto address = next_free();
  if (!address) {
    return fail(Code::kTooManyRequests,
                "all " + std::to_string(usage().total) + " addresses of " + range_.text() + " are in use",
                "remove pods from this node, or give it a larger pod range");
  }
  Allocation a{owner, *address, note};
  LAB_CHECK(append(add_line(a)));
  cursor_ = a.address;
  by_address_.emplace(a.address, owner);
  by_owner_.emplace(owner, a);
  return a;
}

Result<void> RangeAllocator::release(const std::string& owner) {
  auto found = by_owner_.find(owner);
  if (found == by_owner_.end()) return {};
  LAB_CHECK(append(json::dump(json::Object{{"del", owner}}) + "\n"));
  by_address_.erase(found->second.address);
  by_owner_.erase(found);
  if (lines_ > by_owner_.size() * 2 + kHistoryAllowed) return rewrite();
  return {};
}

std::optional<Allocation> RangeAllocator::find(const std::string& owner) const {
  auto found = by_owner_.find(owner);
  if (found == by_owner_.end()) return std::nullopt;
  return found->second;
}

std::vector<Allocation> RangeAllocator::all() const {
  std::vector<Allocation> out;
  for (const auto& [owner, a] : by_owner_) out.push_back(a);
  return out;
}

AllocatorUsage RangeAllocator::usage() const {
  return {range_.size() - 3, by_owner_.size()};
}

}  // namespace lab::overlay
