// Quoting, judged by the shells that will read it.
#include "join/ssh/shell.h"

#include <gtest/gtest.h>

#include "base/subprocess.h"
#include "join/ssh/scripts.h"

namespace lab::join::ssh {
namespace {

const std::vector<std::string> kNasty{
    "plain", "",          " ",    "a b", "'", "''", "\"", "$HOME", "$(id)",         "`id`",
    "\\",    "\\n",       "a\nb", "*",   "~", "#x", "-n", "!x",    "a'b\"c$d`e\\f", "äöü",
    "{a,b}", "&& reboot", ";",    "|",   "<", ">",  "=",  "%s"};

std::string through(const std::string& shell, const std::string& command) {
  auto done = run({.argv = {shell, "-c", command}});
  return done ? done->out : done.error().text();
}

TEST(Shell, WordsArriveAsTheyWere) {
  std::string want;
  std::vector<std::string> words{"printf", "[%s]"};
  for (const auto& w : kNasty) {
    words.push_back(w);
    want += "[" + w + "]";
  }
  for (const char* shell : {"dash", "bash"}) EXPECT_EQ(through(shell, shell_words(words)), want) << shell;
}

TEST(Shell, ScriptsGetTheirArguments) {
  std::string want;
  for (const auto& w : kNasty) want += "[" + w + "]";
  const std::string command =
      shell_command("for w in \"$@\"; do printf '[%s]' \"$w\"; done; echo err >&2", kNasty, false);
  for (const char* shell : {"dash", "bash"}) EXPECT_EQ(through(shell, command), want + "err\n") << shell;
}

TEST(Shell, SudoNeverAsks) {
  EXPECT_TRUE(shell_command("id", {}, true).starts_with("sudo -n -- sh -c id"));
}

TEST(Scripts, AreSoundShell) {
  for (const char* script : {kProbeScript, kUnpackScript, kLaunchScript, kFollowScript, kVerdictScript})
    for (const char* shell : {"dash", "bash"}) {
      auto done = run({.argv = {shell, "-n"}, .stdin_text = script});
      ASSERT_TRUE(done);
      EXPECT_EQ(done->exit_code, 0) << shell << ": " << done->err << script;
    }
}

TEST(Scripts, JobKeepsItsArgumentsAndItsEnd) {
  const std::string job = job_script({.release = "0123",
                                      .install = {"containerd", "runc"},
                                      .package_manager = "apt-get",
                                      .join_arguments = {"10.0.0.1:6443", "--node-name", "a b'c"}});
  auto done = run({.argv = {"dash", "-n"}, .stdin_text = job});
  ASSERT_TRUE(done && done->exit_code == 0) << done->err;
  EXPECT_NE(job.find("/opt/lab/releases/0123/lab join 10.0.0.1:6443 --node-name 'a b'\\''c'\n"), std::string::npos)
      << job;
  EXPECT_NE(job.find("install -y --no-install-recommends containerd runc || finish 91"), std::string::npos) << job;
  EXPECT_TRUE(job.ends_with("# end\n"));
  EXPECT_EQ(job_script({.release = "0123", .join_arguments = {"x"}}).find("apt-get"), std::string::npos)
      << "nothing is installed unasked";
}

TEST(Scripts, InstallCommandsOfKnownManagers) {
  EXPECT_EQ(install_command("apt-get", {"containerd", "runc"}),
            "apt-get install -y --no-install-recommends containerd runc");
  EXPECT_EQ(install_command("dnf", {"containerd"}), "dnf install -y containerd");
  EXPECT_EQ(install_command("nix", {"containerd"}), "");
}

}  // namespace
}  // namespace lab::join::ssh
