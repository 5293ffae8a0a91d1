#include "orchestrator/agent/static_pods.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cstring>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

namespace {

Result<json::Value> read_pod(const std::string& path, const std::string& node_name) {
  LAB_TRY(auto text, fs::read_file(path));
  LAB_TRY(auto pod, yaml::parse(text));
  if (json::str(pod, "kind") != "Pod" || json::str(pod, "apiVersion") != "v1")
    return fail(Code::kInvalid, "holds no v1 Pod (kind: " + std::string(json::str(pod, "kind")) + ")",
                "a static pod's manifest is one Pod; workloads of other kinds go to the API server");
  if (json::str(pod, "metadata", "name").empty()) return fail(Code::kInvalid, "metadata.name is missing");
  if (json::list(pod, "spec", "containers").empty()) return fail(Code::kInvalid, "spec.containers is empty");
  // The same file on another node, or changed, is another pod.
  std::string hash = crypto::hex_encode(crypto::sha256(node_name + '\0' + path + '\0' + text)).substr(0, 32);
  json::set(pod, std::string(json::str(pod, "metadata", "name")) + "-" + node_name, "metadata", "name");
  if (json::str(pod, "metadata", "namespace").empty()) json::set(pod, "default", "metadata", "namespace");
  if (json::str(pod, "metadata", "uid").empty()) json::set(pod, hash, "metadata", "uid");
  json::set(pod, "file", "metadata", "annotations", kSourceAnnotation);
  json::set(pod, hash, "metadata", "annotations", kHashAnnotation);
  json::set(pod, api::format_time(std::chrono::system_clock::now()), "metadata", "annotations", kSeenAnnotation);
  json::set(pod, node_name, "spec", "nodeName");
  auto& tolerations = json::ensure(pod, "spec", "tolerations");
  if (!tolerations.is_array()) tolerations.emplace_array();
  tolerations.get_array().push_back(json::Object{{"operator", "Exists"}, {"effect", "NoExecute"}});
  return pod;
}

bool is_manifest(const std::string& name) {
  if (name.starts_with(".")) return false;
  for (const char* end : {".yaml", ".yml", ".json", ".manifest"})
    if (name.ends_with(end)) return true;
  return false;
}

}  // namespace

StaticPodSet read_manifests(const std::string& directory, const std::string& node_name) {
  StaticPodSet out;
  for (const auto& name : fs::list_dir(directory).value_or(std::vector<std::string>{})) {
    if (!is_manifest(name)) continue;
    std::string path = fs::join(directory, name);
    auto pod = read_pod(path, node_name);
    if (!pod) {
      out.problems[path] = pod.error().text();
      continue;
    }
    auto uid = uid_of(*pod);
    out.pods[uid] = std::make_shared<const json::Value>(std::move(*pod));
  }
  return out;
}

json::Value make_mirror_pod(const json::Value& pod, const std::string& node_name, const std::string& node_uid) {
  json::Value mirror = pod;
  json::erase(mirror, "metadata", "uid");
  json::erase(mirror, "status");
  json::set(mirror, json::at(pod, "metadata", "annotations", kHashAnnotation), "metadata", "annotations",
            kMirrorAnnotation);
  if (!node_uid.empty()) {
    json::Value owner;
    json::set(owner, "v1", "apiVersion");
    json::set(owner, "Node", "kind");
    json::set(owner, node_name, "name");
    json::set(owner, node_uid, "uid");
    json::set(owner, true, "controller");
    json::set(mirror, json::Array{std::move(owner)}, "metadata", "ownerReferences");
  }
  return mirror;
}

std::unique_ptr<Descriptor> watch_manifests(const std::string& directory) {
  int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) return nullptr;
  // Whole files only: one that is being written is told when it is closed.
  constexpr auto kNews = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;
  if (::inotify_add_watch(fd, directory.c_str(), kNews | IN_ONLYDIR) < 0) {
    ::close(fd);
    return nullptr;
  }
  return std::make_unique<Descriptor>(fd);
}

bool take_news(Descriptor& watch) {
  bool there = true;
  alignas(inotify_event) char buffer[4096];
  for (ssize_t n; (n = ::read(watch.fd(), buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < n;) {
      inotify_event event;
      std::memcpy(&event, buffer + at, sizeof event);
      if (event.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) there = false;
      at += ssize_t(sizeof event + event.len);
    }
  }
  return there;
}

}  // namespace lab::agent
