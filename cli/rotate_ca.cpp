// lab certs rotate-ca: another CA for a cluster that runs. bootstrap/certs changes this master's files; here the API
// server is restarted with them, the cluster told, and each node waited for.
#include <algorithm>
#include <cstdio>

#include "base/yaml/yaml.h"
#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/certs/ca_sharing.h"
#include "bootstrap/config/file.h"
#include "bootstrap/init/tokens.h"
#include "cli/control_plane.h"
#include "cli/groups.h"
#include "cli/node_facts.h"
#include "cli/report.h"
#include "cli/rotate_ca_nodes.h"
#include "pki/kubeconfig.h"

namespace lab::cli {

namespace {

namespace certs = bootstrap::certs;
using bootstrap::Cluster;
using certs::CaStep;
namespace res = client::res;

constexpr auto kPublishLimit = std::chrono::seconds(60);

struct Job {
  certs::Renewal how;
  std::chrono::hours ca_validity{24 * 3650};
  std::string kubeconfig;
  bool force = false;
};

void say(const std::string& text) {
  std::printf("[rotate-ca] %s\n", text.c_str());
  std::fflush(stdout);
}

// What was asked for at init holds for what is made now, too.
void take_validity(Cluster& cluster, Job& job) {
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

// cluster-info holds what nodes trust; its signatures are made anew with it, so that joins go on.
Result<void> publish(Cluster& cluster, const std::string& bundle) {
  LAB_TRY(auto map, cluster.get(res::configmaps, "kube-public", "cluster-info"));
  LAB_TRY(auto info, pki::with_cluster(json::str(map, "data", "kubeconfig"), bundle));
  json::Object data{{"kubeconfig", info}};
  LAB_TRY(auto tokens, bootstrap::list_tokens(cluster));
  for (const auto& t : tokens)
    if (json::has(map, "data", "jws-kubeconfig-" + t.token.id))
      data["jws-kubeconfig-" + t.token.id] = pki::sign_cluster_info(info, t.token);
  json::Value patch = json::Object{{"data", std::move(data)}};
  LAB_CHECK(cluster.patch(res::configmaps, "kube-public", "cluster-info", client::PatchType::kMerge, std::move(patch)));
  return bootstrap::wait_until(
      kPublishLimit, "the CA in every namespace's kube-root-ca.crt", "see what the controllers do: lab logs",
      [&]() -> Result<void> {
        client::ListOptions only;
        only.field_selector = "metadata.name=kube-root-ca.crt";
        LAB_TRY(auto maps, cluster.list(res::configmaps, "", only));
        for (const auto& m : json::list(maps, "items"))
          if (json::str(m, "data", "ca.crt") != bundle)
            return fail(Code::kUnavailable,
                        "namespace " + std::string(json::str(m, "metadata", "namespace")) + " has another one");
        return {};
      });
}

// They hold the old CA: whoever joined as a master by them would sign with it.
Result<void> drop_uploaded_certificates(Cluster& cluster) {
  auto gone = cluster.remove(res::secrets, "kube-system", "kubeadm-certs");
  if (!gone && gone.error().code != Code::kNotFound) return gone;
  if (gone)
    say("Secret kubeadm-certs held the old CA and was deleted; later: lab init phase upload-certs --upload-certs");
  return {};
}

// The API server reads its files at its start, and what it signs requests with.
Result<void> restart_server(const Job& job) {
  auto services = bootstrap::ServiceManager::detect();
  LAB_TRY(bool there, restart_and_see(*services, "lab-server"));
  if (!there)
    return fail(Code::kNotFound, "no control plane runs on this machine", "rotate the CA on the cluster's master");
  return wait_api_ready(*services, job.kubeconfig);
}

Result<void> serve_files(const Job& job, std::unique_ptr<Cluster>& cluster, certs::CaRotation& now) {
  LAB_CHECK(restart_server(job));
  LAB_CHECK(certs::mark_served(job.how.places));
  LAB_TRY(now, certs::ca_rotation(job.how.places));
  LAB_TRY(cluster, Cluster::open(job.kubeconfig));
  return {};
}

// Of several masters, the cluster hears of a step from the last one that takes it: what controllers and signers do,
// they do on any master. False: others come first, and were named.
Result<bool> all_masters(Cluster& cluster, MasterMissing missing, const std::string& pin, const std::string& step) {
  LAB_TRY(auto others, lagging_masters(cluster, missing, pin));
  if (others.empty()) return true;
  say("The API server of this master was restarted. Next, on each of the other masters: lab certs rotate-ca " + step);
  say("  " + others);
  return false;
}

Result<void> tell_cluster(Cluster& cluster, const std::string& bundle) {
  LAB_CHECK(publish(cluster, bundle));
  say("The API server was restarted; cluster-info and kube-root-ca.crt hold what is trusted now");
  return {};
}

Result<void> require(Cluster& cluster, const Job& job, Missing missing, MasterMissing of_masters,
                     const std::string& pin, const std::string& before, const std::string& risk) {
  LAB_TRY(auto masters, lagging_masters(cluster, of_masters, pin));
  if (!masters.empty())
    return fail(Code::kInvalid, "not all masters are ready for this: " + masters,
                "run lab certs rotate-ca " + before +
                    " on them first; or delete what will not come back: kubectl delete node NAME");
  if (job.force) return {};
  LAB_TRY(auto late, laggards(cluster, missing, pin, false));
  if (late.empty()) return {};
  return fail(
      Code::kInvalid, "not all nodes are ready for this: " + late,
      "run lab certs rotate-ca " + before + " again when they are there; --force goes on without them: " + risk);
}

Result<void> prepare(const Job& job) {
  say("Making a new CA, and letting this master trust both");
  LAB_TRY(auto cluster, Cluster::open(job.kubeconfig));
  LAB_CHECK(certs::prepare_ca(job.how.places, job.ca_validity,
                              [&] { return certs::agree_on_new_ca(*cluster, job.how.places); }));
  certs::CaRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_TRY(bool last, all_masters(*cluster, prepared, now.new_pin, "prepare"));
  if (!last) return {};
  LAB_CHECK(tell_cluster(*cluster, now.bundle));
  LAB_CHECK(wait_nodes(*cluster, trusts, now.new_pin, "nodes that trust the new CA", "prepare"));
  say("All nodes trust both CAs. Next: lab certs rotate-ca switch");
  return {};
}

Result<void> change(const Job& job) {
  LAB_TRY(auto before, certs::ca_rotation(job.how.places));
  if (before.step == CaStep::kPrepared) {
    LAB_TRY(auto asked, Cluster::open(job.kubeconfig));
    LAB_CHECK(require(*asked, job, trusts, prepared, before.new_pin, "prepare",
                      "they will find the new CA when they come back before finish"));
  }
  say("Signing this master's certificates with the new CA");
  LAB_CHECK(certs::switch_ca(job.how));
  std::unique_ptr<Cluster> cluster;
  certs::CaRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_CHECK(drop_uploaded_certificates(*cluster));
  LAB_TRY(bool last, all_masters(*cluster, switched, now.new_pin, "switch"));
  if (!last) return {};
  LAB_CHECK(tell_cluster(*cluster, now.bundle));
  LAB_CHECK(wait_nodes(*cluster, uses, now.new_pin, "nodes with a certificate of the new CA", "switch"));
  say("All nodes have certificates of the new CA. Whoever knows the old one alone is served until the last step.");
  say("Copy /etc/kubernetes/admin.conf to those who administer this cluster. Then: lab certs rotate-ca finish");
  return {};
}

Result<void> end(const Job& job) {
  LAB_TRY(auto before, certs::ca_rotation(job.how.places));
  if (before.step == CaStep::kSwitched) {
    LAB_TRY(auto asked, Cluster::open(job.kubeconfig));
    LAB_CHECK(require(*asked, job, uses, switched, before.new_pin, "switch", "they will have to join again"));
  }
  say("Taking the old CA away");
  LAB_CHECK(certs::finish_ca(job.how.places));
  std::unique_ptr<Cluster> cluster;
  certs::CaRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_TRY(bool last, all_masters(*cluster, finished, now.new_pin, "finish"));
  if (!last) return certs::forget_old_ca(job.how.places);
  LAB_CHECK(tell_cluster(*cluster, now.bundle));
  if (!job.force)
    LAB_CHECK(wait_nodes(*cluster, trusts_alone, now.new_pin, "nodes that trust the new CA alone", "finish"));
  LAB_CHECK(certs::forget_shared_ca(*cluster));
  LAB_CHECK(certs::forget_old_ca(job.how.places));
  say("Done. Copies of admin.conf from before the switch, and join commands with the old pin, no longer work.");
  say("Programs in pods that read the CA once, at their start, want a restart: kubectl rollout restart deployment "
      "NAME");
  return {};
}

const char* step_text(CaStep step) {
  switch (step) {
    case CaStep::kNone:
      return "none is under way";
    case CaStep::kPrepared:
      return "prepared: both CAs are trusted, the old one signs. Next: lab certs rotate-ca switch";
    case CaStep::kSwitched:
      return "switched: both CAs are trusted, the new one signs. Next: lab certs rotate-ca finish";
  }
  return "";
}

Result<void> status(const Job& job) {
  LAB_TRY(auto now, certs::ca_rotation(job.how.places));
  std::printf("Rotation of the CA: %s\n", step_text(now.step));
  if (!now.old_pin.empty()) std::printf("  old CA  %s\n  new CA  %s\n", now.old_pin.c_str(), now.new_pin.c_str());
  LAB_TRY(auto cluster, Cluster::open(job.kubeconfig));
  LAB_TRY(auto nodes, ask_nodes(*cluster, false));
  std::string pin;
  if (auto bundle = pki::split_bundle(now.bundle); !bundle.empty()) {
    LAB_TRY(pin, pki::pin(bundle.front()));
  }
  auto name = [&](std::string_view p) {
    return p == now.new_pin || (now.new_pin.empty() && p == pin) ? std::string(now.new_pin.empty() ? "current" : "new")
           : p == now.old_pin                                    ? std::string("old")
                                                                 : std::string("another");
  };
  std::printf("\n%-20s %-16s %s\n", "NODE", "TRUSTS", "CERTIFICATE OF");
  for (const auto& n : nodes) {
    if (!n.said) {
      std::printf("%-20s %s\n", n.name.c_str(), n.said.error().message.c_str());
      continue;
    }
    std::string list;
    for (const auto& p : json::list(*n.said, "trusts")) list += (list.empty() ? "" : ", ") + name(json::as_str(p));
    std::printf("%-20s %-16s %s\n", n.name.c_str(), list.c_str(), name(json::str(*n.said, "issuer")).c_str());
  }
  return {};
}

Result<void> rotate(const Invocation& in) {
  Job job{.kubeconfig = in.has("kubeconfig") ? in.get("kubeconfig") : own_admin_kubeconfig(),
          .force = in.flag("force")};
  job.how.places.pki = in.get("cert-dir");
  const std::string step = in.argument(0, "status");
  if (step == "status") return status(job);
  // A run that was killed may have left the API server on its way up.
  LAB_CHECK(wait_api_ready(*bootstrap::ServiceManager::detect(), job.kubeconfig));
  LAB_TRY(auto cluster, Cluster::open(job.kubeconfig));
  take_validity(*cluster, job);
  if (step == "prepare") return prepare(job);
  if (step == "switch") return change(job);
  if (step == "finish") return end(job);
  if (step != "all")
    return fail(Code::kInvalid, "there is no step \"" + step + "\"", "prepare, switch, finish, all, or status");
  client::ListOptions masters;
  masters.label_selector = "node-role.kubernetes.io/control-plane";
  LAB_TRY(auto nodes, cluster->list(res::nodes, "", masters));
  if (json::list(nodes, "items").size() > 1)
    return fail(Code::kInvalid, "this cluster has several masters, each of which takes each step",
                "run lab certs rotate-ca prepare on every master, then switch on every one, then finish");
  LAB_CHECK(prepare(job));
  LAB_CHECK(change(job));
  return end(job);
}

}  // namespace

Commands rotate_ca_commands() {
  return {
      {.path = "certs rotate-ca",
       .summary = "Replace the cluster's CA while the cluster runs",
       .details =
           "On the master, in three steps, each of which may be repeated and goes on where one that was killed ended:\n"
           "  prepare   makes the new CA; master, nodes and namespaces trust both\n"
           "  switch    the new CA signs; certificates, kubeconfigs and the nodes' certificates are made anew\n"
           "  finish    the old CA is taken away everywhere\n"
           "A cluster of several masters takes each step on every master before the next one begins.\n"
           "Between them, take your time. Until finish, kubeconfigs and programs that know the old CA alone are "
           "served.\n"
           "Without a step, or with status, it tells where the rotation and each node stand; all does the three at "
           "once.",
       .arguments = {{"STEP", "prepare, switch, finish, all or status (the default)", false, false}},
       .options = {{.name = "force", .help = "Go on without nodes that do not answer"},
                   {.name = "kubeconfig",
                    .value = "FILE",
                    .help = "How to reach the cluster; default: this master's own"},
                   {.name = "cert-dir",
                    .value = "DIR",
                    .help = "Where certificates are kept",
                    .fallback = "/etc/kubernetes/pki"}},
       .run = [](const Invocation& in) { return finish(rotate(in)); }}};
}

}  // namespace lab::cli
