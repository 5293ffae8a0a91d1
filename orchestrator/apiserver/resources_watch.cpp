// WATCH: events from the cache as they come, in any of the forms a list has.
#include <algorithm>
#include <charconv>
#include <random>

#include "orchestrator/api/codec.h"
#include "orchestrator/apiserver/event_encoder.h"
#include "orchestrator/apiserver/resources.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr Duration kBookmarkInterval = std::chrono::seconds(60);
constexpr Duration kFutureLimit = std::chrono::seconds(3);
constexpr std::size_t kPieceBytes = 256 * 1024;

struct WatchQuery {
  std::optional<store::Revision> after;  // none: the state first
  bool bookmarks = false;
  bool initial_events_end = false;  // a bookmark closes the state (WatchList, KEP-3157)
  Duration timeout{};
};

// 30 to 60 minutes, so that many clients do not come back at the same moment.
Duration default_timeout() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::chrono::seconds(std::uniform_int_distribution<int>(1800, 3600)(random));
}

Result<WatchQuery> watch_query(const http::Query& query) {
  WatchQuery out;
  auto text = query.get("resourceVersion"), match = query.get("resourceVersionMatch");
  bool send_initial = query.flag("sendInitialEvents");
  if (query.has("sendInitialEvents") && match != "NotOlderThan")
    return Failure(
        bad_request("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
  if (!query.has("sendInitialEvents") && !match.empty())
    return Failure(
        bad_request("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
  store::Revision revision = 0;
  if (!text.empty()) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
    if (error != std::errc{} || end != text.data() + text.size() || revision < 0)
      return Failure(bad_request("Invalid value: \"" + std::string(text) + "\": strconv.ParseUint: parsing \"" +
                                 std::string(text) + "\": invalid syntax"));
  }
  out.bookmarks = query.flag("allowWatchBookmarks");
  out.initial_events_end = send_initial && out.bookmarks;
  if (revision > 0 && !send_initial) out.after = revision;
  if (send_initial && revision > 0) out.after.reset();
  int seconds = 0;
  auto timeout = query.get("timeoutSeconds");
  std::from_chars(timeout.data(), timeout.data() + timeout.size(), seconds);
  out.timeout = seconds > 0 ? std::chrono::seconds(seconds) : default_timeout();
  return out;
}

// Joins the pieces of several events into one write.
class Outbox {
 public:
  explicit Outbox(http::ResponseWriter& writer) : writer_(writer) {}
  bool full() const { return text_.size() >= kPieceBytes; }
  void add(std::string_view piece) { text_ += piece; }
  Task<Result<void>> flush() {
    if (text_.empty()) co_return Result<void>();
    auto piece = http::buffer(std::move(text_));
    text_.clear();
    co_return co_await writer_.write(std::move(piece));
  }

 private:
  http::ResponseWriter& writer_;
  std::string text_;
};

Task<Result<void>> send_state(EventEncoder& encoder, Outbox& out, const WatchCache::Listing& state,
                              const WatchQuery& query) {
  for (const auto& object : state.items) {
    out.add(encoder.added(*object));
    if (out.full()) {
      LAB_CO_CHECK(co_await out.flush());
    }
  }
  if (query.initial_events_end) out.add(encoder.bookmark(state.revision, true));
  co_return co_await out.flush();
}

// Until the client goes, the time is over, or the watcher is dropped for being slow.
// How the watcher's kind is made of what is stored; does nothing for most kinds.
struct InVersion {
  const Conversion& conversion;
  api::KindPtr kind;
  bool varies = Conversion::varies(*kind);

  Task<Result<EventPtr>> event(EventPtr event) const {
    auto out = std::make_shared<CacheEvent>(*event);
    std::vector<CachedPtr> both{out->object};
    if (out->previous) both.push_back(out->previous);
    LAB_CO_TRY(both, co_await conversion.convert_stored(kind, std::move(both)));
    out->object = both[0];
    if (out->previous) out->previous = both[1];
    co_return EventPtr(std::move(out));
  }
};

Task<Result<void>> send_events(EventEncoder& encoder, Outbox& out, Watcher& watcher, const WatchCache& cache,
                               const WatchQuery& query, const InVersion& version, std::stop_token stop) {
  Loop& loop = *Loop::current();
  const auto end = loop.now() + query.timeout;
  auto next_bookmark = query.bookmarks ? loop.now() + kBookmarkInterval : TimePoint::max();
  while (true) {
    auto wake = co_await watcher.wait(std::min(end, next_bookmark), stop);
    if (wake == Watcher::Wake::kStopped || wake == Watcher::Wake::kDropped) break;
    for (auto& event : watcher.take()) {
      if (version.varies) {
        auto converted = co_await version.event(event);
        if (!converted) {  // the client begins anew, and is told by its list why
          out.add(encoder.error(converted.error()));
          co_return co_await out.flush();
        }
        event = std::move(*converted);
      }
      out.add(encoder.event(*event, watcher.selection()));
      if (out.full()) {
        LAB_CO_CHECK(co_await out.flush());
      }
    }
    if (loop.now() >= next_bookmark) {
      // The revision first: all events up to it are in the queue by then.
      auto revision = cache.revision();
      if (watcher.empty()) out.add(encoder.bookmark(revision, false));
      next_bookmark = loop.now() + kBookmarkInterval;
    }
    LAB_CO_CHECK(co_await out.flush());
    if (loop.now() >= end) break;
  }
  co_return Result<void>();
}

}  // namespace

Task<Reply> Resources::watch(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  if (shown.accepted.format == Format::kYaml)
    co_return fail(Code::kNotAcceptable,
                   "only the following media types are accepted: application/json;stream=watch, "
                   "application/vnd.kubernetes.protobuf;stream=watch");
  LAB_CO_TRY(auto query, watch_query(request.query));
  LAB_CO_TRY(auto selection, parse_selection(*target.kind, *target.storage, target.ns, target.name,
                                             request.query.get("labelSelector"), request.query.get("fieldSelector")));
  auto& cache = registry_.cache();
  if (query.after && *query.after > cache.revision()) co_await cache.wait_for(*query.after, kFutureLimit);

  WatchCache::WatchStart start;
  if (query.after) start = {WatchCache::WatchStart::kAfter, *query.after};
  auto watching = cache.watch(*target.storage, std::move(selection), start);

  EventEncoder encoder(shown);
  auto& writer = request.writer;
  http::Headers headers{{"Content-Type", std::string(encoder.content_type())}, {"Cache-Control", "no-cache, private"}};
  if (!request.audit_id.empty()) headers.set("Audit-Id", request.audit_id);
  if (auto begun = co_await writer.begin(200, std::move(headers)); !begun) co_return std::optional<http::Response>();
  Outbox out(writer);
  if (!watching) {  // once the request is understood, errors travel as events
    out.add(encoder.error(watching.error()));
    if (auto sent = co_await out.flush(); sent) (void)co_await writer.end();
    co_return std::optional<http::Response>();
  }
  const InVersion version{registry_.conversion(), target.kind};
  if (version.varies) {
    auto converted = co_await in_version(target, std::move(watching->state.items));
    if (!converted) {
      out.add(encoder.error(converted.error()));
      if (auto sent = co_await out.flush(); sent) (void)co_await writer.end();
      co_return std::optional<http::Response>();
    }
    watching->state.items = std::move(*converted);
  }
  auto sent = co_await send_state(encoder, out, watching->state, query);
  watching->state.items.clear();
  if (sent) sent = co_await send_events(encoder, out, *watching->watcher, cache, query, version, writer.closed());
  if (sent) (void)co_await writer.end();
  co_return std::optional<http::Response>();
}

}  // namespace lab::apiserver
