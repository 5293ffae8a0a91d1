// Objects: an ObjectReader over objects that a test writes down, as the caches would hold them.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/hooks.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver {

inline json::Value js(std::string_view text) {
  auto v = json::parse(text);
  EXPECT_TRUE(v) << text;
  return v ? *v : json::Value();
}

class Objects final : public ObjectReader {
 public:
  // Kind, namespace and name come from the object.
  void put(json::Value object) {
    auto kind = api::find_kind_by_name(json::str(object, "apiVersion"), json::str(object, "kind"));
    ASSERT_TRUE(kind) << json::dump(object);
    std::string ns(json::str(object, "metadata", "namespace")), name(json::str(object, "metadata", "name"));
    objects_[{kind->storage_prefix, ns, name}] = std::make_shared<const json::Value>(std::move(object));
    ++revisions_[kind->storage_prefix];
  }
  void put(const char* text) { put(js(text)); }
  void remove(std::string_view api_version, std::string_view kind_name, const std::string& ns,
              const std::string& name) {
    auto kind = api::find_kind_by_name(api_version, kind_name);
    objects_.erase({kind->storage_prefix, ns, name});
    ++revisions_[kind->storage_prefix];
  }

  ObjectPtr get(const api::Kind& kind, std::string_view ns, std::string_view name) const override {
    auto it = objects_.find({kind.storage_prefix, std::string(ns), std::string(name)});
    return it == objects_.end() ? nullptr : it->second;
  }
  std::vector<ObjectPtr> list(const api::Kind& kind, std::string_view ns) const override {
    std::vector<ObjectPtr> out;
    for (const auto& [key, object] : objects_)
      if (std::get<0>(key) == kind.storage_prefix && (ns.empty() || std::get<1>(key) == ns)) out.push_back(object);
    return out;
  }
  std::vector<ObjectPtr> pods_of_node(std::string_view node, std::string_view ns) const override {
    auto out = list(*api::find_kind("", "v1", "pods"), ns);
    std::erase_if(out, [&](const ObjectPtr& pod) { return json::str(*pod, "spec", "nodeName") != node; });
    return out;
  }
  std::int64_t revision_of(const api::Kind& kind) const override {
    auto it = revisions_.find(kind.storage_prefix);
    return it == revisions_.end() ? 0 : it->second;
  }

 private:
  std::map<std::tuple<std::string, std::string, std::string>, ObjectPtr> objects_;
  std::map<std::string, std::int64_t> revisions_;
};

inline Identity user(std::string name, std::vector<std::string> groups = {}) {
  groups.emplace_back(kAuthenticatedGroup);
  return {.username = std::move(name), .uid = {}, .groups = std::move(groups), .extra = {}};
}
inline Identity admin() {
  return user("admin", {"system:masters"});
}
inline Identity node(const std::string& name) {
  return user("system:node:" + name, {"system:nodes"});
}

// One write, and what becomes of it.
struct Write {
  Identity who = admin();
  api::KindPtr kind;
  WriteContext ctx;

  Write(const Objects& objects, std::string_view api_version, std::string_view kind_name, std::string ns,
        std::string name, std::string_view verb = "create", std::string subresource = {}, Identity by = admin())
      : who(std::move(by)),
        kind(api::find_kind_by_name(api_version, kind_name)),
        ctx{.user = who,
            .verb = verb,
            .kind = *kind,
            .ns = std::move(ns),
            .name = std::move(name),
            .subresource = std::move(subresource),
            .reader = objects,
            .now = *api::parse_time("2026-01-01T00:00:00Z"),
            .changes = {},
            .guards = {},
            .on_abort = {},
            .on_commit = {},
            .warnings = {}} {}
  Write(const Write&) = delete;
  void abort() {
    for (auto& f : ctx.on_abort) f();
  }
  void commit() {
    for (auto& f : ctx.on_commit) f();
  }
};

inline std::string message(const Result<void>& r) {
  return r ? "" : r.error().message;
}

}  // namespace lab::apiserver
