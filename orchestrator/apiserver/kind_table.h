// KindTable: the kinds this server serves now: the built-in rows, and rows added at run time.
//
// Readers take an immutable snapshot. Several versions of a kind share one storage prefix; objects are stored in the
// version of the first row with that prefix (the storage version) and converted on the way in and out.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/api/kind.h"

namespace lab::apiserver {

class KindTable {
 public:
  struct Snapshot {
    std::vector<api::KindPtr> kinds;                           // discovery order
    std::map<std::string, api::KindPtr, std::less<>> by_path;  // "group/version/plural"
    std::map<std::string, api::KindPtr, std::less<>> storage;  // by storage prefix
    std::uint64_t generation = 0;

    api::KindPtr find(std::string_view group, std::string_view version, std::string_view plural) const;
    bool has_group_version(std::string_view group, std::string_view version) const;
  };

  KindTable();
  std::shared_ptr<const Snapshot> snapshot() const { return snapshot_.load(); }
  // Replaces the rows added at run time.
  void set_dynamic(std::vector<api::KindPtr> kinds);

 private:
  std::shared_ptr<const Snapshot> build(std::vector<api::KindPtr> dynamic);
  std::mutex mutex_;
  std::uint64_t generation_ = 0;
  std::atomic<std::shared_ptr<const Snapshot>> snapshot_;
};

// An object of one version as another version of the same kind (in place). Same-shaped versions differ in apiVersion
// only.
void convert_version(const api::Kind& from, const api::Kind& to, json::Value& object);

}  // namespace lab::apiserver
