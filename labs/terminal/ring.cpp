#include "labs/terminal/ring.h"

#include <algorithm>
#include <cstring>

namespace lab::terminal {

namespace {
constexpr std::size_t kLongestLine = 4096;  // one that is longer is cut: it may be all there is
}

void Ring::append(std::string_view bytes) {
  if (bytes.size() > capacity_) {
    end_ += bytes.size() - capacity_;
    bytes.remove_prefix(bytes.size() - capacity_);
    kept_ = 0;
    data_.resize(capacity_);
  }
  if (data_.size() < capacity_ && end_ + bytes.size() > data_.size()) {
    const std::size_t need = std::min<std::uint64_t>(capacity_, end_ + bytes.size());
    data_.reserve(std::min(capacity_, std::max(need, data_.capacity() * 2)));
    data_.resize(need);
  }
  while (!bytes.empty()) {
    const std::size_t at = end_ % capacity_, n = std::min(bytes.size(), capacity_ - at);
    std::memcpy(data_.data() + at, bytes.data(), n);
    bytes.remove_prefix(n);
    end_ += n;
    kept_ = std::min(capacity_, kept_ + n);
  }
}

std::string Ring::read(std::uint64_t from, std::size_t most) const {
  std::string out;
  std::size_t left = std::min<std::uint64_t>(most, end_ - from);
  out.reserve(left);
  while (left > 0) {
    const std::size_t at = from % capacity_, n = std::min(left, capacity_ - at);
    out.append(data_.data() + at, n);
    from += n;
    left -= n;
  }
  return out;
}

std::uint64_t Ring::resume(std::uint64_t from) const {
  if (from > end_) return end_;
  if (from >= begin()) return from;
  const auto newline = read(begin(), kLongestLine).find('\n');
  return newline == std::string::npos ? begin() : begin() + newline + 1;
}

}  // namespace lab::terminal
