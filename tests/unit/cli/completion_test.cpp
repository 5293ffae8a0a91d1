// Completion scripts and the man page, from the real command table and by the programs that read them.
#include "cli/completion.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/fs.h"
#include "base/subprocess.h"
#include "cli/manual.h"

namespace lab::cli {
namespace {

class CompletionTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/lab-completion-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { (void)fs::remove_all(dir_); }

  std::string script(const std::string& shell) const {
    auto text = completion_script(shell, commands());
    EXPECT_TRUE(text);
    const std::string path = fs::join(dir_, "script");
    EXPECT_TRUE(fs::write_file(path, text ? *text : ""));
    return path;
  }

  // What bash would offer for these words, the last being the one in hand.
  std::vector<std::string> offered(std::vector<std::string> words) const {
    const std::string count = std::to_string(words.size() - 1);
    std::vector<std::string> argv{
        "bash", "--norc", "-c",
        "source \"$0\"; COMP_WORDS=(\"$@\"); COMP_CWORD=" + count + "; _lab; printf '%s\\n' \"${COMPREPLY[@]}\"",
        script("bash")};
    argv.insert(argv.end(), words.begin(), words.end());
    auto done = run({.argv = argv, .timeout = std::chrono::minutes(1)});
    EXPECT_TRUE(done && done->ok() && done->err.empty()) << (done ? done->err : done.error().text());
    std::vector<std::string> out;
    std::istringstream in(done ? done->out : "");
    for (std::string line; std::getline(in, line);)
      if (!line.empty()) out.push_back(line);
    return out;
  }

  std::string dir_;
};

using Words = std::vector<std::string>;

bool holds(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST_F(CompletionTest, BashParsesItAndCompletes) {
  auto parsed = run({.argv = {"bash", "-n", script("bash")}});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->exit_code, 0) << parsed->err;
  EXPECT_EQ(offered({"lab", "tok"}), Words{"token"});
  EXPECT_EQ(offered({"kubeadm", "ini"}), Words{"init"});
  EXPECT_EQ(offered({"lab", "token", ""}), (Words{"create", "list", "delete", "generate"}));
  EXPECT_EQ(offered({"lab", "token", "create", "--ttl"}), Words{"--ttl"});
  EXPECT_TRUE(holds(offered({"lab", "token", "create", "--"}), "--print-join-command"));
  EXPECT_FALSE(holds(offered({"lab", "token", "list", "--"}), "--ttl")) << "each command has its own options";
  EXPECT_EQ(offered({"lab", "status", "-o", "y"}), Words{"yaml"});
  EXPECT_EQ(offered({"lab", "status", "--output", "=", "js"}), Words{"json"});
  EXPECT_EQ(offered({"lab", "status", "--output", "="}), (Words{"text", "json", "yaml"}));
  EXPECT_EQ(offered({"lab", "start", "--profile", "x", "--dri"}), Words{"--driver"})
      << "values of options are passed over";
  EXPECT_EQ(offered({"lab", "init", "--cert-dir", "/et"}), Words{}) << "left to bash's file names";
}

TEST_F(CompletionTest, AllThatIsOfferedExistsAndNothingHiddenIs) {
  Words all;
  for (const auto& c : commands())
    if (!c.hidden && c.path.find(' ') == std::string::npos) all.push_back(c.path);
  EXPECT_EQ(offered({"lab", ""}), all);
  for (const auto& c : commands())
    if (c.hidden) EXPECT_FALSE(holds(all, c.path)) << c.path;
}

TEST_F(CompletionTest, ZshAndFishHoldTheWholeTable) {
  for (const char* shell : {"zsh", "fish"}) {
    auto text = completion_script(shell, commands());
    ASSERT_TRUE(text);
    for (const auto& c : commands()) {
      if (c.hidden) continue;
      const std::string word = c.path.substr(c.path.rfind(' ') + 1);
      EXPECT_NE(text->find(word), std::string::npos) << shell << ": " << c.path;
      if (c.passes_rest) continue;
      for (const auto& o : c.options)
        EXPECT_NE(text->find(o.name), std::string::npos) << shell << ": " << c.path << " --" << o.name;
    }
    if (find_in_path(shell)) {
      auto parsed = run({.argv = {shell, "-n", script(shell)}});
      ASSERT_TRUE(parsed);
      EXPECT_EQ(parsed->exit_code, 0) << parsed->err;
    }
  }
  // Quotes in summaries must not end a word of the script.
  const std::vector<Command> tricky{
      {.path = "odd", .summary = "It's a \\ test", .options = {{.name = "x", .help = "don't"}}}};
  EXPECT_NE(completion_script("fish", tricky)->find("'It\\'s a \\\\ test'"), std::string::npos);
  auto unknown = completion_script("csh", commands());
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().hint.find("bash, zsh, fish"), std::string::npos);
}

TEST_F(CompletionTest, TheManPageIsWhatManTakes) {
  const std::string page = manual_page(commands(), "1.2.3");
  EXPECT_TRUE(page.starts_with(".TH LAB 1 "));
  for (const auto& c : commands()) {
    if (!c.run) continue;
    std::string name = c.path;
    for (std::size_t at = 0; (at = name.find('-', at)) != std::string::npos; at += 2) name.replace(at, 1, "\\-");
    EXPECT_NE(page.find(".SS \\fBlab " + name + "\\fR"), std::string::npos) << c.path;
  }
  EXPECT_LT(page.find("\\fBlab init\\fR"), page.find(".SH DAEMONS AND HELPERS"));
  EXPECT_GT(page.find("\\fBlab supervise\\fR"), page.find(".SH DAEMONS AND HELPERS"));
  const std::string path = fs::join(dir_, "lab.1");
  ASSERT_TRUE(fs::write_file(path, page));
  // groff is what man runs; its warnings are those of `man --warnings`.
  auto groff = find_in_path("groff");
  if (groff) {
    auto shown = run({.argv = {*groff, "-man", "-Tutf8", "-ww", "-P-cbou", path}, .timeout = std::chrono::minutes(1)});
    ASSERT_TRUE(shown);
    EXPECT_EQ(shown->exit_code, 0);
    EXPECT_EQ(shown->err, "");
    EXPECT_NE(shown->out.find("print-join-command"), std::string::npos);
    EXPECT_NE(shown->out.find("lab 1.2.3"), std::string::npos);
  }
  // Every line that begins with a dot is a macro that is meant.
  std::istringstream in(page);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with('.')) continue;
    const std::string macro = line.substr(0, line.find(' '));
    EXPECT_TRUE(holds({".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi", ".B", ".I", ".BR", ".IR"}, macro)) << line;
  }
}

}  // namespace
}  // namespace lab::cli
