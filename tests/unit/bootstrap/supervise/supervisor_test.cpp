// A real supervisor in a process of its own, with real children.
#include "bootstrap/supervise/supervisor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <sstream>
#include <thread>

#include "base/fs.h"
#include "base/subprocess.h"
#include "bootstrap/supervise/child.h"

namespace lab::bootstrap {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + kLimit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/lab-supervise-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    options_ = {.unit_directory = path("units"),
                .socket_path = path("run/socket"),
                .log_directory = path("log"),
                .pid_directory = path("pids")};
    ASSERT_TRUE(fs::make_dirs(options_.unit_directory));
    // Units that outlive their supervisor come to us, and so they are ended and reaped whatever happens.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }

  void TearDown() override {
    if (supervisor_ > 0) ::kill(supervisor_, SIGKILL);
    for (pid_t pid : {supervisor_})
      if (pid > 0) ::waitpid(pid, nullptr, 0);
    for (pid_t child : children_of(::getpid())) ::kill(child, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
      for (pid_t child : children_of(::getpid())) ::kill(child, SIGKILL);
    }
    (void)fs::remove_all(dir_);
  }

  std::string path(const std::string& name) const { return fs::join(dir_, name); }

  static std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> out;
    const std::string p = std::to_string(pid);
    auto text = fs::read_file("/proc/" + p + "/task/" + p + "/children");
    std::istringstream in(text ? *text : "");
    for (pid_t child; in >> child;) out.push_back(child);
    return out;
  }

  void start() {
    supervisor_ = ::fork();
    ASSERT_GE(supervisor_, 0);
    if (supervisor_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // stands for being PID 1: orphans come to it
      auto ended = run_supervisor(options_);
      ::_exit(ended ? 0 : 9);
    }
    ASSERT_TRUE(eventually([&] { return ask({{"op", "list"}}).has_value(); }));
  }

  int wait_for_end() {
    int status = 0;
    EXPECT_EQ(::waitpid(supervisor_, &status, 0), supervisor_);
    supervisor_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  Result<json::Value> ask(json::Object request) const {
    return ask_supervisor(std::move(request), options_.socket_path);
  }
  void tell(std::string_view op, std::string_view name = {}) const {
    auto r = ask({{"op", op}, {"name", name}});
    EXPECT_TRUE(r) << op << " " << name << ": " << (r ? "" : r.error().text());
  }

  json::Value unit(std::string_view name) const {
    auto answer = ask({{"op", "list"}});
    if (!answer) return {};
    for (const auto& u : json::list(*answer, "units"))
      if (json::str(u, "name") == name) return u;
    return {};
  }
  pid_t pid_of(std::string_view name) const { return static_cast<pid_t>(json::num(unit(name), "pid")); }
  bool running(std::string_view name) const { return json::flag(unit(name), "running"); }

  void put(const std::string& name, const std::string& script, std::map<std::string, std::string> env = {}) const {
    ASSERT_TRUE(
        write_unit({.name = name, .argv = {"/bin/sh", "-c", script}, .env = std::move(env)}, options_.unit_directory));
  }
  std::string text_of(const std::string& file) const {
    auto text = fs::read_file(file);
    return text ? *text : std::string();
  }

  std::string dir_;
  SupervisorOptions options_;
  pid_t supervisor_ = 0;
};

constexpr const char* kSleep = "exec sleep 100000";

TEST_F(SupervisorTest, StartsItsUnitsAndKeepsTheirOutput) {
  put("talker", "echo out $WORD; echo err >&2; pwd; exec sleep 100000", {{"WORD", "hello world"}});
  put("other", kSleep);
  start();
  ASSERT_TRUE(eventually([&] { return running("talker") && running("other"); }));
  EXPECT_TRUE(eventually([&] { return text_of(path("log/talker.log")) == "out hello world\nerr\n/\n"; }))
      << text_of(path("log/talker.log"));
  EXPECT_EQ(json::num(unit("talker"), "restarts"), 0);
  struct stat st{};
  ASSERT_EQ(::stat(options_.socket_path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0077, 0u) << "only root commands it";
  tell("shutdown");
  EXPECT_EQ(wait_for_end(), 0);
  EXPECT_FALSE(fs::exists(options_.socket_path));
  EXPECT_TRUE(fs::list_dir(options_.pid_directory)->empty());
}

TEST_F(SupervisorTest, WhatEndsIsStartedAgainEachTimeLater) {
  put("crasher", "date +%s%N; exit 3");
  start();
  ASSERT_TRUE(eventually([&] { return json::num(unit("crasher"), "restarts") >= 4; }));
  EXPECT_EQ(json::str(unit("crasher"), "lastEnd"), "exit code 3");
  std::istringstream in(text_of(path("log/crasher.log")));
  std::vector<long long> at;
  for (long long t; in >> t;) at.push_back(t);
  ASSERT_GE(at.size(), 4u);
  // 0.1 s, doubled each time; a busy machine only makes the gaps longer.
  for (std::size_t i = 1; i < 4; ++i)
    EXPECT_GE((at[i] - at[i - 1]) / 1'000'000, (100ll << (i - 1)) - 20) << "gap " << i;
  tell("stop", "crasher");
  const auto restarts = json::num(unit("crasher"), "restarts");
  EXPECT_FALSE(json::flag(unit("crasher"), "wanted"));
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_EQ(json::num(unit("crasher"), "restarts"), restarts) << "stopped while it waited: it stays so";
}

TEST_F(SupervisorTest, AProgramThatIsNotThereIsTriedOn) {
  ASSERT_TRUE(write_unit({.name = "late", .argv = {path("program")}}, options_.unit_directory));
  start();
  ASSERT_TRUE(
      eventually([&] { return json::str(unit("late"), "lastEnd").find("No such file") != std::string_view::npos; }));
  ASSERT_TRUE(fs::write_file(path("program"), "#!/bin/sh\nexec sleep 100000\n", 0755));
  EXPECT_TRUE(eventually([&] { return running("late"); }));
}

TEST_F(SupervisorTest, StopStartAndRestart) {
  put("u", kSleep);
  start();
  ASSERT_TRUE(eventually([&] { return running("u"); }));
  const pid_t first = pid_of("u");
  tell("start", "u");
  EXPECT_EQ(pid_of("u"), first) << "what runs is left alone";
  tell("stop", "u");
  ASSERT_TRUE(eventually([&] { return !running("u"); }));
  EXPECT_FALSE(process_alive(first));
  EXPECT_NE(json::str(unit("u"), "lastEnd").find("Terminated"), std::string_view::npos);
  tell("start", "u");
  ASSERT_TRUE(eventually([&] { return running("u"); }));
  const pid_t second = pid_of("u");
  tell("restart", "u");
  EXPECT_TRUE(eventually([&] { return running("u") && pid_of("u") != second; }));
  EXPECT_FALSE(process_alive(second));
}

// The patience with what fails, which would come to more than the limit here, is not for what people ask for.
TEST_F(SupervisorTest, RestartsThatAreAskedForDoNotAddUp) {
  put("u", kSleep);
  start();
  ASSERT_TRUE(eventually([&] { return running("u"); }));
  int left = 13;
  pid_t before = pid_of("u");
  tell("restart", "u");
  EXPECT_TRUE(eventually([&] {
    if (const pid_t now = pid_of("u"); now != 0 && now != before && left > 0) {
      before = now;
      if (--left > 0) tell("restart", "u");
    }
    return left == 0;
  })) << left << " are left";
}

TEST_F(SupervisorTest, WhatDoesNotHeedTermIsKilled) {
  put("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.2; done");
  start();
  ASSERT_TRUE(eventually([&] { return text_of(path("log/stubborn.log")) == "ready\n"; }));
  tell("stop", "stubborn");
  EXPECT_TRUE(running("stubborn")) << "it has its time first";
  ASSERT_TRUE(eventually([&] { return !running("stubborn"); }));
  EXPECT_NE(json::str(unit("stubborn"), "lastEnd").find("Killed"), std::string_view::npos);
}

TEST_F(SupervisorTest, ReloadFollowsTheFiles) {
  put("old", kSleep);
  put("changing", "echo one; exec sleep 100000");
  start();
  ASSERT_TRUE(eventually([&] { return running("old") && running("changing"); }));
  const pid_t old_pid = pid_of("old"), changing_pid = pid_of("changing");
  ASSERT_TRUE(fs::remove_file(path("units/old.json")));
  put("changing", "echo two; exec sleep 100000");
  put("new", kSleep);
  tell("reload");
  ASSERT_TRUE(eventually([&] { return running("new") && unit("old").is_null(); }));
  EXPECT_FALSE(process_alive(old_pid));
  EXPECT_EQ(pid_of("changing"), changing_pid) << "a changed one takes effect at its next start";
  tell("restart", "changing");
  EXPECT_TRUE(eventually([&] { return text_of(path("log/changing.log")) == "one\ntwo\n"; }));
  put("by-signal", kSleep);
  ::kill(supervisor_, SIGHUP);
  EXPECT_TRUE(eventually([&] { return running("by-signal"); }));
}

TEST_F(SupervisorTest, TheNextSupervisorAdoptsWhatRuns) {
  put("u", kSleep);
  start();
  ASSERT_TRUE(eventually([&] { return running("u"); }));
  const pid_t unit_pid = pid_of("u");
  ASSERT_TRUE(eventually([&] { return fs::exists(path("pids/u.pid")); }));
  ::kill(supervisor_, SIGKILL);
  ::waitpid(supervisor_, nullptr, 0);
  EXPECT_TRUE(process_alive(unit_pid)) << "units outlive their supervisor";
  start();
  ASSERT_TRUE(eventually([&] { return running("u"); }));
  EXPECT_EQ(pid_of("u"), unit_pid);
  ::kill(unit_pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return running("u") && pid_of("u") != unit_pid; }))
      << "and sees the end of what it adopted";
  EXPECT_EQ(json::num(unit("u"), "restarts"), 1);
}

TEST_F(SupervisorTest, APidFileOfAnotherProcessIsNotBelieved) {
  ASSERT_TRUE(fs::make_dirs(options_.pid_directory));
  // Our own pid with a start time that is not ours: a number that was given out again.
  ASSERT_TRUE(fs::write_file(path("pids/u.pid"), std::to_string(::getpid()) + " 1"));
  put("u", kSleep);
  start();
  ASSERT_TRUE(eventually([&] { return running("u"); }));
  EXPECT_NE(pid_of("u"), ::getpid());
  tell("shutdown");
  EXPECT_EQ(wait_for_end(), 0);
}

TEST_F(SupervisorTest, OrphansAreReaped) {
  put("parent", "for i in 1 2 3; do (sleep 0.1; exit $i) & done; echo ready; exec sleep 100000");
  put("leaver", "(sleep 0.3 &) ; exit 0");
  start();
  ASSERT_TRUE(eventually([&] { return text_of(path("log/parent.log")) == "ready\n"; }));
  ASSERT_TRUE(eventually([&] { return json::num(unit("leaver"), "restarts") >= 2; }));
  tell("stop", "leaver");
  EXPECT_TRUE(eventually([&] { return children_of(supervisor_) == std::vector<pid_t>{pid_of("parent")}; }))
      << "only the unit that runs is left";
}

TEST_F(SupervisorTest, TermEndsAllUnitsAndThenItself) {
  put("a", kSleep);
  put("b", "exit 1");  // waiting for its next start when the signal comes
  start();
  ASSERT_TRUE(eventually([&] { return running("a") && json::num(unit("b"), "restarts") >= 1; }));
  const pid_t a = pid_of("a");
  ::kill(supervisor_, SIGTERM);
  EXPECT_EQ(wait_for_end(), 0);
  EXPECT_FALSE(process_alive(a));
}

TEST_F(SupervisorTest, BadRequestsAreAnsweredAndHarmNothing) {
  auto nobody = ask({{"op", "list"}});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Code::kUnavailable);
  EXPECT_FALSE(nobody.error().hint.empty());
  put("u", kSleep);
  start();
  EXPECT_NE(ask({{"op", "stop"}, {"name", "absent"}}).error().message.find("absent"), std::string::npos);
  EXPECT_FALSE(ask({{"op", "fly"}, {"name", "u"}}));
  EXPECT_FALSE(ask({}));
  EXPECT_EQ(run_supervisor(options_).error().code, Code::kAlreadyExists);
  EXPECT_TRUE(fs::exists(options_.socket_path)) << "the second one leaves the first one's socket";

  // No JSON, and a caller that says nothing and goes.
  for (const char* text : {"rubbish\n", ""}) {
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, options_.socket_path.c_str(), sizeof to.sun_path - 1);
    ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    ASSERT_EQ(::write(fd, text, std::strlen(text)), static_cast<ssize_t>(std::strlen(text)));
    ::close(fd);
  }
  ASSERT_TRUE(fs::write_file(path("units/broken.json"), "{"));
  auto reload = ask({{"op", "reload"}});
  ASSERT_FALSE(reload);
  EXPECT_NE(reload.error().message.find("broken.json"), std::string::npos);
  EXPECT_TRUE(running("u"));
}

TEST_F(SupervisorTest, LogsAreCutAndKeptOnce) {
  ASSERT_TRUE(fs::make_dirs(options_.log_directory));
  Child child({.name = "u", .argv = {"/bin/true"}}, options_);
  const std::string log = path("log/u.log");
  child.rotate_log();  // no log yet
  ASSERT_TRUE(fs::write_file(log, "short"));
  child.rotate_log();
  EXPECT_EQ(text_of(log), "short");
  ASSERT_EQ(::truncate(log.c_str(), 17 << 20), 0);
  child.rotate_log();
  struct stat st{};
  ASSERT_EQ(::stat(log.c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 0);
  ASSERT_EQ(::stat((log + ".1").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 17 << 20);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
}

}  // namespace
}  // namespace lab::bootstrap
