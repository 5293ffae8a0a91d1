// Targets: the addresses this peer wants connections to, and when it dials each.
//
// An address comes from flags, from the API (Nodes) or from what connected peers say about others; it stays while any
// of the three names it. A failed attempt is repeated after a pause that doubles, with jitter, so that peers that lost
// one another together do not come back together; a connection that held for a while starts over with short pauses.
// Pure: time and randomness are handed in.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "base/result.h"

namespace lab::overlay {

struct BackOff {
  Duration first = std::chrono::milliseconds(500), most = std::chrono::seconds(30);
  Duration held = std::chrono::seconds(5);  // a connection that lasted as long was a good one
};

// The pause after the n-th failure in a row (n >= 1): between half of and the whole of first * 2^(n-1), at most `most`.
Duration pause_after(int failures, const BackOff& rules, std::mt19937_64& random);

struct Target {
  enum class State { kWaiting, kDialling, kConnected };
  State state = State::kWaiting;
  std::set<std::string> sources;  // "flag", "api", "peer"
  int failures = 0;
  TimePoint next{};   // kWaiting: when it is dialled
  TimePoint since{};  // kConnected
  std::string error;  // of the last attempt
};

class Targets {
 public:
  Targets(BackOff rules, std::uint64_t seed) : rules_(rules), random_(seed) {}

  // What a source names now, and how long a new one waits before it is dialled (plus up to as much again). What the
  // source named before and no longer does loses that source.
  void set(const std::string& source, const std::map<std::string, Duration>& addresses, TimePoint now);
  // Addresses that are reached already (by a connection they made, or under another name) are left alone.
  void set_connected(const std::set<std::string>& addresses, TimePoint now);
  // The address leads to this peer itself: never again.
  void never(const std::string& address) { own_.insert(address); }

  std::vector<std::string> take_due(TimePoint now);  // marks them as being dialled
  void failed(const std::string& address, std::string error, TimePoint now);
  // The connection made by dialling it ended.
  void lost(const std::string& address, Duration lasted, std::string error, TimePoint now);
  void connected(const std::string& address, TimePoint now);
  // Why the connection that the other side had made ended; shown until there is one again.
  void explain(const std::string& address, std::string error);
  TimePoint next_due() const;
  const std::map<std::string, Target>& all() const { return targets_; }

 private:
  void drop_unnamed();
  BackOff rules_;
  std::mt19937_64 random_;
  std::map<std::string, Target> targets_;
  std::set<std::string> own_;
};

// Says things once: what has been told about a subject is told again only after it was settled, or after a long while.
class ToldOnce {
 public:
  explicit ToldOnce(Duration again = std::chrono::minutes(30)) : again_(again) {}
  // Whether to tell now. `left_out`, where given, gets how often it was not told since the last time.
  bool tell(const std::string& subject, TimePoint now, std::uint64_t* left_out = nullptr);
  void settled(const std::string& subject) { told_.erase(subject); }

 private:
  struct Entry {
    TimePoint at;
    std::uint64_t left_out = 0;
  };
  Duration again_;
  std::map<std::string, Entry> told_;
};

}  // namespace lab::overlay
