#include "bootstrap/snapshot/layers.h"

#include <cstdint>
#include <optional>

#include "base/fs.h"
#include "base/log.h"
#include "bootstrap/snapshot/bolt.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kContents = "var/lib/containerd/io.containerd.content.v1.content/blobs";
constexpr const char* kSnapshotter = "var/lib/containerd/io.containerd.snapshotter.v1.overlayfs";
constexpr char kCommitted = 3;  // snapshots.KindCommitted

// Go's binary.PutUvarint.
std::optional<std::uint64_t> uvarint(std::string_view bytes) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < bytes.size() && i < 10; ++i) {
    out |= static_cast<std::uint64_t>(bytes[i] & 0x7f) << (7 * i);
    if (!(bytes[i] & 0x80)) return out;
  }
  return std::nullopt;
}

}  // namespace

Result<std::set<std::uint64_t>> committed_snapshots(const std::string& metadata_file) {
  LAB_TRY(auto records, Bolt::read(metadata_file));
  LAB_TRY(auto snapshots, records.items({"v1", "snapshots"}));
  std::set<std::uint64_t> out;
  for (const auto& snapshot : snapshots) {
    LAB_TRY(auto fields, records.items({"v1", "snapshots", std::string(snapshot.key)}));
    std::optional<std::uint64_t> id;
    bool committed = false;
    for (const auto& f : fields) {
      if (f.key == "id") id = uvarint(f.value);
      if (f.key == "kind") committed = f.value.size() == 1 && f.value[0] == kCommitted;
    }
    if (id && committed) out.insert(*id);
  }
  return out;
}

bool is_layer(const std::string& settled_directory) { return settled_directory.starts_with(kSnapshotter); }

std::set<std::string> settled_directories(const std::string& base) {
  std::set<std::string> out;
  if (fs::exists(fs::join(base, kContents))) out.insert(kContents);
  const std::string records = fs::join(fs::join(base, kSnapshotter), "metadata.db");
  if (!fs::exists(records)) return out;
  auto committed = committed_snapshots(records);
  if (!committed) {
    log::warn("image layers are copied instead of shared", {{"records", records}, {"why", committed.error().text()}});
    return out;
  }
  for (auto id : *committed) out.insert(fs::join(kSnapshotter, "snapshots/" + std::to_string(id) + "/fs"));
  return out;
}

}  // namespace lab::bootstrap
