// lab certs: the commands over bootstrap/certs, and what renewing means for a master that runs.
#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/certs/certs.h"
#include "bootstrap/certs/key_rotation.h"

#include <chrono>
#include <cstdio>

#include "base/fs.h"
#include "base/subprocess.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/address.h"
#include "bootstrap/common/node_services.h"
#include "bootstrap/etcd/member.h"
#include "bootstrap/init/certificate_upload.h"
#include "bootstrap/init/from_config.h"
#include "bootstrap/init/init.h"
#include "bootstrap/init/tokens.h"
#include "cli/config_flag.h"
#include "cli/control_plane.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "join/repoint.h"

namespace lab::cli {

namespace {

namespace certs = bootstrap::certs;
using bootstrap::Cluster;
namespace res = client::res;

constexpr auto kReadyLimit = std::chrono::seconds(60);

// What the cluster says of its certificates, or what --config does.
struct Settings {
  certs::Places places;
  std::chrono::hours validity{24 * 3650};
};

void take(const json::Value& cluster_configuration, Settings& out) {
  if (auto dir = json::str(cluster_configuration, "certificatesDir"); !dir.empty()) out.places.pki = dir;
  const auto period =
      bootstrap::config::seconds_of(json::at(cluster_configuration, "certificateValidityPeriod"), out.validity);
  out.validity = std::max(std::chrono::hours(1), std::chrono::duration_cast<std::chrono::hours>(period));
}

Result<json::Value> uploaded_configuration(const std::string& kubeconfig) {
  LAB_TRY(auto cluster, Cluster::open(kubeconfig));
  LAB_TRY(auto map, cluster->get(res::configmaps, "kube-system", "kubeadm-config"));
  return yaml::parse(json::str(map, "data", "ClusterConfiguration"));
}

Result<Settings> settings(const Invocation& in, const char* prefix, bool quiet = false) {
  Settings out;
  if (in.has("config")) {
    LAB_CHECK(with_config(in, [&](auto& file) {
      take(file.document("ClusterConfiguration"), out);
      return Result<void>();
    }));
    return out;
  }
  if (!quiet)
    std::printf("[%s] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...\n",
                prefix);
  std::fflush(stdout);
  if (auto uploaded = uploaded_configuration(in.get("kubeconfig")))
    take(*uploaded, out);
  else if (!quiet)
    std::printf("[%s] Error reading configuration from the Cluster. Falling back to default configuration\n", prefix);
  if (!quiet)
    std::printf("[%s] Use 'kubeadm init phase upload-config --config your-config-file' to re-upload it.\n\n", prefix);
  if (in.has("cert-dir")) out.places.pki = in.get("cert-dir");
  return out;
}

Result<void> check_expiration(const Invocation& in) {
  const std::string format = in.get("output");
  LAB_TRY(auto how, settings(in, "check-expiration", format != "text"));
  LAB_TRY(auto found, certs::check_expiration(how.places));
  const auto now = std::chrono::system_clock::now();
  if (format == "text") {
    std::fputs(certs::expiration_text(found, now).c_str(), stdout);
    for (const auto& [ca, flag] : {std::pair{"ca", ""}, {"etcd/ca", " --ca etcd-ca"}, {"front-proxy-ca", " --ca front-proxy-ca"}})
      if (auto rotation = certs::ca_rotation(how.places, ca); rotation && rotation->step != certs::CaStep::kNone)
        std::printf("\nThe CA %s is being replaced: lab certs rotate-ca status%s\n", certs::ca_name(ca).c_str(), flag);
    if (auto rotation = certs::key_rotation(how.places); rotation && rotation->step != certs::CaStep::kNone)
      std::printf("\nThe key of service accounts is being replaced: lab certs rotate-sa-key status\n");
    return {};
  }
  const auto value = certs::expiration_json(found, now);
  std::printf("%s%s", (format == "json" ? json::dump_pretty(value) : yaml::dump(value)).c_str(),
              format == "json" ? "\n" : "");
  return {};
}

Result<bool> restart_if_there(bootstrap::ServiceManager& services, const std::string& name) {
  LAB_TRY(auto states, services.list());
  for (const auto& s : states) {
    if (s.name != name) continue;
    LAB_CHECK(services.restart(name));
    return true;
  }
  return false;
}

// Until the API server answers with what was just made: the new certificates are then in use.
Result<void> wait_ready() {
  return bootstrap::wait_until(kReadyLimit, "an API server that serves with the renewed certificates",
                               "see its log: lab logs, or journalctl -u lab-server -n 50", []() -> Result<void> {
                                 LAB_TRY(auto cluster, Cluster::open(own_admin_kubeconfig()));
                                 LAB_TRY(auto answer, cluster->raw({.target = "/readyz"}));
                                 if (answer.status == 200) return {};
                                 return fail(Code::kUnavailable, "/readyz answers " + std::to_string(answer.status));
                               });
}

// cluster-info, which joining nodes believe by their token: its server is replaced and it is signed anew.
Result<void> repoint_cluster_info(const std::string& from, const std::string& to) {
  LAB_TRY(auto cluster, Cluster::open(own_admin_kubeconfig()));
  LAB_TRY(auto map, cluster->get(res::configmaps, "kube-public", "cluster-info"));
  std::string info(json::str(map, "data", "kubeconfig"));
  const std::string host = "//" + from + ":";
  if (auto at = info.find(host); at != std::string::npos) info.replace(at, host.size(), "//" + to + ":");
  json::Object data{{"kubeconfig", info}};
  LAB_TRY(auto tokens, bootstrap::list_tokens(*cluster));
  for (const auto& t : tokens)
    if (json::has(map, "data", "jws-kubeconfig-" + t.token.id))
      data["jws-kubeconfig-" + t.token.id] = pki::sign_cluster_info(info, t.token);
  json::Value patch = json::Object{{"data", std::move(data)}};
  LAB_CHECK(
      cluster->patch(res::configmaps, "kube-public", "cluster-info", client::PatchType::kMerge, std::move(patch)));
  return {};
}

// The other nodes go on at the new address; those that cannot be told are named, with what to do on them.
Result<void> tell_nodes(const certs::Renewal& how) {
  LAB_TRY(auto cluster, Cluster::open(own_admin_kubeconfig()));
  LAB_TRY(auto url, http::parse_url(cluster->config().server));
  if (url.host != how.new_address) return {};  // they know the control plane by a name that stays
  const auto& places = how.places;
  LAB_TRY(auto certificate, fs::read_file(fs::join(places.pki, "apiserver-kubelet-client.crt")));
  LAB_TRY(auto key, fs::read_file(fs::join(places.pki, "apiserver-kubelet-client.key")));
  const auto record = bootstrap::read_node_record();
  LAB_TRY(auto told, join::tell_nodes(*cluster, record ? record->node_name : "", certificate, key,
                                      cluster->config().server));
  bool all = true;
  for (const auto& t : told) {
    all = all && t.outcome.has_value();
    std::printf("[renew] Node %s (%s) %s\n", t.node.c_str(), t.address.c_str(),
                t.outcome ? ("goes on at " + how.new_address).c_str()
                          : ("could not be told of the new address: " + t.outcome.error().text()).c_str());
  }
  if (!all)
    std::printf("[renew] On each node that could not be told, once: the command that this prints:\n"
                "  lab token create --print-join-command\n");
  return {};
}

Result<std::string> old_address() {
  LAB_TRY(auto config, client::load_kubeconfig(own_admin_kubeconfig()));
  LAB_TRY(auto url, http::parse_url(config.server));
  return url.host;
}

Result<void> prepare_address(const Invocation& in, certs::Renewal& how) {
  how.new_address = in.get("new-address");
  if (how.new_address.empty()) return {};
  LAB_CHECK(bootstrap::parse_address(how.new_address));
  if (!bootstrap::is_local_address(how.new_address))
    return fail(Code::kInvalid, "this machine does not have the address " + how.new_address,
                "ip -4 addr shows those it has");
  LAB_TRY(how.old_address, old_address());
  // Masters that are known by a name, or a run that was cut off after the kubeconfigs: the node's record tells.
  if (auto record = bootstrap::read_node_record();
      record && (how.old_address == how.new_address || !bootstrap::parse_address(how.old_address)))
    how.old_address = record->node_ip;
  return {};
}

// A stacked etcd member listens at the master's address, and the others know it by that.
Result<void> move_etcd(bootstrap::ServiceManager& services, const certs::Renewal& how) {
  if (how.new_address.empty()) return {};
  LAB_TRY(bool there, restart_if_there(services, bootstrap::etcd::kService));
  if (!there) return {};
  LAB_CHECK(bootstrap::etcd::wait_serving(services, how.places.pki));
  LAB_CHECK(bootstrap::etcd::follow_address(services, {.address = how.new_address, .cert_dir = how.places.pki}));
  std::printf("[renew] etcd's members know this one at %s\n", how.new_address.c_str());
  return {};
}

Result<void> use_renewed(const certs::Renewal& how) {
  auto services = bootstrap::ServiceManager::detect();
  if (!how.new_address.empty() && how.old_address != how.new_address) {
    LAB_TRY(auto changed, certs::repoint_units(how.old_address, how.new_address));
    for (const auto& path : changed) std::printf("[renew] %s now says %s\n", path.c_str(), how.new_address.c_str());
    if (bootstrap::systemd_running()) LAB_CHECK(run_checked({.argv = {"systemctl", "daemon-reload"}}));
  }
  LAB_CHECK(move_etcd(*services, how));
  LAB_TRY(bool serves, restart_if_there(*services, "lab-server"));
  if (!serves) {
    std::printf("\nDone renewing certificates. No control plane runs on this machine.\n");
    return {};
  }
  LAB_CHECK(wait_ready());
  if (!how.new_address.empty()) {
    LAB_CHECK(repoint_cluster_info(how.old_address, how.new_address));
    for (const char* service : {"lab-agent", "lab-overlay"}) LAB_CHECK(restart_if_there(*services, service));
    LAB_CHECK(tell_nodes(how));
  }
  std::printf("\nDone renewing certificates. The API server was restarted and uses them.\n");
  return {};
}

Result<void> renew(const Invocation& in) {
  const std::string name = in.argument(0, "all");
  const auto* one = certs::find_row(name);
  if (name != "all" && !one) {
    std::string known;
    for (const auto& row : certs::rows()) known += (known.empty() ? "" : ", ") + row.name;
    return fail(Code::kInvalid, "there is no certificate \"" + name + "\"", "all, or one of: " + known);
  }
  LAB_TRY(auto from, settings(in, "renew"));
  certs::Renewal how{.places = from.places, .validity = from.validity};
  LAB_CHECK(prepare_address(in, how));
  if (one && !how.new_address.empty())
    return fail(Code::kInvalid, "--new-address concerns all certificates",
                "lab certs renew all --new-address " + how.new_address);
  std::string failed;
  for (const auto& row : certs::rows()) {
    if (one && one != &row) continue;
    auto renewed = certs::renew(row, how);
    if (!renewed && one) return std::unexpected(std::move(renewed).error());
    if (!renewed) {
      std::printf("%s\n", renewed.error().message.c_str());
      if (renewed.error().code != Code::kNotFound) failed += (failed.empty() ? "" : ", ") + row.name;
    } else if (*renewed) {
      std::printf("%s renewed\n", row.what.c_str());
    } else if (one) {
      return fail(Code::kNotFound, "MISSING! " + row.what, "it belongs to an etcd on this machine, and there is none");
    }
  }
  if (!failed.empty())
    return fail(Code::kInvalid, "these were not renewed: " + failed, "what was printed above says why");
  return use_renewed(how);
}

pki::CertificateSpec spec_of(const certs::Row& row, const void* context) {
  const auto& c = *static_cast<const bootstrap::InitContext*>(context);
  if (!row.kubeconfig) return pki::find_certificate(row.path)->spec(c.certificate_options());
  for (const auto& user : bootstrap::kubeconfig_users(c))
    if (user.file == row.path)
      return {.common_name = user.common_name, .organizations = user.organizations, .client_auth = true};
  return {};
}

Result<void> generate_csr(const Invocation& in) {
  bootstrap::InitContext c;
  c.options.cert_dir = in.get("cert-dir");
  LAB_CHECK(with_config(in, [&](auto& file) { return bootstrap::apply_config(file, c.options); }));
  LAB_CHECK(bootstrap::complete_options(c));
  LAB_CHECK(certs::generate_requests({.places = {.pki = c.options.cert_dir, .kubernetes = in.get("kubeconfig-dir")},
                                      .server = c.server_url(),
                                      .node_name = c.options.node_name,
                                      .spec_of = spec_of,
                                      .spec_context = &c}));
  return {};
}

const Option kKubeconfig{.name = "kubeconfig",
                         .value = "FILE",
                         .help = "How to reach the cluster",
                         .fallback = "/etc/kubernetes/admin.conf"};
const Option kCertDir{
    .name = "cert-dir", .value = "DIR", .help = "Where certificates are kept", .fallback = "/etc/kubernetes/pki"};

std::string row_list() {
  std::string out = "Certificates:\n";
  for (const auto& row : certs::rows())
    out += "  " + row.name + std::string(26 - row.name.size(), ' ') + row.what + "\n";
  return out;
}

}  // namespace

Commands certs_commands() {
  return {
      {.path = "certs", .summary = "Certificates of a master: when they end, renewing, requests"},
      {.path = "certs check-expiration",
       .summary = "Check certificates expiration for a Kubernetes cluster",
       .options = {{.name = "output",
                    .value = "FORMAT",
                    .help = "text, json or yaml",
                    .fallback = "text",
                    .letter = "o",
                    .choices = {"text", "json", "yaml"}},
                   kConfigOption,
                   kKubeconfig,
                   kCertDir},
       .run = [](const Invocation& in) { return finish(check_expiration(in)); }},
      {.path = "certs renew",
       .summary = "Renew certificates for a Kubernetes cluster",
       .details =
           "Subject and names stay those of the certificate that is there; keys are new; CAs stay. The API server is "
           "restarted with what was renewed.\nWith --new-address, a master whose address changed is set up for the "
           "new one: its certificates, kubeconfigs, daemons and cluster-info; the other nodes are told.\n\n" +
           row_list(),
       .arguments = {{"NAME", "one of the certificates, or all (the default)", false, false}},
       .options = {{.name = "new-address", .value = "ADDRESS", .help = "This master's address has changed to this one"},
                   kConfigOption,
                   kKubeconfig,
                   kCertDir},
       .run = [](const Invocation& in) { return finish(renew(in)); }},
      {.path = "certs certificate-key",
       .summary = "Generate certificate keys",
       .details = "A new key for lab init --upload-certs --certificate-key, in hexadecimal.",
       .run =
           [](const Invocation&) {
             std::printf("%s\n", bootstrap::new_certificate_key().c_str());
             return kDone;
           }},
      {.path = "certs generate-csr",
       .summary = "Generate keys and certificate signing requests",
       .details = "For a CA that is elsewhere: NAME.key and NAME.csr of every certificate, and kubeconfigs with their "
                  ".csr beside them.",
       .options = {kCertDir,
                   {.name = "kubeconfig-dir",
                    .value = "DIR",
                    .help = "Where kubeconfigs are kept",
                    .fallback = "/etc/kubernetes"},
                   kConfigOption},
       .run = [](const Invocation& in) { return finish(generate_csr(in)); }},
  };
}

}  // namespace lab::cli
