#include "bootstrap/upgrade/store_copy.h"

#include <stdio.h>

#include "base/fs.h"

namespace lab::bootstrap::upgrade {

namespace {

// The log holds what the database does not yet; -shm is made anew by whoever opens them.
constexpr const char* kFiles[] = {"state.db", "state.db-wal"};

}  // namespace

Result<void> copy_store(const std::string& data, const std::string& kept) {
  const std::string half = kept + ".new";
  LAB_CHECK(fs::remove_all(half));
  LAB_CHECK(fs::make_dirs(half, 0700));
  for (const char* name : kFiles)
    if (const auto file = fs::join(data, name); fs::exists(file))
      LAB_CHECK(fs::copy_file(file, fs::join(half, name), 0600));
  LAB_CHECK(fs::remove_all(kept));
  if (::rename(half.c_str(), kept.c_str()) != 0) return fail_errno("keep the store's copy as " + kept);
  return {};
}

Result<void> restore_store(const std::string& kept, const std::string& data) {
  if (!fs::exists(fs::join(kept, "state.db"))) return fail(Code::kNotFound, "there is no copy of the store in " + kept);
  // A log belongs to its database: the one that is there goes first.
  for (const char* name : {"state.db-shm", "state.db-wal"}) LAB_CHECK(fs::remove_file(fs::join(data, name)));
  for (const char* name : {"state.db", "state.db-wal"})
    if (const auto file = fs::join(kept, name); fs::exists(file))
      LAB_CHECK(fs::copy_file(file, fs::join(data, name), 0600));
  return {};
}

}  // namespace lab::bootstrap::upgrade
