// lab certs rotate-ca --ca etcd-ca | front-proxy-ca: the CAs that masters alone know. As with the cluster's, both are
// trusted, the new one signs, the old one goes; but there are no nodes to wait for, and etcd, too, reads its CA at its
// start.
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/certs/ca_sharing.h"
#include "bootstrap/etcd/member.h"
#include "cli/control_plane.h"
#include "cli/node_facts.h"
#include "cli/report.h"
#include "cli/rotation.h"

namespace lab::cli {

namespace {

namespace certs = bootstrap::certs;
using bootstrap::Cluster;
using certs::CaStep;

struct Inner {
  Rotation job;
  std::string name, path;  // "etcd-ca", "etcd/ca"
  std::string what;        // "etcd's CA"
  bool etcd() const { return name == "etcd-ca"; }
  const certs::Places& places() const { return job.how.places; }
};

Inner inner_of(const Invocation& in) {
  Inner out{.job = rotation_of(in, "rotate-ca"), .name = in.get("ca")};
  out.path = out.etcd() ? "etcd/ca" : out.name;
  out.what = out.etcd() ? "etcd's CA" : "the front proxy's CA";
  out.job.flags = " --ca " + out.name;
  return out;
}

Result<void> check_there(const Inner& r) {
  const std::string file = fs::join(r.places().pki, r.path + ".crt");
  if (fs::exists(file)) return {};
  return fail(Code::kNotFound, r.what + " is not on this machine: there is no " + file,
              r.etcd() ? "masters have it where etcd runs beside them (lab init --store etcd)"
                       : "run this on the cluster's master");
}

Result<void> restart_etcd(const Inner& r) {
  auto services = bootstrap::ServiceManager::detect();
  LAB_TRY(bool there, restart_and_see(*services, bootstrap::etcd::kService));
  return there ? bootstrap::etcd::wait_serving(*services, r.places().pki) : Result<void>();
}

Result<void> serve_files(const Inner& r, std::unique_ptr<Cluster>& cluster, certs::CaRotation& now) {
  if (r.etcd()) LAB_CHECK(restart_etcd(r));
  LAB_CHECK(restart_server(r.job));
  LAB_CHECK(certs::mark_served(r.places(), r.path));
  LAB_TRY(now, certs::ca_rotation(r.places(), r.path));
  LAB_TRY(cluster, Cluster::open(r.job.kubeconfig));
  return {};
}

Result<void> prepare(const Inner& r, Cluster& asked) {
  r.job.say("Making a new one of " + r.what + ", and letting this master trust both");
  LAB_CHECK(certs::prepare_ca(
      r.places(), r.job.ca_validity, [&] { return certs::agree_on_new_ca(asked, r.places(), r.path); }, r.path));
  std::unique_ptr<Cluster> cluster;
  certs::CaRotation now;
  LAB_CHECK(serve_files(r, cluster, now));
  LAB_TRY(bool last, all_masters(r.job, *cluster, prepared(now.new_pin, r.name), "prepare"));
  if (last) r.job.say("All masters trust both CAs. Next: " + r.job.run("switch"));
  return {};
}

Result<void> change(const Inner& r, Cluster& asked) {
  LAB_TRY(auto before, certs::ca_rotation(r.places(), r.path));
  if (before.step == CaStep::kPrepared)
    LAB_CHECK(require_masters(r.job, asked, prepared(before.new_pin, r.name), "prepare"));
  r.job.say("Signing this master's certificates with the new CA");
  LAB_CHECK(certs::switch_ca(r.job.how, r.path));
  std::unique_ptr<Cluster> cluster;
  certs::CaRotation now;
  LAB_CHECK(serve_files(r, cluster, now));
  LAB_CHECK(drop_uploaded_certificates(r.job, *cluster));
  LAB_TRY(bool last, all_masters(r.job, *cluster, switched(now.new_pin, r.name), "switch"));
  if (last) r.job.say("The certificates of all masters are of the new CA. Next: " + r.job.run("finish"));
  return {};
}

Result<void> end(const Inner& r, Cluster& asked) {
  LAB_TRY(auto before, certs::ca_rotation(r.places(), r.path));
  if (before.step == CaStep::kSwitched)
    LAB_CHECK(require_masters(r.job, asked, switched(before.new_pin, r.name), "switch"));
  r.job.say("Taking the old CA away");
  LAB_CHECK(certs::finish_ca(r.places(), r.path));
  std::unique_ptr<Cluster> cluster;
  certs::CaRotation now;
  LAB_CHECK(serve_files(r, cluster, now));
  LAB_TRY(bool last, all_masters(r.job, *cluster, finished(now.new_pin, r.name), "finish"));
  if (last) LAB_CHECK(certs::forget_shared_ca(*cluster, r.path));
  LAB_CHECK(certs::forget_old_ca(r.places(), r.path));
  if (last) r.job.say("Done.");
  return {};
}

Result<void> status(const Inner& r) {
  LAB_TRY(auto now, certs::ca_rotation(r.places(), r.path));
  std::printf("Rotation of %s: %s\n", r.what.c_str(), standing(r.job, now.step, "both CAs are trusted").c_str());
  if (!now.old_pin.empty()) std::printf("  old CA  %s\n  new CA  %s\n", now.old_pin.c_str(), now.new_pin.c_str());
  LAB_TRY(auto cluster, Cluster::open(r.job.kubeconfig));
  LAB_TRY(auto nodes, ask_nodes(*cluster, false));
  std::printf("\n%-20s %-8s %s\n", "MASTER", "TRUSTS", "SIGNS WITH");
  for (const auto& n : nodes) {
    if (!n.master) continue;
    if (!n.said) {
      std::printf("%-20s %s\n", n.name.c_str(), n.said.error().message.c_str());
      continue;
    }
    const auto& a = json::at(*n.said, "authorities", r.name);
    std::printf("%-20s %-8zu %s\n", n.name.c_str(), json::list(a, "bundle").size(),
                std::string(json::str(a, "signer")).c_str());
  }
  return {};
}

Result<void> rotate(const Invocation& in) {
  Inner r = inner_of(in);
  LAB_CHECK(check_there(r));
  // Each step restarts the server that a connection leads to.
  const auto connected = [&](Result<void> (*step)(const Inner&, Cluster&)) -> Result<void> {
    LAB_TRY(auto cluster, Cluster::open(r.job.kubeconfig));
    return step(r, *cluster);
  };
  return take_step(r.job, in.argument(0, "status"),
                   {.status = [&] { return status(r); },
                    .prepare = [&] { return connected(prepare); },
                    .change = [&] { return connected(change); },
                    .end = [&] { return connected(end); },
                    // One member may be away at a time: the others must be there before this one is restarted.
                    .may_begin = [&]() -> Result<void> {
                      if (!r.etcd()) return {};
                      return bootstrap::etcd::all_serve(r.places().pki);
                    }});
}

}  // namespace

int rotate_inner_ca(const Invocation& in) {
  return finish(rotate(in));
}

}  // namespace lab::cli
