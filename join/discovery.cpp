#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/cluster.h"
#include "join/join.h"
#include "orchestrator/api/time.h"
#include "pki/certificate.h"

namespace lab::join {

namespace {

constexpr const char* kClusterInfoPath = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
constexpr long kTolerableSkew = 300;   // seconds

// "Sun, 22 Nov 2026 00:10:00 GMT" (RFC 9110, 5.6.7) against this machine's clock: positive when ours is ahead.
long clock_skew(const http::Response& response) {
  std::tm tm{};
  const std::string date(response.headers.get("date"));
  if (date.empty() || !::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &tm)) return 0;
  return static_cast<long>(std::time(nullptr) - ::timegm(&tm));
}

// What a connection's failure most likely means to who joins.
Error explained(Error error, const client::RestConfig& config) {
  auto url = http::parse_url(config.server);
  const std::string port = url ? std::to_string(url->port) : "6443";
  if (error.sys_errno == ETIMEDOUT || error.code == Code::kTimeout)
    error.hint = "a firewall drops TCP port " + port + ", or no machine has this address; on the master: ufw allow " + port +
                 "/tcp, or firewall-cmd --add-port=" + port + "/tcp; then try here: curl -k " + config.server + "/version";
  else if (error.sys_errno == ECONNREFUSED)
    error.hint = "no API server listens there: does it run on the master (systemctl status lab-server, or its log "
                 "/var/log/lab/lab-server.log), and is this its port?";
  else if (error.sys_errno == EHOSTUNREACH || error.sys_errno == ENETUNREACH)
    error.hint = "no way leads there: check the address, the master's power, and the route (ip route get " +
                 (url ? url->host : config.server) + ")";
  else if (error.message.find(" expired on ") != std::string::npos)
    error.hint = "the master's certificates have ended; on the master: lab certs renew all";
  return error;
}

Result<json::Value> fetch(const client::RestConfig& config) {
  auto cluster = bootstrap::Cluster::connect(config);
  auto answered = cluster->raw({.target = kClusterInfoPath});
  if (!answered) return std::unexpected(explained(std::move(answered).error(), config));
  const auto& response = *answered;
  if (long skew = clock_skew(response); std::labs(skew) > kTolerableSkew)
    return fail(Code::kInvalid, "this machine's clock is " + std::to_string(std::labs(skew)) + " s " +
                                    (skew > 0 ? "ahead of" : "behind") + " the master's; certificates and tokens would not be valid",
                "set the clock (date -s ... or an NTP client) and join again");
  if (response.status == 404)
    return fail(Code::kNotFound, config.server + " has no cluster-info: it is no Kubernetes master, or its init is not complete",
                "check the address; on the master: lab init phase bootstrap-token");
  if (response.status != 200) return std::unexpected(client::error_of(response).with_context("ask " + config.server));
  return json::parse(response.text());
}

constexpr const char* kUnknownToken = "unknown-token";
constexpr const char* kNewToken = "make one on the master: lab token create --print-join-command";

Failure unknown_token(const json::Value& config_map, const pki::BootstrapToken& token) {
  const std::string when =
      pki::expired_token_time(json::str(config_map, "metadata", "annotations", pki::kExpiredTokensAnnotation), token.id);
  if (auto at = api::parse_time(when)) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - *at);
    return fail(Code::kUnauthorized,
                "the token \"" + token.id + "\" expired " + api::human_duration(std::max(age, std::chrono::seconds(0))) + " ago (" + when + ")",
                kNewToken);
  }
  std::string known;
  for (const auto& [key, value] : json::map(config_map, "data"))
    if (std::string_view(key).starts_with("jws-kubeconfig-"))
      known += (known.empty() ? "" : ", ") + std::string(std::string_view(key).substr(15));
  auto failure = fail(Code::kUnauthorized,
              "the cluster does not know the token \"" + token.id + "\": it has expired, was deleted, or belongs to another cluster" +
                  (known.empty() ? " (no token is valid there now)" : " (valid there now: " + known + ")"),
              kNewToken);
  failure.error().details = kUnknownToken;
  return failure;
}

Result<void> check_pins(const std::string& ca_pem, const std::vector<std::string>& pins) {
  std::string met;
  for (const auto& certificate : pki::split_bundle(ca_pem)) {
    LAB_TRY(auto pin, pki::pin(certificate));
    for (const auto& want : pins)
      if (pin == want) return {};
    met += (met.empty() ? "" : ", ") + pin;
  }
  std::string wanted;
  for (const auto& p : pins) wanted += (wanted.empty() ? "" : ", ") + p;
  return fail(Code::kUnauthorized, "the cluster's CA is not the expected one: expected " + wanted + ", met " + met,
              "the master may have been set up anew, or another machine answers at this address; take the join command "
              "from the master again: lab token create --print-join-command");
}

Result<ClusterInfo> from_kubeconfig(const std::string& text) {
  LAB_TRY(auto config, yaml::parse(text));
  const auto& clusters = json::list(config, "clusters");
  if (clusters.empty()) return fail(Code::kInvalid, "the kubeconfig names no cluster");
  LAB_TRY(auto ca, crypto::base64_decode(json::str(clusters[0], "cluster", "certificate-authority-data")));
  ClusterInfo info{.server = std::string(json::str(clusters[0], "cluster", "server")), .ca_pem = std::move(ca)};
  if (info.server.empty() || info.ca_pem.empty())
    return fail(Code::kInvalid, "the kubeconfig names no server, or holds no CA");
  return info;
}

}  // namespace

bool is_unknown_token(const Error& error) { return error.details == kUnknownToken; }

Result<ClusterInfo> discover(const std::string& host, int port, const pki::BootstrapToken& token,
                             const std::vector<std::string>& pins, bool skip_pin) {
  client::RestConfig open;
  open.server = "https://" + host + ":" + std::to_string(port);
  open.insecure = true;
  LAB_TRY(auto untrusted, fetch(open));
  const std::string kubeconfig(json::str(untrusted, "data", "kubeconfig"));
  const auto jws = json::str(untrusted, "data", "jws-kubeconfig-" + token.id);
  if (jws.empty()) {
    // Where the CA is another one too, that explains more: the master was made anew, or it is another cluster.
    if (auto met = from_kubeconfig(kubeconfig); met && !skip_pin) LAB_CHECK(check_pins(met->ca_pem, pins));
    return unknown_token(untrusted, token);
  }
  if (!pki::verify_cluster_info(kubeconfig, jws, token))
    return fail(Code::kUnauthorized, "the cluster's signature was not made with the secret of the token \"" + token.id + "\"",
                "check the token for a typing error; lab token list on the master shows it");
  LAB_TRY(auto info, from_kubeconfig(kubeconfig));
  if (!skip_pin) LAB_CHECK(check_pins(info.ca_pem, pins));

  // Once more over TLS that the CA vouches for: whoever answers also holds a certificate of this cluster.
  client::RestConfig verified;
  verified.server = open.server;
  verified.ca_pem = info.ca_pem;
  LAB_TRY(auto trusted, fetch(verified));
  if (json::str(trusted, "data", "kubeconfig") != kubeconfig)
    return fail(Code::kUnauthorized, "the cluster-info changed between two reads", "join again");
  return info;
}

Result<ClusterInfo> discover_from_file(const std::string& path) {
  LAB_TRY(auto text, fs::read_file(path));
  auto info = from_kubeconfig(text);
  if (!info) return std::unexpected(std::move(info).error().with_context("read " + path));
  return info;
}

}  // namespace lab::join
