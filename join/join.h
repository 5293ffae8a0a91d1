// lab join: makes this machine a node of a cluster. kubeadm's phases, flags and texts.
//
// Trust is built step by step: cluster-info is fetched without verification, believed only when its signature was made
// with the token's secret and its CA matches a pin, then fetched again over TLS that this CA vouches for.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bootstrap/common/progress.h"
#include "bootstrap/init/init.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/phases/phase.h"
#include "bootstrap/services/service_manager.h"
#include "pki/bootstrap_token.h"

namespace lab::join {

struct JoinOptions {
  std::string endpoint;                      // "10.0.0.1:6443"; the port may be left out
  std::string token;                         // for discovery
  std::string tls_token;                     // for the certificate; empty: the same
  std::vector<std::string> ca_pins;          // sha256:..., or file:PATH: that of the certificate there
  bool unsafe_skip_ca_verification = false;
  std::string discovery_file;                // a kubeconfig instead of token discovery
  std::string node_name, node_ip, cri_socket;
  std::vector<std::string> taints;           // the node registers with them: "key=value:Effect"
  std::chrono::seconds discovery_timeout{2}; // how long a token that the cluster does not know yet is asked for again
  std::chrono::seconds tls_bootstrap_timeout{90};
  json::Value kubelet;                       // KubeletConfiguration of a file, on top of the cluster's; null: none
  std::vector<std::string> ignore_preflight;
  bool control_plane = false;                // join as a further master
  std::string certificate_key;               // of lab init --upload-certs
  std::string advertise_address;             // of this master's API server; empty: the node's
  int bind_port = 6443;
  bool taint_master = true;
  bootstrap::AskRuntime ask_runtime;
  bootstrap::RunOptions run;
};

struct JoinContext {
  JoinOptions options;
  bootstrap::Progress progress;
  std::unique_ptr<bootstrap::ServiceManager> services;
  pki::BootstrapToken token, tls_token;
  std::string host;
  int port = 6443;
  std::string server;                        // from cluster-info
  std::string ca_pem;
  std::unique_ptr<bootstrap::InitContext> master;  // with --control-plane, once the cluster's settings are known
};

const std::vector<bootstrap::Phase<JoinContext>>& join_phases();
Result<void> run_join(JoinOptions options);

// What discovery learns. Errors tell an unknown token, an expired one, one of another cluster, a wrong pin, a clock
// that is off (from the server's Date header), and an unreachable master apart.
struct ClusterInfo {
  std::string server, ca_pem;
};
Result<ClusterInfo> discover(const std::string& host, int port, const pki::BootstrapToken& token,
                             const std::vector<std::string>& pins, bool skip_pin);
// Whether it may help to ask again: a token's signature appears a moment after the token.
bool is_unknown_token(const Error& error);
Result<ClusterInfo> discover_from_file(const std::string& path);

}  // namespace lab::join
