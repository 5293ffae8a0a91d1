#include <cstdio>

#include "base/yaml/yaml.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "orchestrator/api/kind.h"

namespace lab::cli {

namespace {

using bootstrap::Cluster;
namespace res = client::res;

constexpr auto kAppLimit = std::chrono::seconds(180);

const Option kProfile{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"};

// An object's resource, from the table of kinds; the kind's strings live as long as the table does.
Result<client::Resource> resource_of(const json::Value& object) {
  auto kind = api::find_kind_by_name(json::str(object, "apiVersion"), json::str(object, "kind"));
  if (!kind)
    return fail(Code::kInvalid, "unknown kind " + std::string(json::str(object, "apiVersion")) + " " + std::string(json::str(object, "kind")));
  return client::Resource{kind->group, kind->version, kind->plural, kind->kind, kind->namespaced};
}

Result<std::vector<std::string>> apply_manifest(Cluster& cluster, const std::string& path) {
  LAB_TRY(auto text, fs::read_file(path));
  auto objects = yaml::parse_all(text);
  if (!objects) return std::unexpected(std::move(objects).error().with_context("read " + path));
  std::vector<std::string> deployments;
  for (auto& object : *objects) {
    if (!object.is_object()) continue;
    LAB_TRY(auto resource, resource_of(object));
    if (resource.namespaced && json::str(object, "metadata", "namespace").empty()) json::set(object, "default", "metadata", "namespace");
    const std::string name(json::str(object, "metadata", "name"));
    if (resource == res::deployments) deployments.push_back(name);
    LAB_CHECK(cluster.apply(resource, object));
    std::printf("%s/%s applied\n", std::string(resource.plural).c_str(), name.c_str());
  }
  return deployments;
}

Result<void> wait_available(Cluster& cluster, const std::vector<std::string>& deployments, bootstrap::Progress& progress) {
  return bootstrap::wait_until(
      kAppLimit, "all Deployments available", "lab kubectl get pods; lab kubectl describe pod NAME",
      [&]() -> Result<void> {
        std::string missing;
        for (const auto& name : deployments) {
          LAB_TRY(auto d, cluster.get(res::deployments, "default", name));
          const auto want = json::num(d, "spec", "replicas"), have = json::num(d, "status", "availableReplicas");
          if (have < want || json::num(d, "status", "observedGeneration") < json::num(d, "metadata", "generation"))
            missing += (missing.empty() ? "" : ", ") + name + " " + std::to_string(have) + "/" + std::to_string(want);
        }
        if (missing.empty()) return {};
        return fail(Code::kUnavailable, missing);
      },
      [&](const std::string& s) { progress.state(s); });
}

Result<void> deploy(const Invocation& in) {
  const std::string app = in.argument(0), path = fs::join(bootstrap::bundle_directory(), "apps/" + app + ".yaml");
  if (app.find('/') != std::string::npos || !fs::exists(path))
    return fail(Code::kNotFound, "there is no bundled application \"" + app + "\"", "those that exist: dockercoins; for your own: lab kubectl apply -f FILE");
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  LAB_TRY(auto cluster, bootstrap::open_cluster(profile, *driver));
  LAB_TRY(auto deployments, apply_manifest(*cluster, path));
  bootstrap::Progress progress;
  if (in.flag("wait")) {
    progress.step("deploy", "Waiting for " + app);
    LAB_CHECK(wait_available(*cluster, deployments, progress));
  }
  progress.done();
  auto webui = cluster->get(res::services, "default", "webui");
  if (webui)
    for (const auto& port : json::list(*webui, "spec", "ports"))
      if (auto node_port = json::num(port, "nodePort"))
        std::printf(profile.network.isolated() ? "\nIts page, seen from the nodes: http://%s:%lld/\n" : "\nIts page: http://%s:%lld/\n",
                    profile.nodes[0].address.c_str(), static_cast<long long>(node_port));
  return {};
}

}  // namespace

Commands app_commands() {
  return {{.path = "deploy",
           .summary = "Run a bundled application on the lab",
           .details = "As in: lab deploy dockercoins --wait",
           .arguments = {{"APP", "dockercoins"}},
           .options = {kProfile, {.name = "wait", .help = "Return when it runs"}},
           .run = [](const Invocation& in) { return finish(deploy(in)); }}};
}

}  // namespace lab::cli
