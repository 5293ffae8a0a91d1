#include "labs/compose/project.h"

#include <algorithm>
#include <map>
#include <set>

#include "bootstrap/local/image_build.h"
#include "bootstrap/local/lab.h"
#include "orchestrator/api/kind.h"

namespace lab::compose {

namespace res = client::res;

namespace {

constexpr auto kLimit = std::chrono::seconds(180);
const client::Resource kWorkloads[] = {res::deployments, res::jobs};

client::Resource resource_of(const json::Value& object) {
  for (const auto& r : {res::deployments, res::jobs, res::services})
    if (r.kind == json::str(object, "kind")) return r;
  return res::namespaces;
}

client::ListOptions of_project(const std::string& project) {
  client::ListOptions out;
  out.label_selector = std::string(kProjectLabel) + "=" + project;
  return out;
}

bool completed(const json::Value& job) {
  return json::num(job, "status", "succeeded") > 0;
}
bool failed(const json::Value& job) {
  return std::ranges::any_of(json::list(job, "status", "conditions"), [](const json::Value& c) {
    return json::str(c, "type") == "Failed" && json::str(c, "status") == "True";
  });
}

}  // namespace

Result<Runner> Runner::open(const std::string& profile) {
  Runner out;
  LAB_TRY(out.profile_, bootstrap::load_profile(profile));
  LAB_TRY(out.driver_, bootstrap::make_driver(out.profile_));
  LAB_TRY(out.cluster_, bootstrap::open_cluster(out.profile_, *out.driver_));
  for (const auto& n : out.profile_.nodes) {
    out.nodes_.nodes.push_back(n.name);
    out.nodes_.addresses.push_back(n.address);
  }
  return out;
}

Result<void> Runner::own_namespace(const std::string& project) {
  auto there = cluster_->get(res::namespaces, "", project);
  if (!there && there.error().code == Code::kNotFound) return {};
  if (!there) return std::unexpected(std::move(there).error());
  if (json::has(*there, "metadata", "deletionTimestamp"))
    return bootstrap::wait_until(kLimit, "the end of the project's last run", "lab kubectl get namespace " + project,
                                 [&]() -> Result<void> {
                                   auto still = cluster_->get(res::namespaces, "", project);
                                   if (!still && still.error().code == Code::kNotFound) return {};
                                   return fail(Code::kUnavailable, "namespace " + project + " is being deleted");
                                 });
  if (json::str(*there, "metadata", "labels", kProjectLabel) == project) return {};
  return fail(Code::kConflict,
              "the namespace \"" + project + "\" is there already and belongs to nobody's compose file",
              "choose another name with --project-name");
}

Result<void> Runner::build(Service& service, const Project& project,
                           const std::function<void(const std::string&)>& say) {
  if (service.image.empty()) service.image = project.name + "-" + service.name;
  say("[build] " + service.name + " as " + service.image);
  bootstrap::BuildOptions options{.name = service.image,
                                  .dockerfile = service.build->dockerfile,
                                  .context = service.build->context,
                                  .build_args = service.build->args};
  std::string said;
  options.on_output = [&](const std::string& text) { said += text; };
  auto built = bootstrap::build_image(profile_, *driver_, options);
  if (!built) return std::unexpected(std::move(built).error().with_context("build " + service.name + "\n" + said));
  service.image = *built;
  return {};
}

Result<void> Runner::wait_for(const Project& project, const std::string& name, Condition condition) {
  if (condition == Condition::kStarted) return {};
  const auto service = std::ranges::find(project.services, name, &Service::name);
  return bootstrap::wait_until(kLimit, name + (condition == Condition::kHealthy ? " to be healthy" : " to complete"),
                               "lab compose logs " + name, [&]() -> Result<void> {
                                 if (is_job(*service)) {
                                   LAB_TRY(auto job, cluster_->get(res::jobs, project.name, name));
                                   if (completed(job)) return {};
                                   return fail(Code::kUnavailable,
                                               failed(job) ? name + " failed" : name + " has not completed");
                                 }
                                 LAB_TRY(auto deployment, cluster_->get(res::deployments, project.name, name));
                                 if (json::num(deployment, "status", "readyReplicas") >= service->replicas) return {};
                                 return fail(Code::kUnavailable, name + " is not healthy");
                               });
}

Result<void> Runner::up(Project& project, const std::function<void(const std::string&)>& say) {
  LAB_CHECK(own_namespace(project.name));
  for (auto& service : project.services)
    if (service.build) LAB_CHECK(build(service, project, say));
  LAB_CHECK(cluster_->apply(res::namespaces, namespace_of(project)));
  LAB_CHECK(remove_others(project));
  for (const auto& service : project.services) {
    for (const auto& [name, condition] : service.depends_on) LAB_CHECK(wait_for(project, name, condition));
    for (auto& object : objects_of(project, service, nodes_)) {
      auto applied = cluster_->apply(resource_of(object), object);
      if (!applied && is_job(service) && resource_of(object) == res::jobs) {  // a Job's template never changes
        client::DeleteOptions with_pods;
        with_pods.propagation = "Background";
        LAB_CHECK(cluster_->remove(res::jobs, project.name, service.name, with_pods));
        applied = cluster_->create(res::jobs, project.name, object);
      }
      if (!applied) return std::unexpected(std::move(applied).error().with_context("service " + service.name));
    }
    say("[up] " + service.name);
  }
  return {};
}

Result<void> Runner::remove_others(const Project& project) {
  std::set<std::string> wanted;
  for (const auto& s : project.services)
    for (const auto& o : objects_of(project, s, nodes_))
      wanted.insert(std::string(json::str(o, "kind")) + "/" + std::string(json::str(o, "metadata", "name")));
  for (const auto& r : {res::deployments, res::jobs, res::services}) {
    LAB_TRY(auto list, cluster_->list(r, project.name, of_project(project.name)));
    for (const auto& item : json::list(list, "items")) {
      const std::string name(json::str(item, "metadata", "name"));
      client::DeleteOptions with_pods;
      with_pods.propagation = "Background";
      if (!wanted.contains(std::string(r.kind) + "/" + name))
        LAB_CHECK(cluster_->remove(r, project.name, name, with_pods));
    }
  }
  return {};
}

Result<void> Runner::wait(const Project& project, std::chrono::seconds limit) {
  return bootstrap::wait_until(
      limit, "all services of " + project.name, "lab compose ps; lab kubectl -n " + project.name + " describe pods",
      [&]() -> Result<void> {
        std::string missing;
        for (const auto& s : project.services) {
          if (is_job(s)) continue;
          LAB_TRY(auto d, cluster_->get(res::deployments, project.name, s.name));
          const bool seen = json::num(d, "status", "observedGeneration") >= json::num(d, "metadata", "generation");
          if (!seen || json::num(d, "status", "readyReplicas") < s.replicas)
            missing += (missing.empty() ? "" : ", ") + s.name;
        }
        if (missing.empty()) return {};
        return fail(Code::kUnavailable, "not running: " + missing);
      });
}

Result<void> Runner::stop(const std::string& project) {
  for (const auto& r : kWorkloads) {
    LAB_TRY(auto list, cluster_->list(r, project, of_project(project)));
    for (const auto& item : json::list(list, "items")) {
      client::DeleteOptions with_pods;
      with_pods.propagation = "Background";
      auto gone = cluster_->remove(r, project, std::string(json::str(item, "metadata", "name")), with_pods);
      if (!gone && gone.error().code != Code::kNotFound) return gone;
    }
  }
  return {};
}

Result<void> Runner::down(const std::string& project, bool volumes) {
  auto there = cluster_->get(res::namespaces, "", project);
  if (!there && there.error().code != Code::kNotFound) return std::unexpected(std::move(there).error());
  if (there) {
    if (json::str(*there, "metadata", "labels", kProjectLabel) != project)
      return fail(Code::kConflict, "the namespace \"" + project + "\" was not made by lab compose",
                  "kubectl delete namespace " + project + ", if you mean it");
    auto gone = cluster_->remove(res::namespaces, "", project);
    if (!gone && gone.error().code != Code::kNotFound) return gone;
    LAB_CHECK(bootstrap::wait_until(kLimit, "the end of project " + project, "lab kubectl -n " + project + " get pods",
                                    [&]() -> Result<void> {
                                      auto still = cluster_->get(res::namespaces, "", project);
                                      if (!still && still.error().code == Code::kNotFound) return {};
                                      return fail(Code::kUnavailable, "something of it is still there");
                                    }));
  }
  if (volumes)
    for (const auto& node : nodes_.nodes) {
      LAB_TRY(auto done, driver_->exec(node, {.argv = {"rm", "-rf", std::string(kVolumeDirectory) + "/" + project},
                                              .timeout_seconds = 60}));
      if (done.exit_code != 0)
        return fail(Code::kIo, "remove the volumes of " + project + " on " + node + ": " + done.err);
    }
  return {};
}

Result<std::vector<ServiceState>> Runner::states(const std::string& project) {
  std::map<std::string, ServiceState> out;
  for (const auto& r : kWorkloads) {
    LAB_TRY(auto list, cluster_->list(r, project, of_project(project)));
    for (const auto& item : json::list(list, "items")) {
      const std::string name(json::str(item, "metadata", "name"));
      ServiceState state{.service = name};
      if (r == res::jobs) {
        state.state = completed(item) ? "exited (0)" : failed(item) ? "failed" : "running";
      } else {
        const auto want = json::num(item, "spec", "replicas"), have = json::num(item, "status", "readyReplicas");
        state.state =
            (have >= want ? "running (" : "starting (") + std::to_string(have) + "/" + std::to_string(want) + ")";
      }
      out[name] = std::move(state);
    }
  }
  LAB_TRY(auto services, cluster_->list(res::services, project, of_project(project)));
  for (const auto& s : json::list(services, "items")) {
    const auto it = out.find(std::string(json::str(s, "metadata", "labels", kServiceLabel)));
    if (it == out.end() || json::list(s, "spec", "externalIPs").empty()) continue;
    for (const auto& port : json::list(s, "spec", "ports"))
      it->second.ports += (it->second.ports.empty() ? "" : ", ") + nodes_.addresses[0] + ":" +
                          std::to_string(json::num(port, "port")) + "->" + json::dump(json::at(port, "targetPort")) +
                          (json::str(port, "protocol") == "UDP" ? "/udp" : "/tcp");
  }
  std::vector<ServiceState> all;
  for (auto& [name, state] : out) all.push_back(std::move(state));
  return all;
}

}  // namespace lab::compose
