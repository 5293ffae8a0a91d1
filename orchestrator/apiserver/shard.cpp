#include "orchestrator/apiserver/shard.h"

#include <algorithm>
#include <mutex>

#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

// Beside the object's bytes, what one history entry costs.
constexpr std::size_t kEventOverhead = 400;

std::string name_trigger(std::string_view ns, std::string_view name) {
  std::string out("n:");
  out += ns;
  out += '/';
  out += name;
  return out;
}
std::string namespace_trigger(std::string_view ns) {
  return "s:" + std::string(ns);
}
std::string field_trigger(std::string_view value) {
  return "f:" + std::string(value);
}

// Only the first selectable field is a trigger: spec.nodeName of pods.
bool has_field_trigger(const api::Kind& kind) {
  return !kind.selectable_fields.empty() && kind.selectable_fields.front() == "spec.nodeName";
}

// The value of that field a selection asks for; null when it leaves it open.
const std::string* wanted_field(const api::Kind& kind, const Selection& selection) {
  if (!has_field_trigger(kind)) return nullptr;
  for (const auto& field : selection.fields)
    if (field.index == 0 && field.equal) return &field.value;
  return nullptr;
}

}  // namespace

std::string trigger_of(const api::Kind& kind, const Selection& selection) {
  if (!selection.name.empty() && (!kind.namespaced || !selection.ns.empty()))
    return name_trigger(selection.ns, selection.name);
  if (const auto* value = wanted_field(kind, selection)) return field_trigger(*value);
  if (!selection.ns.empty()) return namespace_trigger(selection.ns);
  return {};
}

CachedPtr Shard::find(std::string_view rest) const {
  std::shared_lock lock(mutex_);
  auto it = objects_.find(rest);
  return it == objects_.end() ? nullptr : it->second;
}

std::size_t Shard::count() const {
  std::shared_lock lock(mutex_);
  return objects_.size();
}

store::Revision Shard::changed_at() const {
  std::shared_lock lock(mutex_);
  return changed_at_;
}

std::size_t Shard::watcher_count() const {
  std::shared_lock lock(mutex_);
  return watcher_count_;
}

WatchCache::Listing Shard::select(const Selection& selection, std::size_t limit, std::string_view from) const {
  std::shared_lock lock(mutex_);
  return select_locked(selection, limit, from);
}

const Shard::Objects& Shard::candidates(const Selection& selection) const {
  static const Objects kNone;
  const auto* value = wanted_field(*kind_, selection);
  if (!value) return objects_;
  auto it = by_field_.find(*value);
  return it == by_field_.end() ? kNone : it->second;
}

void Shard::index(const std::string& rest, const CachedPtr& before, const CachedPtr& now) {
  if (!has_field_trigger(*kind_)) return;
  if (before && !before->meta().fields.empty())
    if (auto it = by_field_.find(before->meta().fields.front()); it != by_field_.end()) {
      it->second.erase(rest);
      if (it->second.empty()) by_field_.erase(it);
    }
  if (now && !now->meta().fields.empty()) by_field_[now->meta().fields.front()].insert_or_assign(rest, now);
}

void Shard::index_all() {
  by_field_.clear();
  for (const auto& [rest, object] : objects_) index(rest, nullptr, object);
}

WatchCache::Listing Shard::select_locked(const Selection& selection, std::size_t limit, std::string_view from) const {
  WatchCache::Listing out;
  out.revision = changed_at_;
  std::string first = kind_->namespaced && !selection.ns.empty() ? selection.ns + "/" : std::string();
  const auto& objects = candidates(selection);
  auto end = first.empty() ? objects.end() : objects.lower_bound(store::prefix_end(first));
  auto it = from.empty() || from < first ? objects.lower_bound(first) : objects.lower_bound(from);
  if (selection.all() && limit == 0) out.items.reserve(objects.size());
  if (!selection.name.empty() && (!kind_->namespaced || !selection.ns.empty())) {
    it = objects.find(first + selection.name);
    end = it == objects.end() ? it : std::next(it);
  }
  for (; it != end; ++it) {
    if (limit != 0 && out.items.size() == limit) {
      out.next = it->first;
      out.remaining = static_cast<std::size_t>(std::distance(it, end));
      break;
    }
    if (selection.selects(*it->second)) out.items.push_back(it->second);
  }
  return out;
}

void Shard::reset(std::map<std::string, CachedPtr, std::less<>> objects, store::Revision revision) {
  std::unique_lock lock(mutex_);
  objects_ = std::move(objects);
  index_all();
  history_.clear();
  history_size_ = 0;
  oldest_ = changed_at_ = revision;
  for (auto& [trigger, list] : watchers_)
    for (auto* watcher : list) watcher->drop();
}

void Shard::backfill(std::map<std::string, CachedPtr, std::less<>> objects, store::Revision revision) {
  std::unique_lock lock(mutex_);
  for (const auto& event : history_) {  // what has happened since is newer than what was read
    const auto& object = *event->object;
    objects.erase(kind_->namespaced ? object.ns() + "/" + object.name() : object.name());
  }
  objects_.merge(objects);
  index_all();
  oldest_ = std::max(oldest_, revision);
  changed_at_ = std::max(changed_at_, revision);
}

void Shard::apply(std::vector<Update> updates) {
  std::unique_lock lock(mutex_);
  for (auto& update : updates) {
    if (update.revision <= oldest_) continue;  // already in the state that was loaded
    auto event = std::make_shared<CacheEvent>();
    event->revision = update.revision;
    auto it = objects_.find(update.rest);
    if (it != objects_.end()) event->previous = it->second;
    if (update.now) {
      index(update.rest, event->previous, update.now);
      event->type = event->previous ? CacheEvent::kModified : CacheEvent::kAdded;
      event->object = update.now;
      if (it != objects_.end()) {
        it->second = std::move(update.now);
      } else {
        objects_.emplace(std::move(update.rest), std::move(update.now));
      }
    } else {
      if (!event->previous || !update.tombstone) continue;
      event->type = CacheEvent::kDeleted;
      event->object = std::move(update.tombstone);
      index(update.rest, event->previous, nullptr);
      objects_.erase(it);
    }
    changed_at_ = event->revision;
    remember(event);
    dispatch(event);
  }
}

void Shard::remember(const EventPtr& event) {
  history_size_ += event->object->bytes()->size() + kEventOverhead;
  history_.push_back(event);
  while (history_size_ > history_bytes_ && history_.size() > 1) {
    // A transaction leaves as a whole: the revision it had is no longer complete.
    oldest_ = history_.front()->revision;
    while (!history_.empty() && history_.front()->revision == oldest_) {
      history_size_ -= history_.front()->object->bytes()->size() + kEventOverhead;
      history_.pop_front();
    }
  }
}

void Shard::offer(const std::string& trigger, const EventPtr& event) {
  auto it = watchers_.find(trigger);
  if (it == watchers_.end()) return;
  for (auto* watcher : it->second) watcher->push(event);
}

void Shard::dispatch(const EventPtr& event) {
  if (watchers_.empty()) return;
  const auto& object = *event->object;
  offer({}, event);
  if (watchers_.size() == 1 && watchers_.contains("")) return;
  offer(name_trigger(object.ns(), object.name()), event);
  if (kind_->namespaced) offer(namespace_trigger(object.ns()), event);
  if (!has_field_trigger(*kind_)) return;
  const auto& now = object.meta().fields.front();
  offer(field_trigger(now), event);
  if (event->previous && event->previous->meta().fields.front() != now)
    offer(field_trigger(event->previous->meta().fields.front()), event);
}

Result<WatchCache::Listing> Shard::attach(Watcher& watcher, WatchCache::WatchStart start, store::Revision complete) {
  std::unique_lock lock(mutex_);
  WatchCache::Listing state;
  if (start.mode == WatchCache::WatchStart::kState) {
    state = select_locked(watcher.selection_, 0, {});
    state.revision = std::max(state.revision, complete);
  } else {
    if (start.after < oldest_)
      return Failure(
          expired("too old resource version: " + std::to_string(start.after) + " (" + std::to_string(oldest_) + ")"));
    auto it = std::ranges::upper_bound(history_, start.after, {}, [](const EventPtr& e) { return e->revision; });
    watcher.queue_.assign(it, history_.end());
  }
  watcher.trigger_ = trigger_of(*kind_, watcher.selection_);
  watchers_[watcher.trigger_].push_back(&watcher);
  ++watcher_count_;
  return state;
}

void Shard::detach(Watcher& watcher) {
  std::unique_lock lock(mutex_);
  auto it = watchers_.find(watcher.trigger_);
  if (it == watchers_.end()) return;
  watcher_count_ -= std::erase(it->second, &watcher);
  if (it->second.empty()) watchers_.erase(it);
}

}  // namespace lab::apiserver
