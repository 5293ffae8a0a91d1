// lab net policy: what NetworkPolicies say of a connection, judged by the same code that programs the kernel.
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "overlay-net/policy/explain.h"

namespace lab::cli {

namespace {

using bootstrap::Cluster;
namespace policy = overlay::policy;
namespace res = client::res;

constexpr const char* kAdminConfig = "/etc/kubernetes/admin.conf";

// The lab of this machine, or what a node of a cluster has for its administrator.
Result<std::unique_ptr<Cluster>> cluster_of(const Invocation& in) {
  if (in.has("kubeconfig")) return Cluster::open(in.get("kubeconfig"));
  if (!in.has("profile") && fs::exists(kAdminConfig)) return Cluster::open(kAdminConfig);
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  return bootstrap::open_cluster(profile, *driver);
}

Result<policy::Model> model_of(Cluster& cluster) {
  LAB_TRY(auto policies, cluster.list(res::networkpolicies));
  LAB_TRY(auto namespaces, cluster.list(res::namespaces));
  LAB_TRY(auto pods, cluster.list(res::pods));
  return policy::Model::of(json::list(policies, "items"), json::list(namespaces, "items"), json::list(pods, "items"));
}

Result<bool> explain(const Invocation& in) {
  LAB_TRY(auto cluster, cluster_of(in));
  LAB_TRY(auto model, model_of(*cluster));
  LAB_TRY(auto flow, policy::flow_of(model, in.argument(0), in.argument(1), in.get("namespace")));
  std::fputs(policy::explain_text(model, flow).c_str(), stdout);
  return policy::verdict_on(model, flow).allowed();
}

int run_explain(const Invocation& in) {
  auto allowed = explain(in);
  if (!allowed) return report(allowed.error());
  return *allowed ? kDone : kFailed;
}

}  // namespace

Commands net_policy_commands() {
  return {{.path = "net policy", .summary = "What NetworkPolicies allow and deny"},
          {.path = "net policy explain",
           .summary = "Say which rule allows or denies a connection",
           .details = "Judges a connection from POD to PORT of POD2 as the nodes do: by the egress rules at its source and the ingress "
                      "rules at its destination, and tells of each rule what does not fit. A pod is NAME or NAMESPACE/NAME; an address "
                      "may stand in its place. Exit code 0 when the connection is allowed, 1 when not.\n\n"
                      "As in: lab net policy explain default/web-1 prod/db-0:5432\n"
                      "        lab net policy explain 192.168.77.1 prod/dns-0:53/udp",
           .arguments = {{"POD", "where the connection comes from"}, {"POD2:PORT", "where it goes; PORT/udp, PORT/sctp, or a port's name"}},
           .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"},
                       {.name = "kubeconfig", .value = "FILE", .help = "How to reach the cluster, if it is no lab of this machine"},
                       {.name = "namespace", .value = "NAME", .help = "Of pods named without one", .fallback = "default", .letter = "n"}},
           .run = run_explain}};
}

}  // namespace lab::cli
