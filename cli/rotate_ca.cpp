// lab certs rotate-ca: another CA for a cluster that runs. bootstrap/certs changes this master's files; here the API
// server is restarted with them, the cluster told, and each node waited for. rotate_inner_ca.cpp does it for the CAs
// that masters alone know.
#include <algorithm>
#include <cstdio>

#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/certs/ca_sharing.h"
#include "bootstrap/init/tokens.h"
#include "cli/groups.h"
#include "cli/node_facts.h"
#include "cli/report.h"
#include "cli/rotation.h"
#include "pki/kubeconfig.h"

namespace lab::cli {

namespace {

namespace certs = bootstrap::certs;
using bootstrap::Cluster;
using certs::CaStep;
namespace res = client::res;

constexpr auto kPublishLimit = std::chrono::seconds(60);

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

Result<void> serve_files(const Rotation& job, std::unique_ptr<Cluster>& cluster, certs::CaRotation& now) {
  LAB_CHECK(restart_server(job));
  LAB_CHECK(certs::mark_served(job.how.places));
  LAB_TRY(now, certs::ca_rotation(job.how.places));
  LAB_TRY(cluster, Cluster::open(job.kubeconfig));
  return {};
}

Result<void> tell_cluster(const Rotation& job, Cluster& cluster, const std::string& bundle) {
  LAB_CHECK(publish(cluster, bundle));
  job.say("The API server was restarted; cluster-info and kube-root-ca.crt hold what is trusted now");
  return {};
}

Result<void> prepare(const Rotation& job) {
  job.say("Making a new CA, and letting this master trust both");
  LAB_TRY(auto cluster, Cluster::open(job.kubeconfig));
  LAB_CHECK(certs::prepare_ca(job.how.places, job.ca_validity,
                              [&] { return certs::agree_on_new_ca(*cluster, job.how.places); }));
  certs::CaRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_TRY(bool last, all_masters(job, *cluster, prepared(now.new_pin), "prepare"));
  if (!last) return {};
  LAB_CHECK(tell_cluster(job, *cluster, now.bundle));
  LAB_CHECK(wait_nodes(*cluster, trusts(now.new_pin), "nodes that trust the new CA", job.run("prepare")));
  job.say("All nodes trust both CAs. Next: " + job.run("switch"));
  return {};
}

Result<void> change(const Rotation& job) {
  LAB_TRY(auto before, certs::ca_rotation(job.how.places));
  if (before.step == CaStep::kPrepared) {
    LAB_TRY(auto asked, Cluster::open(job.kubeconfig));
    LAB_CHECK(require_masters(job, *asked, prepared(before.new_pin), "prepare"));
    LAB_CHECK(require_nodes(job, *asked, trusts(before.new_pin), "prepare",
                            "they will find the new CA when they come back before finish"));
  }
  job.say("Signing this master's certificates with the new CA");
  LAB_CHECK(certs::switch_ca(job.how));
  std::unique_ptr<Cluster> cluster;
  certs::CaRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_CHECK(drop_uploaded_certificates(job, *cluster));
  LAB_TRY(bool last, all_masters(job, *cluster, switched(now.new_pin), "switch"));
  if (!last) return {};
  LAB_CHECK(tell_cluster(job, *cluster, now.bundle));
  LAB_CHECK(wait_nodes(*cluster, uses(now.new_pin), "nodes with a certificate of the new CA", job.run("switch")));
  job.say("All nodes have certificates of the new CA. Whoever knows the old one alone is served until the last step.");
  job.say("Copy /etc/kubernetes/admin.conf to those who administer this cluster. Then: " + job.run("finish"));
  return {};
}

Result<void> end(const Rotation& job) {
  LAB_TRY(auto before, certs::ca_rotation(job.how.places));
  if (before.step == CaStep::kSwitched) {
    LAB_TRY(auto asked, Cluster::open(job.kubeconfig));
    LAB_CHECK(require_masters(job, *asked, switched(before.new_pin), "switch"));
    LAB_CHECK(require_nodes(job, *asked, uses(before.new_pin), "switch", "they will have to join again"));
  }
  job.say("Taking the old CA away");
  LAB_CHECK(certs::finish_ca(job.how.places));
  std::unique_ptr<Cluster> cluster;
  certs::CaRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_TRY(bool last, all_masters(job, *cluster, finished(now.new_pin), "finish"));
  if (!last) return certs::forget_old_ca(job.how.places);
  LAB_CHECK(tell_cluster(job, *cluster, now.bundle));
  if (!job.force)
    LAB_CHECK(wait_nodes(*cluster, trusts_alone(now.new_pin), "nodes that trust the new CA alone", job.run("finish")));
  LAB_CHECK(certs::forget_shared_ca(*cluster));
  LAB_CHECK(certs::forget_old_ca(job.how.places));
  job.say("Done. Copies of admin.conf from before the switch, and join commands with the old pin, no longer work.");
  job.say(
      "Programs in pods that read the CA once, at their start, want a restart: kubectl rollout restart deployment "
      "NAME");
  return {};
}

Result<void> status(const Rotation& job) {
  LAB_TRY(auto now, certs::ca_rotation(job.how.places));
  std::printf("Rotation of the CA: %s\n", standing(job, now.step, "both CAs are trusted").c_str());
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
  Rotation job = rotation_of(in, "rotate-ca");
  return take_step(job, in.argument(0, "status"),
                   {.status = [&] { return status(job); },
                    .prepare = [&] { return prepare(job); },
                    .change = [&] { return change(job); },
                    .end = [&] { return end(job); }});
}

int run(const Invocation& in) {
  return in.get("ca") == "ca" ? finish(rotate(in)) : rotate_inner_ca(in);
}

std::vector<Option> options() {
  auto out = rotation_options();
  out.push_back({.name = "ca",
                 .value = "NAME",
                 .help = "Which CA: the cluster's (ca), etcd's, or the front proxy's",
                 .fallback = "ca",
                 .choices = {"ca", "etcd-ca", "front-proxy-ca"}});
  return out;
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
           "With --ca etcd-ca or front-proxy-ca the same for the CAs that masters alone know; etcd is restarted, too.\n"
           "Without a step, or with status, it tells where the rotation and each node stand; all does the three at "
           "once.",
       .arguments = {{"STEP", "prepare, switch, finish, all or status (the default)", false, false}},
       .options = options(),
       .run = run}};
}

}  // namespace lab::cli
