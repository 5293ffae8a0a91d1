// The embedded store on a real disk: processes that are killed while they write, that find the file taken, damaged, or
// of another version.
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <thread>

#include "tests/contract/store/history_model.h"

namespace lab::store {
namespace {

// Runs in a child: writes transactions for ever, eight in flight, and tells each acknowledged number through the pipe.
[[noreturn]] void write_for_ever(const std::string& path, std::uint64_t seed, int from, int out) {
  auto store = open_embedded({.path = path, .checkpoint_frames = 50});
  if (!store) _exit(1);
  std::mutex mutex;
  std::condition_variable changed;
  int in_flight = 0;
  for (int n = from + 1;; ++n) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return in_flight < 8; });
    ++in_flight;
    lock.unlock();
    (*store)->commit(model_txn(seed, n), [&, n](Result<Committed> r) {
      if (!r || ::write(out, &n, sizeof n) != sizeof n) _exit(2);
      std::lock_guard guard(mutex);
      --in_flight;
      changed.notify_one();
    });
  }
}

// Kills the writer once it has acknowledged `enough` more and a moment has passed. Returns the last number it told.
int kill_a_writer(const std::string& path, std::uint64_t seed, int from, int enough, int delay_us) {
  int fds[2];
  if (::pipe(fds) != 0) return -1;
  pid_t child = ::fork();
  if (child == 0) {
    ::close(fds[0]);
    write_for_ever(path, seed, from, fds[1]);
  }
  ::close(fds[1]);
  int last = from, n = 0;
  while (last < from + enough && ::read(fds[0], &n, sizeof n) == sizeof n) last = n;
  std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
  ::kill(child, SIGKILL);
  while (::read(fds[0], &n, sizeof n) == sizeof n) last = n;  // what it told before it died
  ::close(fds[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? last : -1;
}

TEST(Kill, AcknowledgedWritesOutliveTheProcess) {
  TempDir dir;
  std::string path = dir.path() + "/store.db";
  std::uint64_t seed = 4242;
  std::mt19937_64 random(seed);
  Model model(seed);
  int held = 0;
  int rounds = rounds_from_environment(50);
  for (int round = 0; round < rounds; ++round) {
    int acknowledged =
        kill_a_writer(path, seed, held, static_cast<int>(random() % 40), static_cast<int>(random() % 3000));
    ASSERT_GE(acknowledged, held) << "round " << round << ": the writer ended by itself";
    auto store = open_embedded({.path = path});
    ASSERT_TRUE(store) << store.error().text();
    held = Model::count_in(**store);
    ASSERT_GE(held, acknowledged) << "seed " << seed << " round " << round;
    model.advance_to(held);
    ASSERT_EQ(model.differs(**store), "") << "seed " << seed << " round " << round;
  }
  EXPECT_GT(held, rounds);
}

TEST(Opening, ASecondProcessIsToldWhoHasIt) {
  TempDir dir;
  std::string path = dir.path() + "/store.db";
  {
    auto first = open_embedded({.path = path});
    ASSERT_TRUE(first);
    auto second = open_embedded({.path = path});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::kUnavailable);
    EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos) << second.error().text();
  }
  EXPECT_TRUE(open_embedded({.path = path})) << "free again once closed";
}

TEST(Opening, FilesArePrivate) {
  TempDir dir;
  std::string path = dir.path() + "/store.db";
  auto store = open_embedded({.path = path});
  ASSERT_TRUE(store);
  ASSERT_TRUE(commit(**store, {put("/secret", "x")}));
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat st{};
    ASSERT_EQ(::stat((path + suffix).c_str(), &st), 0) << suffix;
    EXPECT_EQ(st.st_mode & 0777, 0600u) << suffix;
  }
}

TEST(Opening, ErrorsSayWhatIsWrong) {
  TempDir dir;
  auto no_dir = open_embedded({.path = dir.path() + "/none/store.db"});
  ASSERT_FALSE(no_dir);
  EXPECT_NE(no_dir.error().text().find("No such file or directory"), std::string::npos) << no_dir.error().text();

  std::string garbage = dir.path() + "/garbage.db";
  std::ofstream(garbage) << std::string(8192, 'g');
  auto damaged = open_embedded({.path = garbage});
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().text().find(garbage), std::string::npos);
  EXPECT_NE(damaged.error().hint.find(".recover"), std::string::npos) << damaged.error().text();

  auto with_sql = [&](const std::string& name, const char* sql) {
    std::string path = dir.path() + "/" + name;
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
    auto store = open_embedded({.path = path});
    return store ? std::string("opened") : store.error().text();
  };
  EXPECT_NE(with_sql("foreign.db", "CREATE TABLE t (x)").find("belongs to another program"), std::string::npos);
  ASSERT_TRUE(open_embedded({.path = dir.path() + "/newer.db"}));
  EXPECT_NE(with_sql("newer.db", "PRAGMA user_version = 99").find("version 99"), std::string::npos);
}

TEST(Opening, DamageInTheMiddleIsFoundWhenItIsRead) {
  TempDir dir;
  std::string path = dir.path() + "/store.db";
  {
    auto store = open_embedded({.path = path});
    ASSERT_TRUE(store);
    for (int n = 1; n <= 300; ++n) ASSERT_TRUE(commit(**store, model_txn(3, n)));
  }
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 2; page < 40; ++page) {
      file.seekp(page * 4096);
      file << std::string(4096, '\x5a');
    }
  }
  auto store = open_embedded({.path = path});
  std::string said = store ? range_prefix(**store, "/").error().text() : store.error().text();
  EXPECT_NE(said.find("damaged"), std::string::npos) << said;
  EXPECT_NE(said.find(path), std::string::npos) << said;
}

// The WAL is moved into the database as it grows, so it stays near the configured length.
TEST(Files, TheLogStaysBounded) {
  TempDir dir;
  std::string path = dir.path() + "/store.db";
  auto store = open_embedded({.path = path, .checkpoint_frames = 100});
  ASSERT_TRUE(store);
  for (int n = 1; n <= 1500; ++n) ASSERT_TRUE(commit(**store, model_txn(3, n)));
  struct stat st{};
  ASSERT_EQ(::stat((path + "-wal").c_str(), &st), 0);
  EXPECT_LT(st.st_size, 4 * 100 * 4120);
}

TEST(Files, CanBeInspectedWhileTheStoreRuns) {
  TempDir dir;
  std::string path = dir.path() + "/store.db";
  auto store = open_embedded({.path = path});
  ASSERT_TRUE(store);
  ASSERT_TRUE(commit(**store, {put("/a", "hello")}));
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  std::string seen;
  auto collect = [](void* out, int, char** columns, char**) {
    *static_cast<std::string*>(out) = columns[0];
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(db, "SELECT value FROM objects WHERE key = '/a'", collect, &seen, nullptr), SQLITE_OK);
  sqlite3_close(db);
  EXPECT_EQ(seen, "hello");
  ASSERT_TRUE(commit(**store, {put("/a", "again")}));
}

}  // namespace
}  // namespace lab::store
