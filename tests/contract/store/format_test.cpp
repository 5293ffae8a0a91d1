// Files of earlier versions: what stands here is a file as the program of that version left it, as SQL.
#include "orchestrator/store/format.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>

#include "tests/contract/store/backend.h"

namespace lab::store {
namespace {

// Version 1: a store in which one key was written twice, one written and deleted, one is there.
constexpr const char* kFormat1 = R"sql(
  PRAGMA journal_mode = WAL;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('revision', 4), ('compacted', 1), ('purged', 0);
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
  INSERT INTO changes VALUES (65536, 1, '/registry/configmaps/default/a', 1, 0, CAST('{"old":true}' AS BLOB));
  INSERT INTO changes VALUES (131072, 2, '/registry/configmaps/default/b', 2, 0, CAST('{"kind":"ConfigMap"}' AS BLOB));
  INSERT INTO changes VALUES (131073, 2, '/registry/configmaps/default/gone', 2, 0, CAST('{}' AS BLOB));
  INSERT INTO changes VALUES (196608, 3, '/registry/configmaps/default/a', 1, 1, CAST('{"new":true}' AS BLOB));
  INSERT INTO changes VALUES (262144, 4, '/registry/configmaps/default/gone', 2, 2, NULL);
  PRAGMA application_id = 0x4c414253;
  PRAGMA user_version = 1;
)sql";

void sql(const std::string& path, const std::string& text) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* why = nullptr;
  EXPECT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, &why), SQLITE_OK) << why;
  sqlite3_close(db);
}

std::string one(const std::string& path, const std::string& query) {
  sqlite3* db = nullptr;
  sqlite3_stmt* row = nullptr;
  std::string out = "no row";
  EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  if (sqlite3_prepare_v2(db, query.c_str(), -1, &row, nullptr) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
    out = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
  sqlite3_finalize(row);
  sqlite3_close(db);
  return out;
}

TEST(Format, AFileOfVersion1IsTakenOverWithAllItHolds) {
  TempDir dir;
  const std::string path = dir.path() + "/state.db";
  sql(path, kFormat1);
  EXPECT_EQ(format_of(path), 1);
  for (int round = 0; round < 2; ++round) {
    auto store = open_embedded({.path = path}, "lab v9.9.9");
    ASSERT_TRUE(store) << store.error().text();
    auto all = range(**store, {.start = "/registry/", .end = prefix_end("/registry/")});
    ASSERT_TRUE(all) << all.error().text();
    ASSERT_EQ(all->items.size(), 2u + static_cast<std::size_t>(round));
    EXPECT_EQ(*all->items[0].value, R"({"new":true})");
    EXPECT_EQ(all->items[0].create_revision, 1);
    EXPECT_EQ(all->items[0].mod_revision, 3);
    EXPECT_EQ(all->revision, 4 + round) << "revisions go on, so that watches of clients do";
    auto earlier = range(**store, {.start = "/registry/", .end = prefix_end("/registry/"), .revision = 2});
    ASSERT_TRUE(earlier) << earlier.error().text();
    EXPECT_EQ(earlier->items.size(), 3u);
    if (round == 0) ASSERT_TRUE(commit(**store, {put("/registry/configmaps/default/c", "x")}));
  }
  EXPECT_EQ(one(path, "PRAGMA user_version"), std::to_string(kFormat));
  auto in_use = open_embedded({.path = dir.path() + "/new.db"});
  ASSERT_TRUE(in_use);
  EXPECT_EQ(format_of(dir.path() + "/new.db"), kFormat) << "what stands in the log alone counts";
  EXPECT_EQ(one(path, "SELECT version FROM programs"), "lab v9.9.9");
}

TEST(Format, AMigrationThatCannotBeDoneChangesNothing) {
  TempDir dir;
  const std::string path = dir.path() + "/state.db";
  sql(path, kFormat1);
  sql(path, "CREATE TABLE programs (x)");
  auto store = open_embedded({.path = path});
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().text().find("from format 1 to 2"), std::string::npos) << store.error().text();
  EXPECT_EQ(one(path, "PRAGMA user_version"), "1");
  sql(path, "DROP TABLE programs");
  EXPECT_TRUE(open_embedded({.path = path}));
}

TEST(Format, ALaterVersionIsRefusedAndNamesWhoWroteIt) {
  TempDir dir;
  const std::string path = dir.path() + "/state.db";
  ASSERT_TRUE(open_embedded({.path = path}, "lab v9.9.9"));
  sql(path, "PRAGMA user_version = 7");
  EXPECT_EQ(format_of(path), 7);
  auto store = open_embedded({.path = path}, "lab v0.0.1");
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().text().find("version 7 (lab v9.9.9 had it open last), this program reads up to 2"),
            std::string::npos)
      << store.error().text();
  EXPECT_EQ(one(path, "SELECT count(*) FROM programs"), "1")
      << "the older program left its mark in what it cannot read";
}

TEST(Format, FilesThatAreNoStores) {
  TempDir dir;
  EXPECT_EQ(format_of(dir.path() + "/none").error().code, Code::kNotFound);
  std::ofstream(dir.path() + "/text") << std::string(200, 'x');
  EXPECT_FALSE(format_of(dir.path() + "/text"));
}

}  // namespace
}  // namespace lab::store
