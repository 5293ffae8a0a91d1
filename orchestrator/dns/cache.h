// Cache of upstream's answers, by question. Answers live as long as their shortest TTL says (RFC 2181), negative ones
// as their SOA says (RFC 2308), both within bounds. Used on one thread.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>

#include "base/io/loop.h"
#include "orchestrator/dns/wire.h"

namespace lab::dns {

class Cache {
 public:
  explicit Cache(std::size_t capacity) : capacity_(capacity) {}
  // The answer as upstream gave it, with TTLs less the time it has lain here.
  std::optional<std::string> find(const Query& query, TimePoint now);
  void store(const Query& query, const std::string& packet, const Response& response, TimePoint now);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key, packet;
    std::vector<std::size_t> ttl_offsets;
    TimePoint stored, expires;
  };
  using Entries = std::list<Entry>;  // used last: first
  static std::string key_of(const Query& query);

  std::size_t capacity_;
  Entries entries_;
  std::map<std::string, Entries::iterator> by_key_;
};

}  // namespace lab::dns
