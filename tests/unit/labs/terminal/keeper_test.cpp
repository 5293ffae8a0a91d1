#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <sstream>
#include <thread>

#include "base/fs.h"
#include "base/subprocess.h"
#include "labs/terminal/protocol.h"
#include "tests/unit/labs/terminal/running_keeper.h"

namespace lab::terminal {
namespace {

// "mark 12 34": what follows the mark in the shell's answer, where the mark is not the echo of what was typed.
std::string after(const std::string& text, const std::string& mark) {
  const auto at = text.find("\n" + mark);
  if (at == std::string::npos) return {};
  const auto from = at + 1 + mark.size();
  return text.substr(from, text.find('\r', from) - from);
}

bool eventually(std::function<bool()> holds) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// A test that needs its keeper's terminals and nothing else.
void with_keeper(Task<void> (*story)(Terminals)) {
  RunningKeeper keeper;
  run_task(story(keeper.terminals()));
}

Task<void> a_session(Terminals terminals) {
  auto viewer = co_await open_and_view(terminals);
  CO_ASSERT(viewer);
  // The leader of a session whose controlling terminal this is, in its foreground.
  (void)co_await viewer->view->input("echo i''t: $(tty) $$ $(cut -d' ' -f5,6 /proc/$$/stat)\n");
  CO_ASSERT(co_await viewer->until_text("\nit: "));
  CO_ASSERT(co_await viewer->until_text("$ "));
  std::istringstream words(after(viewer->text, "it: "));
  std::string tty;
  long pid = 0, group = 0, session = 0;
  words >> tty >> pid >> group >> session;
  EXPECT_TRUE(tty.starts_with("/dev/pts/")) << tty;
  EXPECT_GT(pid, 1);
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, pid);
}
TEST(Keeper, AShellIsTheLeaderOfItsTerminalsSession) {
  with_keeper(a_session);
}

Task<void> interrupted(Terminals terminals) {
  auto viewer = co_await open_and_view(terminals);
  CO_ASSERT(viewer);
  (void)co_await viewer->view->input("sh -c \"echo be''gun; exec sleep 1000\"\n");
  CO_ASSERT(co_await viewer->until_text("begun"));
  (void)co_await viewer->view->input("\x03");
  (void)co_await viewer->view->input("echo state $?\n");
  CO_ASSERT(co_await viewer->until_text("state 130"));
  (void)co_await viewer->view->input("sh -c \"echo ru''nning; exec sleep 1001\"\n");
  CO_ASSERT(co_await viewer->until_text("running"));
  (void)co_await viewer->view->input("\x1a");
  CO_ASSERT(co_await viewer->until_text("Stopped"));
  (void)co_await viewer->view->input("kill -9 %1; exit 7\nexit 7\n");
  CO_ASSERT(co_await viewer->until_exit());
  EXPECT_EQ(viewer->code, 7);
}
TEST(Keeper, KeysInterruptAndStop) {
  with_keeper(interrupted);
}

// What does not read its input is still interrupted, however much waits.
Task<void> interrupted_behind_input(Terminals terminals) {
  auto viewer = co_await open_and_view(terminals);
  CO_ASSERT(viewer);
  (void)co_await viewer->view->input("stty -echo; sh -c \"echo be''gun; exec sleep 1000\"\n");
  CO_ASSERT(co_await viewer->until_text("begun"));
  std::string lines;
  for (int i = 0; i < 20000; ++i) lines += "true 3456\n";
  (void)co_await viewer->view->input(lines);
  (void)co_await viewer->view->input("\x03");
  (void)co_await viewer->view->input("echo state $?\n");
  CO_ASSERT(co_await viewer->until_text("state "));
}
TEST(Keeper, CtrlCDoesNotWaitBehindWhatNobodyReads) {
  with_keeper(interrupted_behind_input);
}

Task<void> pasted(Terminals terminals, std::string file) {
  auto viewer = co_await open_and_view(terminals);
  CO_ASSERT(viewer);
  (void)co_await viewer->view->input("stty -echo; echo be''gun; head -c 2000000 > " + file + "; echo all''read\n");
  CO_ASSERT(co_await viewer->until_text("begun"));
  std::string lines;
  for (int i = 0; i < 200000; ++i) lines += std::to_string(1000000000 + i).substr(1) + "\n";
  (void)co_await viewer->view->input(lines);
  CO_ASSERT(co_await viewer->until_text("allread"));
  EXPECT_EQ(fs::read_file(file).value_or(""), lines) << "a byte of what was pasted was lost";
}
TEST(Keeper, AMegabytePastedArrivesWhole) {
  RunningKeeper keeper;
  run_task(pasted(keeper.terminals(), keeper.socket() + ".pasted"));
}

Task<void> resized(Terminals terminals) {
  std::string id;
  auto one = co_await open_and_view(terminals, &id);
  CO_ASSERT(one);
  auto view = co_await terminals.attach(id, 0);
  CO_ASSERT(view);
  Viewer other(std::move(*view));
  CO_ASSERT(co_await other.until_text("$ "));
  EXPECT_FALSE(co_await one->view->resize(0, 10));
  (void)co_await one->view->resize(101, 31);
  auto told = [&other] { return other.size.has_value(); };
  CO_ASSERT(co_await other.until(told));
  EXPECT_EQ(other.size->cols, 101);
  (void)co_await other.view->input("stty size\n");
  CO_ASSERT(co_await one->until_text("31 101"));
  EXPECT_FALSE(one->size) << "who resized knows it";
  auto list = co_await terminals.list();
  CO_ASSERT(list && list->size() == 1);
  EXPECT_EQ(list->front().cols, 101);
  EXPECT_EQ(list->front().rows, 31);
}
TEST(Keeper, ASizeIsTheShellsAndTheOtherViewers) {
  with_keeper(resized);
}

Task<void> looked_at_again(Terminals terminals) {
  std::string id;
  auto first = co_await open_and_view(terminals, &id);
  CO_ASSERT(first);
  (void)co_await first->view->input("echo on''ce\n");
  CO_ASSERT(co_await first->until_text("once"));
  const auto seen = first->offset;
  const auto text = first->text;
  first.reset();  // nobody looks
  CO_ASSERT(co_await terminals.type(id, "echo un''seen; exit 3\n"));
  auto view = co_await terminals.attach(id, seen);
  CO_ASSERT(view);
  Viewer again(std::move(*view));
  CO_ASSERT(co_await again.until_exit());
  EXPECT_EQ(again.starts.at(0).offset, seen);
  EXPECT_NE(again.text.find("unseen"), std::string::npos);
  EXPECT_EQ(again.code, 3);
  auto whole = co_await terminals.attach(id, 0);
  CO_ASSERT(whole);
  Viewer all(std::move(*whole));
  CO_ASSERT(co_await all.until_exit());
  EXPECT_EQ(all.text, text + again.text) << "nothing is missing and nothing doubled";
  auto list = co_await terminals.list();
  CO_ASSERT(list && list->size() == 1);
  EXPECT_EQ(list->front().exited, 3);
  CO_ASSERT(co_await terminals.close(id));
  EXPECT_TRUE(co_await all.until_end());
  auto gone = co_await terminals.attach(id, 0);
  CO_ASSERT(!gone);
  EXPECT_EQ(gone.error().code, Code::kNotFound);
  EXPECT_TRUE(co_await terminals.close(id)) << "repeatable";
}
TEST(Keeper, NothingIsLostWhileNobodyLooks) {
  with_keeper(looked_at_again);
}

Task<void> flooded(Terminals terminals) {
  std::string id;
  auto viewer = co_await open_and_view(terminals, &id);
  CO_ASSERT(viewer);
  viewer->acknowledges = false;
  (void)co_await viewer->view->input(
      "yes 0123456789012345678901234567890123456789 | head -c 12000000; echo the''end\n");
  const auto drawn = viewer->offset;
  auto full = [&viewer, drawn] { return viewer->offset >= drawn + kAhead; };
  CO_ASSERT(co_await viewer->until(full));
  EXPECT_EQ(viewer->offset, drawn + kAhead) << "no more before it was acknowledged";
  // The terminal goes on without it, and so do others.
  auto other = co_await open_and_view(terminals);
  CO_ASSERT(other);
  (void)co_await other->view->input("echo al''ive\n");
  CO_ASSERT(co_await other->until_text("alive"));
  std::uint64_t end = 0;
  for (int i = 0; i < 600 && end < 12'000'000; ++i) {
    auto list = co_await terminals.list();
    CO_ASSERT(list && !list->empty());
    end = list->front().end;
    co_await sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_GE(end, 12'000'000u);
  viewer->acknowledges = true;
  (void)co_await viewer->view->ack(viewer->offset);
  CO_ASSERT(co_await viewer->until_text("theend"));
  CO_ASSERT(viewer->starts.size() >= 2);
  EXPECT_GT(viewer->starts.back().offset, 10'000'000u) << "what was no longer kept is skipped";
  EXPECT_EQ(viewer->starts.back().end, viewer->starts.back().offset) << "what follows is not of the past";
  EXPECT_LE(viewer->text.size(), kScrollback);
  EXPECT_TRUE(viewer->text.starts_with("01234567890")) << "it goes on at a line";
}
TEST(Keeper, WhoDoesNotAcknowledgeMissesTheMiddle) {
  with_keeper(flooded);
}

Task<void> as_many_as_there_may_be(Terminals terminals) {
  auto bad = co_await terminals.open("elsewhere", 80, 24);
  CO_ASSERT(!bad);
  EXPECT_EQ(bad.error().code, Code::kNotFound);
  std::vector<std::string> ids;
  for (int i = 0; i < kMaxTerminals; ++i) {
    auto id = co_await terminals.open("here", 80, 24);
    CO_ASSERT(id);
    ids.push_back(*id);
  }
  auto one_more = co_await terminals.open("here", 80, 24);
  CO_ASSERT(!one_more);
  EXPECT_EQ(one_more.error().code, Code::kTooManyRequests);
  auto view = co_await terminals.attach(ids[4], 0);
  CO_ASSERT(view);
  Viewer ending(std::move(*view));
  (void)co_await ending.view->input("exit\n");
  CO_ASSERT(co_await ending.until_exit());
  CO_ASSERT(co_await terminals.open("here", 80, 24));
  auto list = co_await terminals.list();
  CO_ASSERT(list && list->size() == static_cast<std::size_t>(kMaxTerminals));
  EXPECT_EQ(list->front().title, "here");
  EXPECT_EQ(list->at(1).title, "here (2)");
  EXPECT_EQ(list->back().title, "here (5)") << "the place that became free";
  for (const auto& t : *list) EXPECT_NE(t.id, ids[4]);
}
TEST(Keeper, HasTwelveTerminalsAtMost) {
  with_keeper(as_many_as_there_may_be);
}

Task<void> shell_pid(Terminals terminals, std::string first, pid_t* pid, std::string* id) {
  auto viewer = co_await open_and_view(terminals, id);
  CO_ASSERT(viewer);
  (void)co_await viewer->view->input(first + "echo p''id $$.\n");
  CO_ASSERT(co_await viewer->until_text("\npid "));
  CO_ASSERT(co_await viewer->until_text("."));
  *pid = std::atoi(after(viewer->text, "pid ").c_str());
  EXPECT_GT(*pid, 1);
}
TEST(Keeper, CloseHangsUpAndInsists) {
  RunningKeeper keeper;
  for (const char* first : {"", "trap '' HUP; "}) {  // the second has to be killed
    pid_t pid = 0;
    std::string id;
    run_task(shell_pid(keeper.terminals(), first, &pid, &id));
    ASSERT_TRUE(process_alive(pid));
    ASSERT_TRUE(run_task(keeper.terminals().close(id)));
    EXPECT_TRUE(eventually([&] { return !process_alive(pid); })) << first;
  }
}

TEST(Keeper, ItsEndIsTheEndOfItsShells) {
  RunningKeeper keeper;
  pid_t pid = 0, stubborn = 0;
  std::string id;
  run_task(shell_pid(keeper.terminals(), "", &pid, &id));
  run_task(shell_pid(keeper.terminals(), "trap '' HUP; ", &stubborn, &id));
  struct stat st;
  ASSERT_EQ(::stat(keeper.socket().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  keeper.end();
  EXPECT_FALSE(process_alive(pid));
  EXPECT_FALSE(process_alive(stubborn));
  EXPECT_NE(::stat(keeper.socket().c_str(), &st), 0);
  auto list = run_task(keeper.terminals().list());
  EXPECT_TRUE(list && list->empty());
}

TEST(Keeper, EndsWithItsLab) {
  std::atomic<bool> exists = true;
  RunningKeeper keeper({.lab_exists = [&] { return exists.load(); }, .look = std::chrono::milliseconds(20)});
  pid_t pid = 0;
  std::string id;
  run_task(shell_pid(keeper.terminals(), "", &pid, &id));
  exists = false;
  EXPECT_TRUE(keeper.has_ended());
  EXPECT_FALSE(process_alive(pid));
}

TEST(Keeper, EndsWhenThereIsNothingToKeep) {
  RunningKeeper keeper({.look = std::chrono::milliseconds(20), .idle = std::chrono::milliseconds(300)});
  EXPECT_TRUE(keeper.has_ended());
}

Task<void> watched(Terminals terminals) {
  auto watch = co_await terminals.watch();
  CO_ASSERT(watch);
  auto list = co_await (*watch)->next();
  CO_ASSERT(list && *list);
  EXPECT_TRUE((*list)->empty());
  auto id = co_await terminals.open("here", 80, 24);
  CO_ASSERT(id);
  list = co_await (*watch)->next();
  CO_ASSERT(list && *list && (*list)->size() == 1);
  EXPECT_EQ((*list)->front().id, *id);
  CO_ASSERT(co_await terminals.type(*id, "exit 5\n"));
  list = co_await (*watch)->next();
  CO_ASSERT(list && *list && (*list)->size() == 1);
  EXPECT_EQ((*list)->front().exited, 5);
}
TEST(Keeper, TellsOfEveryChange) {
  with_keeper(watched);
}

// Whatever a client says, others are served on.
Task<void> garbage(std::string socket, unsigned seed) {
  std::mt19937 random(seed);
  const std::vector<std::string> texts{"{}",
                                       "[1]",
                                       R"({"do": "open"})",
                                       R"({"do": "open", "node": "here", "cols": -1, "rows": 3})",
                                       R"({"do": "attach", "id": "x"})",
                                       R"({"do": 7})",
                                       "\xff\xfe",
                                       R"({"do": "type"})"};
  for (int i = 0; i < 40; ++i) {
    auto stream = co_await dial_unix(socket);
    CO_ASSERT(stream);
    std::string bytes;
    for (int n = static_cast<int>(random() % 6); n >= 0; --n) {
      Frame frame{random() % 3 == 0, texts[random() % texts.size()]};
      if (random() % 4 == 0) frame.data = std::string(random() % 3000, static_cast<char>(random()));
      bytes += frame_head(frame) + frame.data;
    }
    for (int n = static_cast<int>(random() % 4); n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(bytes.size() - random() % 4);
    (void)co_await (*stream)->write(bytes);
    (void)co_await (*stream)->shutdown_write();
    std::array<char, 4096> answer;
    Deadline deadline(kPatience, [&stream] { (*stream)->close(); });
    for (bool more = random() % 2 == 0; more;) {
      auto n = co_await (*stream)->read(answer);
      more = n && *n > 0;
    }
    EXPECT_FALSE(deadline.expired()) << "seed " << seed << ", round " << i;
    (*stream)->close();
  }
}
TEST(Keeper, SurvivesGarbage) {
  RunningKeeper keeper;
  run_task(a_session(keeper.terminals()));
  for (unsigned seed = 1; seed <= 5; ++seed) run_task(garbage(keeper.socket(), seed));
  run_task(a_session(keeper.terminals()));
  auto list = run_task(keeper.terminals().list());
  ASSERT_TRUE(list);
  EXPECT_EQ(list->size(), 2u);
}

}  // namespace
}  // namespace lab::terminal
