#include "orchestrator/apiserver/watch_cache.h"

#include <algorithm>
#include <future>

#include "base/log.h"
#include "orchestrator/apiserver/shard.h"

namespace lab::apiserver {
namespace {

constexpr std::string_view kRoot = "/registry/";
// Objects that policies read over and over are kept parsed.
constexpr std::string_view kKeptParsed[] = {"rbac.authorization.k8s.io", "scheduling.k8s.io", "node.k8s.io"};
constexpr std::string_view kKeptParsedCore[] = {"namespaces", "nodes", "serviceaccounts", "limitranges"};

bool keeps_parsed(const api::Kind& kind) {
  if (kind.group.empty()) return std::ranges::find(kKeptParsedCore, kind.plural) != std::end(kKeptParsedCore);
  return std::ranges::find(kKeptParsed, kind.group) != std::end(kKeptParsed);
}

std::string rest_of(const api::Kind& kind, std::string_view ns, std::string_view name) {
  if (!kind.namespaced) return std::string(name);
  std::string out(ns);
  out += '/';
  out += name;
  return out;
}

}  // namespace

Watcher::~Watcher() {
  if (shard_) shard_->detach(*this);
}

void Watcher::push(const EventPtr& event) {
  std::optional<OneShot<Wake>> wake;
  {
    std::lock_guard lock(mutex_);
    if (dropped_) return;
    if (queue_.size() >= kCapacity) {
      dropped_ = true;
      queue_.clear();
      queue_.shrink_to_fit();
    } else {
      queue_.push_back(event);
    }
    wake = std::exchange(waiting_, std::nullopt);
  }
  if (wake) wake->set(Wake::kEvents);
}

void Watcher::drop() {
  std::optional<OneShot<Wake>> wake;
  {
    std::lock_guard lock(mutex_);
    dropped_ = true;
    wake = std::exchange(waiting_, std::nullopt);
  }
  if (wake) wake->set(Wake::kDropped);
}

bool Watcher::empty() const {
  std::lock_guard lock(mutex_);
  return queue_.empty();
}

std::vector<EventPtr> Watcher::take() {
  std::lock_guard lock(mutex_);
  std::vector<EventPtr> out(queue_.begin(), queue_.end());
  queue_.clear();
  return out;
}

Task<Watcher::Wake> Watcher::wait(TimePoint deadline, std::stop_token stop) {
  OneShot<Wake> signal;
  {
    std::lock_guard lock(mutex_);
    if (dropped_) co_return Wake::kDropped;
    if (!queue_.empty()) co_return Wake::kEvents;
    if (stop.stop_requested()) co_return Wake::kStopped;
    waiting_ = signal;
  }
  Loop& loop = *Loop::current();
  auto timer = loop.call_at(deadline, [signal]() mutable { signal.set(Wake::kTimeout); });
  std::stop_callback on_stop(stop, [signal]() mutable { signal.set(Wake::kStopped); });
  auto wake = co_await signal.wait();
  loop.cancel_timer(timer);
  std::lock_guard lock(mutex_);
  waiting_.reset();
  co_return dropped_ ? Wake::kDropped : wake;
}

WatchCache::WatchCache(store::Store& store, const KindTable& kinds, Options options)
    : store_(store), kinds_(kinds), options_(options) {}

WatchCache::~WatchCache() {
  stop();
}

void WatchCache::stop() {
  stopping_ = true;
  watch_.reset();
  if (reload_.joinable()) reload_.join();
}

Result<std::unique_ptr<WatchCache>> WatchCache::start(store::Store& store, const KindTable& kinds, Options options) {
  std::unique_ptr<WatchCache> cache(new WatchCache(store, kinds, options));
  LAB_CHECK(cache->load());
  cache->follow();
  return cache;
}

// Reads everything under /registry/ at one revision and puts it in place of what the shards hold.
Result<void> WatchCache::load() {
  std::promise<Result<store::RangeResult>> promise;
  auto future = promise.get_future();
  store_.range({.start = std::string(kRoot), .end = store::prefix_end(std::string(kRoot))},
               [&](Result<store::RangeResult> r) { promise.set_value(std::move(r)); });
  LAB_TRY(auto all, future.get());
  std::map<std::string, std::map<std::string, CachedPtr, std::less<>>> objects;
  auto table = kinds_.snapshot();
  {
    std::unique_lock lock(shards_mutex_);
    for (const auto& [prefix, kind] : table->storage)
      if (!shards_.contains(prefix)) shards_.emplace(prefix, std::make_shared<Shard>(kind, options_.history_bytes / 3));
  }
  for (const auto& item : all.items) {
    auto shard = shard_of_key(item.key);
    if (!shard) continue;
    objects[shard->kind().storage_prefix].emplace(item.key.substr(shard->kind().storage_prefix.size()),
                                                  make_object(shard->kind(), item));
  }
  std::shared_lock lock(shards_mutex_);
  for (auto& [prefix, shard] : shards_) shard->reset(std::move(objects[prefix]), all.revision);
  publish(all.revision);
  return {};
}

Task<Result<void>> WatchCache::add_kinds() {
  auto table = kinds_.snapshot();
  for (const auto& [prefix, kind] : table->storage) {
    auto added = std::make_shared<Shard>(kind, options_.history_bytes / 3);
    {
      std::unique_lock lock(shards_mutex_);
      if (!shards_.emplace(prefix, added).second) continue;
    }
    OneShot<Result<store::RangeResult>> done;
    store_.range({.start = prefix, .end = store::prefix_end(prefix)},
                 [done](Result<store::RangeResult> r) mutable { done.set(std::move(r)); });
    auto read = co_await done.wait();
    if (!read) {
      std::unique_lock lock(shards_mutex_);
      shards_.erase(prefix);
      co_return std::unexpected(std::move(read).error());
    }
    std::map<std::string, CachedPtr, std::less<>> objects;
    for (const auto& item : read->items) objects.emplace(item.key.substr(prefix.size()), make_object(*kind, item));
    added->backfill(std::move(objects), read->revision);
  }
  co_return Result<void>();
}

void WatchCache::follow() {
  // A shared store is followed whole, so that revisions in which others wrote beside our keys are seen to pass.
  std::string start(store_.shared() ? "" : kRoot), end(store_.shared() ? "" : store::prefix_end(std::string(kRoot)));
  watch_ = store_.watch(
      std::move(start), std::move(end), revision(), [this](Result<store::WatchBatch> batch) {
        if (batch) return apply(*batch);
        if (stopping_) return;
        log::warn("the watch cache lost its place in the store and reads it anew", {{"reason", batch.error().text()}});
        // Not on the store's thread: load() waits for it.
        if (reload_.joinable()) reload_.join();
        reload_ = std::thread([this] {
          while (!stopping_) {
            if (auto loaded = load(); loaded) return follow();
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
          }
        });
      });
}

std::shared_ptr<Shard> WatchCache::shard_of_key(std::string_view key) const {
  std::shared_lock lock(shards_mutex_);
  // No prefix is the beginning of another one, so the last one not after the key is the only candidate.
  auto it = shards_.upper_bound(key);
  if (it == shards_.begin()) return nullptr;
  --it;
  return key.starts_with(it->first) ? it->second : nullptr;
}

std::shared_ptr<Shard> WatchCache::shard(const api::Kind& kind) const {
  std::shared_lock lock(shards_mutex_);
  auto it = shards_.find(kind.storage_prefix);
  return it == shards_.end() ? nullptr : it->second;
}

ObjectMeta WatchCache::meta_for(const api::Kind& kind, const store::Bytes& value) {
  {
    std::lock_guard lock(announced_mutex_);
    if (auto it = announced_.find(value.get()); it != announced_.end()) {
      auto meta = std::move(it->second);
      announced_.erase(it);
      return meta;
    }
  }
  auto parsed = json::parse(*value);
  return parsed ? meta_of(kind, *parsed) : ObjectMeta{};
}

CachedPtr WatchCache::make_object(const api::Kind& kind, const store::KeyValue& item) const {
  auto parsed = json::parse(*item.value);
  return std::make_shared<CachedObject>(std::string_view(item.key).substr(kind.storage_prefix.size()), *item.value,
                                        item.mod_revision, item.create_revision,
                                        parsed ? meta_of(kind, *parsed) : ObjectMeta{});
}

void WatchCache::apply(const store::WatchBatch& batch) {
  if (batch.empty()) return;
  // Grouped by shard, so that a transaction enters each shard in one step.
  std::vector<std::pair<std::shared_ptr<Shard>, std::vector<Shard::Update>>> groups;
  for (const auto& event : batch) {
    auto shard = shard_of_key(event.current.key);
    if (!shard) continue;
    const auto& kind = shard->kind();
    Shard::Update update;
    update.rest = event.current.key.substr(kind.storage_prefix.size());
    update.revision = event.current.mod_revision;
    if (event.type == store::Event::kPut) {
      update.now = std::make_shared<CachedObject>(update.rest, *event.current.value, update.revision,
                                                  event.current.create_revision, meta_for(kind, event.current.value));
    } else if (event.previous) {
      auto meta = json::parse(*event.previous);
      update.tombstone =
          std::make_shared<CachedObject>(update.rest, *event.previous, update.revision, event.current.create_revision,
                                         meta ? meta_of(kind, *meta) : ObjectMeta{});
    }
    auto it = std::ranges::find(groups, shard, &decltype(groups)::value_type::first);
    if (it == groups.end()) it = groups.insert(groups.end(), {shard, {}});
    it->second.push_back(std::move(update));
  }
  for (auto& [shard, updates] : groups) shard->apply(std::move(updates));
  publish(batch.back().current.mod_revision);
}

void WatchCache::publish(store::Revision revision) {
  std::vector<OneShot<bool>> ready;
  {
    std::lock_guard lock(waiters_mutex_);
    revision_.store(std::max(revision, revision_.load()), std::memory_order_release);
    auto end = waiters_.upper_bound(revision);
    for (auto it = waiters_.begin(); it != end; ++it) ready.push_back(it->second);
    waiters_.erase(waiters_.begin(), end);
  }
  for (auto& waiter : ready) waiter.set(true);
}

Task<bool> WatchCache::wait_for(store::Revision wanted, Duration limit) {
  if (revision() >= wanted) co_return true;
  OneShot<bool> signal;
  {
    std::lock_guard lock(waiters_mutex_);
    if (revision() >= wanted) co_return true;
    waiters_.emplace(wanted, signal);
  }
  Loop& loop = *Loop::current();
  auto timer = loop.call_at(loop.now() + limit, [signal]() mutable { signal.set(false); });
  bool reached = co_await signal.wait();
  loop.cancel_timer(timer);
  if (!reached) {
    std::lock_guard lock(waiters_mutex_);
    std::erase_if(waiters_, [&](const auto& w) { return w.second.same(signal); });
  }
  co_return reached;
}

CachedPtr WatchCache::find(const api::Kind& kind, std::string_view ns, std::string_view name) const {
  auto s = shard(kind);
  return s ? s->find(rest_of(kind, ns, name)) : nullptr;
}

WatchCache::Listing WatchCache::select(const api::Kind& kind, const Selection& selection, std::size_t limit,
                                       std::string_view from) const {
  auto complete = revision();  // before the shard is read: it holds at least this
  Listing out;
  if (auto s = shard(kind)) out = s->select(selection, limit, from);
  out.revision = std::max(out.revision, complete);
  return out;
}

std::size_t WatchCache::count(const api::Kind& kind) const {
  auto s = shard(kind);
  return s ? s->count() : 0;
}

store::Revision WatchCache::changed_at(const api::Kind& kind) const {
  auto s = shard(kind);
  return s ? s->changed_at() : 0;
}

Result<WatchCache::Watching> WatchCache::watch(const api::Kind& kind, Selection selection, WatchStart start) {
  auto s = shard(kind);
  if (!s) return fail(Code::kNotFound, "no such kind is stored: " + kind.kind);
  Watching out;
  out.watcher = std::make_unique<Watcher>();
  out.watcher->selection_ = std::move(selection);
  LAB_TRY(out.state, s->attach(*out.watcher, start, revision()));
  out.watcher->shard_ = std::move(s);
  return out;
}

std::size_t WatchCache::watcher_count() const {
  std::shared_lock lock(shards_mutex_);
  std::size_t sum = 0;
  for (const auto& [prefix, shard] : shards_) sum += shard->watcher_count();
  return sum;
}

void WatchCache::announce(const store::Bytes& value, ObjectMeta meta) {
  std::lock_guard lock(announced_mutex_);
  announced_[value.get()] = std::move(meta);
}

void WatchCache::forget(const store::Bytes& value) {
  std::lock_guard lock(announced_mutex_);
  announced_.erase(value.get());
}

ObjectPtr WatchCache::get(const api::Kind& kind, std::string_view ns, std::string_view name) const {
  auto found = find(kind, ns, name);
  return found ? found->value(keeps_parsed(kind)) : nullptr;
}

std::vector<ObjectPtr> WatchCache::list(const api::Kind& kind, std::string_view ns) const {
  Selection selection;
  selection.ns = ns;
  auto found = select(kind, selection);
  std::vector<ObjectPtr> out;
  out.reserve(found.items.size());
  bool keep = keeps_parsed(kind);
  for (const auto& item : found.items) out.push_back(item->value(keep));
  return out;
}

std::vector<ObjectPtr> WatchCache::pods_of_node(std::string_view node, std::string_view ns) const {
  static const auto pods = api::find_kind("", "v1", "pods");
  Selection selection;
  selection.ns = ns;
  selection.fields.push_back({.index = 0, .value = std::string(node), .equal = true});  // spec.nodeName: indexed
  std::vector<ObjectPtr> out;
  for (const auto& pod : select(*pods, selection).items) out.push_back(pod->value());
  return out;
}

}  // namespace lab::apiserver
