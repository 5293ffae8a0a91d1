// The source tree as the rules see it: files, their folders, and what they include.
#pragma once

#include <string>
#include <vector>

namespace lab::architecture {

struct Include {
  std::string path;  // as written
  int line = 0;
  bool angled = false;  // <...>
};

struct File {
  std::string path;        // from the root: "base/io/task.h"
  std::string folder;      // "base/io"
  std::string name;        // "task.h"
  bool is_source = false;  // C or C++, header or not
  bool is_header = false;
  int lines = 0;
  std::string text;
  std::vector<Include> includes;
};

// Every text file of the project, read once: build directories and hidden folders are left out, except .ci.
const std::vector<File>& tree();

// "base" is in "base"; "base/io" is in "base" and in "base/io".
bool is_in(const std::string& path, const std::string& folder);

}  // namespace lab::architecture
