// Ring: the last bytes of a row of bytes that only grows, found by their place in the whole row.
//
// Memory is taken as bytes come, up to the capacity. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lab::terminal {

class Ring {
 public:
  explicit Ring(std::size_t capacity) : capacity_(capacity) {}

  void append(std::string_view bytes);
  std::uint64_t begin() const { return end_ - kept_; }  // the first that is kept
  std::uint64_t end() const { return end_; }            // of all there ever were
  // Up to `most` bytes from `from` on, which must be in [begin, end].
  std::string read(std::uint64_t from, std::size_t most) const;
  // Where someone goes on who has seen all before `from`: there, or, where that is no longer kept, at the first line
  // that is kept whole (a line begins outside of escape sequences and of characters of several bytes).
  std::uint64_t resume(std::uint64_t from) const;

 private:
  std::size_t capacity_, kept_ = 0;
  std::uint64_t end_ = 0;
  std::vector<char> data_;  // byte N stands at N % capacity
};

}  // namespace lab::terminal
