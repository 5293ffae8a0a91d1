#include "orchestrator/apiserver/hooks/ranges.h"

#include <algorithm>
#include <charconv>
#include <random>

namespace lab::apiserver::hooks {
namespace {

constexpr std::uint64_t kPortBase = std::uint64_t(1) << 32;
// A committed claim is in the caches long before this.
constexpr std::chrono::seconds kForget{10};

std::uint64_t random_below(std::uint64_t n) {
  static thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(engine);
}

// The lower part of a range is left to those who choose themselves (KEP-3070, KEP-3668), while there is room above.
std::uint64_t reserved_of(std::uint64_t size, std::uint64_t divisor, std::uint64_t most) {
  if (size < 2 * 16) return 0;
  return std::clamp<std::uint64_t>(size / divisor, 16, most);
}

std::string record_of(std::uint64_t key) {
  return std::string(ServiceRanges::kRecords) +
         (key < kPortBase ? format_ipv4(static_cast<std::uint32_t>(key)) : std::to_string(key - kPortBase));
}

}  // namespace

std::optional<std::uint32_t> parse_ipv4(std::string_view text) {
  std::uint32_t out = 0;
  for (int part = 0; part < 4; ++part) {
    unsigned n = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    auto used = static_cast<std::size_t>(end - text.data());
    // "010" could be octal: refused.
    if (ec != std::errc() || n > 255 || used > 3 || (used > 1 && text[0] == '0')) return std::nullopt;
    out = out << 8 | n;
    text.remove_prefix(used);
    if (part == 3) break;
    if (text.empty() || text[0] != '.') return std::nullopt;
    text.remove_prefix(1);
  }
  if (!text.empty()) return std::nullopt;
  return out;
}

std::string format_ipv4(std::uint32_t a) {
  return std::to_string(a >> 24) + "." + std::to_string(a >> 16 & 255) + "." + std::to_string(a >> 8 & 255) + "." +
         std::to_string(a & 255);
}

Result<Network> Network::parse(std::string_view cidr) {
  auto slash = cidr.find('/');
  auto address = parse_ipv4(cidr.substr(0, slash));
  unsigned bits = 99;
  if (slash != std::string_view::npos) {
    auto rest = cidr.substr(slash + 1);
    std::from_chars(rest.data(), rest.data() + rest.size(), bits);
  }
  if (!address || bits < 8 || bits > 30)
    return fail(Code::kInvalid, "the range of Service addresses \"" + std::string(cidr) + "\" is no IPv4 network",
                "write it like 10.96.0.0/12, with 8 to 30 bits");
  Network n;
  n.size = std::uint32_t(1) << (32 - bits);
  n.first = *address & ~(n.size - 1);
  n.text = format_ipv4(n.first) + "/" + std::to_string(bits);
  return n;
}

ServiceRanges::ServiceRanges(Network network, int port_first, int port_last, bool shared)
    : network_(std::move(network)),
      port_first_(port_first),
      port_last_(port_last),
      shared_(shared),
      services_(api::find_kind("", "v1", "services")) {}

std::vector<ServiceRanges::Key> ServiceRanges::keys_of(const json::Value& s) {
  std::vector<Key> out;
  for (const auto& ip : json::list(s, "spec", "clusterIPs"))
    if (auto a = parse_ipv4(json::as_str(ip))) out.push_back(*a);
  if (auto a = parse_ipv4(json::str(s, "spec", "clusterIP"))) out.push_back(*a);
  for (const auto& p : json::list(s, "spec", "ports"))
    if (auto port = json::num(p, "nodePort")) out.push_back(kPortBase + static_cast<Key>(port));
  if (auto port = json::num(s, "spec", "healthCheckNodePort")) out.push_back(kPortBase + static_cast<Key>(port));
  return out;
}

std::vector<std::string> ServiceRanges::records_of(const json::Value& service) {
  std::vector<std::string> out;
  for (Key key : keys_of(service)) out.push_back(record_of(key));
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

void ServiceRanges::release(WriteContext& ctx, const json::Value& service, const json::Value* now) const {
  if (!shared_) return;
  const auto kept = now ? records_of(*now) : std::vector<std::string>();
  for (auto& record : records_of(service))
    if (std::ranges::find(kept, record) == kept.end())
      ctx.changes.push_back({.key = std::move(record), .value = nullptr, .expect = {}});
}

void ServiceRanges::refresh(const ObjectReader& reader) {
  auto revision = reader.revision_of(*services_);
  if (revision != revision_) {
    taken_.clear();
    for (const auto& s : reader.list(*services_))
      for (Key key : keys_of(*s)) taken_[key] = json::str(*s, "metadata", "uid");
    revision_ = revision;
  }
  auto now = std::chrono::steady_clock::now();
  std::erase_if(claims_, [&](const auto& entry) {
    const Claim& c = *entry.second;
    auto it = taken_.find(entry.first);
    return c.committed && ((it != taken_.end() && it->second == c.owner) || now - c.since > kForget);
  });
}

void ServiceRanges::settle(WriteContext& ctx, const json::Value& service) {
  ctx.on_commit.push_back([this, uid = std::string(json::str(service, "metadata", "uid")), keys = keys_of(service)] {
    std::lock_guard lock(mutex_);
    std::erase_if(claims_, [&](const auto& entry) {
      return entry.second->owner == uid && std::ranges::find(keys, entry.first) == keys.end();
    });
  });
}

void ServiceRanges::forget(const std::string& uid) {
  std::lock_guard lock(mutex_);
  std::erase_if(claims_, [&](const auto& entry) { return entry.second->owner == uid; });
}

bool ServiceRanges::free_for(Key key, const std::string& owner) const {
  if (auto it = taken_.find(key); it != taken_.end() && it->second != owner) return false;
  auto it = claims_.find(key);
  return it == claims_.end() || it->second->owner == owner;
}

void ServiceRanges::take(WriteContext& ctx, const std::string& uid, Key key) {
  // Its own already: as it stands in the caches, or for another protocol in this write.
  if (auto it = taken_.find(key); it != taken_.end() && it->second == uid) return;
  if (claims_.contains(key)) return;
  auto claim = std::make_shared<Claim>(Claim{uid, false, {}});
  claims_.emplace(key, claim);
  if (shared_)
    ctx.changes.push_back({.key = record_of(key), .value = std::make_shared<const std::string>(uid), .expect = 0});
  ctx.on_abort.push_back([this, key, claim] {
    std::lock_guard lock(mutex_);
    if (auto it = claims_.find(key); it != claims_.end() && it->second == claim) claims_.erase(it);
  });
  ctx.on_commit.push_back([this, claim] {
    std::lock_guard lock(mutex_);
    claim->committed = true;
    claim->since = std::chrono::steady_clock::now();
  });
}

std::optional<ServiceRanges::Key> ServiceRanges::any_free(Key first, std::uint64_t size, std::uint64_t reserved) const {
  auto scan = [&](Key from, std::uint64_t count) -> std::optional<Key> {
    if (count == 0) return std::nullopt;
    std::uint64_t start = random_below(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      Key key = from + (start + i) % count;
      if (!taken_.contains(key) && !claims_.contains(key)) return key;
    }
    return std::nullopt;
  };
  if (auto key = scan(first + reserved, size - reserved)) return key;
  return scan(first, reserved);
}

Result<std::string> ServiceRanges::claim_ip(WriteContext& ctx, const std::string& uid, std::string_view wanted) {
  std::lock_guard lock(mutex_);
  refresh(ctx.reader);
  // The network's own address and the last one are never given.
  Key first = network_.first + 1;
  std::uint64_t size = network_.size - 2;
  if (wanted.empty()) {
    auto key = any_free(first, size, reserved_of(size, 16, 256));
    if (!key) return fail(Code::kInternal, "range is full", "the Services use every address of " + network_.text);
    take(ctx, uid, *key);
    return format_ipv4(static_cast<std::uint32_t>(*key));
  }
  auto address = parse_ipv4(wanted);
  if (!address || *address < first || *address - first >= size)
    return fail(Code::kInvalid, "the provided IP (" + std::string(wanted) +
                                    ") is not in the valid range. The range of valid IPs is " + network_.text);
  if (!free_for(*address, uid)) return fail(Code::kInvalid, "provided IP is already allocated");
  take(ctx, uid, *address);
  return std::string(wanted);
}

Result<int> ServiceRanges::claim_port(WriteContext& ctx, const std::string& uid, int wanted) {
  std::lock_guard lock(mutex_);
  refresh(ctx.reader);
  Key first = kPortBase + static_cast<Key>(port_first_);
  auto size = static_cast<std::uint64_t>(port_last_ - port_first_ + 1);
  if (wanted == 0) {
    auto key = any_free(first, size, reserved_of(size, 32, 128));
    if (!key) return fail(Code::kInternal, "range is full", "the Services use every node port");
    take(ctx, uid, *key);
    return static_cast<int>(*key - kPortBase);
  }
  if (wanted < port_first_ || wanted > port_last_)
    return fail(Code::kInvalid, "provided port is not in the valid range. The range of valid ports is " +
                                    std::to_string(port_first_) + "-" + std::to_string(port_last_));
  Key key = kPortBase + static_cast<Key>(wanted);
  if (!free_for(key, uid)) return fail(Code::kInvalid, "provided port is already allocated");
  take(ctx, uid, key);
  return wanted;
}

}  // namespace lab::apiserver::hooks
