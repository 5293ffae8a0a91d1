#include "cli/rotation.h"

#include <algorithm>
#include <cstdio>

#include "base/yaml/yaml.h"
#include "bootstrap/config/file.h"
#include "cli/control_plane.h"

namespace lab::cli {

using bootstrap::Cluster;
namespace res = client::res;

namespace {

void take_validity(Cluster& cluster, Rotation& job) {
  auto map = cluster.get(res::configmaps, "kube-system", "kubeadm-config");
  if (!map) return;
  auto config = yaml::parse(json::str(*map, "data", "ClusterConfiguration"));
  if (!config) return;
  auto hours = [&](const char* field, std::chrono::hours fallback) {
    const auto given = bootstrap::config::seconds_of(json::at(*config, field), fallback);
    return std::max(std::chrono::hours(1), std::chrono::duration_cast<std::chrono::hours>(given));
  };
  job.how.validity = hours("certificateValidityPeriod", job.how.validity);
  job.ca_validity = hours("caCertificateValidityPeriod", job.ca_validity);
}

}  // namespace

void Rotation::say(const std::string& text) const {
  std::printf("[%s] %s\n", command.c_str(), text.c_str());
  std::fflush(stdout);
}

std::string Rotation::run(const std::string& step) const {
  return "lab certs " + command + " " + step + flags;
}

std::vector<Option> rotation_options() {
  return {
      {.name = "force", .help = "Go on without nodes that do not answer"},
      {.name = "kubeconfig", .value = "FILE", .help = "How to reach the cluster; default: this master's own"},
      {.name = "cert-dir", .value = "DIR", .help = "Where certificates are kept", .fallback = "/etc/kubernetes/pki"}};
}

Rotation rotation_of(const Invocation& in, std::string command) {
  Rotation job{.kubeconfig = in.has("kubeconfig") ? in.get("kubeconfig") : own_admin_kubeconfig(),
               .force = in.flag("force"),
               .command = std::move(command)};
  job.how.places.pki = in.get("cert-dir");
  return job;
}

Result<std::unique_ptr<Cluster>> open_for(Rotation& job) {
  LAB_CHECK(wait_api_ready(*bootstrap::ServiceManager::detect(), job.kubeconfig));
  LAB_TRY(auto cluster, Cluster::open(job.kubeconfig));
  take_validity(*cluster, job);
  return cluster;
}

Result<void> restart_server(const Rotation& job) {
  auto services = bootstrap::ServiceManager::detect();
  LAB_TRY(bool there, restart_and_see(*services, "lab-server"));
  if (!there)
    return fail(Code::kNotFound, "no control plane runs on this machine",
                "run lab certs " + job.command + " on the cluster's master");
  return wait_api_ready(*services, job.kubeconfig);
}

Result<bool> all_masters(const Rotation& job, Cluster& cluster, const Missing& missing, const std::string& step) {
  LAB_TRY(auto others, lagging_masters(cluster, missing));
  if (others.empty()) return true;
  job.say("The API server of this master was restarted. Next, on each of the other masters: " + job.run(step));
  job.say("  " + others);
  return false;
}

Result<void> require_masters(const Rotation& job, Cluster& cluster, const Missing& missing, const std::string& before) {
  LAB_TRY(auto masters, lagging_masters(cluster, missing));
  if (masters.empty()) return {};
  return fail(Code::kInvalid, "not all masters are ready for this: " + masters,
              "run " + job.run(before) + " on them first; or delete what will not come back: kubectl delete node NAME");
}

Result<void> require_nodes(const Rotation& job, Cluster& cluster, const Missing& missing, const std::string& before,
                           const std::string& risk) {
  if (job.force) return {};
  LAB_TRY(auto late, laggards(cluster, missing, false));
  if (late.empty()) return {};
  return fail(Code::kInvalid, "not all nodes are ready for this: " + late,
              "run " + job.run(before) + " again when they are there; --force goes on without them: " + risk);
}

Result<void> require_one_master(const Rotation& job, Cluster& cluster) {
  client::ListOptions masters;
  masters.label_selector = "node-role.kubernetes.io/control-plane";
  LAB_TRY(auto nodes, cluster.list(res::nodes, "", masters));
  if (json::list(nodes, "items").size() <= 1) return {};
  return fail(Code::kInvalid, "this cluster has several masters, each of which takes each step",
              "run " + job.run("prepare") + " on every master, then switch on every one, then finish");
}

Result<void> take_step(Rotation& job, const std::string& step, const RotationSteps& steps) {
  if (step == "status") return steps.status();
  LAB_TRY(auto cluster, open_for(job));
  if (steps.may_begin) LAB_CHECK(steps.may_begin());
  if (step == "prepare") return steps.prepare();
  if (step == "switch") return steps.change();
  if (step == "finish") return steps.end();
  if (step != "all")
    return fail(Code::kInvalid, "there is no step \"" + step + "\"", "prepare, switch, finish, all, or status");
  LAB_CHECK(require_one_master(job, *cluster));
  LAB_CHECK(steps.prepare());
  LAB_CHECK(steps.change());
  return steps.end();
}

std::string standing(const Rotation& job, bootstrap::certs::CaStep step, const std::string& both) {
  switch (step) {
    case bootstrap::certs::CaStep::kNone:
      return "none is under way";
    case bootstrap::certs::CaStep::kPrepared:
      return "prepared: " + both + ", the old one signs. Next: " + job.run("switch");
    case bootstrap::certs::CaStep::kSwitched:
      return "switched: " + both + ", the new one signs. Next: " + job.run("finish");
  }
  return "";
}

Result<void> drop_uploaded_certificates(const Rotation& job, Cluster& cluster) {
  auto gone = cluster.remove(res::secrets, "kube-system", "kubeadm-certs");
  if (!gone && gone.error().code != Code::kNotFound) return gone;
  if (gone)
    job.say(
        "Secret kubeadm-certs held what is replaced and was deleted; later: lab init phase upload-certs "
        "--upload-certs");
  return {};
}

}  // namespace lab::cli
