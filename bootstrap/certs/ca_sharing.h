// How the masters of one cluster settle on one new CA, or one new key for service accounts: a Secret in kube-system
// (lab-ca-rotation, lab-etcd-ca-rotation, lab-front-proxy-ca-rotation, lab-sa-rotation) holds what the first of them
// made, for the others to take.
//
// Each file is sealed by AES-256-GCM under a key derived from the old private key, which every master has and the
// cluster does not. Who knows that key could act as anybody until the rotation ends in any case. Blocking.
#pragma once

#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/common/cluster.h"

namespace lab::bootstrap::certs {

// Between make and trust of prepare_ca(): this master's new pair becomes the cluster's, or the cluster's becomes its
// own. Conflict when this master trusts another new CA already; kInvalid when the Secret cannot be opened here.
Result<void> agree_on_new_ca(Cluster& cluster, const Places& places, const std::string& ca = kClusterCa);
// The same between make and trust of prepare_key().
Result<void> agree_on_new_key(Cluster& cluster, const Places& places);
// The last master has finished; absent is fine.
Result<void> forget_shared_ca(Cluster& cluster, const std::string& ca = kClusterCa);
Result<void> forget_shared_key(Cluster& cluster);

}  // namespace lab::bootstrap::certs
