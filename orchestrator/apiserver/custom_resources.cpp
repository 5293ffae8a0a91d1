#include "orchestrator/apiserver/custom_resources.h"

#include "base/log.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/custom_kind.h"

namespace lab::apiserver {
namespace {

constexpr std::string_view kFinalizer = "customresourcecleanup.apiextensions.k8s.io";
constexpr Duration kResync = std::chrono::seconds(5);

api::KindPtr definition_kind() {
  return api::find_kind("apiextensions.k8s.io", "v1", "customresourcedefinitions");
}

bool is_deleted(const json::Value& object) {
  return json::has(object, "metadata", "deletionTimestamp");
}

bool has_finalizer(const json::Value& object) {
  for (const auto& f : json::list(object, "metadata", "finalizers"))
    if (json::as_str(f) == kFinalizer) return true;
  return false;
}

bool is_established(const json::Value& definition) {
  for (const auto& c : json::list(definition, "status", "conditions"))
    if (json::str(c, "type") == "Established") return json::str(c, "status") == "True";
  return false;
}

json::Value condition(std::string_view type, std::string_view reason, std::string_view message, WallTime now) {
  return json::Object{{"type", type},
                      {"status", "True"},
                      {"reason", reason},
                      {"message", message},
                      {"lastTransitionTime", api::format_time(now)}};
}

Result<void> set_status(json::Value& definition, WallTime now) {
  json::set(definition, json::at(definition, "spec", "names"), "status", "acceptedNames");
  json::Array stored = json::list(definition, "status", "storedVersions");
  for (const auto& version : json::list(definition, "spec", "versions")) {
    if (!json::flag(version, "storage")) continue;
    bool known = false;
    for (const auto& s : stored) known |= json::as_str(s) == json::str(version, "name");
    if (!known) stored.emplace_back(json::str(version, "name"));
  }
  json::set(definition, std::move(stored), "status", "storedVersions");
  if (is_established(definition)) return {};
  json::set(definition,
            json::Array{condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
                        condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now)},
            "status", "conditions");
  return {};
}

}  // namespace

Task<Result<void>> CustomResources::establish(api::KindPtr definitions, ObjectPtr definition) {
  auto name = std::string(json::str(*definition, "metadata", "name"));
  if (!has_finalizer(*definition)) {
    auto held = co_await registry_.mutate(
        definitions, "", name,
        [](json::Value& object) -> Result<void> {
          auto& list = json::ensure(object, "metadata", "finalizers");
          if (!list.is_array()) list.emplace_array();
          if (!has_finalizer(object) && !is_deleted(object)) list.get_array().emplace_back(kFinalizer);
          return {};
        },
        "");
    if (!held) co_return std::unexpected(std::move(held).error());
  }
  auto now = Loop::current()->wall();
  auto told = co_await registry_.mutate(
      definitions, "", name, [now](json::Value& object) { return set_status(object, now); }, "status");
  if (!told) co_return std::unexpected(std::move(told).error());
  co_return Result<void>();
}

// Deletes the kind's objects; the definition goes once none is left.
Task<Result<void>> CustomResources::clear_away(api::KindPtr definitions, ObjectPtr definition) {
  auto kinds = kinds_of_definition(*definition);
  if (!kinds.empty()) {
    for (const auto& object : registry_.cache().list(*kinds.front(), {})) {
      if (is_deleted(*object)) continue;
      auto gone = co_await registry_.remove(kinds.front(), std::string(json::str(*object, "metadata", "namespace")),
                                            std::string(json::str(*object, "metadata", "name")));
      if (!gone && gone.error().code != Code::kNotFound) co_return gone;
    }
    if (registry_.cache().count(*kinds.front()) > 0) co_return Result<void>();  // finalizers hold some
  }
  auto freed = co_await registry_.mutate(
      definitions, "", std::string(json::str(*definition, "metadata", "name")),
      [](json::Value& object) -> Result<void> {
        json::Array rest;
        for (const auto& f : json::list(object, "metadata", "finalizers"))
          if (json::as_str(f) != kFinalizer) rest.push_back(f);
        json::set(object, std::move(rest), "metadata", "finalizers");
        return {};
      },
      "");
  if (!freed && freed.error().code != Code::kNotFound) co_return std::unexpected(std::move(freed).error());
  co_return Result<void>();
}

Task<Result<void>> CustomResources::reconcile() {
  auto definitions = definition_kind();
  if (!definitions) co_return Result<void>();
  auto all = registry_.cache().list(*definitions, {});
  std::vector<api::KindPtr> kinds;
  std::string served;
  for (const auto& definition : all) {
    served += std::string(json::str(*definition, "metadata", "uid")) + "/" +
              std::to_string(json::num(*definition, "metadata", "generation")) + " ";
    for (auto& kind : kinds_of_definition(*definition)) kinds.push_back(std::move(kind));
  }
  if (served != served_) {
    kinds_.set_dynamic(std::move(kinds));
    LAB_CO_CHECK(co_await registry_.cache().add_kinds());
    served_ = std::move(served);
  }
  for (const auto& definition : all) {
    if (is_deleted(*definition)) {
      if (has_finalizer(*definition)) {
        LAB_CO_CHECK(co_await clear_away(definitions, definition));
      }
    } else {
      LAB_CO_CHECK(co_await establish(definitions, definition));
    }
  }
  co_return Result<void>();
}

Task<void> CustomResources::run(std::stop_token stop) {
  auto definitions = definition_kind();
  if (!definitions) co_return;
  while (!stop.stop_requested()) {
    auto watching = registry_.cache().watch(*definitions, Selection{}, {});
    if (!watching) co_return;
    bool changed = true;
    while (true) {
      if (changed)
        if (auto done = co_await reconcile(); !done)
          log::warn("custom resource definitions could not be served", {{"reason", done.error().text()}});
      auto wake = co_await watching->watcher->wait(Loop::current()->now() + kResync, stop);
      if (wake == Watcher::Wake::kStopped || wake == Watcher::Wake::kDropped) break;
      changed = !watching->watcher->take().empty() || !registry_.cache().list(*definitions, {}).empty();
    }
  }
}

}  // namespace lab::apiserver
