// Rules of the tree: every folder says what it is for, files stay small, and the project speaks of itself alone.
#include "tests/unit/architecture/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

namespace lab::architecture {
namespace {

constexpr int kMostLines = 600;
constexpr const char* kReason = "One file because";  // how the head of a longer file gives its reason

bool has_file(const std::string& folder, const std::string& name) {
  return std::any_of(tree().begin(), tree().end(), [&](const File& f) { return f.folder == folder && f.name == name; });
}

// The folder whose README speaks for this one: itself, or, for a part of its parent's library, the parent.
std::string described_by(std::string folder) {
  while (!has_file(folder, "README.md") && !has_file(folder, "CMakeLists.txt") && folder.find('/') != std::string::npos)
    folder = folder.substr(0, folder.rfind('/'));
  return folder;
}

TEST(Tree, EveryFolderSaysWhatItIsFor) {
  std::set<std::string> folders;
  for (const auto& f : tree())
    if (f.is_source) folders.insert(is_in(f.folder, "tests") ? "tests" : described_by(f.folder));
  EXPECT_GT(folders.size(), 20u);
  for (const auto& folder : folders) EXPECT_TRUE(has_file(folder, "README.md")) << folder << " has no README.md";
}

TEST(Tree, FilesAreShortOrSayWhyNot) {
  for (const auto& f : tree()) {
    if (f.lines <= kMostLines ||
        !(f.is_source || f.name.ends_with(".py") || f.name.ends_with(".md") || f.name.ends_with(".ts")))
      continue;
    EXPECT_NE(f.text.substr(0, 1000).find(kReason), std::string::npos)
        << f.path << " has " << f.lines << " lines: split it, or say at its head: \"" << kReason << " ...\"";
  }
}

TEST(Tree, HeadersGuardThemselves) {
  for (const auto& f : tree())
    if (f.is_header) EXPECT_NE(f.text.find("#pragma once"), std::string::npos) << f.path;
}

TEST(Tree, NothingNamesAPlaceOfWork) {
  std::vector<std::string> places{LAB_SOURCE_DIR, LAB_BINARY_DIR};
  std::erase_if(places,
                [](const std::string& p) { return std::count(p.begin(), p.end(), '/') < 2; });  // "/src" is a word
  for (const auto& f : tree())
    for (const auto& place : places) EXPECT_EQ(f.text.find(place), std::string::npos) << f.path << " names " << place;
}

TEST(Tree, NothingIsPutOff) {
  // Spelled apart, so that this file itself stays clean.
  const std::regex marks(std::string("\\b(TO") + "DO|FIX" + "ME|HA" + "CK)\\b *[:(]");
  for (const auto& f : tree()) {
    if (!f.is_source && !f.name.ends_with(".py") && !f.name.ends_with(".cmake") && !f.name.ends_with(".md")) continue;
    std::istringstream in(f.text);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number)
      EXPECT_FALSE(std::regex_search(line, marks)) << f.path << ":" << number << ": " << line;
  }
}

// [text](path) in our documents leads to something that is there.
TEST(Tree, LinksInDocumentsLeadSomewhere) {
  const std::regex link(R"(\]\(([^)#\s]+)[^)]*\))");
  std::set<std::string> paths;
  for (const auto& f : tree())
    for (std::string p = f.path;; p = p.substr(0, p.rfind('/'))) {
      paths.insert(p);
      if (p.find('/') == std::string::npos) break;
    }
  int seen = 0;
  for (const auto& f : tree()) {
    if (!f.name.ends_with(".md")) continue;
    for (std::sregex_iterator m(f.text.begin(), f.text.end(), link), end; m != end; ++m) {
      std::string target = (*m)[1];
      if (target.find("://") != std::string::npos || target.starts_with("mailto:")) continue;
      ++seen;
      std::string folder = f.folder;
      while (target.starts_with("../")) {
        target = target.substr(3);
        folder = folder.find('/') == std::string::npos ? "" : folder.substr(0, folder.rfind('/'));
      }
      while (target.ends_with('/')) target.pop_back();
      const std::string path = target.empty() ? folder : folder.empty() ? target : folder + "/" + target;
      EXPECT_TRUE(path.empty() || paths.contains(path)) << f.path << " links to " << path;
    }
  }
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace lab::architecture
