// lab certs rotate-sa-key: another key for the tokens of service accounts, while the cluster runs. bootstrap/certs
// changes this master's files; agents ask for their pods' tokens anew; tokens kept in Secrets are signed anew at the
// end.
#include <algorithm>
#include <cstdio>
#include <set>

#include "base/crypto/encoding.h"
#include "bootstrap/certs/ca_sharing.h"
#include "bootstrap/certs/key_rotation.h"
#include "cli/groups.h"
#include "cli/node_facts.h"
#include "cli/report.h"
#include "cli/rotation.h"
#include "join/keeper.h"
#include "pki/jwt.h"

namespace lab::cli {

namespace {

namespace certs = bootstrap::certs;
using bootstrap::Cluster;
using certs::CaStep;
namespace res = client::res;

constexpr std::size_t kNamedPods = 3;

bool holds(const json::Array& list, const std::string& id) {
  return std::ranges::any_of(list, [&](const json::Value& v) { return json::as_str(v) == id; });
}

const json::Value& key_of(const json::Value& said) {
  return json::at(said, "serviceAccountKey");
}
bool has_finished(const json::Value& key, const std::string& id) {
  return json::str(key, "signer") == id && json::list(key, "accepts").size() == 1;
}
bool served(const json::Value& key, CaStep step) {
  return json::num(key, "served") >= static_cast<int>(step);
}

// How far a master is, given the new key's id.
Missing accepts_new(const std::string& id) {
  return [id](const json::Value& said) -> std::string {
    const auto& key = key_of(said);
    const bool there = holds(json::list(key, "accepts"), id) && served(key, CaStep::kPrepared);
    return there || has_finished(key, id) ? "" : "its API server does not accept the new key yet";
  };
}
Missing signs_with_new(const std::string& id) {
  return [id](const json::Value& said) -> std::string {
    const auto& key = key_of(said);
    // One that joined since has nothing of the rotation, and serves what it was given.
    const auto step = static_cast<CaStep>(json::num(key, "served"));
    return json::str(key, "signer") == id && step != CaStep::kPrepared ? "" : "the old key signs there still";
  };
}
Missing accepts_new_alone(const std::string& id) {
  return [id](const json::Value& said) -> std::string {
    return has_finished(key_of(said), id) ? "" : "its API server accepts the old key still";
  };
}

// Pods that have ended keep the files they had, and nobody reads them.
Result<std::set<std::string>> living_pods(Cluster& cluster) {
  LAB_TRY(auto pods, cluster.list(res::pods));
  std::set<std::string> out;
  for (const auto& pod : json::list(pods, "items"))
    if (const auto phase = json::str(pod, "status", "phase"); phase != "Succeeded" && phase != "Failed")
      out.insert(std::string(json::str(pod, "metadata", "namespace")) + "/" +
                 std::string(json::str(pod, "metadata", "name")));
  return out;
}

std::string names_of(const json::Array& pods, const std::set<std::string>& living) {
  std::string out;
  std::size_t count = 0;
  for (const auto& pod : pods)
    if (const std::string name(json::as_str(pod)); living.contains(name) && ++count <= kNamedPods)
      out += (out.empty() ? "" : ", ") + name;
  return count > kNamedPods ? out + " and " + std::to_string(count - kNamedPods) + " more" : out;
}

// No living pod of a node has a token of another key.
Missing renewed_tokens(const std::string& id, std::set<std::string> living) {
  return [id, living = std::move(living)](const json::Value& said) -> std::string {
    if (!json::has(said, "tokens")) return "its agent is of an earlier version: upgrade that node first";
    std::string late;
    for (const auto& [key, pods] : json::map(said, "tokens"))
      if (key != id)
        if (auto names = names_of(json::as_array(pods), living); !names.empty())
          late += (late.empty() ? "" : ", ") + names;
    return late.empty() ? "" : "tokens of the old key in " + late;
  };
}

// cluster-info says which key signs for as long as that changes; "" takes it away.
Result<void> announce(Cluster& cluster, const std::string& id) {
  json::Value patch = json::Object{
      {"metadata", json::Object{{"annotations",
                                 json::Object{{join::kKeyAnnotation, id.empty() ? json::Value() : json::Value(id)}}}}}};
  LAB_CHECK(cluster.patch(res::configmaps, "kube-public", "cluster-info", client::PatchType::kMerge, std::move(patch)));
  return {};
}

// Secrets with a token that another key than `id` signed: "namespace/name".
Result<std::vector<std::pair<std::string, std::string>>> old_secrets(Cluster& cluster, const std::string& id) {
  client::ListOptions of_type;
  of_type.field_selector = "type=kubernetes.io/service-account-token";
  LAB_TRY(auto secrets, cluster.list(res::secrets, "", of_type));
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& s : json::list(secrets, "items")) {
    const auto token = crypto::base64_decode(json::str(s, "data", "token")).value_or("");
    if (!token.empty() && pki::token_key_id(token) != id)
      out.emplace_back(json::str(s, "metadata", "namespace"), json::str(s, "metadata", "name"));
  }
  return out;
}

Result<void> warn_of_secrets(const Rotation& job, Cluster& cluster, const std::string& id) {
  LAB_TRY(auto secrets, old_secrets(cluster, id));
  for (const auto& [ns, name] : secrets)
    job.say("Secret " + ns + "/" + name +
            " keeps a token of the old key: the step finish signs it anew, and copies of "
            "it are refused from then on");
  return {};
}

// The controller fills in a token where there is none.
Result<void> renew_secrets(const Rotation& job, Cluster& cluster, const std::string& id) {
  LAB_TRY(auto secrets, old_secrets(cluster, id));
  for (const auto& [ns, name] : secrets) {
    json::Value patch = json::Object{{"data", json::Object{{"token", json::Value()}}}};
    auto done = cluster.patch(res::secrets, ns, name, client::PatchType::kMerge, std::move(patch));
    if (!done && done.error().code != Code::kNotFound) return std::unexpected(std::move(done).error());
    if (done) job.say("Secret " + ns + "/" + name + " gets a token of the new key");
  }
  return {};
}

Result<void> serve_files(const Rotation& job, std::unique_ptr<Cluster>& cluster, certs::KeyRotation& now) {
  LAB_CHECK(restart_server(job));
  LAB_TRY(now, certs::key_rotation(job.how.places));
  if (now.step != CaStep::kNone) LAB_CHECK(certs::mark_key_served(job.how.places));
  LAB_TRY(cluster, Cluster::open(job.kubeconfig));
  return {};
}

Result<void> prepare(const Rotation& job) {
  job.say("Making a new key, and letting this master accept both");
  LAB_TRY(auto cluster, Cluster::open(job.kubeconfig));
  LAB_CHECK(certs::prepare_key(job.how.places, [&] { return certs::agree_on_new_key(*cluster, job.how.places); }));
  certs::KeyRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_TRY(bool last, all_masters(job, *cluster, accepts_new(now.new_id), "prepare"));
  if (last) job.say("Tokens of both keys are accepted. Next: " + job.run("switch"));
  return {};
}

Result<void> change(const Rotation& job) {
  LAB_TRY(auto before, certs::key_rotation(job.how.places));
  if (before.step == CaStep::kPrepared) {
    LAB_TRY(auto asked, Cluster::open(job.kubeconfig));
    LAB_CHECK(require_masters(job, *asked, accepts_new(before.new_id), "prepare"));
  }
  job.say("Signing tokens with the new key");
  LAB_CHECK(certs::switch_key(job.how.places));
  std::unique_ptr<Cluster> cluster;
  certs::KeyRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_CHECK(drop_uploaded_certificates(job, *cluster));
  LAB_TRY(bool last, all_masters(job, *cluster, signs_with_new(now.new_id), "switch"));
  if (!last) return {};
  LAB_CHECK(announce(*cluster, now.new_id));
  LAB_TRY(auto living, living_pods(*cluster));
  LAB_CHECK(wait_nodes(*cluster, renewed_tokens(now.new_id, std::move(living)), "pods with tokens of the new key",
                       job.run("switch")));
  LAB_CHECK(warn_of_secrets(job, *cluster, now.new_id));
  job.say(
      "All pods have tokens of the new key in their files. Tokens of the old one are accepted until the last step.");
  job.say(
      "Programs that read their token once, at their start, want a restart before: kubectl rollout restart "
      "deployment NAME. Then: " +
      job.run("finish"));
  return {};
}

Result<void> end(const Rotation& job) {
  LAB_TRY(auto before, certs::key_rotation(job.how.places));
  if (before.step != CaStep::kPrepared && before.accepted.size() > 1) {
    LAB_TRY(auto asked, Cluster::open(job.kubeconfig));
    LAB_CHECK(require_masters(job, *asked, signs_with_new(before.signer), "switch"));
    LAB_TRY(auto living, living_pods(*asked));
    LAB_CHECK(require_nodes(job, *asked, renewed_tokens(before.signer, std::move(living)), "switch",
                            "their pods' tokens will be refused until their agents are back"));
  }
  job.say("Taking the old key away");
  LAB_CHECK(certs::finish_key(job.how.places));
  std::unique_ptr<Cluster> cluster;
  certs::KeyRotation now;
  LAB_CHECK(serve_files(job, cluster, now));
  LAB_TRY(bool last, all_masters(job, *cluster, accepts_new_alone(now.signer), "finish"));
  if (!last) return certs::forget_old_key(job.how.places);
  LAB_CHECK(renew_secrets(job, *cluster, now.signer));
  LAB_CHECK(announce(*cluster, ""));
  LAB_CHECK(certs::forget_shared_key(*cluster));
  LAB_CHECK(certs::forget_old_key(job.how.places));
  job.say("Done. Tokens of the old key are refused: those that kubectl create token gave out before the switch, too.");
  return {};
}

Result<void> status(const Rotation& job) {
  LAB_TRY(auto now, certs::key_rotation(job.how.places));
  std::printf("Rotation of the service accounts' key: %s\n",
              standing(job, now.step, "tokens of both keys are accepted").c_str());
  if (now.old_id.empty())
    std::printf("  key      %s\n", now.signer.c_str());
  else
    std::printf("  old key  %s\n  new key  %s\n", now.old_id.c_str(), now.new_id.c_str());
  LAB_TRY(auto cluster, Cluster::open(job.kubeconfig));
  LAB_TRY(auto nodes, ask_nodes(*cluster, false));
  LAB_TRY(auto living, living_pods(*cluster));
  const std::string wanted = now.new_id.empty() ? now.signer : now.new_id;
  std::printf("\n%-20s %s\n", "NODE", "TOKENS OF PODS");
  for (const auto& n : nodes) {
    const std::string late = n.said ? renewed_tokens(wanted, living)(*n.said) : n.said.error().message;
    const char* good = now.new_id.empty() ? "of this key" : "of the new key";
    std::printf("%-20s %s\n", n.name.c_str(), late.empty() ? good : late.c_str());
  }
  return {};
}

Result<void> rotate(const Invocation& in) {
  Rotation job = rotation_of(in, "rotate-sa-key");
  return take_step(job, in.argument(0, "status"),
                   {.status = [&] { return status(job); },
                    .prepare = [&] { return prepare(job); },
                    .change = [&] { return change(job); },
                    .end = [&] { return end(job); }});
}

}  // namespace

Commands rotate_sa_key_commands() {
  return {
      {.path = "certs rotate-sa-key",
       .summary = "Replace the key that signs service accounts' tokens while the cluster runs",
       .details =
           "On the master, in three steps, each of which may be repeated and goes on where one that was killed ended:\n"
           "  prepare   makes the new key; tokens of both are accepted\n"
           "  switch    the new key signs; every node asks for its pods' tokens anew\n"
           "  finish    tokens of the old key are refused; those kept in Secrets are signed anew\n"
           "A cluster of several masters takes each step on every master before the next one begins.\n"
           "Without a step, or with status, it tells where the rotation and each node's pods stand; all does the three "
           "at once.",
       .arguments = {{"STEP", "prepare, switch, finish, all or status (the default)", false, false}},
       .options = rotation_options(),
       .run = [](const Invocation& in) { return finish(rotate(in)); }}};
}

}  // namespace lab::cli
