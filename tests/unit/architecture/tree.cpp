#include "tests/unit/architecture/tree.h"

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>

#include "base/fs.h"

namespace lab::architecture {

namespace {

namespace stdfs = std::filesystem;

bool is_left_out(const std::string& name) {
  static constexpr const char* kNames[] = {"build", "node_modules", "testdata", "__pycache__"};
  if (name.starts_with('.')) return name != ".ci";
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool has_ending(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](const char* e) { return name.ends_with(e); });
}

File read(const stdfs::path& full, const std::string& path) {
  File f{.path = path};
  auto slash = path.rfind('/');
  f.folder = slash == std::string::npos ? "" : path.substr(0, slash);
  f.name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  f.is_header = has_ending(f.name, {".h", ".hpp"});
  f.is_source = f.is_header || has_ending(f.name, {".cpp", ".cc", ".c"});
  auto text = fs::read_file(full.string());
  if (!text || text->find('\0') != std::string::npos) return f;  // no text
  f.text = std::move(*text);
  f.lines = static_cast<int>(std::count(f.text.begin(), f.text.end(), '\n'));
  if (!f.is_source) return f;
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::istringstream in(f.text);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    std::smatch m;
    if (line.find("include") != std::string::npos && std::regex_search(line, m, kInclude))
      f.includes.push_back({.path = m[2], .line = number, .angled = m[1] == "<"});
  }
  return f;
}

void walk(const stdfs::path& root, const std::string& below, std::vector<File>& out) {
  std::vector<stdfs::directory_entry> entries;
  for (const auto& e : stdfs::directory_iterator(root / below)) entries.push_back(e);
  std::sort(entries.begin(), entries.end());
  for (const auto& e : entries) {
    const std::string name = e.path().filename().string();
    if (is_left_out(name) || e.is_symlink()) continue;
    const std::string path = below.empty() ? name : below + "/" + name;
    if (e.is_directory() && !stdfs::exists(e.path() / "CMakeCache.txt"))
      walk(root, path, out);
    else if (e.is_regular_file())
      out.push_back(read(e.path(), path));
  }
}

}  // namespace

const std::vector<File>& tree() {
  static const std::vector<File> files = [] {
    std::vector<File> out;
    walk(LAB_SOURCE_DIR, "", out);
    return out;
  }();
  return files;
}

bool is_in(const std::string& path, const std::string& folder) {
  return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

}  // namespace lab::architecture
