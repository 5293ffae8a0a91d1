#include "join/keeper.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/yaml/yaml.h"
#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/certs/key_rotation.h"
#include "bootstrap/common/cluster.h"
#include "join/pod_tokens.h"
#include "pki/certificate_set.h"
#include "pki/kubeconfig.h"
#include "pki/rotation.h"

namespace lab::join {

namespace res = client::res;

namespace {

using std::chrono::seconds;

constexpr auto kLookEvery = seconds(120);
constexpr auto kRetry = seconds(10);
// Clocks are set, machines sleep: the time is looked at again.
constexpr auto kLongestSleep = seconds(60);

pki::WallTime written_at(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) return {};
  return std::chrono::system_clock::from_time_t(s.st_mtime);
}

json::Array pins_of(const std::string& bundle) {
  json::Array out;
  for (const auto& pem : pki::split_bundle(bundle))
    if (auto pin = pki::pin(pem)) out.emplace_back(*pin);
  return out;
}

json::Value authority_of(const std::string& pki, const std::string& ca) {
  auto authority = pki::load_authority(pki, ca);
  if (!authority) return {};
  auto pin = pki::pin(authority->certificate_pem());
  if (!pin) return {};
  return json::Object{{"bundle", pins_of(authority->certificate_pem())},
                      {"signer", *pin},
                      {"served", static_cast<int>(bootstrap::certs::served_step({.pki = pki}, ca))}};
}

json::Value service_account_key_of(const std::string& pki) {
  auto now = bootstrap::certs::key_rotation({.pki = pki});
  if (!now) return {};
  json::Array accepted;
  for (const auto& id : now->accepted) accepted.emplace_back(id);
  return json::Object{{"signer", now->signer},
                      {"accepts", std::move(accepted)},
                      {"served", static_cast<int>(bootstrap::certs::served_key_step({.pki = pki}))}};
}

struct Published {
  std::string bundle;
  std::string service_account_key;  // "" but while it is rotated
};

// Anyone may read cluster-info; a node of its own name may not, as kubeadm's role has it. The server is verified.
Result<Published> published(const client::RestConfig& own) {
  client::RestConfig anonymous;
  anonymous.server = own.server;
  anonymous.ca_pem = own.ca_pem;
  anonymous.tls_server_name = own.tls_server_name;
  auto cluster = bootstrap::Cluster::connect(std::move(anonymous));
  LAB_TRY(auto map, cluster->get(res::configmaps, "kube-public", "cluster-info"));
  LAB_TRY(auto info, yaml::parse(json::str(map, "data", "kubeconfig")));
  const auto& clusters = json::list(info, "clusters");
  if (clusters.empty()) return fail(Code::kInvalid, "ConfigMap kube-public/cluster-info names no cluster");
  LAB_TRY(auto bundle, crypto::base64_decode(json::str(clusters[0], "cluster", "certificate-authority-data")));
  if (pki::split_bundle(bundle).empty())
    return fail(Code::kInvalid, "ConfigMap kube-public/cluster-info holds no CA certificate");
  return Published{bundle, std::string(json::str(map, "metadata", "annotations", kKeyAnnotation))};
}

}  // namespace

CredentialKeeper::CredentialKeeper(KeeperOptions options) : options_(std::move(options)) {}

Result<void> CredentialKeeper::take_cluster_info() {
  const auto& kubeconfig = options_.credentials.kubeconfig;
  LAB_TRY(auto config, client::load_kubeconfig(kubeconfig));
  LAB_TRY(auto info, published(config));
  const auto& bundle = info.bundle;
  const std::string ca_file = fs::join(options_.pki_directory, "ca.crt");
  const bool master = fs::exists(fs::join(options_.pki_directory, "ca.key"));
  if (!master && fs::read_file(ca_file).value_or("") != bundle) LAB_CHECK(fs::write_file(ca_file, bundle));
  if (config.ca_pem != bundle) {
    LAB_TRY(auto text, fs::read_file(kubeconfig));
    LAB_TRY(auto next, pki::with_cluster(text, bundle));
    LAB_CHECK(fs::write_file(kubeconfig, next, 0600));
    log::info("the cluster's CA bundle was taken", {{"certificates", pki::split_bundle(bundle).size()}});
  }
  if (applied_ != bundle && options_.on_ca) options_.on_ca(bundle);
  applied_ = bundle;
  look_at_tokens(info.service_account_key);
  return {};
}

void CredentialKeeper::look_at_tokens(const std::string& key) {
  if (key.empty() || !options_.on_token_key) return;
  const auto found = pod_token_keys(options_.pods_directory);
  if (std::ranges::any_of(found, [&](const auto& entry) { return entry.first != key; })) options_.on_token_key();
}

// Whoever replaces the files by hand is followed, too.
void CredentialKeeper::look_at_serving_certificate() {
  const auto& o = options_.credentials;
  if (options_.node_address.empty() || !options_.on_serving) return;
  auto now = ensure_serving_certificate(o.pki_directory, o.node_name, options_.node_address);
  if (!now) return log::warn("the node's serving certificate could not be kept", {{"why", now.error().text()}});
  if (std::exchange(applied_serving_, now->certificate_pem) != now->certificate_pem) options_.on_serving(*now);
}

// When the certificate is to be renewed: at once when the CA that comes first now did not sign it. Its life counts from
// when it came here: signers date it back.
Result<pki::WallTime> CredentialKeeper::due_at() {
  const auto& o = options_.credentials;
  LAB_TRY(auto config, client::load_kubeconfig(o.kubeconfig));
  LAB_TRY(auto info, pki::inspect(config.certificate_pem));
  if (!pki::signed_by(config.certificate_pem, config.ca_pem)) return info.not_before;
  const std::string current = fs::join(o.pki_directory, "kubelet-client-current.pem");
  const auto came = written_at(fs::exists(current) ? current : o.kubeconfig);
  const auto begin = std::max(info.not_before, std::min(came, info.not_after));
  return pki::rotation_time(begin, info.not_after, o.node_name);
}

Result<void> CredentialKeeper::look() {
  // A cluster-info that cannot be read does not keep certificates from being renewed in time.
  look_at_serving_certificate();
  auto taken = take_cluster_info();
  LAB_TRY(auto at, due_at());
  if (std::chrono::system_clock::now() >= at) {
    LAB_CHECK(renew_client_certificate(options_.credentials));
    log::info("the node's certificate was renewed", {{"node", options_.credentials.node_name}});
  }
  return taken;
}

void CredentialKeeper::run() {
  using Steady = std::chrono::steady_clock;
  std::string told;
  while (true) {
    auto looked = look();
    const std::string why = looked ? std::string() : looked.error().text();
    // A master that is away is told once.
    if (!why.empty() && why != told)
      log::warn("this node's credentials could not be compared with the cluster's; it will be tried again",
                {{"why", why}});
    told = why;
    const auto until = Steady::now() + (looked ? kLookEvery : kRetry);
    std::unique_lock lock(mutex_);
    while (!poked_ && Steady::now() < until) {
      auto nap = std::chrono::duration_cast<std::chrono::milliseconds>(until - Steady::now());
      if (auto at = due_at(); looked && at) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*at - std::chrono::system_clock::now());
        if (left.count() <= 0) break;
        nap = std::min(nap, left);
      }
      woken_.wait_for(lock, std::min<std::chrono::milliseconds>(nap, kLongestSleep));
    }
    poked_ = false;
  }
}

void CredentialKeeper::poke() {
  std::lock_guard lock(mutex_);
  poked_ = true;
  woken_.notify_all();
}

json::Value CredentialKeeper::state() {
  json::Object out{{"version", options_.version}};
  auto config = client::load_kubeconfig(options_.credentials.kubeconfig);
  if (!config) return out;
  out["server"] = config->server;
  out["trusts"] = pins_of(config->ca_pem);
  for (const auto& ca : pki::split_bundle(config->ca_pem))
    if (pki::signed_by(config->certificate_pem, ca))
      if (auto pin = pki::pin(ca)) out["issuer"] = *pin;
  json::Object tokens;
  for (const auto& [key, pods] : pod_token_keys(options_.pods_directory)) {
    json::Array names;
    for (const auto& pod : pods) names.emplace_back(pod);
    tokens[key] = std::move(names);
  }
  out["tokens"] = std::move(tokens);
  const auto& pki = options_.pki_directory;
  if (auto of_cluster = authority_of(pki, "ca"); !of_cluster.is_null()) out["authority"] = std::move(of_cluster);
  json::Object others;
  for (const char* ca : {"etcd/ca", "front-proxy-ca"})
    if (auto one = authority_of(pki, ca); !one.is_null()) others[bootstrap::certs::ca_name(ca)] = std::move(one);
  if (!others.empty()) out["authorities"] = std::move(others);
  if (auto key = service_account_key_of(pki); !key.is_null()) out["serviceAccountKey"] = std::move(key);
  return out;
}

}  // namespace lab::join
