// GET of one object, and LIST: current from the cache, older revisions (continue tokens, exact matches) from the store.
#include <charconv>

#include "base/crypto/encoding.h"
#include "orchestrator/apiserver/resources.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr Duration kFutureLimit = std::chrono::seconds(3);  // how long a read waits for a revision to come

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 0) return std::nullopt;
  return out;
}

struct Continue {
  store::Revision revision = 0;
  std::string start;  // key below the prefix
};

std::string encode_continue(const Continue& at) {
  return crypto::base64url_encode(
      json::dump(json::Object{{"v", "meta.k8s.io/v1"}, {"rv", at.revision}, {"start", at.start}}));
}

Result<Continue> decode_continue(std::string_view token) {
  Error bad = bad_request("continue key is not valid: the token was not made by this server");
  auto text = crypto::base64url_decode(token);
  if (!text) return Failure(bad);
  auto value = json::parse(*text);
  if (!value || json::str(*value, "v") != "meta.k8s.io/v1") return Failure(bad);
  Continue out{json::num(*value, "rv"), std::string(json::str(*value, "start"))};
  if (out.start.empty()) return Failure(bad);
  return out;
}

Error too_large_revision(store::Revision wanted, store::Revision current) {
  Error error;
  error.code = Code::kTimeout;
  error.message = "Too large resource version: " + std::to_string(wanted) + ", current: " + std::to_string(current);
  error.details = json::dump(json::Object{
      {"causes",
       json::Array{json::Object{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}}},
      {"retryAfterSeconds", 1}});
  return error;
}

// The answer carries a token with which the rest can be had all the same, as of now.
Error expired_list(const std::string& from) {
  if (from.empty()) return expired("The resourceVersion for the provided list is too old.");
  Error error = expired(
      "The provided continue parameter is too old to display a consistent list result. You can start a new list "
      "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
      "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
      "modified, or deleted between the time the first chunk was returned and now may show up in the list.");
  auto status = status_of(error);
  json::set(status, encode_continue({0, from}), "metadata", "continue");
  error.details = json::dump(status);
  return error;
}

}  // namespace

struct Resources::ListQuery {
  Selection selection;
  std::size_t limit = 0;
  store::Revision revision = 0;
  enum Match { kCurrent, kAny, kNotOlderThan, kExact } match = kCurrent;
  std::string from;
};

Task<Reply> Resources::get(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  if (auto wanted = parse_number(request.query.get("resourceVersion"));
      wanted && *wanted > registry_.cache().revision())
    if (!co_await registry_.cache().wait_for(*wanted, kFutureLimit))
      co_return Failure(too_large_revision(*wanted, registry_.cache().revision()));
  auto object = registry_.cache().find(*target.storage, target.ns, target.name);
  if (!object) co_return Failure(not_found(*target.kind, target.name));
  if (Conversion::varies(*target.kind)) {
    LAB_CO_TRY(auto converted, co_await in_version(target, {object}));
    object = std::move(converted.front());
  }
  LAB_CO_TRY(auto answer, answer_object(shown, *object, 200));
  co_return answer;
}

Result<Resources::ListQuery> Resources::list_query(const RequestContext& request, const Target& target) const {
  const auto& query = request.query;
  ListQuery out;
  LAB_TRY(out.selection, parse_selection(*target.kind, *target.storage, target.ns, {}, query.get("labelSelector"),
                                         query.get("fieldSelector")));
  if (auto text = query.get("limit"); !text.empty()) {
    auto limit = parse_number(text);
    if (!limit)
      return Failure(bad_request("limit: Invalid value: \"" + std::string(text) + "\": must be a number >= 0"));
    out.limit = static_cast<std::size_t>(*limit);
  }
  auto text = query.get("resourceVersion"), match = query.get("resourceVersionMatch"), token = query.get("continue");
  if (!match.empty() && text.empty())
    return Failure(
        bad_request("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
                    "resourceVersion is provided"));
  auto revision = text.empty() ? std::optional<std::int64_t>(0) : parse_number(text);
  if (!revision)
    return Failure(bad_request("resourceVersion: Invalid value: \"" + std::string(text) +
                               "\": strconv.ParseUint: parsing \"" + std::string(text) + "\": invalid syntax"));
  if (!token.empty()) {
    if (!text.empty() && text != "0")
      return Failure(bad_request("specifying resource version is not allowed when using continue"));
    LAB_TRY(auto at, decode_continue(token));
    out.from = at.start;
    out.revision = at.revision;
    out.match = at.revision > 0 ? ListQuery::kExact : ListQuery::kCurrent;
    return out;
  }
  out.revision = *revision;
  if (match == "Exact") {
    if (*revision == 0)
      return Failure(
          bad_request("resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for "
                      "resourceVersion \"0\""));
    out.match = ListQuery::kExact;
  } else if (match == "NotOlderThan" || match.empty()) {
    if (text.empty()) {
      out.match = ListQuery::kCurrent;
    } else if (*revision == 0) {
      out.match = ListQuery::kAny;
    } else {
      out.match = match.empty() && out.limit > 0 ? ListQuery::kExact : ListQuery::kNotOlderThan;
    }
  } else {
    return Failure(bad_request("resourceVersionMatch: Unsupported value: \"" + std::string(match) +
                               "\": supported values: \"Exact\", \"NotOlderThan\", \"\""));
  }
  return out;
}

// The state at an older revision: from the cache where nothing has changed since, else from the store's history.
Task<Result<WatchCache::Listing>> Resources::list_at(Target target, Selection selection, store::Revision revision,
                                                     std::size_t limit, std::string from) {
  auto& cache = registry_.cache();
  if (cache.revision() < revision && !co_await cache.wait_for(revision, kFutureLimit))
    co_return Failure(too_large_revision(revision, cache.revision()));
  const auto& storage = *target.storage;
  auto now = cache.select(storage, selection, limit, from);
  if (cache.changed_at(storage) <= revision && now.revision >= revision) {
    now.revision = revision;
    co_return now;
  }
  WatchCache::Listing out;
  out.revision = revision;
  auto begin = storage.storage_prefix + (target.ns.empty() ? "" : target.ns + "/");
  store::RangeRequest range{.start = from.empty() ? begin : storage.storage_prefix + from,
                            .end = store::prefix_end(begin),
                            .revision = revision,
                            .limit = 0};
  OneShot<Result<store::RangeResult>> done;
  registry_.store().range(std::move(range), [done](Result<store::RangeResult> r) mutable { done.set(std::move(r)); });
  auto read = co_await done.wait();
  if (!read) {
    if (read.error().code == Code::kGone) co_return Failure(expired_list(from));
    co_return std::unexpected(std::move(read).error());
  }
  for (const auto& item : read->items) {
    if (limit != 0 && out.items.size() == limit) {
      out.next = item.key.substr(storage.storage_prefix.size());
      break;
    }
    auto object = cache.make_object(storage, item);
    if (selection.selects(*object)) out.items.push_back(std::move(object));
  }
  co_return out;
}

Task<Reply> Resources::list(RequestContext& request, Target target) {
  LAB_CO_TRY(auto shown, view(request, target));
  LAB_CO_TRY(auto query, list_query(request, target));
  auto& cache = registry_.cache();
  WatchCache::Listing found;
  if (query.match == ListQuery::kExact) {
    auto read = co_await list_at(target, query.selection, query.revision, query.limit, query.from);
    if (!read) co_return std::unexpected(std::move(read).error());
    found = std::move(*read);
  } else {
    if (query.match == ListQuery::kNotOlderThan && cache.revision() < query.revision &&
        !co_await cache.wait_for(query.revision, kFutureLimit))
      co_return Failure(too_large_revision(query.revision, cache.revision()));
    found = cache.select(*target.storage, query.selection, query.limit, query.from);
  }
  ListMeta meta{.revision = found.revision, .continue_token = {}, .remaining = {}};
  if (!found.next.empty()) {
    meta.continue_token = encode_continue({found.revision, found.next});
    if (!query.selection.filters() && found.remaining > 0) meta.remaining = found.remaining;
  }
  if (Conversion::varies(*target.kind)) {
    LAB_CO_TRY(found.items, co_await in_version(target, std::move(found.items)));
  }
  LAB_CO_TRY(auto answer, answer_list(shown, found.items, meta));
  co_return answer;
}

}  // namespace lab::apiserver
