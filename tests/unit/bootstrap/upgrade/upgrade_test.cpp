// The parts of an upgrade that work on files: which program is newer, putting another in its place and going back, the
// journal, the store's copy. The whole runs in tests/e2e/lab/upgrade.py.
#include "bootstrap/upgrade/upgrade.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "bootstrap/upgrade/store_copy.h"

namespace lab::bootstrap::upgrade {
namespace {

class UpgradeFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/upgrade-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { (void)fs::remove_all(dir_); }
  std::string at(const std::string& name) { return fs::join(dir_, name); }

  // A program as far as an upgrade looks at one: it tells its version.
  std::string program(const std::string& name, const std::string& version, int format = 2) {
    const std::string path = at(name);
    EXPECT_TRUE(fs::make_dirs(path.substr(0, path.rfind('/'))));
    EXPECT_TRUE(fs::write_file(
        path, "#!/bin/sh\necho '{\"version\": \"" + version + "\", \"dataFormat\": " + std::to_string(format) + "}'\n",
        0755));
    return path;
  }
  std::string dir_;
};

TEST(UpgradeVersions, AreComparedByTheirNumbers) {
  EXPECT_EQ(compare_versions("v0.9.3", "v0.10.0"), -1);
  EXPECT_EQ(compare_versions("v1.0", "v1.0.0"), 0);
  EXPECT_EQ(compare_versions("v2.0.0", "v1.99.99"), 1);
}

TEST_F(UpgradeFiles, AProgramTellsItsVersionAndBuild) {
  auto p = inspect_program(program("one/lab", "v0.1.0"));
  ASSERT_TRUE(p) << p.error().text();
  EXPECT_EQ(p->version, "v0.1.0");
  EXPECT_EQ(p->data_format, 2);
  EXPECT_EQ(p->digest.size(), 12u);
  EXPECT_NE(inspect_program(program("two/lab", "v0.2.0"))->digest, p->digest);
  EXPECT_TRUE(fs::write_file(at("other"), "#!/bin/sh\necho hello\n", 0755));
  EXPECT_NE(inspect_program(at("other")).error().text().find("it is not this program"), std::string::npos);
  EXPECT_NE(inspect_program(at("absent")).error().text().find("does not run on this machine"), std::string::npos);
}

TEST_F(UpgradeFiles, TheOldProgramStaysBesideTheNewOneAndComesBack) {
  const auto installed = program("bin/lab", "v0.1.0");
  auto fresh = inspect_program(program("new/lab", "v0.2.0"));
  ASSERT_TRUE(fs::make_dirs(at("new/share/addons")));
  ASSERT_TRUE(fs::write_file(at("new/share/addons/a.yaml"), "new"));
  ASSERT_TRUE(fs::make_dirs(at("bin/share")));
  ASSERT_TRUE(fs::write_file(at("bin/share/own"), "kept"));
  // Twice, as after a run that was killed: the second finds it done, and .old is still the old one.
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(install_program(*fresh, installed));
    EXPECT_EQ(inspect_program(installed)->version, "v0.2.0");
    EXPECT_EQ(inspect_program(installed + ".old")->version, "v0.1.0");
  }
  EXPECT_EQ(fs::read_file(at("bin/share/addons/a.yaml")).value_or(""), "new");
  EXPECT_EQ(fs::read_file(at("bin/share/own")).value_or(""), "kept");
  ASSERT_TRUE(restore_program(installed));
  EXPECT_EQ(inspect_program(installed)->version, "v0.1.0");
  EXPECT_TRUE(restore_program(installed)) << "repeatable";
}

TEST_F(UpgradeFiles, AProgramThatDoesNotRunIsNotInstalled) {
  const auto installed = program("bin/lab", "v0.1.0");
  ASSERT_TRUE(fs::make_dirs(at("new")));
  ASSERT_TRUE(fs::write_file(at("new/lab"), "#!/bin/sh\nexit 1\n", 0755));
  auto r = install_program({.path = at("new/lab"), .version = "v0.2.0", .digest = "000000000000"}, installed);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text().find("is not what"), std::string::npos) << r.error().text();
  EXPECT_EQ(inspect_program(installed)->version, "v0.1.0");
  EXPECT_FALSE(fs::exists(installed + ".old"));
}

TEST_F(UpgradeFiles, WhatCannotBeReplacedSaysWhy) {
  const auto installed = program("bin/lab", "v0.1.0");
  EXPECT_EQ(why_not_replaceable(installed, 1), "");
  EXPECT_NE(why_not_replaceable(installed, std::uint64_t(1) << 60).find("MiB are needed"), std::string::npos);
  EXPECT_NE(why_not_replaceable("/proc/self/status", 1), "");
}

TEST_F(UpgradeFiles, TheJournalComesBackAsItWasWritten) {
  EXPECT_FALSE(read_journal(at("none/journal.json"))->has_value());
  const Journal j{.installed = "/usr/bin/lab",
                  .from = {.path = "/usr/bin/lab", .version = "v0.1.0", .digest = "0123456789ab", .data_format = 1},
                  .to = {.path = "/tmp/lab", .version = "v0.2.0", .digest = "ba9876543210", .data_format = 2},
                  .data_format = 1,
                  .begun = true,
                  .store_copied = true,
                  .cordoned = true};
  ASSERT_TRUE(write_journal(j, at("d/journal.json")));
  auto back = read_journal(at("d/journal.json"));
  ASSERT_TRUE(back && *back);
  EXPECT_EQ((*back)->to.text(), "v0.2.0 (ba9876543210)");
  EXPECT_EQ((*back)->from.data_format, 1);
  EXPECT_TRUE((*back)->begun && (*back)->store_copied && (*back)->cordoned);
  EXPECT_FALSE((*back)->going_back);
  ASSERT_TRUE(fs::write_file(at("d/journal.json"), "{"));
  EXPECT_FALSE(read_journal(at("d/journal.json"))) << "half a journal is not taken for none";
}

TEST_F(UpgradeFiles, TheStoresCopyBringsBackExactlyWhatWasThere) {
  const auto data = at("server"), kept = at("kept");
  ASSERT_TRUE(fs::make_dirs(data));
  ASSERT_TRUE(fs::write_file(data + "/state.db", "database"));
  ASSERT_TRUE(fs::write_file(data + "/state.db-wal", "log"));
  EXPECT_EQ(restore_store(kept, data).error().code, Code::kNotFound);
  ASSERT_TRUE(copy_store(data, kept));
  ASSERT_TRUE(fs::write_file(data + "/state.db", "changed"));
  ASSERT_TRUE(fs::write_file(data + "/state.db-shm", "index of another log"));
  ASSERT_TRUE(restore_store(kept, data));
  EXPECT_EQ(*fs::read_file(data + "/state.db"), "database");
  EXPECT_EQ(*fs::read_file(data + "/state.db-wal"), "log");
  EXPECT_FALSE(fs::exists(data + "/state.db-shm"));
  // A store that was closed in order has no log: one from afterwards must not stay.
  ASSERT_TRUE(fs::remove_file(data + "/state.db-wal"));
  ASSERT_TRUE(copy_store(data, kept));
  ASSERT_TRUE(fs::write_file(data + "/state.db-wal", "of afterwards"));
  ASSERT_TRUE(restore_store(kept, data));
  EXPECT_FALSE(fs::exists(data + "/state.db-wal"));
}

TEST(UpgradePhases, AreInTheOrderInWhichNothingIsLost) {
  std::vector<std::string> names;
  list_phases(phases(), names);
  EXPECT_EQ(names, (std::vector<std::string>{"preflight", "begin", "drain", "backup", "program", "control-plane",
                                             "kubelet", "upload-config", "uncordon", "end"}));
  for (const auto& p : phases()) EXPECT_TRUE(p.reads_only || p.plan) << p.name << " tells nothing in a dry run";
}

}  // namespace
}  // namespace lab::bootstrap::upgrade
