#include "orchestrator/client/informer.h"

#include <charconv>
#include <unordered_set>

#include "base/log.h"

namespace lab::client {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kFirstRetry = milliseconds(100);
constexpr Duration kLastRetry = seconds(5);
constexpr std::int64_t kWatchSeconds = 480;

using ByKey = std::unordered_map<std::string, ObjectPtr>;
using Index = std::unordered_map<std::string, ByKey>;

std::int64_t revision_of(const json::Value& object) {
  auto text = json::str(object, "metadata", "resourceVersion");
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

std::string key_of(const json::Value& object) {
  auto ns = json::str(object, "metadata", "namespace");
  auto name = json::str(object, "metadata", "name");
  std::string key;
  key.reserve(ns.size() + 1 + name.size());
  if (!ns.empty()) (key += ns) += '/';
  return key += name;
}

std::pair<std::string, std::string> split_key(const std::string& key) {
  auto slash = key.find('/');
  if (slash == std::string::npos) return {"", key};
  return {key.substr(0, slash), key.substr(slash + 1)};
}

struct Informer::Impl {
  Impl(Client& c, Resource r, ListOptions o, std::string n)
      : client(c), resource(r), options(std::move(o)), ns(std::move(n)) {}

  Client& client;
  Resource resource;
  ListOptions options;
  std::string ns;

  std::vector<Handler> handlers;
  std::function<void(json::Value&)> transform;
  std::vector<std::pair<std::string, IndexFn>> index_fns;
  std::unordered_map<std::string, Index> indexes;
  Index by_namespace;
  ByKey objects;
  std::unordered_set<std::string> deleted_uids;  // by observe_deletion, until the server's own news

  bool synced = false;
  Event synced_event;
  std::int64_t revision = 0;  // everything up to here has been taken in
  std::string watch_from;     // the same as the server wrote it
  std::uint64_t jitter_state = 0;

  // --- the cache

  void each_index_slot(const json::Value& object, const std::function<void(Index&, const std::string&)>& visit) {
    if (resource.namespaced) visit(by_namespace, std::string(json::str(object, "metadata", "namespace")));
    for (auto& [name, fn] : index_fns)
      for (auto& value : fn(object)) visit(indexes[name], value);
  }

  void unindex(const std::string& key, const json::Value& object) {
    each_index_slot(object, [&](Index& index, const std::string& value) {
      auto it = index.find(value);
      if (it == index.end()) return;
      it->second.erase(key);
      if (it->second.empty()) index.erase(it);
    });
  }

  void store(json::Value object) {
    if (auto* fields = object.if_object()) {
      // Items of lists come without; metadata-only answers carry the kind of their envelope.
      if (!fields->contains("kind") || options.metadata_only) (*fields)["kind"] = resource.kind;
      if (!fields->contains("apiVersion") || options.metadata_only)
        (*fields)["apiVersion"] = resource.group.empty()
                                      ? std::string(resource.version)
                                      : std::string(resource.group) + "/" + std::string(resource.version);
      json::erase(object, "metadata", "managedFields");
      if (transform) transform(object);
    }
    std::string key = key_of(object);
    auto& slot = objects[key];
    if (slot && revision_of(*slot) >= revision_of(object)) return;  // our own write, observed before
    ObjectPtr old = slot;
    ObjectPtr now = std::make_shared<const json::Value>(std::move(object));
    slot = now;
    if (old) unindex(key, *old);
    each_index_slot(*now, [&](Index& index, const std::string& value) { index[value][key] = now; });
    notify(old, now);
  }

  void drop(const std::string& key) {
    auto it = objects.find(key);
    if (it == objects.end()) return;
    ObjectPtr old = it->second;
    objects.erase(it);
    unindex(key, *old);
    notify(old, nullptr);
  }

  void notify(const ObjectPtr& old, const ObjectPtr& now) {
    for (auto& handler : handlers) handler(old, now);
  }

  bool deleted_here(const json::Value& object) const {
    return !deleted_uids.empty() && deleted_uids.contains(std::string(json::str(object, "metadata", "uid")));
  }

  void advance(const json::Value& object) {
    watch_from = json::str(object, "metadata", "resourceVersion");
    revision = revision_of(object);
  }

  void take(WatchEvent event) {
    advance(event.object);
    switch (event.type) {
      case WatchEvent::kAdded:
      case WatchEvent::kModified:
        if (!deleted_here(event.object)) store(std::move(event.object));
        break;
      case WatchEvent::kDeleted: {
        deleted_uids.erase(std::string(json::str(event.object, "metadata", "uid")));
        std::string key = key_of(event.object);
        auto it = objects.find(key);
        // A successor with the same name may have been observed already.
        if (it != objects.end() && revision_of(*it->second) <= revision) drop(key);
        break;
      }
      case WatchEvent::kBookmark:
        break;
    }
  }

  Task<Result<void>> relist() {
    LAB_CO_TRY(json::Value answer, co_await client.list(resource, ns, options));
    advance(answer);
    deleted_uids.clear();
    std::unordered_set<std::string> present;
    if (auto* items = json::ensure(answer, "items").if_array()) {
      present.reserve(items->size());
      for (auto& item : *items) {
        present.insert(key_of(item));
        store(std::move(item));
      }
    }
    std::vector<std::string> gone;
    for (auto& [key, object] : objects)
      if (!present.contains(key) && revision_of(*object) <= revision) gone.push_back(key);
    for (auto& key : gone) drop(key);
    if (!synced) {
      synced = true;
      synced_event.notify();
    }
    co_return Result<void>();
  }

  // --- keeping it current

  // Until the server ends the watch; says whether it gave anything.
  Task<Result<bool>> follow(std::stop_token stop) {
    ListOptions from = options;
    from.resource_version = watch_from;
    from.timeout_seconds = kWatchSeconds + static_cast<std::int64_t>(jitter(kWatchSeconds / 4));
    LAB_CO_TRY(auto opened, co_await client.watch(resource, ns, from));
    std::shared_ptr<WatchStream> stream = std::move(opened);
    // stop may be requested from any thread; streams are closed on their loop only.
    std::stop_callback on_stop(stop, [&loop = *Loop::current(), weak = std::weak_ptr(stream)] {
      loop.post([weak] {
        if (auto s = weak.lock()) s->close();
      });
    });
    bool any = false;
    for (;;) {
      LAB_CO_TRY(auto event, co_await stream->next());
      if (!event) co_return any;
      any = true;
      take(std::move(*event));
    }
  }

  std::uint64_t jitter(std::uint64_t bound) {
    jitter_state = jitter_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return bound == 0 ? 0 : (jitter_state >> 33) % bound;
  }

  Duration jittered(Duration d) {
    auto half = static_cast<std::uint64_t>(d.count() / 2);
    return Duration(static_cast<Duration::rep>(half + jitter(half * 2)));
  }

  void warn_once(bool& warned, const Error& error) {
    if (warned) return;
    warned = true;
    log::warn("watch interrupted; retrying", {{"resource", resource.plural}, {"why", error.text()}});
  }

  Task<void> run(std::stop_token stop) {
    jitter_state ^= static_cast<std::uint64_t>(Loop::current()->now().time_since_epoch().count()) +
                    std::hash<std::string_view>()(resource.plural);
    Duration retry = kFirstRetry;
    bool must_list = true;
    bool warned = false;
    while (!stop.stop_requested()) {
      Result<bool> outcome = true;
      if (must_list) {
        auto listed = co_await relist();
        if (listed)
          must_list = false;
        else
          outcome = std::unexpected(std::move(listed).error());
      }
      if (!must_list) outcome = co_await follow(stop);
      if (stop.stop_requested()) break;
      if (outcome && *outcome) {
        retry = kFirstRetry;
        warned = false;
        continue;
      }
      if (!outcome) {
        Code code = outcome.error().code;
        // Where the connection broke the revision is still good; after any other refusal only a list is sure to help.
        must_list = must_list || (code != Code::kUnavailable && code != Code::kIo && code != Code::kCancelled);
        if (code != Code::kGone) warn_once(warned, outcome.error());
      }
      if (!co_await sleep_for(jittered(retry), stop)) break;
      retry = std::min(retry * 2, kLastRetry);
    }
  }
};

Informer::Informer(Client& client, Resource resource, ListOptions options, std::string ns)
    : impl_(std::make_unique<Impl>(client, resource, std::move(options), std::move(ns))) {}
Informer::~Informer() = default;

void Informer::on_change(Handler handler) {
  impl_->handlers.push_back(std::move(handler));
}
void Informer::add_index(std::string name, IndexFn fn) {
  impl_->index_fns.emplace_back(std::move(name), std::move(fn));
}

void Informer::set_transform(std::function<void(json::Value&)> fn) {
  impl_->transform = std::move(fn);
}

void Informer::start(Scope& scope) {
  scope.spawn("informer " + std::string(impl_->resource.plural), impl_->run(scope.token()));
}

bool Informer::synced() const {
  return impl_->synced;
}

Task<bool> Informer::wait_synced(std::stop_token stop) {
  while (!impl_->synced) {
    if (stop.stop_requested()) co_return false;
    co_await impl_->synced_event.wait(stop);
  }
  co_return true;
}

ObjectPtr Informer::get(const std::string& key) const {
  auto it = impl_->objects.find(key);
  return it == impl_->objects.end() ? nullptr : it->second;
}

static std::vector<ObjectPtr> values_of(const ByKey& map) {
  std::vector<ObjectPtr> out;
  out.reserve(map.size());
  for (const auto& [key, object] : map) out.push_back(object);
  return out;
}

std::vector<ObjectPtr> Informer::list() const {
  return values_of(impl_->objects);
}

std::vector<ObjectPtr> Informer::list_namespace(const std::string& ns) const {
  auto it = impl_->by_namespace.find(ns);
  return it == impl_->by_namespace.end() ? std::vector<ObjectPtr>() : values_of(it->second);
}

std::vector<ObjectPtr> Informer::by_index(const std::string& index, const std::string& value) const {
  auto named = impl_->indexes.find(index);
  if (named == impl_->indexes.end()) return {};
  auto it = named->second.find(value);
  return it == named->second.end() ? std::vector<ObjectPtr>() : values_of(it->second);
}

std::size_t Informer::size() const {
  return impl_->objects.size();
}

void Informer::observe(json::Value object) {
  // Up to `revision` the cache has seen everything: such an object is older, or already deleted again.
  if (!impl_->synced || revision_of(object) <= impl_->revision || impl_->deleted_here(object)) return;
  impl_->store(std::move(object));
}

void Informer::observe_deletion(const std::string& key, std::string_view uid) {
  auto it = impl_->objects.find(key);
  if (it == impl_->objects.end() || json::str(*it->second, "metadata", "uid") != uid) return;
  impl_->deleted_uids.emplace(uid);
  impl_->drop(key);
}

}  // namespace lab::client
