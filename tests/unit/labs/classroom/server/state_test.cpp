// Seats, topics, jobs and the page's files.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>

#include "base/fs.h"
#include "base/io/scope.h"
#include "labs/classroom/server/child.h"
#include "labs/classroom/server/files.h"
#include "labs/classroom/server/jobs.h"
#include "labs/classroom/server/seat.h"
#include "labs/classroom/server/upload.h"

namespace lab::classroom {
namespace {

SeatPtr seat_of(const std::string& name, std::atomic<int>* changes = nullptr) {
  return std::make_shared<Seat>("no-such-class-" + std::to_string(::getpid()), Student{name, "", "", "p-" + name},
                                [changes] {
                                  if (changes) ++*changes;
                                });
}

template <class F>
bool soon(F holds) {
  for (int i = 0; i < 2000 && !holds(); ++i) ::usleep(10'000);
  return holds();
}

TEST(Seat, TheVersionGrowsWithEveryChange) {
  std::atomic<int> changes = 0;
  auto seat = seat_of("ada", &changes);
  const auto first = json::num(seat->state(), "version");
  seat->set("lab", "running");
  seat->set("lab", "running");
  EXPECT_EQ(json::num(seat->state(), "version"), first + 1);
  EXPECT_EQ(changes, 1);
  EXPECT_EQ(json::str(*json::parse(*seat->topic()->latest().text), "state", "lab"), "running");
}

TEST(Seat, TheTeachersRowHoldsProgressAndTheError) {
  auto seat = seat_of("ada");
  seat->set_progress({{"exercise", "04-scaling"}, {"passed", 2}});
  seat->set("job", json::Object{{"what", "start"}, {"error", "no space left"}});
  const auto row = seat->row();
  EXPECT_EQ(json::str(row, "student"), "ada");
  EXPECT_EQ(json::num(row, "passed"), 2);
  EXPECT_EQ(json::str(row, "message"), "no space left");
  EXPECT_FALSE(json::flag(row, "online"));
}

TEST(Seat, AClassHasTheNodesThatItsLabsHave) {
  auto ada = seat_of("ada"), bob = seat_of("bob");
  EXPECT_EQ(node_names({ada, bob}, 2), (std::vector<std::string>{"node1", "node2"})) << "before there is a lab";
  auto lab = [](std::initializer_list<const char*> names) {
    json::Array out;
    for (const char* name : names) out.push_back(json::Object{{"name", name}});
    return out;
  };
  ada->set("nodes", lab({"node1", "node10", "node2"}));
  bob->set("nodes", lab({"node1", "node3"}));
  EXPECT_EQ(node_names({ada, bob}, 2), (std::vector<std::string>{"node1", "node2", "node3", "node10"}));
}

TEST(Topic, ASlowReaderGetsTheNewestAlone) {
  auto topic = std::make_shared<Topic>();
  auto bell = std::make_shared<Bell>();
  Reading reading(topic, bell);
  for (int i = 0; i < 1000; ++i) topic->publish(std::to_string(i));
  auto read = [](std::shared_ptr<Bell> b) -> Task<int> {
    int rung = 0;
    while (co_await b->wait(std::chrono::milliseconds(20), {})) ++rung;
    co_return rung;
  };
  EXPECT_EQ(run_task(read(bell)), 1);
  EXPECT_EQ(*topic->latest().text, "999");
  EXPECT_EQ(topic->latest().version, 1000u);
}

TEST(Topic, ABellRungFromAnotherThreadWakes) {
  auto bell = std::make_shared<Bell>();
  std::thread other([bell] {
    ::usleep(20'000);
    bell->ring();
  });
  auto wait = [](std::shared_ptr<Bell> b) -> Task<bool> { co_return co_await b->wait(std::chrono::seconds(60), {}); };
  EXPECT_TRUE(run_task(wait(bell)));
  other.join();
}

TEST(Topic, WatchedWhileSomebodyReads) {
  auto topic = std::make_shared<Topic>();
  {
    Reading reading(topic, std::make_shared<Bell>());
    EXPECT_TRUE(topic->watched());
  }
  EXPECT_FALSE(topic->watched());
}

TEST(Child, HandsOnLinesAndItsEnd) {
  std::vector<std::string> lines;
  auto end = run_child({"/bin/sh", "-c", "echo one; printf 'two\\033[31m\\rthree'; echo bad >&2; exit 3"},
                       [&](const std::string& line) { lines.push_back(line); }, {});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code, 3);
  EXPECT_EQ(end->errors, "bad\n");
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two[31m", "three"})) << "no control characters";
}

TEST(Child, AFloodTakesNoMemory) {
  std::size_t longest = 0;
  auto end = run_child(
      {"/bin/sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x; head -c 5000000 /dev/zero | tr '\\0' y >&2"},
      [&](const std::string& line) { longest = std::max(longest, line.size()); }, {});
  ASSERT_TRUE(end);
  EXPECT_LE(longest, 300u);
  EXPECT_LE(end->errors.size(), 4000u);
}

TEST(Child, WhatItLeavesBehindIsNotWaitedFor) {
  std::string left;
  auto end = run_child({"/bin/sh", "-c", "sleep 30 & echo $!"}, [&](const std::string& pid) { left = pid; }, {});
  if (!left.empty()) ::kill(std::stoi(left), SIGKILL);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code, 0);
}

TEST(Child, EndsWhenItIsTold) {
  std::stop_source stop;
  std::thread later([&] {
    ::usleep(50'000);
    stop.request_stop();
  });
  auto end = run_child({"/bin/sleep", "100"}, [](const std::string&) {}, stop.get_token());
  later.join();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code, 128 + 15);
}

TEST(Jobs, OneOfASeatAtATime) {
  Jobs jobs(2, {});
  auto seat = seat_of("ada");
  ASSERT_TRUE(jobs.start(seat, "start", {{"/bin/sleep", "0.2"}}));
  EXPECT_EQ(jobs.start(seat, "reset", {{"/bin/true"}}).error().code, Code::kConflict);
  EXPECT_TRUE(soon([&] { return seat->part("job").is_null(); }));
  EXPECT_TRUE(soon([&] { return !jobs.busy(seat); }));
  EXPECT_TRUE(jobs.start(seat, "reset", {{"/bin/true"}}));
  EXPECT_TRUE(soon([&] { return !jobs.busy(seat); }));
}

TEST(Jobs, SoManyAtOnceAndTheOthersWaitInOrder) {
  std::atomic<int> running = 0, most = 0;
  std::mutex mutex;
  std::vector<std::string> order;
  Jobs jobs(2, {.begin =
                    [&](const SeatPtr& seat) {
                      most = std::max<int>(most, ++running);
                      std::lock_guard lock(mutex);
                      order.push_back(seat->student);
                    },
                .end = [&](const SeatPtr&, const std::string&) { --running; }});
  std::vector<SeatPtr> seats;
  for (int i = 0; i < 40; ++i) {
    seats.push_back(seat_of("s" + std::to_string(100 + i)));
    ASSERT_TRUE(jobs.start(seats.back(), "start", {{"/bin/sleep", "0.02"}}));
  }
  const auto last = seats.back()->part("job");
  EXPECT_NE(json::str(last, "line").find("before you"), std::string::npos) << json::dump(last);
  EXPECT_GT(json::num(last, "before"), 5);
  EXPECT_TRUE(soon([&] { return std::ranges::none_of(seats, [&](const auto& s) { return jobs.busy(s); }); }));
  EXPECT_LE(most, 2);
  std::lock_guard lock(mutex);
  ASSERT_EQ(order.size(), 40u);
  for (std::size_t i = 2; i < order.size(); ++i) EXPECT_LT(order[i - 2], order[i]);
}

TEST(Jobs, AFailureIsShownUntilTheNextOne) {
  Jobs jobs(1, {});
  auto seat = seat_of("ada");
  ASSERT_TRUE(jobs.start(
      seat, "start",
      {{"/bin/sh", "-c", "echo half; echo 'error: no space' >&2; exit 1"}, {"/bin/sh", "-c", "echo never"}}));
  EXPECT_TRUE(soon([&] { return !jobs.busy(seat); }));
  EXPECT_EQ(json::str(seat->part("job"), "error"), "error: no space");
  ASSERT_TRUE(jobs.start(seat, "start", {{"/bin/true"}}));
  EXPECT_TRUE(soon([&] { return seat->part("job").is_null(); }));
}

TEST(Jobs, StopEndsWhatRuns) {
  auto seat = seat_of("ada"), waiting = seat_of("bob");
  const auto begun = std::chrono::steady_clock::now();
  {
    Jobs jobs(1, {});
    ASSERT_TRUE(jobs.start(seat, "start", {{"/bin/sleep", "100"}}));
    ASSERT_TRUE(jobs.start(waiting, "start", {{"/bin/sleep", "100"}}));
    EXPECT_TRUE(soon([&] { return json::str(seat->part("job"), "line") == "beginning"; }));
    jobs.stop();
    EXPECT_EQ(jobs.start(seat, "start", {{"/bin/true"}}).error().code, Code::kUnavailable);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60));
}

TEST(Upload, PathsAreNamesAlone) {
  EXPECT_TRUE(check_upload_path("a.txt"));
  EXPECT_TRUE(check_upload_path("dir/sub/a b.txt"));
  EXPECT_TRUE(check_upload_path("..a"));
  for (const std::string path : {"", "/", "/etc/passwd", "a//b", "a/", "..", "../a", "a/../b", "a/..", ".", "./a"})
    EXPECT_FALSE(check_upload_path(path)) << path;
  EXPECT_FALSE(check_upload_path(std::string("a\0b", 3)));
  EXPECT_FALSE(check_upload_path("a\nb"));
  EXPECT_FALSE(check_upload_path(std::string(300, 'x')));
  std::string deep = "a";
  for (int i = 0; i < 20; ++i) deep += "/a";
  EXPECT_FALSE(check_upload_path(deep));
}

TEST(Files, ThePageItsPartsAndNothingElse) {
  const std::string dir = std::filesystem::temp_directory_path() / ("lab-page-" + std::to_string(::getpid()));
  ASSERT_TRUE(fs::make_dirs(dir + "/assets"));
  ASSERT_TRUE(fs::write_file(dir + "/index.html", "<p>page</p>"));
  ASSERT_TRUE(fs::write_file(dir + "/assets/a-1f.js", std::string(5000, 'x')));
  ASSERT_TRUE(fs::symlink("/etc/passwd", dir + "/passwd.txt"));
  const auto files = Files::load(dir);
  std::filesystem::remove_all(dir);
  auto get = [&](const std::string& target, http::Headers headers = {}) {
    http::Request r;
    r.target = target;
    r.headers = std::move(headers);
    return files.answer(r);
  };
  EXPECT_EQ(get("/").text(), "<p>page</p>");
  EXPECT_EQ(get("/students/ada?x=1").text(), "<p>page</p>") << "a view of the page's";
  EXPECT_EQ(get("/assets/a-1f.js").text().size(), 5000u);
  EXPECT_NE(get("/assets/a-1f.js").headers.get("cache-control").find("immutable"), std::string::npos);
  const auto zipped = get("/assets/a-1f.js", {{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(zipped.headers.get("content-encoding"), "gzip");
  EXPECT_LT(zipped.text().size(), 500u);
  EXPECT_EQ(get("/", {{"If-None-Match", std::string(get("/").headers.get("etag"))}}).status, 304);
  for (const char* path : {"/passwd.txt", "/../etc/passwd.x", "/%2e%2e/%2e%2e/etc/passwd.x", "/assets/none.js"})
    EXPECT_EQ(get(path).status, 404) << path;
  EXPECT_EQ(Files::load("/nowhere/at/all").answer({}).status, 503);
}

}  // namespace
}  // namespace lab::classroom
