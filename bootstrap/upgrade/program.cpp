#include "bootstrap/upgrade/program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <vector>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "bootstrap/supervise/unit.h"

namespace lab::bootstrap::upgrade {

namespace {

constexpr std::size_t kDigestLength = 12;
constexpr const char* kBeside[] = {"lib", "share"};

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

bool is_directory(const std::string& path) {
  struct stat s{};
  return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
}

Result<std::string> digest_of(const std::string& path) {
  LAB_TRY(auto content, fs::read_file(path));
  return crypto::hex_encode(crypto::sha256(content)).substr(0, kDigestLength);
}

// ExecStart="/usr/bin/lab" "agent" ...
std::string program_of_systemd_unit(const std::string& text) {
  constexpr std::string_view kStart = "ExecStart=\"";
  auto at = text.find(kStart);
  if (at == std::string::npos) return {};
  at += kStart.size();
  return text.substr(at, text.find('"', at) - at);
}

// Files that differ, or are not there yet. What `to` has besides is left: a program that comes back may want it.
Result<void> copy_tree(const std::string& from, const std::string& to) {
  LAB_CHECK(fs::make_dirs(to));
  LAB_TRY(auto names, fs::list_dir(from));
  for (const auto& name : names) {
    const std::string source = fs::join(from, name), target = fs::join(to, name);
    if (is_directory(source)) {
      LAB_CHECK(copy_tree(source, target));
      continue;
    }
    LAB_TRY(auto content, fs::read_file(source));
    if (auto there = fs::read_file(target); there && *there == content) continue;
    struct stat s{};
    (void)::stat(source.c_str(), &s);
    LAB_CHECK(fs::write_file(target, content, s.st_mode & 0777));
  }
  return {};
}

// A second name for the file that is there, so that it outlives its replacement.
Result<void> keep_old(const std::string& to) {
  const std::string half = to + ".old.new";
  LAB_CHECK(fs::remove_file(half));
  if (::link(to.c_str(), half.c_str()) != 0) LAB_CHECK(fs::copy_file(to, half, 0755));
  if (::rename(half.c_str(), (to + ".old").c_str()) != 0) return fail_errno("keep " + to + " as " + to + ".old");
  return {};
}

std::uint64_t mount_of(const std::string& path) {
  struct statx s{};
  return ::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &s) == 0 ? s.stx_mnt_id : 0;
}

std::vector<long> numbers_of(const std::string& version) {
  std::vector<long> out;
  std::istringstream parts(version.substr(version.starts_with("v") ? 1 : 0));
  for (std::string part; std::getline(parts, part, '.');) out.push_back(std::strtol(part.c_str(), nullptr, 10));
  return out;
}

}  // namespace

Result<Program> inspect_program(const std::string& path) {
  Program out{.path = path};
  auto said = run_checked({.argv = {path, "version", "-o", "json"}, .timeout = std::chrono::seconds(20)});
  if (!said)
    return fail(Code::kInvalid, "the program " + path + " does not run on this machine: " + said.error().message,
                "take one that was built for it");
  auto v = json::parse(*said);
  if (!v || json::str(*v, "version").empty())
    return fail(Code::kInvalid, path + " does not tell its version: it is not this program", "name a lab binary");
  out.version = json::str(*v, "version");
  out.data_format = static_cast<int>(json::num(*v, "dataFormat"));
  LAB_TRY(out.digest, digest_of(path));
  return out;
}

Result<std::string> installed_program() {
  if (auto unit = read_unit(fs::join(kUnitDirectory, "lab-agent.json"))) return unit->argv.front();
  if (auto text = fs::read_file("/etc/systemd/system/lab-agent.service"))
    if (auto path = program_of_systemd_unit(*text); !path.empty()) return path;
  return fail(Code::kNotFound, "this machine is no node of a cluster: it has no service lab-agent",
              "make it one first: lab init, or lab join");
}

Result<void> install_program(const Program& from, const std::string& to) {
  LAB_TRY(auto there, digest_of(to));
  if (there == from.digest) return {};
  for (const char* name : kBeside) {
    const std::string source = fs::join(directory_of(from.path), name);
    if (is_directory(source)) LAB_CHECK(copy_tree(source, fs::join(directory_of(to), name)));
  }
  const std::string fresh = to + ".new";
  LAB_TRY(auto content, fs::read_file(from.path));
  LAB_CHECK(fs::write_file(fresh, content, 0755));
  LAB_TRY(auto copied, digest_of(fresh));
  if (copied != from.digest) return fail(Code::kIo, "the copy " + fresh + " is not what " + from.path + " holds");
  LAB_CHECK(run_checked({.argv = {fresh, "version"}, .timeout = std::chrono::seconds(20)}));
  LAB_CHECK(keep_old(to));
  if (::rename(fresh.c_str(), to.c_str()) != 0) return fail_errno("put the new program in the place of " + to);
  return {};
}

Result<void> restore_program(const std::string& to) {
  const std::string old = to + ".old";
  if (!fs::exists(old)) return {};
  if (::rename(old.c_str(), to.c_str()) != 0) return fail_errno("put the previous program back in the place of " + to);
  return {};
}

std::string why_not_replaceable(const std::string& path, std::uint64_t need) {
  const std::string directory = directory_of(path);
  struct statvfs v{};
  // A file that is mounted by itself (a node of a local lab has the machine's program so) cannot be renamed over.
  if (mount_of(path) != mount_of(directory)) return path + " is mounted from outside";
  if (::statvfs(directory.c_str(), &v) == 0 && (v.f_flag & ST_RDONLY)) return directory + " is read-only";
  if (::access(directory.c_str(), W_OK) != 0) return directory + " cannot be written to";
  const auto free = fs::free_bytes(directory);
  if (free && *free < need)
    return directory + " has " + std::to_string(*free >> 20) + " MiB free, and " + std::to_string(need >> 20) +
           " MiB are needed";
  return {};
}

int compare_versions(const std::string& a, const std::string& b) {
  auto x = numbers_of(a), y = numbers_of(b);
  x.resize(std::max(x.size(), y.size()));
  y.resize(x.size());
  return x < y ? -1 : x > y ? 1 : 0;
}

}  // namespace lab::bootstrap::upgrade
