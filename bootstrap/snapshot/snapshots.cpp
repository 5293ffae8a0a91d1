#include "bootstrap/snapshot/snapshots.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <future>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "bootstrap/node/storage.h"
#include "bootstrap/snapshot/clone.h"
#include "bootstrap/snapshot/image_store.h"
#include "bootstrap/snapshot/layers.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kManifest = "manifest.json";
constexpr std::string_view kHalfMade = ".";  // what begins with it is no snapshot (yet, or any more)
constexpr std::size_t kLongestName = 63;
constexpr std::uint64_t kSpare = 32ull << 20;  // the lab itself goes on writing

// Of a node's directory: what belongs to one run of it.
const std::set<std::string>& left_out() {
  static const std::set<std::string> all{"pid", "node.log"};
  return all;
}

std::string directory_of(const LabLayout& layout, const std::string& name) {
  return fs::join(layout.snapshots(), name);
}
std::string aside_of(const LabLayout& layout, const std::string& name) {
  return directory_of(layout, ".new-" + name);
}
std::string index_file(const std::string& directory, const std::string& node) {
  return fs::join(directory, node + ".index");
}
std::string tree_of(const std::string& directory, const std::string& node) {
  return fs::join(directory, "nodes/" + node);
}

std::string in_mib(std::uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

Result<void> check_space(const LabLayout& layout, std::uint64_t need, const std::string& what) {
  LAB_TRY(auto free, storage_free(layout));
  if (free >= need + kSpare) return {};
  auto none = fail(Code::kIo,
                   "no space for " + what + ": it needs " + in_mib(need + kSpare) + ", and " + in_mib(free) +
                       " are free on " + layout.base(),
                   "free some: lab snapshot list and lab snapshot delete NAME, or df -h " + layout.base());
  none.error().sys_errno = ENOSPC;
  return none;
}

// Runs f for every node at the same time; the first error, when all have ended.
template <class F>
Result<void> for_each_node(const std::vector<std::string>& nodes, F f) {
  std::vector<std::future<Result<void>>> running;
  for (const auto& node : nodes) running.push_back(std::async(std::launch::async, [&f, &node] { return f(node); }));
  Result<void> verdict;
  for (auto& r : running)
    if (auto one = r.get(); !one && verdict) verdict = std::move(one);
  return verdict;
}

json::Value encode(const Snapshot& s) {
  json::Array nodes;
  for (const auto& n : s.nodes) nodes.push_back(json::Object{{"name", n}, {"index", s.indexes.at(n)}});
  return json::Object{{"format", kSnapshotFormat},
                      {"name", s.name},
                      {"created", s.created},
                      {"program", s.program},
                      {"nodes", std::move(nodes)},
                      {"files", s.files},
                      {"copiedBytes", s.copied_bytes},
                      {"sharedBytes", s.shared_bytes},
                      {"lab", s.lab}};
}

Result<Snapshot> decode(const std::string& name, const std::string& text) {
  LAB_TRY(auto v, json::parse(text));
  const auto format = json::num(v, "format");
  if (format != kSnapshotFormat)
    return fail(Code::kInvalid,
                "snapshot \"" + name + "\" has format " + std::to_string(format) + "; this program reads format " +
                    std::to_string(kSnapshotFormat),
                "restore it with the version of lab that made it (" + std::string(json::str(v, "program")) + ")");
  Snapshot s{
      .name = name, .created = std::string(json::str(v, "created")), .program = std::string(json::str(v, "program"))};
  for (const auto& n : json::list(v, "nodes")) {
    s.nodes.emplace_back(json::str(n, "name"));
    s.indexes[s.nodes.back()] = json::str(n, "index");
  }
  s.files = static_cast<std::uint64_t>(json::num(v, "files"));
  s.copied_bytes = static_cast<std::uint64_t>(json::num(v, "copiedBytes"));
  s.shared_bytes = static_cast<std::uint64_t>(json::num(v, "sharedBytes"));
  s.lab = json::at(v, "lab");
  return s;
}

// syncfs(2): all of it, in one go. The manifest is written afterwards, so what has one is whole even when the power
// goes.
Result<void> sync_all(const std::string& directory) {
  int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno("open " + directory);
  const int done = ::syncfs(fd);
  ::close(fd);
  if (done != 0) return fail_errno("write " + directory + " to disk");
  return {};
}

Result<void> rename(const std::string& from, const std::string& to, unsigned flags = 0) {
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0)
    return fail_errno("rename " + from + " to " + to);
  return {};
}

Result<Index> read_index(const std::string& directory, const Snapshot& snapshot, const std::string& node) {
  const std::string file = index_file(directory, node);
  LAB_TRY(auto text, fs::read_file(file));
  if (crypto::hex_encode(crypto::sha256(text)) != snapshot.indexes.at(node))
    return fail(Code::kIo, "snapshot \"" + snapshot.name + "\" is damaged: " + file + " is not what was saved");
  return decode_index(text);
}

// How a node of another lab is copied: it gets links into the image set where its files are in that.
CloneOptions of_other_lab(const Snapshot& snapshot, const std::string& node, const std::string& tree) {
  CloneOptions out{.shared_at = fs::join(kNodeImages, fs::join(image_set_of(snapshot), node))};
  for (const auto& directory : settled_directories(tree))
    if (is_layer(directory)) out.whole.insert(directory);
  return out;
}

Result<void> note_image_set(const std::string& node_base, const std::string& set) {
  const std::string file = NodeLayout{node_base}.images_file();
  auto before = fs::read_file(file);
  const std::string line = set + "\n";
  if (before && ("\n" + *before).find("\n" + line) != std::string::npos) return {};
  return fs::write_file(file, before.value_or("") + line, 0600);
}

}  // namespace

std::string snapshot_tree(const LabLayout& layout, const std::string& snapshot, const std::string& node) {
  return tree_of(directory_of(layout, snapshot), node);
}

Result<void> check_snapshot_name(const std::string& name) {
  bool ok = !name.empty() && name.size() <= kLongestName && std::isalnum(static_cast<unsigned char>(name.front()));
  for (unsigned char c : name) ok = ok && (std::isalnum(c) || c == '-' || c == '_' || c == '.');
  if (ok) return {};
  return fail(Code::kInvalid, "\"" + name + "\" is no name for a snapshot",
              "use letters, digits, '-', '_' and '.', a letter or digit first");
}

Result<std::vector<Snapshot>> list_snapshots(const LabLayout& layout) {
  std::vector<Snapshot> out;
  if (!fs::exists(layout.snapshots())) return out;
  LAB_TRY(auto names, fs::list_dir(layout.snapshots()));
  for (const auto& name : names) {
    if (name.starts_with(kHalfMade)) continue;
    auto text = fs::read_file(fs::join(directory_of(layout, name), kManifest));
    if (!text) continue;
    auto snapshot = decode(name, *text);
    out.push_back(snapshot ? std::move(*snapshot)
                           : Snapshot{.name = name, .program = "not readable: " + snapshot.error().message});
  }
  std::sort(out.begin(), out.end(), [](const Snapshot& a, const Snapshot& b) {
    return std::tie(a.created, a.name) < std::tie(b.created, b.name);
  });
  return out;
}

Result<Snapshot> find_snapshot(const LabLayout& layout, const std::string& name) {
  LAB_CHECK(check_snapshot_name(name));
  auto text = fs::read_file(fs::join(directory_of(layout, name), kManifest));
  if (text) return decode(name, *text);
  if (text.error().code != Code::kNotFound) return std::unexpected(std::move(text).error());
  LAB_TRY(auto all, list_snapshots(layout));
  std::string names;
  for (const auto& s : all) names += (names.empty() ? "" : ", ") + s.name;
  const std::string lab = layout.profile == "lab" ? "" : " --profile " + layout.profile;
  return fail(Code::kNotFound, "lab \"" + layout.profile + "\" has no snapshot \"" + name + "\"",
              names.empty() ? "it has none; make one: lab snapshot save " + name + lab : "it has: " + names);
}

Result<void> sweep_snapshots(const LabLayout& layout) {
  LAB_CHECK(fs::remove_all(layout.nodes_aside()));
  if (!fs::exists(layout.snapshots())) return {};
  LAB_TRY(auto names, fs::list_dir(layout.snapshots()));
  for (const auto& name : names)
    if (name.starts_with(kHalfMade)) LAB_CHECK(fs::remove_all(directory_of(layout, name)));
  return {};
}

Result<void> delete_snapshot(const LabLayout& layout, const std::string& name) {
  LAB_CHECK(check_snapshot_name(name));
  // Also one that this program cannot read.
  if (!fs::exists(fs::join(directory_of(layout, name), kManifest))) LAB_CHECK(find_snapshot(layout, name));
  LAB_CHECK(rename(directory_of(layout, name), directory_of(layout, ".old-" + crypto::random_text(8))));
  LAB_CHECK(sweep_snapshots(layout));
  trim_storage(layout);
  return {};
}

Result<void> check_space_to_save(const LabLayout& layout, const std::vector<std::string>& nodes) {
  LAB_CHECK(fs::make_dirs(layout.snapshots(), 0700));
  std::uint64_t need = 0;
  for (const auto& node : nodes) {
    const std::string base = layout.node(node).base;
    LAB_TRY(auto bytes,
            clone_size(base, layout.snapshots(), {.settled = settled_directories(base), .left_out = left_out()}));
    need += bytes;
  }
  return check_space(layout, need, "the snapshot");
}

Result<void> copy_nodes(const LabLayout& layout, Snapshot& snapshot) {
  const std::string aside = aside_of(layout, snapshot.name);
  LAB_CHECK(fs::remove_all(aside));
  LAB_CHECK(fs::make_dirs(fs::join(aside, "nodes"), 0700));
  std::map<std::string, Cloned> copies;
  for (const auto& node : snapshot.nodes) copies[node];
  LAB_CHECK(for_each_node(snapshot.nodes, [&](const std::string& node) -> Result<void> {
    const std::string base = layout.node(node).base;
    LAB_TRY(copies.at(node),
            clone_tree(base, tree_of(aside, node), {.settled = settled_directories(base), .left_out = left_out()}));
    return {};
  }));
  for (const auto& [node, copy] : copies) {
    const std::string text = encode_index(copy.index);
    LAB_CHECK(fs::write_file(index_file(aside, node), text, 0600));
    snapshot.indexes[node] = crypto::hex_encode(crypto::sha256(text));
    snapshot.files += copy.index.size();
    snapshot.copied_bytes += copy.copied_bytes;
    snapshot.shared_bytes += copy.shared_bytes;
  }
  return {};
}

Result<void> complete_snapshot(const LabLayout& layout, const Snapshot& snapshot) {
  const std::string aside = aside_of(layout, snapshot.name), place = directory_of(layout, snapshot.name);
  LAB_CHECK(sync_all(aside));
  LAB_CHECK(fs::write_file(fs::join(aside, kManifest), json::dump_pretty(encode(snapshot), 2) + "\n", 0600));
  if (!fs::exists(place)) return rename(aside, place);
  LAB_CHECK(rename(aside, place, RENAME_EXCHANGE));
  return fs::remove_all(aside);
}

Result<void> stage_snapshot(const LabLayout& from, const Snapshot& snapshot, const LabLayout& to) {
  const std::string directory = directory_of(from, snapshot.name);
  LAB_CHECK(fs::remove_all(to.nodes_aside()));
  LAB_CHECK(fs::make_dirs(to.base(), 0711));
  const bool another = from.profile != to.profile;
  std::map<std::string, Index> known;
  std::map<std::string, CloneOptions> how;
  std::uint64_t need = 0;
  for (const auto& node : snapshot.nodes) {
    const std::string tree = tree_of(directory, node);
    LAB_TRY(known[node], read_index(directory, snapshot, node));
    if (another) how[node] = of_other_lab(snapshot, node, tree);
    how[node].known = &known[node];
    LAB_TRY(auto bytes, clone_size(tree, to.base(), how[node]));
    need += bytes;
  }
  LAB_CHECK(check_space(to, need, "the restored nodes"));
  LAB_CHECK(fs::make_dirs(to.nodes_aside()));
  auto copied = for_each_node(snapshot.nodes, [&](const std::string& node) -> Result<void> {
    const std::string base = fs::join(to.nodes_aside(), node);
    LAB_CHECK(clone_tree(tree_of(directory, node), base, how.at(node)));
    return another ? note_image_set(base, image_set_of(snapshot)) : Result<void>{};
  });
  if (copied) return {};
  LAB_CHECK(fs::remove_all(to.nodes_aside()));
  if (copied.error().code == Code::kIo && copied.error().sys_errno == 0)
    copied.error().hint = "the lab is as it was; delete the snapshot: lab snapshot delete " + snapshot.name;
  return copied;
}

Result<void> exchange_nodes(const LabLayout& layout) {
  if (!fs::exists(layout.nodes())) return rename(layout.nodes_aside(), layout.nodes());
  return rename(layout.nodes_aside(), layout.nodes(), RENAME_EXCHANGE);
}

}  // namespace lab::bootstrap
