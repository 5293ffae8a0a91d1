// A further master of a cluster whose masters share an etcd: what `lab join --control-plane` does beside joining the
// node. Uses the phases of init, with the settings that init left in the cluster. Blocking; each step may be repeated.
#pragma once

#include <string>

#include "bootstrap/init/init.h"

namespace lab::bootstrap {

struct MasterOptions {
  std::string node_name, advertise_address, cri_socket;
  int bind_port = 6443;
  std::string certificate_key;
  bool taint = true;
};

// `cluster` may be the bootstrap token's. kInvalid when the cluster's store has one master only.
Result<InitOptions> master_settings(Cluster& cluster, const MasterOptions& options);
// Downloads what masters share and makes this one's certificates and kubeconfigs.
Result<void> prepare_master(InitContext& c, Cluster& cluster, const std::string& certificate_key);
// Adds the etcd member, starts the API server beside it, and marks the node, which must have joined.
Result<void> start_master(InitContext& c);

// Phases of init for such clusters.
bool uses_etcd(const InitContext& c);     // a member of its own on every master
Result<void> etcd_phase(InitContext& c);  // the first member
Result<void> upload_certs_phase(InitContext& c);

}  // namespace lab::bootstrap
