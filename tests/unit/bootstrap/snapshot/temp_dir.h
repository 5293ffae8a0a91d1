// A directory of the test's own, removed with all that is in it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "base/fs.h"

namespace lab::bootstrap {

class TempDir {
 public:
  TempDir() {
    std::string name = testing::TempDir() + "/snapshot-test-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TempDir() { EXPECT_TRUE(fs::remove_all(path_)); }
  std::string operator/(const std::string& name) const { return fs::join(path_, name); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace lab::bootstrap
