// Child processes: both streams, input, ends, time limits, daemons.
#include "base/subprocess.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/fs.h"

namespace lab {
namespace {

Finished finished(Command command) {
  auto done = run(std::move(command));
  EXPECT_TRUE(done) << (done ? "" : done.error().text());
  return done ? *done : Finished{.exit_code = -1};
}

TEST(Subprocess, ArgumentsArePassedAsTheyAre) {
  auto done = finished({.argv = {"printf", "%s|", "a b", "$HOME", "*", "", "'"}});
  EXPECT_EQ(done.out, "a b|$HOME|*||'|");
  EXPECT_TRUE(done.ok());
}

TEST(Subprocess, BothStreamsMayBeLargeAtTheSameTime) {
  // More than any pipe holds, written to one stream while the other is unread.
  auto done = finished({.argv = {"sh", "-c",
                                 "head -c 3000000 /dev/zero | tr '\\0' o; head -c 3000000 /dev/zero | tr '\\0' e >&2; "
                                 "head -c 1000000 /dev/zero | tr '\\0' O"},
                        .timeout = std::chrono::minutes(2)});
  EXPECT_EQ(done.out.size(), 4000000u);
  EXPECT_EQ(done.err, std::string(3000000, 'e'));
  auto merged = finished({.argv = {"sh", "-c", "echo 1; echo 2 >&2; echo 3"}, .merge_stderr = true});
  EXPECT_EQ(merged.out, "1\n2\n3\n");
  EXPECT_EQ(merged.err, "");
}

TEST(Subprocess, InputGoesInWholeWhileOutputComesOut) {
  std::string text;
  for (int i = 0; text.size() < 2000000; ++i) text += std::to_string(i) + "\n";
  EXPECT_EQ(finished({.argv = {"cat"}, .stdin_text = text}).out, text);
  EXPECT_EQ(finished({.argv = {"cat"}}).out, "") << "without input the child sees its end at once";
  // A child that closes its output still gets all of its input.
  std::string file = "/tmp/lab-subprocess-test-XXXXXX";
  int fd = ::mkstemp(file.data());
  ASSERT_GE(fd, 0);
  ::close(fd);
  finished({.argv = {"sh", "-c", "exec >\"$0\" 2>/dev/null; exec cat", file}, .stdin_text = text});
  EXPECT_EQ(*fs::read_file(file), text);
  ::unlink(file.c_str());
}

TEST(Subprocess, AChildThatIgnoresItsInputDoesNotEndUs) {
  struct sigaction before{};
  ::sigaction(SIGPIPE, nullptr, &before);
  ASSERT_EQ(before.sa_handler, SIG_DFL) << "as it is in the product's commands";
  const std::string text(1000000, 'x');
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) good += finished({.argv = {"true"}, .stdin_text = text}).ok();
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(good, 40);
  struct sigaction after{};
  ::sigaction(SIGPIPE, nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_DFL) << "and it is left so, whatever other threads ran meanwhile";
  sigset_t pending;
  sigpending(&pending);
  EXPECT_FALSE(sigismember(&pending, SIGPIPE));
}

TEST(Subprocess, ExitCodesAndSignals) {
  EXPECT_EQ(finished({.argv = {"sh", "-c", "exit 7"}}).exit_code, 7);
  EXPECT_EQ(finished({.argv = {"sh", "-c", "kill -TERM $$"}}).exit_code, 128 + SIGTERM);
  auto missing = run({.argv = {"lab-no-such-program"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().sys_errno, ENOENT);
  EXPECT_NE(missing.error().text().find("lab-no-such-program"), std::string::npos);
  EXPECT_FALSE(missing.error().hint.empty());
  EXPECT_EQ(run({.argv = {"/etc/passwd"}}).error().sys_errno, EACCES);
  EXPECT_FALSE(run({}));

  auto bad = run_checked({.argv = {"sh", "-c", "echo out; echo reason >&2; exit 3"}});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("exit code 3: reason"), std::string::npos) << bad.error().message;
  EXPECT_EQ(*run_checked({.argv = {"echo", "fine"}}), "fine\n");
  auto chatty = run_checked({.argv = {"sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x >&2; echo END >&2; exit 1"}});
  ASSERT_FALSE(chatty);
  EXPECT_LT(chatty.error().message.size(), 3000u);
  EXPECT_TRUE(chatty.error().message.ends_with("END"));
}

TEST(Subprocess, TheTimeLimitKills) {
  for (const char* script :
       {"exec sleep 1000", "exec >/dev/null 2>&1; exec sleep 1000", "trap '' TERM; while :; do sleep 1; done"}) {
    SCOPED_TRACE(script);
    const auto before = std::chrono::steady_clock::now();
    auto late = run({.argv = {"sh", "-c", script}, .timeout = std::chrono::milliseconds(300)});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::kTimeout);
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(60));
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "it was waited for";
  }
  EXPECT_TRUE(finished({.argv = {"true"}, .timeout = std::chrono::seconds(60)}).ok());
}

TEST(Subprocess, OutputWithoutEndTakesNoMemoryWithoutEnd) {
  auto endless = run({.argv = {"yes"}});
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, Code::kTooLarge) << endless.error().text();
}

TEST(Subprocess, EnvironmentDirectoryAndDescriptors) {
  ::setenv("LAB_TEST_KEPT", "kept", 1);
  auto done = finished({.argv = {"sh", "-c", "echo $LAB_TEST_KEPT $LAB_TEST_NEW; pwd; ls /proc/self/fd | wc -l"},
                        .env = {{"LAB_TEST_NEW", "new value"}},
                        .directory = "/usr"});
  ::unsetenv("LAB_TEST_KEPT");
  EXPECT_EQ(done.out, "kept new value\n/usr\n4\n") << "0, 1, 2 and that of the listing itself";
  int leaked = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  EXPECT_TRUE(finished({.argv = {"sh", "-c", "ls /proc/self/fd | wc -l"}}).out == "4\n");
  ::close(leaked);
}

TEST(Subprocess, DaemonsLiveOnInTheirOwnSession) {
  std::string dir = "/tmp/lab-daemon-test-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  const std::string log = dir + "/log";
  auto pid = spawn_daemon({.argv = {"sh", "-c", "echo said; echo warned >&2; pwd; echo $LAB_X; exec sleep 1000"},
                           .env = {{"LAB_X", "y"}},
                           .log_path = log,
                           .directory = "/"});
  ASSERT_TRUE(pid) << pid.error().text();
  for (int i = 0; i < 1000 && (!fs::exists(log) || *fs::read_file(log) != "said\nwarned\n/\ny\n"); ++i) ::usleep(10000);
  EXPECT_EQ(*fs::read_file(log), "said\nwarned\n/\ny\n");
  struct stat st{};
  ASSERT_EQ(::stat(log.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
  EXPECT_TRUE(process_alive(*pid));
  EXPECT_EQ(::getsid(*pid), *pid);
  ::kill(*pid, SIGKILL);
  for (int i = 0; i < 1000 && process_alive(*pid); ++i) ::usleep(10000);
  EXPECT_FALSE(process_alive(*pid)) << "a zombie does not count as alive";
  EXPECT_EQ(::waitpid(*pid, nullptr, 0), *pid);
  EXPECT_FALSE(process_alive(*pid));
  EXPECT_FALSE(spawn_daemon({.argv = {"/no/such/program"}}));
  EXPECT_TRUE(fs::remove_all(dir));
}

TEST(Subprocess, FindsProgramsNotDirectories) {
  auto sh = find_in_path("sh");
  ASSERT_TRUE(sh);
  EXPECT_TRUE(sh->ends_with("/sh"));
  EXPECT_EQ(find_in_path("/bin/sh"), "/bin/sh");
  EXPECT_FALSE(find_in_path("lab-no-such-program"));
  EXPECT_FALSE(find_in_path("/usr")) << "a directory is executable, but no program";
  EXPECT_FALSE(find_in_path("/etc/passwd"));
}

}  // namespace
}  // namespace lab
