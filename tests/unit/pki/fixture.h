// A directory of its own for each test, and the openssl command as the second opinion on all that this library makes.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/fs.h"
#include "base/subprocess.h"

namespace lab::pki {

class PkiTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/lab-pki-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { (void)fs::remove_all(dir_); }

  std::string path(const std::string& name) const { return fs::join(dir_, name); }

  std::string put(const std::string& name, std::string_view text) const {
    EXPECT_TRUE(fs::write_file(path(name), text, 0600));
    return path(name);
  }

  static std::string read(const std::string& file) {
    auto text = fs::read_file(file);
    EXPECT_TRUE(text) << file;
    return text ? *text : std::string();
  }

  static unsigned mode_of(const std::string& file) {
    struct stat st{};
    EXPECT_EQ(::stat(file.c_str(), &st), 0) << file;
    return st.st_mode & 07777;
  }

  // Both streams of `openssl ARGUMENTS...`; a test fails when it does not end well.
  static std::string openssl(std::vector<std::string> arguments, std::string input = {}) {
    arguments.insert(arguments.begin(), "openssl");
    auto done = run({.argv = arguments, .stdin_text = std::move(input), .timeout = std::chrono::seconds(60)});
    EXPECT_TRUE(done) << (done ? "" : done.error().text());
    if (!done) return {};
    EXPECT_EQ(done->exit_code, 0) << arguments[1] << ": " << done->err;
    return done->out + done->err;
  }

  static bool openssl_accepts(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    auto done = run({.argv = arguments, .timeout = std::chrono::seconds(60)});
    return done && done->ok();
  }

  std::string dir_;
};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lab::pki
