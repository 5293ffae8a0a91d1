#include "orchestrator/agent/volumes/volumes.h"

#include <sys/stat.h>

#include "base/fs.h"
#include "orchestrator/agent/volumes/host_path.h"
#include "orchestrator/agent/volumes/mounts.h"
#include "orchestrator/api/quantity.h"

namespace lab::agent {

namespace {

std::optional<unsigned> fs_group(const json::Value& pod) {
  const auto& g = json::at(pod, "spec", "securityContext", "fsGroup");
  if (g.is_null()) return std::nullopt;
  return static_cast<unsigned>(json::as_int(g));
}

struct Plugin {
  std::string name;  // directory name: kubernetes.io~NAME
  bool tmpfs = false;
};
Plugin plugin_of(const json::Value& v) {
  if (json::has(v, "configMap")) return {"configmap"};
  if (json::has(v, "secret")) return {"secret", true};
  if (json::has(v, "downwardAPI")) return {"downward-api", true};
  return {"projected", true};
}

Result<void> make_empty_dir(std::string dir, std::string medium, std::int64_t size, std::optional<unsigned> group) {
  bool fresh = !fs::exists(dir);
  if (medium == "Memory") {
    fresh = !is_mount_point(dir);
    LAB_CHECK(mount_tmpfs(dir, size));
  } else {
    LAB_CHECK(fs::make_dirs(dir, 0777));
  }
  if (fresh && ::chmod(dir.c_str(), 0777) != 0) return fail_errno("change the mode of " + dir);
  if (fresh && group) LAB_CHECK(give_to_group(dir, *group));
  return {};
}

}  // namespace

std::string pod_directory(const std::string& root, const std::string& uid) {
  return root + "/pods/" + uid;
}
std::string volume_directory(const std::string& root, const std::string& uid, const std::string& plugin,
                             const std::string& name) {
  return pod_directory(root, uid) + "/volumes/kubernetes.io~" + plugin + "/" + name;
}

bool Volumes::changes(const json::Value& pod) {
  for (const auto& v : json::list(pod, "spec", "volumes"))
    if (has_payload(v)) return true;
  return false;
}

Task<Result<std::map<std::string, std::string>>> Volumes::set_up(ObjectPtr pod, PodFacts facts, Duration max_age) {
  std::map<std::string, std::string> out;
  std::vector<ObjectRef> made_of;
  for (const auto& v : json::list(*pod, "spec", "volumes")) {
    if (!has_payload(v)) continue;
    auto refs = volume_references(v);
    made_of.insert(made_of.end(), refs.begin(), refs.end());
  }
  watches_.follow(uid_of(*pod), namespace_of(*pod), made_of);
  for (const auto& v : json::list(*pod, "spec", "volumes")) {
    std::string name(json::str(v, "name"));
    auto path = co_await set_up_one(pod, &v, facts, max_age);
    if (!path)
      co_return std::unexpected(
          std::move(path).error().with_context("MountVolume.SetUp failed for volume \"" + name + "\""));
    out[name] = std::move(*path);
  }
  co_return out;
}

Task<Result<std::string>> Volumes::set_up_one(ObjectPtr pod, const json::Value* volume, PodFacts facts,
                                              Duration max_age) {
  const json::Value& v = *volume;
  std::string name(json::str(v, "name")), uid = uid_of(*pod);
  if (const auto& host = json::at(v, "hostPath"); host.is_object()) {
    std::string path(json::str(host, "path")), type(json::str(host, "type"));
    LAB_CO_CHECK(co_await pool_.run([path, type] { return prepare_host_path(path, type); }));
    co_return path;
  }
  if (const auto& claim = json::at(v, "persistentVolumeClaim"); claim.is_object())
    co_return co_await set_up_claim(pod, std::string(json::str(claim, "claimName")));
  if (json::has(v, "ephemeral")) co_return co_await set_up_claim(pod, name_of(*pod) + "-" + name);
  if (has_payload(v)) {
    LAB_CO_TRY(auto objects, co_await objects_.fetch(namespace_of(*pod), volume_references(v), max_age));
    Tokens tokens;
    for (const auto& ref : token_references(v)) {
      LAB_CO_TRY(auto token, co_await tokens_.token(pod, ref));
      tokens[ref] = std::move(token);
    }
    LAB_CO_TRY(auto files, payload_of(*pod, v, objects, tokens, facts));
    Plugin plugin = plugin_of(v);
    std::string dir = volume_directory(root_, uid, plugin.name, name);
    auto write = [dir, plugin, files = std::move(files), group = fs_group(*pod)]() -> Result<void> {
      if (plugin.tmpfs) LAB_CHECK(mount_tmpfs(dir, 0));
      LAB_TRY(bool changed, write_payload(dir, files, group));
      (void)changed;
      return {};
    };
    LAB_CO_CHECK(co_await pool_.run(std::move(write)));
    co_return dir;
  }
  // What names no source is an empty directory.
  bool empty_dir = json::has(v, "emptyDir") || json::as_object(v).size() <= 1;
  if (!empty_dir) {
    std::string type;
    for (const auto& [key, value] : json::as_object(v))
      if (key != "name") type = std::string(key);
    co_return fail(Code::kInvalid, "volumes of type " + type + " cannot be mounted on this node",
                   "use emptyDir, hostPath, configMap, secret, downwardAPI, projected or a claim on a local volume");
  }
  std::string medium(json::str(v, "emptyDir", "medium"));
  std::int64_t size = 0;
  if (auto q = api::Quantity::parse(json::str(v, "emptyDir", "sizeLimit"))) size = q->value();
  std::string dir = volume_directory(root_, uid, "empty-dir", name);
  auto make = [dir, medium, size, group = fs_group(*pod)] { return make_empty_dir(dir, medium, size, group); };
  LAB_CO_CHECK(co_await pool_.run(std::move(make)));
  co_return dir;
}

Task<Result<std::string>> Volumes::set_up_claim(ObjectPtr pod, std::string claim) {
  static constexpr client::Resource kVolumes{"", "v1", "persistentvolumes", "PersistentVolume", false};
  auto* api = objects_.client();
  if (!api) co_return fail(Code::kUnavailable, "persistent volume claims need an API server");
  LAB_CO_TRY(auto pvc, co_await api->get(client::res::persistentvolumeclaims, namespace_of(*pod), claim));
  std::string volume(json::str(pvc, "spec", "volumeName"));
  if (volume.empty())
    co_return fail(Code::kConflict, "persistentvolumeclaim \"" + claim + "\" is not bound to a volume yet");
  LAB_CO_TRY(auto pv, co_await api->get(kVolumes, "", volume));
  std::string path(json::str(pv, "spec", "hostPath", "path")), type(json::str(pv, "spec", "hostPath", "type"));
  if (path.empty()) {
    path = std::string(json::str(pv, "spec", "local", "path"));
    type = "Directory";
  }
  if (path.empty())
    co_return fail(Code::kInvalid, "persistentvolume \"" + volume + "\" is neither a hostPath nor a local volume");
  auto make = [path, type, group = fs_group(*pod)]() -> Result<void> {
    LAB_CHECK(prepare_host_path(path, type.empty() ? "DirectoryOrCreate" : type));
    if (group) LAB_CHECK(give_to_group(path, *group));
    return {};
  };
  LAB_CO_CHECK(co_await pool_.run(std::move(make)));
  co_return path;
}

Task<Result<void>> Volumes::tear_down(std::string uid) {
  tokens_.forget(uid);
  watches_.forget(uid);
  std::string dir = pod_directory(root_, uid);
  auto work = [dir]() -> Result<void> {
    if (!fs::exists(dir)) return {};
    LAB_CHECK(unmount_below(dir));
    return fs::remove_all(dir);
  };
  co_return co_await pool_.run(std::move(work));
}

}  // namespace lab::agent
