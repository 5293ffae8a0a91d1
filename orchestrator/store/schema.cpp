#include "orchestrator/store/format.h"
#include "orchestrator/store/schema.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>

namespace lab::store {

namespace {

constexpr std::int64_t kApplicationId = 0x4c414253;  // "LABS"
constexpr std::int64_t kSchemaVersion = kFormat;

// created: revision at which the key began to exist; previous: revision of the value before, 0 at the beginning.
// A null value is a deletion. The view is for people.
constexpr const char* kTables = R"sql(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('revision', 0), ('compacted', 0), ('purged', 0);
  CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    key TEXT NOT NULL,
    created INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    value BLOB
  ) STRICT;
  CREATE UNIQUE INDEX by_key ON changes (key, revision);
  CREATE VIEW objects AS
    SELECT key, revision, created, CAST(value AS TEXT) AS value FROM changes AS c
    WHERE value IS NOT NULL AND revision = (SELECT max(revision) FROM changes WHERE key = c.key);
)sql";

// Since version 2: which programs have had the file open, for those who meet a version that they cannot read.
constexpr const char* kProgramsTable = R"sql(
  CREATE TABLE programs (version TEXT PRIMARY KEY, since TEXT NOT NULL) STRICT, WITHOUT ROWID;
)sql";

// What leads from each version to the next one; row i begins at version i + 1.
constexpr const char* kMigrations[] = {kProgramsTable};
static_assert(std::size(kMigrations) + 1 == kFormat);

// SQLite would make the file with the umask's mode; its log takes the mode of the database.
Result<void> make_private(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail_errno("store " + path + ": cannot open",
                      "check that its directory exists and that this user may write there");
  struct stat st{};
  bool wider = ::fstat(fd, &st) == 0 && (st.st_mode & 077) != 0;
  bool ok = !wider || ::fchmod(fd, 0600) == 0;
  int err = errno;
  ::close(fd);
  if (!ok) return fail_errno(err, "store " + path + ": cannot make it private (mode 0600)");
  return {};
}

// " (lab v0.3.0 had it open last)", where that is known.
std::string last_program(sqlite::Database& db) {
  auto rows = db.prepare("SELECT version FROM programs ORDER BY since DESC LIMIT 1");
  if (!rows) return {};
  auto row = rows->step();
  return row && *row ? " (" + std::string(rows->bytes(0)) + " had it open last)" : std::string();
}

// All or nothing: a file whose migration was cut off is of its old version.
Result<void> migrate(sqlite::Database& db, std::int64_t version) {
  LAB_CHECK(db.exec("BEGIN IMMEDIATE"));
  for (auto v = version; v < kSchemaVersion; ++v) {
    auto done = db.exec(kMigrations[v - 1]);
    if (!done) {
      (void)db.exec("ROLLBACK");
      return std::unexpected(std::move(done).error().with_context("bring the store from format " + std::to_string(v) +
                                                                  " to " + std::to_string(v + 1)));
    }
  }
  LAB_CHECK(db.exec(("PRAGMA user_version = " + std::to_string(kSchemaVersion)).c_str()));
  return db.exec("COMMIT");
}

Result<void> note_program(sqlite::Database& db, const std::string& program) {
  if (program.empty()) return {};
  LAB_TRY(auto row, db.prepare("INSERT INTO programs VALUES (?, datetime('now')) ON CONFLICT (version) DO UPDATE SET "
                               "since = excluded.since"));
  row.bind_text(1, program);
  return row.run();
}

Result<void> check_or_make_tables(sqlite::Database& db) {
  LAB_TRY(auto application, db.integer("PRAGMA application_id"));
  LAB_TRY(auto version, db.integer("PRAGMA user_version"));
  LAB_TRY(auto tables, db.integer("SELECT count(*) FROM sqlite_schema"));
  if (application == 0 && version == 0 && tables == 0) {
    LAB_CHECK(db.exec("BEGIN IMMEDIATE"));
    LAB_CHECK(db.exec(kTables));
    for (const char* step : kMigrations) LAB_CHECK(db.exec(step));
    LAB_CHECK(db.exec(("PRAGMA application_id = " + std::to_string(kApplicationId)).c_str()));
    LAB_CHECK(db.exec(("PRAGMA user_version = " + std::to_string(kSchemaVersion)).c_str()));
    return db.exec("COMMIT");
  }
  if (application != kApplicationId)
    return fail(Code::kIo, "store " + db.path() + ": this SQLite database belongs to another program",
                "give the store a path of its own");
  if (version < 1 || version > kSchemaVersion)
    return fail(Code::kIo,
                "store " + db.path() + ": its format is version " + std::to_string(version) + last_program(db) +
                    ", this program reads up to " + std::to_string(kSchemaVersion),
                "use the program version that wrote it, or a later one; nothing was changed");
  return version < kSchemaVersion ? migrate(db, version) : Result<void>();
}

}  // namespace

Result<sqlite::Database> open_database(const std::string& path, const std::string& vfs, const std::string& program) {
  if (vfs.empty()) LAB_CHECK(make_private(path));
  LAB_TRY(auto db, sqlite::Database::open(path, vfs));
  // FULL: the log is synced before a commit returns. Memory: pages of 4 KiB in the cache, in KiB below.
  LAB_CHECK(db.exec("PRAGMA journal_mode = WAL"));
  LAB_CHECK(db.exec("PRAGMA synchronous = FULL"));
  LAB_CHECK(db.exec("PRAGMA temp_store = MEMORY"));
  LAB_CHECK(db.exec("PRAGMA cache_size = -4096"));
  LAB_CHECK(db.exec("PRAGMA journal_size_limit = 16777216"));
  LAB_CHECK(check_or_make_tables(db));
  LAB_CHECK(note_program(db, program));
  return db;
}

// Through the database: what the file's own header says may be older than its log.
Result<int> format_of(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return fail(Code::kNotFound, "there is no store " + path);
    return fail_errno("read the store " + path);
  }
  LAB_TRY(auto db, sqlite::Database::open(path, ""));
  LAB_TRY(auto version, db.integer("PRAGMA user_version"));
  return static_cast<int>(version);
}

Result<Meta> read_meta(sqlite::Database& db) {
  LAB_TRY(auto rows, db.prepare("SELECT name, value FROM meta"));
  Meta out;
  for (;;) {
    LAB_TRY(bool row, rows.step());
    if (!row) return out;
    auto name = rows.bytes(0);
    if (name == "revision") out.revision = rows.integer(1);
    if (name == "compacted") out.compacted = rows.integer(1);
    if (name == "purged") out.purged = rows.integer(1);
  }
}

Result<Index> read_index(sqlite::Database& db) {
  LAB_TRY(auto keys, db.prepare("SELECT key, max(revision) FROM changes GROUP BY key"));
  LAB_TRY(auto rows, db.prepare("SELECT created, value IS NULL FROM changes WHERE key = ? AND revision = ?"));
  Index out;
  for (;;) {
    LAB_TRY(bool more, keys.step());
    if (!more) return out;
    std::string key(keys.bytes(0));
    sqlite::ResetGuard guard{rows};
    rows.bind_text(1, key);
    rows.bind(2, keys.integer(1));
    LAB_TRY(bool found, rows.step());
    bool deleted = !found || rows.integer(1) != 0;
    if (!deleted) out.emplace(std::move(key), Entry{rows.integer(0), keys.integer(1), {}});
  }
}

}  // namespace lab::store
