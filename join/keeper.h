// CredentialKeeper: keeps what a node is known by, and what it knows its cluster by, good for as long as its agent
// runs.
//
// - The client certificate is renewed in time (rotation.h), and at once when the CA that issued it is no longer the
//   cluster's first: then the cluster is changing its CA.
// - The CA bundle is the one of ConfigMap kube-public/cluster-info, read over TLS that the present bundle vouches for,
// every
//   other minute and when poke() says so. It goes into the kubeconfig, from where all clients of this node take it up,
//   and into CA_FILE; on_ca hears of it. Nothing is restarted.
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

struct KeeperOptions {
  TlsBootstrapOptions credentials;
  // The CA against which the agent checks its callers. A master's own directory holds it with its key (ca.key): there
  // it is not written, `lab certs rotate-ca` is in charge.
  std::string pki_directory = "/etc/kubernetes/pki";
  std::string version;  // told by state()
  std::function<void(const std::string& bundle)> on_ca;
};

class CredentialKeeper {
 public:
  explicit CredentialKeeper(KeeperOptions options);

  [[noreturn]] void run();
  // One look, for tests: whether the node agrees with its cluster now.
  Result<void> look();
  // Looks again at once.
  void poke();
  // What /lab/node answers: {"version", "server", "trusts": [pins], "issuer": pin}; on a master also
  // {"authority": {"bundle": [pins], "signer": pin, "served": step}}, step being that of a CA's rotation which the API
  // server was restarted for: 0 none, 1 prepared, 2 switched. Pins are those of --discovery-token-ca-cert-hash.
  json::Value state();

 private:
  Result<void> take_bundle();
  Result<pki::WallTime> due_at();

  KeeperOptions options_;
  std::string applied_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool poked_ = false;
};

}  // namespace lab::join
