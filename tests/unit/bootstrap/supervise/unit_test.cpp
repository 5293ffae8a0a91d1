// Unit files, their order, and their form for systemd.
#include "bootstrap/supervise/unit.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/subprocess.h"

namespace lab::bootstrap {
namespace {

class UnitTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/lab-unit-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { (void)fs::remove_all(dir_); }
  std::string dir_;
};

TEST_F(UnitTest, AUnitReadsBackAsItWasWritten) {
  const Unit unit{.name = "lab-x",
                  .description = "A \"test\"",
                  .argv = {"/bin/sh", "-c", "echo $A 'b c' %d"},
                  .env = {{"A", "1 2"}, {"B", ""}},
                  .after = {"one", "two"}};
  ASSERT_TRUE(write_unit(unit, fs::join(dir_, "units")));
  struct stat st{};
  ASSERT_EQ(::stat(fs::join(dir_, "units/lab-x.json").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u) << "arguments may hold tokens";
  auto read = read_unit(fs::join(dir_, "units/lab-x.json"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, unit.name);
  EXPECT_EQ(read->description, unit.description);
  EXPECT_EQ(read->argv, unit.argv);
  EXPECT_EQ(read->env, unit.env);
  EXPECT_EQ(read->after, unit.after);
}

TEST_F(UnitTest, BrokenUnitsAreNamed) {
  for (const char* text : {"", "{", "{}", "{\"name\": \"x\"}", "{\"argv\": [\"/bin/true\"]}", "[1]"}) {
    const std::string path = fs::join(dir_, "broken.json");
    ASSERT_TRUE(fs::write_file(path, text));
    auto read = read_unit(path);
    ASSERT_FALSE(read) << text;
    EXPECT_NE(read.error().text().find(path), std::string::npos) << read.error().text();
  }
}

TEST_F(UnitTest, TheyStartAfterThoseTheyNeed) {
  auto order = [&] {
    std::string out;
    auto units = read_units(dir_);
    EXPECT_TRUE(units);
    for (const auto& u : *units) out += u.name + " ";
    return out;
  };
  ASSERT_TRUE(write_unit({.name = "a", .argv = {"/x"}, .after = {"c", "not-there"}}, dir_));
  ASSERT_TRUE(write_unit({.name = "b", .argv = {"/x"}, .after = {"a"}}, dir_));
  ASSERT_TRUE(write_unit({.name = "c", .argv = {"/x"}}, dir_));
  ASSERT_TRUE(fs::write_file(fs::join(dir_, "notes.txt"), "no unit"));
  EXPECT_EQ(order(), "c a b ");
  ASSERT_TRUE(write_unit({.name = "c", .argv = {"/x"}, .after = {"b"}}, dir_));
  EXPECT_EQ(order().size(), 6u) << "a cycle still starts all of them";
  EXPECT_TRUE(read_units(fs::join(dir_, "absent"))->empty());
}

const Unit kTricky{.name = "lab-tricky",
                   .description = "Daemon of lab",
                   .argv = {"/bin/sh", "-c", "echo \"$HOME\" 100% 'a b' \\ back; test \"$1\" = ''", "sh", ""},
                   .env = {{"TRICKY", "a \"b\" $c %d \\e"}},
                   .after = {"lab-agent"}};

TEST_F(UnitTest, SystemdTextSaysWhatTheUnitIs) {
  const std::string text = systemd_text(kTricky);
  EXPECT_NE(text.find("Description=Daemon of lab\n"), std::string::npos);
  EXPECT_NE(text.find("After=network-online.target lab-agent.service\n"), std::string::npos);
  EXPECT_NE(text.find("ExecStart=\"/bin/sh\" \"-c\" \"echo \\\"$$HOME\\\" 100%% 'a b' \\\\ back; test \\\"$$1\\\" = "
                      "''\" \"sh\" \"\"\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("Environment=\"TRICKY=a \\\"b\\\" $c %%d \\\\e\"\n"), std::string::npos)
      << "systemd expands no $ here";
  EXPECT_NE(text.find("KillMode=process\n"), std::string::npos) << "containers outlive the agent";
  EXPECT_NE(text.find("StartLimitIntervalSec=0\n"), std::string::npos) << "it is never given up";
}

// systemd's own parser is the judge where it is installed; elsewhere the texts above stand alone.
TEST_F(UnitTest, SystemdAcceptsTheText) {
  auto analyze = find_in_path("systemd-analyze");
  for (const Unit& unit : {kTricky, Unit{.name = "lab-plain", .description = "Plain", .argv = {"/bin/true"}}}) {
    const std::string path = fs::join(dir_, unit.name + ".service");
    ASSERT_TRUE(fs::write_file(path, systemd_text(unit)));
    if (!analyze) continue;
    auto verdict = run({.argv = {*analyze, "verify", "--man=no", path}, .timeout = std::chrono::minutes(1)});
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->exit_code, 0) << verdict->out << verdict->err;
    EXPECT_EQ(verdict->err.find(path), std::string::npos) << verdict->err;
  }
}

}  // namespace
}  // namespace lab::bootstrap
