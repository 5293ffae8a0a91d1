#include "orchestrator/agent/status_manager.h"

#include <charconv>

#include "base/log.h"
#include "orchestrator/agent/status.h"

namespace lab::agent {

using namespace std::chrono_literals;

void StatusManager::set(const ObjectPtr& target, const std::string& uid, json::Value status, Duration delay) {
  auto& entry = entries_[uid];
  if (!entry) {
    entry = std::make_shared<Entry>();
    entry->stored = json::at(*target, "status");
  }
  if (entry->target && uid_of(*entry->target) != uid_of(*target)) {  // a mirror pod that was made anew
    entry->stored = json::at(*target, "status");
    entry->gone = false;
    entry->dirty = true;
  }
  entry->target = target;
  TimePoint now = Loop::current()->now();
  bool changed = entry->wanted != status;
  entry->wanted = std::move(status);
  if (!client_ || (!changed && !entry->dirty)) return;
  entry->dirty = true;
  entry->not_before = now + delay;
  start_writing(entry);
}

void StatusManager::start_writing(const std::shared_ptr<Entry>& entry) {
  entry->changed.notify();
  if (entry->running) return;
  entry->running = true;
  scope_.spawn("pod status", write_loop(entry));
}

namespace {

std::string_view condition(const json::Value& status, std::string_view type) {
  for (const auto& c : json::list(status, "conditions"))
    if (json::str(c, "type") == type) return json::str(c, "status");
  return {};
}

std::int64_t version_of(const json::Value& object) {
  std::string_view text = json::str(object, "metadata", "resourceVersion");
  std::int64_t version = 0;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

}  // namespace

void StatusManager::observed(const ObjectPtr& pod) {
  auto it = entries_.find(uid_of(*pod));
  if (it == entries_.end() || !client_) return;
  auto& entry = it->second;
  entry->shown = pod;
  if (!entry->dirty && overwritten(*entry)) start_writing(entry);
}

// True when somebody else has written after us and said something else of the pod's readiness; it is then due again.
bool StatusManager::overwritten(Entry& entry) {
  if (entry.gone || !entry.shown || entry.wanted.is_null() || version_of(*entry.shown) <= entry.written_at)
    return false;
  const auto& status = json::at(*entry.shown, "status");
  bool same = true;
  for (std::string_view type : {"Ready", "ContainersReady"})
    same = same && condition(status, type) == condition(entry.wanted, type);
  if (same) return false;
  entry.stored = status;
  entry.dirty = true;
  return true;
}

const json::Value& StatusManager::last(const std::string& uid) const {
  auto it = entries_.find(uid);
  return it == entries_.end() ? json::null_value() : it->second->wanted;
}

bool StatusManager::written(const std::string& uid) const {
  auto it = entries_.find(uid);
  return it == entries_.end() || !client_ || it->second->gone || !it->second->dirty;
}

Task<bool> StatusManager::wait_written(std::string uid, std::stop_token stop) {
  while (!written(uid)) {
    auto entry = entries_.find(uid)->second;
    if (!co_await entry->changed.wait(stop)) co_return false;
  }
  co_return true;
}

void StatusManager::forget(const std::string& uid) {
  auto it = entries_.find(uid);
  if (it == entries_.end()) return;
  it->second->gone = true;
  it->second->changed.notify();
  entries_.erase(it);
}

Task<void> StatusManager::write_loop(std::shared_ptr<Entry> e) {
  auto stop = scope_.token();
  Duration pause = 50ms;
  while (e->dirty && !e->gone && !stop.stop_requested()) {
    if (auto left = e->not_before - Loop::current()->now(); left > 0s) {
      co_await e->changed.wait_for(left, stop);
      continue;
    }
    json::Value wanted = e->wanted;
    ObjectPtr target = e->target;
    json::Value changes = status_patch(e->stored, wanted);
    if (changes.is_null()) {
      e->dirty = false;
      overwritten(*e);
      e->changed.notify();
      continue;
    }
    json::Value body;
    json::set(body, uid_of(*target), "metadata", "uid");
    json::set(body, std::move(changes), "status");
    auto done = co_await client_->patch(client::res::pods, namespace_of(*target), name_of(*target),
                                        client::PatchType::kStrategic, std::move(body), "status");
    if (done) {
      e->stored = json::at(*done, "status");
      e->written_at = version_of(*done);
      pause = 50ms;
      if (e->wanted == wanted && uid_of(*e->target) == uid_of(*target)) {
        // What the server made of it counts as written: an unequal rest would be written for ever.
        e->stored = std::move(wanted);
        e->dirty = false;
        overwritten(*e);
        e->changed.notify();
      }
      continue;
    }
    auto code = done.error().code;
    if (code == Code::kNotFound || code == Code::kConflict) {  // deleted, or another pod of that name now
      if (uid_of(*e->target) == uid_of(*target)) {
        e->gone = true;
        e->changed.notify();
      }
      continue;
    }
    if (code == Code::kCancelled) break;
    log::warn("a pod's status cannot be written", {{"pod", key_of(*target)}, {"why", done.error().text()}});
    co_await e->changed.wait_for(pause, stop);
    pause = std::min<Duration>(pause * 2, 10s);
  }
  e->running = false;
}

}  // namespace lab::agent
