// The embedded store's tables, and how a database file is opened, checked and made.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "orchestrator/store/sqlite.h"
#include "orchestrator/store/store.h"

namespace lab::store {

// changes.id = revision * kChangesPerTxn + position in the transaction, so that the table is in the order of history.
inline constexpr std::int64_t kChangesPerTxn = 1 << 16;

struct Meta {
  Revision revision = 0;   // last committed
  Revision compacted = 0;  // reads below it are refused
  Revision purged = 0;     // rows that only older reads needed are gone up to here (<= compacted)
};

// What the writer knows of every key that exists.
struct Entry {
  Revision created = 0;
  Revision modified = 0;
  std::weak_ptr<const std::string> value;  // its bytes, while somebody still holds them
};
using Index = std::unordered_map<std::string, Entry>;

// Makes the file (mode 0600) and its tables if needed, and brings a file of an earlier version to the present one;
// refuses what is no store or of a newer version. `program`, if not empty, is noted as one that had it open.
Result<sqlite::Database> open_database(const std::string& path, const std::string& vfs, const std::string& program = {});
Result<Meta> read_meta(sqlite::Database& db);
Result<Index> read_index(sqlite::Database& db);

}  // namespace lab::store
