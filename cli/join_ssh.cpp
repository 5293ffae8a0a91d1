#include "cli/join_ssh.h"

#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <mutex>

#include "base/crypto/digest.h"
#include "base/fs.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/init/certificate_upload.h"
#include "bootstrap/init/init.h"
#include "bootstrap/init/tokens.h"
#include "cli/duration.h"
#include "cli/report.h"
#include "join/ssh/fleet.h"
#include "join/ssh/scripts.h"

namespace lab::cli {

namespace {

namespace res = client::res;
using bootstrap::Cluster;
using std::chrono::seconds;

constexpr auto kTokenLife = seconds(3600);
constexpr auto kSignatureLimit = seconds(30);

// What the hosts' threads ask of the cluster: one at a time, as Cluster wants it.
struct Shared {
  std::unique_ptr<Cluster> cluster;
  std::mutex mutex;
  Result<json::Value> node(const std::string& name) {
    std::lock_guard lock(mutex);
    return cluster->get(res::nodes, "", name);
  }
};

bool is_ready(const json::Value& node, std::string& why) {
  why = "the node has told no state yet";
  for (const auto& c : json::list(node, "status", "conditions"))
    if (json::str(c, "type") == "Ready") {
      why = std::string(json::str(c, "message"));
      return json::str(c, "status") == "True";
    }
  return false;
}

// The same machine may join again, as often as it likes; another one must not take a living node's name.
Result<void> admit(Shared& shared, const std::string& name, const join::ssh::HostFacts& facts) {
  auto node = shared.node(name);
  if (!node && node.error().code == Code::kNotFound) return {};
  LAB_TRY(auto known, std::move(node));
  std::string why, address;
  if (!is_ready(known, why)) return {};
  for (const auto& a : json::list(known, "status", "addresses"))
    if (json::str(a, "type") == "InternalIP") address = std::string(json::str(a, "address"));
  for (const auto& own : facts.addresses)
    if (own == address) return {};
  if (const auto id = json::str(known, "status", "nodeInfo", "machineID");
      !id.empty() && id == facts.machine_id && facts.addresses.empty())
    return {};
  return fail(
      Code::kAlreadyExists, "the node name \"" + name + "\" is taken: a node at " + address + " has it, and is Ready",
      "give this host another name (there: hostnamectl set-hostname NAME), or join it alone with --node-name NAME; "
      "if that node is gone for good: kubectl delete node " +
          name);
}

Result<void> wait_ready(Shared& shared, const std::string& name, seconds limit,
                        const std::function<void(const std::string&)>& on_state) {
  return bootstrap::wait_until(
      limit, "node \"" + name + "\" to be Ready", "kubectl describe node " + name,
      [&]() -> Result<void> {
        LAB_TRY(auto node, shared.node(name));
        std::string why;
        if (is_ready(node, why)) return {};
        return fail(Code::kUnavailable, why);
      },
      on_state);
}

// A token that was made a moment ago is good once the controllers have signed cluster-info with it.
Result<void> wait_signed(Cluster& cluster, const std::string& id) {
  return bootstrap::wait_until(kSignatureLimit, "the signature of token " + id + " in cluster-info",
                               "does the control plane run? lab services", [&]() -> Result<void> {
                                 LAB_TRY(auto info, cluster.get(res::configmaps, "kube-public", "cluster-info"));
                                 if (!json::str(info, "data", "jws-kubeconfig-" + id).empty()) return {};
                                 return fail(Code::kUnavailable, "not signed yet");
                               });
}

// How hosts will find the cluster, and the cluster as this machine reaches it (none with --token given by hand).
struct Way {
  std::string host;
  int port = 6443;
  std::string identity;                // endpoint and pin
  std::vector<std::string> arguments;  // endpoint, token, pin
  std::shared_ptr<Shared> shared;
  std::string token;  // made here; is taken back at the end
};

Result<Way> way_by_hand(const std::string& endpoint, const Invocation& in) {
  LAB_TRY(auto url, http::parse_url("https://" + endpoint));
  Way way{.host = url.host, .port = endpoint.rfind(':') == std::string::npos ? 6443 : url.port};
  const auto pins = in.all("discovery-token-ca-cert-hash");
  way.arguments = {endpoint, "--token", in.get("token")};
  for (const auto& pin : pins) way.arguments.insert(way.arguments.end(), {"--discovery-token-ca-cert-hash", pin});
  if (in.flag("discovery-token-unsafe-skip-ca-verification"))
    way.arguments.push_back("--discovery-token-unsafe-skip-ca-verification");
  if (pins.empty() && !in.flag("discovery-token-unsafe-skip-ca-verification"))
    return fail(Code::kInvalid, "the CA pin is missing",
                "give --discovery-token-ca-cert-hash sha256:... (lab token create --print-join-command)");
  way.identity = endpoint + (pins.empty() ? "" : " " + pins[0]);
  return way;
}

Result<Way> way_as_master(const Invocation& in) {
  const std::string kubeconfig = in.get("kubeconfig");
  auto cluster = Cluster::open(kubeconfig);
  if (!cluster)
    return fail(cluster.error().code, "no cluster to join: " + cluster.error().message,
                "run this on the master, or name one with --kubeconfig FILE, or give ENDPOINT, --token and "
                "--discovery-token-ca-cert-hash");
  const auto& config = (*cluster)->config();
  LAB_TRY(auto url, http::parse_url(config.server));
  Way way{.host = url.host, .port = url.port};
  LAB_TRY(auto pin, pki::pin(config.ca_pem));
  const auto token = pki::BootstrapToken::generate();
  LAB_CHECK(bootstrap::create_token(**cluster,
                                    {.token = token, .ttl = kTokenLife, .description = "Made by 'lab join --ssh'."}));
  way.token = token.text();
  const std::string endpoint =
      (url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]") + ":" + std::to_string(url.port);
  way.identity = endpoint + " " + pin;
  way.arguments = {endpoint, "--token", way.token, "--discovery-token-ca-cert-hash", pin};
  LAB_CHECK(wait_signed(**cluster, token.id));
  way.shared = std::make_shared<Shared>();
  way.shared->cluster = std::move(*cluster);
  return way;
}

// The masters' certificates are kept in the cluster for two hours only, so they are stored anew, under a fresh key.
Result<std::string> share_certificates(Shared& shared) {
  constexpr const char* kCertificates = "/etc/kubernetes/pki";
  if (!fs::exists(fs::join(kCertificates, "ca.key")))
    return fail(Code::kInvalid, "--certificate-key is missing, and this machine is no master that could make one",
                "on a master: lab init phase upload-certs --upload-certs --store etcd; it prints the key");
  const std::string key = bootstrap::new_certificate_key();
  LAB_CHECK(bootstrap::upload_certificates(*shared.cluster, kCertificates, key));
  return key;
}

// Only a person at a terminal can be asked.
join::ssh::Person person_at_terminal() {
  if (!::isatty(STDIN_FILENO) || !::isatty(STDOUT_FILENO)) return {};
  return {.confirm =
              [](const std::string& question) {
                std::printf("%s [y/N] ", question.c_str());
                std::fflush(stdout);
                std::string answer;
                std::getline(std::cin, answer);
                return answer == "y" || answer == "Y" || answer == "yes";
              },
          .secret = [](const std::string& prompt) -> std::optional<std::string> {
            termios before{};
            ::tcgetattr(STDIN_FILENO, &before);
            termios silent = before;
            silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
            // Silent before the prompt: the change drops what was typed ahead, and must not drop the answer.
            ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
            std::printf("%s", prompt.c_str());
            std::fflush(stdout);
            std::string typed;
            const bool given = static_cast<bool>(std::getline(std::cin, typed));
            ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
            std::printf("\n");
            if (!given || typed.empty()) return std::nullopt;
            return typed;
          }};
}

Result<join::ssh::ConnectOptions> connect_options(const Invocation& in) {
  join::ssh::ConnectOptions o;
  const char* home = std::getenv("HOME");
  o.known_hosts = in.has("known-hosts") ? in.get("known-hosts") : fs::join(home ? home : "/root", ".ssh/known_hosts");
  LAB_CHECK(fs::make_dirs(o.known_hosts.substr(0, std::max<std::size_t>(o.known_hosts.rfind('/'), 1)), 0700));
  o.accept_new_host_keys = in.flag("accept-new-host-keys");
  o.identity = in.get("identity");
  o.agent = !in.flag("no-ssh-agent");
  if (const auto file = in.get("password-file"); !file.empty()) {
    LAB_TRY(auto text, fs::read_file(file));
    o.password = text.substr(0, text.find_first_of("\r\n"));
  }
  LAB_TRY(o.timeout, parse_seconds("connect-timeout", in.get("connect-timeout")));
  return o;
}

Result<std::shared_ptr<const join::ssh::Bundle>> bundle_of_this_program() {
  LAB_TRY(auto bundle, join::ssh::make_bundle({.binary = fs::self_exe(),
                                               .libraries = join::ssh::own_libraries(),
                                               .share = bootstrap::bundle_directory()}));
  return std::make_shared<const join::ssh::Bundle>(std::move(bundle));
}

// Hosts have an '@' or come with --ssh; what has none is the API server's address.
void sort_arguments(const Invocation& in, std::vector<std::string>& hosts, std::string& endpoint) {
  hosts = in.all("ssh");
  for (const auto& word : in.arguments())
    if (word.find('@') != std::string::npos)
      hosts.push_back(word);
    else
      endpoint = word;
}

void pass_on(const Invocation& in, std::vector<std::string>& arguments) {
  for (const char* option : {"cri-socket", "certificate-key", "apiserver-bind-port"})
    if (in.has(option)) arguments.insert(arguments.end(), {std::string("--") + option, in.get(option)});
  for (const char* option : {"ignore-preflight-errors", "skip-phases"})
    for (const auto& value : in.all(option)) arguments.insert(arguments.end(), {std::string("--") + option, value});
  for (const char* option : {"control-plane", "no-taint"})
    if (in.flag(option)) arguments.push_back(std::string("--") + option);
}

}  // namespace

Result<int> join_hosts(const std::function<Result<SshHosts>()>& hosts, const std::string& endpoint, const Invocation& in) {
  join::ssh::JoinPlan plan;
  // Before libssh is loaded: what comes with it is none of what the hosts need.
  LAB_TRY(plan.bundle, bundle_of_this_program());
  LAB_TRY(auto limit, parse_seconds("wait-ready", in.get("wait-ready")));
  LAB_TRY(plan.patience, parse_seconds("reconnect-timeout", in.get("reconnect-timeout")));
  LAB_TRY(auto way, in.has("token") ? way_by_hand(endpoint, in) : way_as_master(in));
  plan.person = person_at_terminal();
  plan.api_host = way.host;
  plan.api_port = way.port;
  plan.cluster = way.identity;
  plan.join_arguments = way.arguments;
  pass_on(in, plan.join_arguments);
  if (in.flag("control-plane") && !in.has("certificate-key") && way.shared) {
    LAB_TRY(auto key, share_certificates(*way.shared));
    plan.join_arguments.insert(plan.join_arguments.end(), {"--certificate-key", key});
  }
  plan.node_name = in.get("node-name");
  plan.install_missing = in.flag("install-missing");
  plan.control_plane = in.flag("control-plane");
  if (way.shared) {
    plan.admit = [shared = way.shared](const std::string& node, const join::ssh::HostFacts& facts) {
      return admit(*shared, node, facts);
    };
    if (limit.count() > 0)
      plan.wait_ready = [shared = way.shared, limit](const std::string& node,
                                                     const std::function<void(const std::string&)>& on_state) {
        return wait_ready(*shared, node, limit, on_state);
      };
  }
  auto ready = hosts();
  if (!ready && way.shared) (void)bootstrap::delete_token(*way.shared->cluster, way.token);
  LAB_TRY(auto made, std::move(ready));
  plan.connect = std::move(made.connect);
  if (!made.person) plan.person = {};
  const auto begun = std::chrono::steady_clock::now();
  const auto results = join::ssh::join_fleet(made.targets, plan, static_cast<int>(in.number("parallel")));
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::printf("%s", join::ssh::fleet_table(results, took).c_str());

  bool all = true;
  for (const auto& r : results) all = all && r.joined;
  // A host that was lost on the way may still be joining with the token: it then dies of its age.
  if (all && way.shared) (void)bootstrap::delete_token(*way.shared->cluster, way.token);
  return all ? kDone : kFailed;
}

std::vector<Option> join_ssh_options() {
  return {
      {.name = "ssh",
       .value = "[USER@]HOST[:PORT]",
       .help = "Join these hosts over SSH, from the master; more may follow as arguments",
       .repeated = true},
      {.name = "identity",
       .value = "FILE",
       .help = "Private key for --ssh; default: the agent's keys, then those in ~/.ssh",
       .letter = "i"},
      {.name = "no-ssh-agent", .help = "Do not use the keys of the SSH agent"},
      {.name = "password-file",
       .value = "FILE",
       .help = "Password for --ssh, on the file's first line; default: it is asked for"},
      {.name = "known-hosts", .value = "FILE", .help = "Host keys that are known; default: ~/.ssh/known_hosts"},
      {.name = "accept-new-host-keys",
       .help = "Accept and remember the keys of hosts that are not known yet; default: it is asked"},
      {.name = "install-missing",
       .help = "Install what a host lacks through its package manager; default: it is asked"},
      {.name = "parallel", .value = "N", .help = "How many hosts at the same time", .fallback = "16"},
      {.name = "connect-timeout", .value = "DURATION", .help = "How long a host may take to answer", .fallback = "10s"},
      {.name = "reconnect-timeout",
       .value = "DURATION",
       .help = "How long a host may stay away when its connection broke",
       .fallback = "60s"},
      {.name = "wait-ready",
       .value = "DURATION",
       .help = "How long to wait for the nodes to be Ready; 0: not at all",
       .fallback = "120s"},
      {.name = "kubeconfig",
       .value = "FILE",
       .help = "The cluster that --ssh joins hosts to",
       .fallback = "/etc/kubernetes/admin.conf"},
  };
}

// What each host must find for itself, or what would say the same twice.
Result<void> check_remote_options(const Invocation& in, const std::string& way) {
  for (const char* option :
       {"node-ip", "config", "discovery-file", "discovery-token", "tls-bootstrap-token", "apiserver-advertise-address"})
    if (in.has(option))
      return fail(Code::kInvalid, std::string("--") + option + " does not go with " + way,
                  "leave it out, or run lab join with it on the host itself");
  return {};
}

int join_over_ssh(const Invocation& in) {
  std::vector<std::string> hosts;
  std::string endpoint;
  sort_arguments(in, hosts, endpoint);
  auto targets = join::ssh::parse_targets(hosts);
  if (targets && in.has("node-name") && targets->size() > 1)
    targets = fail(Code::kInvalid,
                   "--node-name names one node, and " + std::to_string(targets->size()) + " hosts are to join",
                   "without it, each takes its host name");
  if (auto fits = check_remote_options(in, "--ssh"); targets && !fits) targets = std::unexpected(std::move(fits).error());
  if (targets && in.has("token") && endpoint.empty())
    targets = fail(Code::kInvalid, "--token needs the API server's address",
                   "as in: lab join 10.0.0.1:6443 --token ... --ssh root@10.0.0.3");
  if (targets && in.number("parallel") < 1) targets = fail(Code::kInvalid, "--parallel must be at least 1");
  if (!targets) {
    report(targets.error());
    return kUsage;
  }
  if (in.flag("dry-run")) {
    for (const auto& t : *targets)
      std::printf("%s: would connect, check the host, copy this program to %s, and run lab join there\n",
                  t.text().c_str(), join::ssh::kReleases);
    return kDone;
  }
  auto named = [&]() -> Result<SshHosts> {
    LAB_TRY(auto connect, connect_options(in));
    return SshHosts{.targets = *targets, .connect = std::move(connect)};
  };
  auto done = join_hosts(named, endpoint, in);
  return done ? *done : report(done.error());
}

}  // namespace lab::cli
