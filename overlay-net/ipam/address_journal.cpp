#include "overlay-net/ipam/address_journal.h"

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

Result<std::unique_ptr<AddressJournal>> AddressJournal::open(std::string path) {
  std::unique_ptr<AddressJournal> out(new AddressJournal(std::move(path)));
  LAB_CHECK(out->load());
  LAB_CHECK(out->rewrite());
  return out;
}

AddressJournal::~AddressJournal() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> AddressJournal::load() {
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

Result<void> AddressJournal::replay(const std::string& line, std::size_t number) {
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
    latest_ = *cursor;
    return {};
  }
  Allocation a{std::string(json::str(*record, "add")), {}, std::string(json::str(*record, "note"))};
  auto address = IpAddress::parse(json::str(*record, "ip"));
  if (a.owner.empty() || !address) return fail(Code::kInternal, "address journal " + where + " is damaged", hint);
  a.address = latest_ = *address;
  if (!by_address_.emplace(a.address, a.owner).second || !by_owner_.emplace(a.owner, a).second) {
    return fail(Code::kInternal, "address journal " + where + " gives " + a.address.text() + " a second time", hint);
  }
  return {};
}

Result<void> AddressJournal::rewrite() {
  std::string text;
  for (const auto& [owner, a] : by_owner_) text += add_line(a);
  lines_ = by_owner_.size();
  if (!latest_.empty()) {
    text += json::dump(json::Object{{"cursor", latest_.text()}}) + "\n";
    ++lines_;
  }
  if (auto slash = path_.rfind('/'); slash != std::string::npos) LAB_CHECK(fs::make_dirs(path_.substr(0, slash)));
  LAB_CHECK(fs::write_file(path_, text, 0600));
  if (fd_ >= 0) ::close(fd_);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) return fail_errno("cannot open address journal " + path_);
  return {};
}

Result<void> AddressJournal::append(const std::string& line) {
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

Result<void> AddressJournal::add(const Allocation& a) {
  LAB_CHECK(append(add_line(a)));
  latest_ = a.address;
  by_address_.emplace(a.address, a.owner);
  by_owner_.emplace(a.owner, a);
  return {};
}

Result<void> AddressJournal::remove(const std::string& owner) {
  auto found = by_owner_.find(owner);
  if (found == by_owner_.end()) return {};
  LAB_CHECK(append(json::dump(json::Object{{"del", owner}}) + "\n"));
  by_address_.erase(found->second.address);
  by_owner_.erase(found);
  if (lines_ > by_owner_.size() * 2 + kHistoryAllowed) return rewrite();
  return {};
}

std::optional<Allocation> AddressJournal::find(const std::string& owner) const {
  auto found = by_owner_.find(owner);
  if (found == by_owner_.end()) return std::nullopt;
  return found->second;
}

std::vector<Allocation> AddressJournal::all() const {
  std::vector<Allocation> out;
  for (const auto& [owner, a] : by_owner_) out.push_back(a);
  return out;
}

}  // namespace lab::overlay
