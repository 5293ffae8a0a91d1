// A thin layer over SQLite: owners for connections and statements, and errors that people can act on.
//
// A connection and its statements belong to one thread at a time. Bound text and blobs are not copied: they must live
// until the statement is reset.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lab::store::sqlite {

// The error of a failed call. `doing` names the act ("commit"); the path, the reason and what to do next are added.
Error error_of(sqlite3* db, int rc, const std::string& path, std::string_view doing);

class Statement {
 public:
  void bind(int parameter, std::int64_t value);
  void bind_text(int parameter, std::string_view text);
  void bind_blob(int parameter, std::string_view bytes);
  void bind_null(int parameter);

  Result<bool> step();  // true: a row is there
  Result<void> run();   // to the end, and resets
  void reset();

  std::int64_t integer(int column);
  std::string_view bytes(int column);  // text or blob; valid until the next step
  bool is_null(int column);

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* s) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> stmt_;
  sqlite3* db_ = nullptr;
  const std::string* path_ = nullptr;
};

// Resets a statement when the scope ends, so that an early return does not keep a read open.
struct ResetGuard {
  Statement& statement;
  ~ResetGuard() { statement.reset(); }
};

class Database {
 public:
  // Opens for reading and writing; makes the file when it is absent. `vfs`: empty for SQLite's default.
  static Result<Database> open(const std::string& path, const std::string& vfs);

  Result<void> exec(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  Result<std::int64_t> integer(std::string_view sql);  // first column of the first row
  bool in_transaction() const;
  // Moves what the log holds into the database file, as far as readers allow. Returns the frames left in the log.
  Result<int> checkpoint();
  int log_frames() const;  // frames in the write-ahead log after the last commit of this connection
  const std::string& path() const { return *path_; }

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  std::unique_ptr<std::string> path_;
  std::unique_ptr<int> frames_;
  std::unique_ptr<sqlite3, Close> db_;
};

}  // namespace lab::store::sqlite
