#include "orchestrator/apiserver/hooks/range_records.h"

#include <charconv>
#include <map>

#include "base/io/oneshot.h"
#include "base/log.h"
#include "orchestrator/apiserver/cached_object.h"
#include "orchestrator/apiserver/hooks/ranges.h"

namespace lab::apiserver::hooks {

namespace {

Task<Result<store::RangeResult>> read_records(store::Store& store) {
  const std::string prefix(ServiceRanges::kRecords);
  OneShot<Result<store::RangeResult>> done;
  store.range({.start = prefix, .end = store::prefix_end(prefix)},
              [done](Result<store::RangeResult> r) mutable { done.set(std::move(r)); });
  co_return co_await done.wait();
}

Task<Result<store::Committed>> commit(store::Store& store, store::Txn txn) {
  OneShot<Result<store::Committed>> done;
  store.commit(std::move(txn), [done](Result<store::Committed> r) mutable { done.set(std::move(r)); });
  co_return co_await done.wait();
}

// Somebody else has just done it, or the Service has changed since: then its own write has taken care.
bool overtaken(const Error& error) {
  return error.code == Code::kConflict || error.code == Code::kAlreadyExists || error.code == Code::kNotFound;
}

store::Revision revision_of(const json::Value& object) {
  const auto text = json::str(object, "metadata", "resourceVersion");
  store::Revision out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

Task<Result<void>> reconcile_service_records(store::Store& store, const ObjectReader& reader,
                                             std::function<Task<Result<void>>()> catch_up) {
  // Records first: whatever has one was written before the Services are looked at.
  LAB_CO_TRY(auto found, co_await read_records(store));
  LAB_CO_CHECK(co_await catch_up());
  auto kind = api::find_kind("", "v1", "services");
  std::map<std::string, ObjectPtr> owners;
  for (const auto& service : reader.list(*kind))
    for (auto& record : ServiceRanges::records_of(*service)) {
      auto [place, first] = owners.try_emplace(std::move(record), service);
      if (!first)
        log::warn("two Services have the same address or port; delete one of them",
                  {{"what", place->first.substr(ServiceRanges::kRecords.size())},
                   {"service", json::str(*service, "metadata", "name")},
                   {"other", json::str(*place->second, "metadata", "name")}});
    }
  for (const auto& record : found.items) {
    auto owner = owners.find(record.key);
    if (owner != owners.end() && json::str(*owner->second, "metadata", "uid") == *record.value) {
      owners.erase(owner);  // as it must be
      continue;
    }
    // The condition: nobody has made it anew since it was read.
    auto gone =
        co_await commit(store, {.changes = {{.key = record.key, .value = nullptr, .expect = record.mod_revision}}});
    if (!gone && !overtaken(gone.error())) co_return std::unexpected(std::move(gone).error());
  }
  for (const auto& [record, service] : owners) {
    const auto key =
        storage_key(*kind, json::str(*service, "metadata", "namespace"), json::str(*service, "metadata", "name"));
    auto uid = std::make_shared<const std::string>(json::str(*service, "metadata", "uid"));
    auto made = co_await commit(store, {.changes = {{.key = record, .value = std::move(uid), .expect = 0}},
                                        .guards = {{key, revision_of(*service)}}});
    if (!made && !overtaken(made.error())) co_return std::unexpected(std::move(made).error());
  }
  co_return Result<void>();
}

}  // namespace lab::apiserver::hooks
