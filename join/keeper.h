// CredentialKeeper: keeps what a node is known by, and what it knows its cluster by, good for as long as its agent
// runs.
//
// - The client certificate is renewed in time (pki/rotation.h), and at once when the CA that issued it is no longer the
//   cluster's first: then the cluster is changing its CA.
// - The CA bundle is the one of ConfigMap kube-public/cluster-info, read over TLS that the present bundle vouches for,
//   every other minute and when poke() says so. It goes into the kubeconfig, from where all clients of this node take
//   it up, and into CA_FILE; on_ca hears of it. Nothing is restarted.
// - While cluster-info names a key of service accounts (kKeyAnnotation), on_token_key hears of it as long as pods of
//   this node have tokens of another one.
// - The serving certificate, which is the node's own, is made anew in time; on_serving hears of it.
//
// run() blocks: for a thread of the agent's own. poke() and state() may be called from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "base/json.h"
#include "join/tls_bootstrap.h"
#include "pki/certificate.h"

namespace lab::join {

// Of ConfigMap cluster-info, while the service accounts' key is rotated: the key (`kid`) that signs now.
inline constexpr const char* kKeyAnnotation = "bootstrap.lab/service-account-key";

struct KeeperOptions {
  TlsBootstrapOptions credentials;
  // The CA against which the agent checks its callers. A master's own directory holds it with its key (ca.key): there
  // it is not written, `lab certs rotate-ca` is in charge.
  std::string pki_directory = "/etc/kubernetes/pki";
  std::string pods_directory = "/var/lib/kubelet/pods";
  std::string version;       // told by state()
  std::string node_address;  // of the serving certificate; empty: it is not looked after
  std::function<void(const std::string& bundle)> on_ca;
  std::function<void()> on_token_key;
  std::function<void(const ServingCertificate& now)> on_serving;
};

class CredentialKeeper {
 public:
  explicit CredentialKeeper(KeeperOptions options);

  [[noreturn]] void run();
  // One look, for tests: whether the node agrees with its cluster now.
  Result<void> look();
  // Looks again at once.
  void poke();
  // What /lab/node answers: {"version", "server", "trusts": [pins], "issuer": pin, "tokens": {kid: ["namespace/pod"]}};
  // on a master also {"authority": {"bundle": [pins], "signer": pin, "served": step}}, the same of the CAs that masters
  // alone know in {"authorities": {"etcd-ca": ..., "front-proxy-ca": ...}}, and {"serviceAccountKey": {"signer": kid,
  // "accepts": [kids], "served": step}}; step being that of a rotation which the API server was restarted for: 0 none,
  // 1 prepared, 2 switched. Pins are those of --discovery-token-ca-cert-hash.
  json::Value state();

 private:
  Result<void> take_cluster_info();
  void look_at_tokens(const std::string& key);
  void look_at_serving_certificate();
  Result<pki::WallTime> due_at();

  KeeperOptions options_;
  std::string applied_, applied_serving_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool poked_ = false;
};

}  // namespace lab::join
