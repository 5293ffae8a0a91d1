#include "bootstrap/snapshot/image_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <tuple>
#include <vector>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/file_lock.h"
#include "bootstrap/snapshot/clone.h"
#include "bootstrap/snapshot/layers.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kLock = "/run/lab/images.lock";
constexpr std::string_view kHalfMade = ".new-";
constexpr std::size_t kIdLength = 20;
constexpr std::uint64_t kLargestCompared = 64 << 20;  // larger files of two nodes stay two

std::string place_of(const std::string& name) {
  return fs::join(kImagesDirectory, name);
}

// Whether the path below the tree is a directory to which no link leads: who was root in a node has made what lies
// there.
bool is_real_directory(const std::string& tree, const std::string& path) {
  const std::string whole = fs::join(tree, path);
  for (auto end = tree.size(); end != std::string::npos; end = whole.find('/', end + 1)) {
    struct stat st;
    if (::lstat(whole.substr(0, end).c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return false;
  }
  struct stat st;
  return ::lstat(whole.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// Nodes that have an image have its files at the same places: below a layer, or among the contents.
std::string place_in_image(const std::string& path) {
  for (std::string_view mark : {"/fs/", "/blobs/"})
    if (auto at = path.find(mark); at != std::string::npos) return path.substr(at);
  return path;
}

// Makes equal files of one set one file.
class Uniter {
 public:
  Result<void> unite(const std::string& directory) {
    LAB_TRY(auto names, fs::list_dir(directory));
    for (const auto& name : names) {
      const std::string path = fs::join(directory, name);
      struct stat st;
      if (::lstat(path.c_str(), &st) != 0) return fail_errno("stat " + path);
      if (S_ISDIR(st.st_mode)) LAB_CHECK(unite(path));
      if (S_ISREG(st.st_mode)) LAB_CHECK(file(path, st));
    }
    return {};
  }

 private:
  using Key = std::tuple<std::string, off_t, time_t, long, mode_t, uid_t, gid_t>;

  Result<void> file(const std::string& path, const struct stat& st) {
    if (static_cast<std::uint64_t>(st.st_size) > kLargestCompared || ::llistxattr(path.c_str(), nullptr, 0) > 0)
      return {};
    const Key key{place_in_image(path), st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                  st.st_mode,           st.st_uid,  st.st_gid};
    auto [place, first] = seen_.try_emplace(key, path);
    if (first) return {};
    LAB_TRY(auto one, fs::read_file(place->second));
    LAB_TRY(auto other, fs::read_file(path));
    if (one != other) return {};
    const std::string aside = path + ".one";
    // EMLINK: it has as many names as a file may have.
    if (::link(place->second.c_str(), aside.c_str()) != 0) return {};
    if (::rename(aside.c_str(), path.c_str()) != 0) return fail_errno("rename " + aside);
    ::unlink(aside.c_str());  // rename(2) leaves it when both were one file already
    return {};
  }

  std::map<Key, std::string> seen_;
};

Result<void> fill(const std::string& set, const LabLayout& from, const Snapshot& snapshot) {
  for (const auto& node : snapshot.nodes) {
    const std::string tree = snapshot_tree(from, snapshot.name, node), mine = fs::join(set, node);
    LAB_CHECK(fs::make_dirs(mine));
    for (const auto& directory : settled_directories(tree)) {
      if (!is_real_directory(tree, directory)) continue;  // it is of another set itself
      const std::string to = fs::join(mine, directory);
      LAB_CHECK(fs::make_dirs(to.substr(0, to.rfind('/'))));
      LAB_CHECK(clone_tree(fs::join(tree, directory), to, {.settled = {""}}));
    }
  }
  return Uniter().unite(set);
}

}  // namespace

std::string image_set_of(const Snapshot& snapshot) {
  std::string text;
  for (const auto& [node, index] : snapshot.indexes) text += node + " " + index + "\n";
  return crypto::hex_encode(crypto::sha256(text)).substr(0, kIdLength);
}

Result<void> make_image_set(const LabLayout& from, const Snapshot& snapshot) {
  LAB_TRY(auto lock, FileLock::wait_for(kLock));
  const std::string id = image_set_of(snapshot), aside = place_of(std::string(kHalfMade) + id);
  if (fs::exists(place_of(id))) return {};
  LAB_CHECK(fs::remove_all(aside));
  LAB_CHECK(fs::make_dirs(aside));
  LAB_CHECK(fill(aside, from, snapshot));
  if (::rename(aside.c_str(), place_of(id).c_str()) != 0) return fail_errno("rename " + aside);
  return {};
}

Result<void> drop_image_sets(const std::function<Result<std::set<std::string>>()>& used) {
  if (!fs::exists(kImagesDirectory)) return {};
  LAB_TRY(auto lock, FileLock::wait_for(kLock));
  LAB_TRY(auto keep, used());
  LAB_TRY(auto names, fs::list_dir(kImagesDirectory));
  for (const auto& name : names)
    if (!keep.contains(name)) LAB_CHECK(fs::remove_all(place_of(name)));
  ::rmdir(kImagesDirectory);  // with the last
  return {};
}

}  // namespace lab::bootstrap
