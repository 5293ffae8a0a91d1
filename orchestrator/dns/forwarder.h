// Forwarder: asks the node's own resolvers, with failover and a cache.
//
// An upstream that does not answer is left alone for some seconds; while all are, answers are refused at once instead
// of letting every client wait. On one loop.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/io/address.h"
#include "base/io/task.h"
#include "orchestrator/dns/cache.h"

namespace lab::dns {

struct ForwarderOptions {
  std::vector<std::string> upstreams;  // "10.0.0.2", "10.0.0.2:5353", "[fd00::1]:53", in order of preference
  Duration timeout = std::chrono::milliseconds(1500);  // per upstream
  Duration rest = std::chrono::seconds(5);             // how long a dead one is left alone
  std::size_t cache_entries = 4096;
};

struct ForwarderStats {
  std::uint64_t asked = 0, cache_hits = 0, failures = 0;
};

class Forwarder {
 public:
  static Result<Forwarder> make(ForwarderOptions options);  // kInvalid for an upstream that is no address
  // Upstream's whole answer, with the client's id and question; nothing when no upstream gave one.
  Task<std::optional<std::string>> resolve(Query query, bool over_tcp);
  const ForwarderStats& stats() const { return stats_; }

 private:
  struct Upstream {
    std::string host;
    int port = 53;
    SocketAddress address;
    int failures = 0;
    TimePoint down_until{};
  };
  explicit Forwarder(ForwarderOptions options) : options_(std::move(options)), cache_(options_.cache_entries) {}
  Task<Result<std::string>> ask(std::size_t upstream, Query query, bool over_tcp);
  void note(Upstream& upstream, bool answered, TimePoint now);

  ForwarderOptions options_;
  std::vector<Upstream> upstreams_;
  Cache cache_;
  ForwarderStats stats_;
};

// The nameservers of a resolv.conf, without `self`: asking oneself would go round for ever.
std::vector<std::string> upstreams_of_resolv_conf(std::string_view text, const IpAddress& self);

}  // namespace lab::dns
