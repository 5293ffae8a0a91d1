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

// "svc/db:80", "svc/prod/db:80", or the cluster IP of a service.
Result<std::optional<json::Value>> service_of(Cluster& cluster, const std::string& host,
                                              const std::string& default_ns) {
  constexpr std::string_view kPrefix = "svc/";
  if (host.starts_with(kPrefix)) {
    auto name = host.substr(kPrefix.size());
    auto slash = name.find('/');
    auto ns = slash == std::string::npos ? default_ns : name.substr(0, slash);
    LAB_TRY(auto service, cluster.get(res::services, ns, slash == std::string::npos ? name : name.substr(slash + 1)));
    return service;
  }
  if (!IpAddress::parse(host)) return std::nullopt;
  LAB_TRY(auto services, cluster.list(res::services));
  for (const auto& s : json::list(services, "items")) {
    if (json::str(s, "spec", "clusterIP") == host) return s;
  }
  return std::nullopt;
}

// Where a port of the service leads: "ADDRESS:PORT/PROTOCOL" of each endpoint.
Result<std::vector<std::string>> endpoints_of(Cluster& cluster, const json::Value& service, const std::string& port) {
  std::string ns(json::str(service, "metadata", "namespace")), name(json::str(service, "metadata", "name"));
  auto number = port.substr(0, port.find('/'));
  const json::Value* wanted = nullptr;
  for (const auto& p : json::list(service, "spec", "ports")) {
    if (std::to_string(json::num(p, "port")) == number || json::str(p, "name") == number) wanted = &p;
  }
  if (!wanted) return fail(Code::kNotFound, "service " + ns + "/" + name + " has no port '" + number + "'");
  auto protocol = policy::protocol_from(json::str(*wanted, "protocol")).value_or(IPPROTO_TCP);
  LAB_TRY(auto slices, cluster.list(res::endpointslices, ns, {.label_selector = "kubernetes.io/service-name=" + name}));
  std::vector<std::string> out;
  for (const auto& slice : json::list(slices, "items")) {
    for (const auto& p : json::list(slice, "ports")) {
      if (json::str(p, "name") != json::str(*wanted, "name")) continue;
      for (const auto& e : json::list(slice, "endpoints")) {
        for (const auto& a : json::list(e, "addresses")) {
          out.push_back(std::string(json::as_str(a)) + ":" + std::to_string(json::num(p, "port")) + "/" +
                        policy::protocol_text(protocol));
        }
      }
    }
  }
  if (out.empty())
    return fail(Code::kUnavailable, "service " + ns + "/" + name + " has no endpoint", "kubectl get endpoints");
  return out;
}

// The connections that the words mean: one, or one to each endpoint of a service.
Result<std::vector<std::string>> targets_of(Cluster& cluster, const std::string& word, const std::string& default_ns) {
  auto colon = word.rfind(':');
  if (colon == std::string::npos) return std::vector{word};
  LAB_TRY(auto service, service_of(cluster, word.substr(0, colon), default_ns));
  if (!service) return std::vector{word};
  std::printf("service %s/%s: policies judge where it leads\n\n",
              std::string(json::str(*service, "metadata", "namespace")).c_str(),
              std::string(json::str(*service, "metadata", "name")).c_str());
  return endpoints_of(cluster, *service, word.substr(colon + 1));
}

Result<bool> explain(const Invocation& in) {
  LAB_TRY(auto cluster, cluster_of(in));
  LAB_TRY(auto model, model_of(*cluster));
  LAB_TRY(auto targets, targets_of(*cluster, in.argument(1), in.get("namespace")));
  bool all = true;
  for (const auto& target : targets) {
    LAB_TRY(auto flow, policy::flow_of(model, in.argument(0), target, in.get("namespace")));
    std::fputs(policy::explain_text(model, flow).c_str(), stdout);
    all = all && policy::verdict_on(model, flow).allowed();
  }
  return all;
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
           .details =
               "Judges a connection from POD to PORT of POD2 as the nodes do: by the egress rules at its source and "
               "the ingress "
               "rules at its destination, and tells of each rule what does not fit. A pod is NAME or NAMESPACE/NAME; "
               "an address "
               "may stand in its place, and svc/NAMESPACE/NAME for POD2: then each endpoint of the service is judged. "
               "Exit code 0 when the connection is allowed, 1 when not.\n\n"
               "As in: lab net policy explain default/web-1 prod/db-0:5432\n"
               "        lab net policy explain 192.168.77.1 prod/dns-0:53/udp\n"
               "        lab net policy explain web-1 svc/prod/db:80",
           .arguments = {{"POD", "where the connection comes from"},
                         {"POD2:PORT", "where it goes; PORT/udp, PORT/sctp, or a port's name"}},
           .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"},
                       {.name = "kubeconfig",
                        .value = "FILE",
                        .help = "How to reach the cluster, if it is no lab of this machine"},
                       {.name = "namespace",
                        .value = "NAME",
                        .help = "Of pods named without one",
                        .fallback = "default",
                        .letter = "n"}},
           .run = run_explain}};
}

}  // namespace lab::cli
