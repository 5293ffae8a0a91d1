#include "orchestrator/store/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <filesystem>

namespace lab::store::sqlite {

namespace {

std::string directory_of(const std::string& path) {
  auto dir = std::filesystem::path(path).parent_path().string();
  return dir.empty() ? "." : dir;
}

Error make(std::string message, std::string hint, int sys_errno = 0, Code code = Code::kIo) {
  return Error{.code = code, .message = std::move(message), .hint = std::move(hint), .sys_errno = sys_errno};
}

}  // namespace

Error error_of(sqlite3* db, int rc, const std::string& path, std::string_view doing) {
  std::string what = "store " + path + ": cannot " + std::string(doing);
  std::string reason = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  int sys = db ? sqlite3_system_errno(db) : 0;
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return make(what + ": the disk is full",
                  "free space on the file system of " + directory_of(path) + " (`df " + directory_of(path) +
                      "`; unused container images and old logs are the usual finds) and try again: nothing that was "
                      "acknowledged is lost",
                  ENOSPC);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return make(what + ": the file is damaged or not a store (" + reason + ")",
                  "restore a snapshot over it, or rescue what is readable with `sqlite3 " + path +
                      " .recover | sqlite3 " + path + ".rescued`");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make(what + ": another program keeps it locked",
                  "close the sqlite3 session or backup that has " + path + " open for writing", 0, Code::kUnavailable);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return make(what + ": " + reason,
                  "check that " + directory_of(path) + " exists and that this user may write there", sys);
    case SQLITE_IOERR:
      return make(what + ": " + reason, "look for disk errors with `dmesg`; start again once the disk answers", sys);
    case SQLITE_TOOBIG:
      return make(what + ": a value is too big", {}, 0, Code::kTooLarge);
    default:
      return make(what + ": " + reason, {}, sys, Code::kInternal);
  }
}

void Statement::Finalize::operator()(sqlite3_stmt* s) const {
  sqlite3_finalize(s);
}
void Statement::bind(int parameter, std::int64_t value) {
  sqlite3_bind_int64(stmt_.get(), parameter, value);
}
void Statement::bind_text(int parameter, std::string_view text) {
  sqlite3_bind_text64(stmt_.get(), parameter, text.data() ? text.data() : "", text.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void Statement::bind_blob(int parameter, std::string_view bytes) {
  sqlite3_bind_blob64(stmt_.get(), parameter, bytes.data() ? bytes.data() : "", bytes.size(), SQLITE_STATIC);
}
void Statement::bind_null(int parameter) {
  sqlite3_bind_null(stmt_.get(), parameter);
}

Result<bool> Statement::step() {
  int rc = sqlite3_step(stmt_.get());
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return std::unexpected(error_of(db_, rc, *path_, "read or write"));
}

Result<void> Statement::run() {
  ResetGuard guard{*this};
  for (;;) {
    LAB_TRY(bool row, step());
    if (!row) return {};
  }
}

void Statement::reset() {
  sqlite3_reset(stmt_.get());
}
std::int64_t Statement::integer(int column) {
  return sqlite3_column_int64(stmt_.get(), column);
}
bool Statement::is_null(int column) {
  return sqlite3_column_type(stmt_.get(), column) == SQLITE_NULL;
}

std::string_view Statement::bytes(int column) {
  const void* data = sqlite3_column_blob(stmt_.get(), column);
  int size = sqlite3_column_bytes(stmt_.get(), column);
  return data ? std::string_view(static_cast<const char*>(data), size) : std::string_view();
}

void Database::Close::operator()(sqlite3* db) const {
  sqlite3_close(db);
}

Result<Database> Database::open(const std::string& path, const std::string& vfs) {
  Database out;
  out.path_ = std::make_unique<std::string>(path);
  out.frames_ = std::make_unique<int>(0);
  sqlite3* raw = nullptr;
  int rc = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                           vfs.empty() ? nullptr : vfs.c_str());
  out.db_.reset(raw);
  if (rc != SQLITE_OK) return std::unexpected(error_of(raw, rc, path, "open"));
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, 5000);
  auto on_commit = [](void* frames, sqlite3*, const char*, int count) {
    *static_cast<int*>(frames) = count;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(raw, on_commit, out.frames_.get());  // replaces SQLite's checkpoint inside a commit
  return out;
}

Result<void> Database::exec(const char* sql) {
  int rc = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  if (rc == SQLITE_OK) return {};
  return std::unexpected(error_of(db_.get(), rc, *path_, sql));
}

Result<Statement> Database::prepare(std::string_view sql) {
  Statement out;
  sqlite3_stmt* raw = nullptr;
  int rc =
      sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (rc != SQLITE_OK) return std::unexpected(error_of(db_.get(), rc, *path_, "read its tables"));
  out.stmt_.reset(raw);
  out.db_ = db_.get();
  out.path_ = path_.get();
  return out;
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  LAB_TRY(auto statement, prepare(sql));
  LAB_TRY(bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(db_.get()) == 0;
}
int Database::log_frames() const {
  return *frames_;
}

Result<int> Database::checkpoint() {
  int in_log = 0, moved = 0;
  int rc = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
  if (rc != SQLITE_OK && rc != SQLITE_BUSY) return std::unexpected(error_of(db_.get(), rc, *path_, "checkpoint"));
  *frames_ = in_log - moved;
  return *frames_;
}

}  // namespace lab::store::sqlite
