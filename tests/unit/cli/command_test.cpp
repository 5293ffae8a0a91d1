// The command table itself, and the readers of durations and sizes.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "cli/command.h"
#include "cli/duration.h"

namespace lab::cli {
namespace {

TEST(CommandTable, IsWellFormed) {
  std::set<std::string> paths;
  for (const auto& c : commands()) {
    SCOPED_TRACE(c.path);
    EXPECT_TRUE(paths.insert(c.path).second) << "twice";
    if (auto space = c.path.rfind(' '); space != std::string::npos)
      EXPECT_TRUE(paths.contains(c.path.substr(0, space))) << "a group stands before its commands";
    EXPECT_FALSE(c.summary.empty());
    EXPECT_FALSE(c.summary.ends_with('.'));
    std::set<std::string> names, letters;
    for (const auto& o : c.options) {
      EXPECT_TRUE(names.insert(o.name).second) << o.name << " twice";
      EXPECT_FALSE(o.help.empty()) << o.name;
      if (!o.letter.empty()) EXPECT_TRUE(letters.insert(o.letter).second) << "-" << o.letter << " twice";
      EXPECT_LE(o.letter.size(), 1u);
      if (!o.choices.empty() && !o.fallback.empty())
        EXPECT_NE(std::find(o.choices.begin(), o.choices.end(), o.fallback), o.choices.end()) << o.name;
      if (o.value.empty()) EXPECT_TRUE(o.fallback.empty() && o.choices.empty()) << o.name << " is a switch";
    }
    bool optional = false;
    for (const auto& a : c.arguments) {
      EXPECT_FALSE(optional && a.required) << a.name << " cannot be required after an optional one";
      optional = optional || !a.required;
    }
  }
  for (const char* known :
       {"init", "join", "start", "status", "stop", "delete", "token create", "kubectl", "completion", "manual"})
    EXPECT_TRUE(paths.contains(known)) << known;
}

TEST(CommandLine, UsageErrorsHaveTheirExitCode) {
  EXPECT_EQ(run_command_line("lab", {"--help"}), kDone);
  EXPECT_EQ(run_command_line("lab", {"token", "create", "--help"}), kDone);
  EXPECT_EQ(run_command_line("lab", {}), kUsage);
  EXPECT_EQ(run_command_line("lab", {"no-such-command"}), kUsage);
  EXPECT_EQ(run_command_line("lab", {"token"}), kUsage);
  EXPECT_EQ(run_command_line("lab", {"status", "-o", "xml"}), kUsage);
  EXPECT_EQ(run_command_line("lab", {"completion"}), kUsage);
  EXPECT_EQ(run_command_line("lab", {"completion", "csh"}), kUsage);
  EXPECT_EQ(run_command_line("lab", {"start", "--nodes", "three"}), kUsage) << "not taken for 0";
  EXPECT_EQ(run_command_line("lab", {"start", "--nodes", "-1"}), kUsage);
  EXPECT_EQ(run_command_line("lab", {"version"}), kDone);
}

// Whatever is wrong with a flag, the command is not run: the usage error comes first, and names the flag.
TEST(CommandLine, EveryCommandNamesAFlagItDoesNotKnow) {
  int seen = 0;
  for (const auto& c : commands()) {
    if (c.passes_rest || !c.run) continue;  // its flags are another program's; a group alone runs nothing
    SCOPED_TRACE(c.path);
    std::vector<std::string> line;
    std::istringstream words(c.path);
    for (std::string word; words >> word;) line.push_back(word);
    for (const auto& a : c.arguments)
      if (a.required) line.push_back("x");
    auto refused = [&](std::vector<std::string> more, const std::string& named) {
      auto whole = line;
      whole.insert(whole.end(), more.begin(), more.end());
      testing::internal::CaptureStdout();
      testing::internal::CaptureStderr();
      const int code = run_command_line("lab", whole);
      const std::string out = testing::internal::GetCapturedStdout(), said = testing::internal::GetCapturedStderr();
      EXPECT_EQ(code, kUsage) << named;
      EXPECT_NE(said.find(named), std::string::npos) << said;
      EXPECT_EQ(out, "");
    };
    refused({"--no-such-flag"}, "--no-such-flag");
    for (const auto& o : c.options) {
      if (o.value.empty()) continue;
      refused({"--" + o.name}, "--" + o.name);  // without its value
      if (!o.choices.empty()) refused({"--" + o.name, "no-such-choice"}, "no-such-choice");
    }
    ++seen;
  }
  EXPECT_GT(seen, 20);
}

TEST(Durations, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(*parse_seconds("ttl", "24h"), std::chrono::hours(24));
  EXPECT_EQ(*parse_seconds("ttl", "1h30m"), std::chrono::minutes(90));
  EXPECT_EQ(*parse_seconds("ttl", "90s"), std::chrono::seconds(90));
  EXPECT_EQ(*parse_seconds("ttl", "0"), std::chrono::seconds(0));
  EXPECT_EQ(*parse_seconds("ttl", "300"), std::chrono::seconds(300));
  for (const char* bad : {"", "x", "1d2", "h"}) {
    auto r = parse_seconds("ttl", bad);
    ASSERT_FALSE(r) << bad;
    EXPECT_NE(r.error().message.find("--ttl"), std::string::npos);
  }
}

TEST(Sizes, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(*parse_bytes("memory", "2g"), 2ull << 30);
  EXPECT_EQ(*parse_bytes("memory", "2Gi"), 2ull << 30);
  EXPECT_EQ(*parse_bytes("memory", "512m"), 512ull << 20);
  EXPECT_EQ(*parse_bytes("memory", "1.5GiB"), 3ull << 29);
  EXPECT_EQ(*parse_bytes("memory", "1048576"), 1ull << 20);
  for (const char* bad : {"", "x", "-1g", "2gx", "2q", "g", "nan", "inf"})
    EXPECT_FALSE(parse_bytes("memory", bad)) << bad;
}

}  // namespace
}  // namespace lab::cli
