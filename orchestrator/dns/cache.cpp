#include "orchestrator/dns/cache.h"

#include <algorithm>

namespace lab::dns {
namespace {

constexpr std::uint32_t kLongest = 300, kLongestNegative = 30;  // seconds

std::uint32_t get32(const std::string& s, std::size_t at) {
  auto byte = [&](std::size_t i) { return std::uint32_t(static_cast<unsigned char>(s[at + i])); };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

// Seconds that this answer may be kept; 0: not at all.
std::uint32_t lifetime(const Response& r) {
  if (r.truncated || (r.rcode != kNoError && r.rcode != kNxDomain)) return 0;
  bool positive = false;
  std::uint32_t shortest = kLongest, negative = 0;
  for (const auto& rr : r.records) {
    shortest = std::min(shortest, rr.record.ttl);
    if (rr.section == ReadRecord::kAnswer) positive = true;
    bool soa = rr.section == ReadRecord::kAuthority && rr.record.type == kSoa && rr.record.data.size() >= 4;
    if (soa) negative = std::min({rr.record.ttl, get32(rr.record.data, rr.record.data.size() - 4), kLongestNegative});
  }
  return positive && r.rcode == kNoError ? shortest : std::min(negative, shortest);
}

}  // namespace

std::string Cache::key_of(const Query& q) {
  return q.name + "/" + std::to_string(q.type) + "/" + std::to_string(q.klass) + "/" + std::to_string(q.passed_flags) +
         (q.edns ? "e" : "") + (q.dnssec_ok ? "d" : "");
}

std::optional<std::string> Cache::find(const Query& query, TimePoint now) {
  auto at = by_key_.find(key_of(query));
  if (at == by_key_.end()) return std::nullopt;
  auto entry = at->second;
  if (now >= entry->expires) {
    entries_.erase(entry);
    by_key_.erase(at);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  auto out = entry->packet;
  auto age = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - entry->stored).count());
  for (auto offset : entry->ttl_offsets) {
    auto ttl = get32(out, offset);
    ttl = ttl > age ? ttl - age : 0;
    for (int i = 0; i < 4; ++i) out[offset + std::size_t(i)] = static_cast<char>(ttl >> (24 - 8 * i));
  }
  return out;
}

void Cache::store(const Query& query, const std::string& packet, const Response& response, TimePoint now) {
  auto seconds = lifetime(response);
  // A name that another one equals only because unprintable bytes were replaced must not answer for it.
  if (!seconds || query.name.find('\x01') != std::string::npos) return;
  auto key = key_of(query);
  if (auto at = by_key_.find(key); at != by_key_.end()) {
    entries_.erase(at->second);
    by_key_.erase(at);
  }
  while (entries_.size() >= capacity_) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  Entry entry{key, packet, {}, now, now + std::chrono::seconds(seconds)};
  for (const auto& rr : response.records) entry.ttl_offsets.push_back(rr.ttl_offset);
  entries_.push_front(std::move(entry));
  by_key_[key] = entries_.begin();
}

}  // namespace lab::dns
