#include "orchestrator/agent/volumes/atomic_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <set>

#include "base/fs.h"

namespace lab::agent {

namespace {

namespace stdfs = std::filesystem;

std::string read_link(const std::string& path) {
  char buffer[4096];
  ssize_t n = ::readlink(path.c_str(), buffer, sizeof buffer);
  return n < 0 ? "" : std::string(buffer, static_cast<std::size_t>(n));
}

std::string version_name() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  std::time_t seconds = nanos / 1'000'000'000;
  std::tm tm{};
  ::gmtime_r(&seconds, &tm);
  char text[64], out[96];
  std::strftime(text, sizeof text, "..%Y_%m_%d_%H_%M_%S", &tm);
  std::snprintf(out, sizeof out, "%s.%09lld", text, static_cast<long long>(nanos % 1'000'000'000));
  return out;
}

bool safe(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.starts_with("..")) return false;
  for (const auto& part : stdfs::path(path))
    if (part == "..") return false;
  return true;
}

// Whether DIR/..data holds exactly these files.
bool same(const std::string& dir, const std::vector<PayloadFile>& files, std::optional<unsigned> group) {
  std::string data = dir + "/..data";
  if (read_link(data).empty()) return false;
  std::size_t present = 0;
  std::error_code ignore;
  for (auto it = stdfs::recursive_directory_iterator(stdfs::path(data + "/"), ignore);
       !ignore && it != stdfs::recursive_directory_iterator(); it.increment(ignore))
    if (!it->is_directory(ignore)) ++present;
  if (ignore || present != files.size()) return false;
  for (const auto& f : files) {
    std::string path = data + "/" + f.path;
    struct stat st{};
    if (::stat(path.c_str(), &st) != 0 || (st.st_mode & 07777) != f.mode) return false;
    if (group && st.st_gid != *group) return false;
    auto now = fs::read_file(path);
    if (!now || *now != f.data) return false;
  }
  return true;
}

// The payload is written anew after a crash of the machine: nothing here needs the disk's word.
Result<void> write_plain(const std::string& path, const PayloadFile& f, std::optional<unsigned> group) {
  LAB_CHECK(fs::make_dirs(stdfs::path(path).parent_path().string()));
  FILE* out = std::fopen(path.c_str(), "we");
  if (!out) return fail_errno("write " + path);
  bool ok = f.data.empty() || std::fwrite(f.data.data(), 1, f.data.size(), out) == f.data.size();
  if (group && ::fchown(::fileno(out), static_cast<uid_t>(-1), *group) != 0) ok = false;
  if (::fchmod(::fileno(out), f.mode) != 0) ok = false;
  if (std::fclose(out) != 0) ok = false;
  if (!ok) return fail_errno("write " + path);
  return {};
}

}  // namespace

Result<bool> write_payload(const std::string& dir, std::vector<PayloadFile> files, std::optional<unsigned> group) {
  for (auto& f : files) {
    if (!safe(f.path)) return fail(Code::kInvalid, "volume file \"" + f.path + "\" would stand outside its volume");
    if (group) f.mode |= (f.mode & 0400) ? 0040 : 0;
  }
  if (same(dir, files, group)) return false;
  LAB_CHECK(fs::make_dirs(dir, 0755));
  std::string before = read_link(dir + "/..data");
  std::string version = version_name();
  LAB_CHECK(fs::make_dirs(dir + "/" + version, 0755));
  std::set<std::string> tops;
  for (const auto& f : files) {
    LAB_CHECK(write_plain(dir + "/" + version + "/" + f.path, f, group));
    tops.insert(f.path.substr(0, f.path.find('/')));
  }
  ::unlink((dir + "/..data_tmp").c_str());
  if (::symlink(version.c_str(), (dir + "/..data_tmp").c_str()) != 0) return fail_errno("link " + dir + "/..data_tmp");
  if (::rename((dir + "/..data_tmp").c_str(), (dir + "/..data").c_str()) != 0)
    return fail_errno("rename " + dir + "/..data_tmp");
  for (const auto& top : tops) {
    std::string link = dir + "/" + top, target = "..data/" + top;
    if (read_link(link) == target) continue;
    ::unlink(link.c_str());
    if (::symlink(target.c_str(), link.c_str()) != 0) return fail_errno("link " + link);
  }
  LAB_TRY(auto present, fs::list_dir(dir));
  for (const auto& name : present)
    if (!name.starts_with("..") && !tops.contains(name)) ::unlink((dir + "/" + name).c_str());
  if (!before.empty() && before != version) (void)fs::remove_all(dir + "/" + before);
  return true;
}

}  // namespace lab::agent
