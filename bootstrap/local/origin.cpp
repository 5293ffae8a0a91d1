// Labs that begin as another lab's snapshot, and go back to it.
#include <algorithm>

#include "bootstrap/local/steps.h"
#include "bootstrap/node/storage.h"
#include "bootstrap/snapshot/image_store.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kExample = "as in: lab start -p ada --from template/ready";

struct Origin {
  std::string profile, snapshot;
};

Result<Origin> parse_origin(const std::string& from) {
  const auto slash = from.find('/');
  if (slash == std::string::npos)
    return fail(Code::kInvalid, "\"" + from + "\" does not say which snapshot of which lab", kExample);
  return Origin{from.substr(0, slash), from.substr(slash + 1)};
}

Result<SnapshotSource> open_origin(const std::string& from) {
  LAB_TRY(auto origin, parse_origin(from));
  LAB_TRY(auto lab, load_profile(origin.profile));
  if (!lab.network.isolated())
    return fail(Code::kInvalid,
                "lab \"" + lab.name + "\" is not isolated: its nodes' addresses and certificates are of " +
                    lab.network.subnet.text() + " on this machine, where no second lab can have them",
                "make one to start others from: lab start -p NAME --isolated");
  LAB_CHECK(make_storage(lab.layout()));
  LAB_TRY(auto snapshot, find_snapshot(lab.layout(), origin.snapshot));
  return SnapshotSource{lab.layout(), std::move(snapshot)};
}

void add_image_set(Profile& p, const std::string& set) {
  if (std::find(p.images.begin(), p.images.end(), set) == p.images.end()) p.images.push_back(set);
}

}  // namespace

Result<void> take_nodes_of(Profile& p, const Snapshot& snapshot) {
  const Profile then = decode_profile(p.name, snapshot.lab);
  if (then.network.subnet.text() != p.network.subnet.text() || then.network.isolated() != p.network.isolated())
    return fail(Code::kInvalid,
                "snapshot \"" + snapshot.name + "\" is of a lab on " + then.network.subnet.text() +
                    ", this one is on " + p.network.subnet.text(),
                "nodes cannot take their addresses along; make the lab anew: lab delete, lab start");
  p.nodes = then.nodes;
  p.masters = then.masters;
  p.token = then.token;
  p.encrypt = then.encrypt;
  p.ipam = then.ipam;
  p.node_grace_seconds = then.node_grace_seconds;
  p.pod_toleration_seconds = then.pod_toleration_seconds;
  for (const auto& set : then.images) add_image_set(p, set);
  return {};
}

Result<SnapshotSource> find_source(const Profile& p, const LabLayout& layout, const std::string& name) {
  auto own = find_snapshot(layout, name);
  if (own) return SnapshotSource{layout, std::move(*own)};
  if (own.error().code != Code::kNotFound || p.from.empty()) return std::unexpected(std::move(own).error());
  LAB_TRY(auto origin, parse_origin(p.from));
  if (origin.snapshot != name) return std::unexpected(std::move(own).error());
  return open_origin(p.from);
}

Result<void> stage_source(Profile& p, const SnapshotSource& source, const LabLayout& to) {
  if (source.from.profile != to.profile) {
    add_image_set(p, image_set_of(source.snapshot));
    LAB_CHECK(save_profile(p));  // first: from here on nobody drops the set
    LAB_CHECK(make_image_set(source.from, source.snapshot));
  }
  return stage_snapshot(source.from, source.snapshot, to);
}

Result<void> take_origin(Profile& p, const std::string& from) {
  LAB_TRY(auto source, open_origin(from));
  LAB_CHECK(take_nodes_of(p, source.snapshot));
  p.from = from;
  p.copying = true;
  return {};
}

// No node of the lab has run yet, so a copy that was cut off is simply begun anew.
Result<void> copy_origin(Profile& p, Progress& progress) {
  progress.step("snapshot", "Taking over the nodes of " + p.from);
  LAB_TRY(auto source, open_origin(p.from));
  LAB_CHECK(stage_source(p, source, p.layout()));
  LAB_CHECK(exchange_nodes(p.layout()));
  LAB_CHECK(sweep_snapshots(p.layout()));
  p.copying = false;
  return save_profile(p);
}

Result<void> drop_unused_images() {
  return drop_image_sets([]() -> Result<std::set<std::string>> {
    LAB_TRY(auto names, list_profiles());
    std::set<std::string> used;
    for (const auto& name : names) {
      auto lab = load_profile(name);
      if (!lab && lab.error().code == Code::kNotFound) continue;  // it was deleted meanwhile
      if (!lab) return std::unexpected(std::move(lab).error());
      used.insert(lab->images.begin(), lab->images.end());
    }
    return used;
  });
}

}  // namespace lab::bootstrap
