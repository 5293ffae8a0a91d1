// ServiceRanges: which cluster IPs and node ports are free, and who has which.
//
// What is taken is what the Services in the caches have, plus what has been given out and has not yet come into the
// caches. Thread-safe. A claim belongs to a Service, by its uid, and to the write that makes it: the write's abort
// gives it back.
//
// Where other servers write to the store as well, two may see the same address free at the same moment. There each one
// that is given stands in the store as a record of its own (kRecords), which is made in the Service's own commit on the
// condition that it does not exist, and goes with the Service's commit that gives it up: of two commits one fails, and
// looks again. As kube-apiserver's IPAddress objects and allocation bitmaps do it, but that none can be left behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "orchestrator/apiserver/hooks.h"

namespace lab::apiserver::hooks {

// IPv4 as a number; empty when the text is none.
std::optional<std::uint32_t> parse_ipv4(std::string_view text);
std::string format_ipv4(std::uint32_t address);

struct Network {
  std::uint32_t first = 0, size = 0;  // network address, number of addresses
  std::string text;
  static Result<Network> parse(std::string_view cidr);
  bool contains(std::uint32_t a) const { return a - first < size; }
};

class ServiceRanges {
 public:
  static constexpr std::string_view kRecords =
      "/registry/ranges/services/";  // then "10.96.0.7" or "30080"; the value: a uid

  ServiceRanges(Network network, int port_first, int port_last, bool shared = false);

  // Errors are reasons: "provided IP is already allocated", "range is full".
  Result<std::string> claim_ip(WriteContext& ctx, const std::string& uid, std::string_view wanted);  // "" takes any
  Result<int> claim_port(WriteContext& ctx, const std::string& uid, int wanted);                     // 0 takes any
  // Once the write is committed, the Service has nothing but what stands in it.
  void settle(WriteContext& ctx, const json::Value& service);
  // The Service leaves the store, or `now` is what becomes of it: the records of what it no longer has go in this
  // commit.
  void release(WriteContext& ctx, const json::Value& service, const json::Value* now = nullptr) const;
  // The records that a Service must have.
  static std::vector<std::string> records_of(const json::Value& service);
  // The Service is gone.
  void forget(const std::string& uid);
  const Network& network() const { return network_; }

 private:
  // Addresses are keys as they are; ports are keys from 2^32 on.
  using Key = std::uint64_t;
  struct Claim {
    std::string owner;  // uid
    bool committed = false;
    std::chrono::steady_clock::time_point since;
  };
  void refresh(const ObjectReader& reader);
  bool free_for(Key key, const std::string& owner) const;
  void take(WriteContext& ctx, const std::string& uid, Key key);
  static std::vector<Key> keys_of(const json::Value& service);
  std::optional<Key> any_free(Key first, std::uint64_t size, std::uint64_t reserved) const;

  Network network_;
  int port_first_, port_last_;
  const bool shared_;
  api::KindPtr services_;
  std::mutex mutex_;
  std::int64_t revision_ = -1;
  std::unordered_map<Key, std::string> taken_;  // by owner
  std::map<Key, std::shared_ptr<Claim>> claims_;
};

}  // namespace lab::apiserver::hooks
