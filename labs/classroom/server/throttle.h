// Throttle: wrong secrets are answered ever more slowly, by the address they come from.
//
// A right one is never held up: a class may stand behind one address, and one student who guesses must not lock out the
// others. (A link has 128 random bits; what is saved here is the server's time and its log, and a guesser's hope.)
// Memory is bounded: so many addresses, the one that was quiet the longest is forgotten first; and of all wrong answers
// only so many wait at the same time, the others are refused at once. Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace lab::classroom {

class Throttle {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMostAddresses = 4096;
  static constexpr int kMostWaiting = 8;         // answers of one address
  static constexpr int kMostWaitingOfAll = 512;  // fewer than addresses: one of them can always be forgotten
  static constexpr auto kFirstDelay = std::chrono::milliseconds(50);  // doubles with every wrong secret
  static constexpr auto kLongestDelay = std::chrono::milliseconds(5000);
  static constexpr auto kForgiven = std::chrono::minutes(1);  // after so long, half of it is forgotten

  // A wrong secret came from this address: how long its answer waits; done() must follow. Nothing: refuse at once.
  std::optional<std::chrono::milliseconds> wrong(const std::string& address, TimePoint now);
  void done(const std::string& address);
  std::size_t addresses() const;

 private:
  struct Entry {
    int wrong = 0, waiting = 0;
    TimePoint last;
  };
  void make_room();

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  int waiting_ = 0;
};

}  // namespace lab::classroom
