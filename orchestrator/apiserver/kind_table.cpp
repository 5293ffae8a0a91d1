#include "orchestrator/apiserver/kind_table.h"

namespace lab::apiserver {
namespace {

std::string path_key(std::string_view group, std::string_view version, std::string_view plural) {
  std::string key(group);
  key += '/';
  key += version;
  key += '/';
  key += plural;
  return key;
}

}  // namespace

api::KindPtr KindTable::Snapshot::find(std::string_view group, std::string_view version,
                                       std::string_view plural) const {
  auto it = by_path.find(path_key(group, version, plural));
  return it == by_path.end() ? nullptr : it->second;
}

bool KindTable::Snapshot::has_group_version(std::string_view group, std::string_view version) const {
  auto prefix = path_key(group, version, "");
  auto it = by_path.lower_bound(prefix);
  return it != by_path.end() && it->first.starts_with(prefix);
}

KindTable::KindTable() {
  snapshot_.store(build({}));
}

void KindTable::set_dynamic(std::vector<api::KindPtr> kinds) {
  std::lock_guard lock(mutex_);
  snapshot_.store(build(std::move(kinds)));
}

std::shared_ptr<const KindTable::Snapshot> KindTable::build(std::vector<api::KindPtr> dynamic) {
  auto out = std::make_shared<Snapshot>();
  out->kinds = api::builtin_kinds();
  out->kinds.insert(out->kinds.end(), dynamic.begin(), dynamic.end());
  out->generation = ++generation_;
  for (const auto& kind : out->kinds) {
    out->by_path.emplace(path_key(kind->group, kind->version, kind->plural), kind);
    if (kind->virtual_kind) continue;
    auto& storage = out->storage[kind->storage_prefix];
    if (!storage) storage = kind;
  }
  return out;
}

}  // namespace lab::apiserver
